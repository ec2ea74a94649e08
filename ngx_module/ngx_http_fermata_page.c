
/*
 * The page: what a visitor gets while the application is away, as HTML for
 * people and as the JSON that NocoBase's client understands.
 */


#include "ngx_http_fermata_module.h"


static ngx_int_t ngx_http_fermata_page_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *source);
static ngx_int_t ngx_http_fermata_render(ngx_http_fermata_page_t *page,
    ngx_http_fermata_shctx_t *sh, ngx_log_t *log);
static size_t ngx_http_fermata_expand(ngx_http_fermata_page_t *page,
    const struct fm_gate_ask *ask, u_char *dst);
static u_char *ngx_http_fermata_put_text(u_char *dst, size_t *len,
    ngx_uint_t kind, const char *text);


static char  ngx_http_fermata_html[] =
"<!doctype html>" CRLF
"<html lang=\"en\">" CRLF
"<head>" CRLF
"<meta charset=\"utf-8\">" CRLF
"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">" CRLF
"<meta name=\"robots\" content=\"noindex\">" CRLF
"<meta name=\"color-scheme\" content=\"light dark\">" CRLF
"<meta http-equiv=\"refresh\" content=\"" NGX_HTTP_FERMATA_REFRESH "\">" CRLF
"<title>Maintenance</title>" CRLF
"<style>" CRLF
":root{--bg:#f6f7f9;--card:#fff;--ink:#1d2430;--dim:#667085;--line:#e4e7ec;"
"--dot:#1677ff}" CRLF
"@media(prefers-color-scheme:dark){:root{--bg:#101318;--card:#191d24;"
"--ink:#e8eaee;--dim:#98a2b3;--line:#2a303a;--dot:#4096ff}}" CRLF
"*{box-sizing:border-box}" CRLF
"body{margin:0;min-height:100vh;display:flex;align-items:center;"
"justify-content:center;padding:1.5rem;background:var(--bg);"
"color:var(--ink);font:16px/1.5 system-ui,-apple-system,\"Segoe UI\","
"Roboto,sans-serif}" CRLF
"main{width:100%;max-width:32rem;padding:2.5rem;background:var(--card);"
"border:1px solid var(--line);border-radius:12px}" CRLF
"h1{margin:0 0 .75rem;font-size:1.375rem;font-weight:600}" CRLF
"p{margin:0;overflow-wrap:anywhere}" CRLF
".step{margin-top:1.5rem;padding-top:1.25rem;"
"border-top:1px solid var(--line);color:var(--dim);font-size:.9375rem}" CRLF
".step:empty{display:none}" CRLF
".note{margin-top:1.25rem;color:var(--dim);font-size:.8125rem}" CRLF
"i{display:inline-block;width:.625rem;height:.625rem;margin-right:.625rem;"
"border-radius:50%;background:var(--dot);animation:b 1.6s ease-in-out "
"infinite}" CRLF
"@keyframes b{50%{opacity:.25}}" CRLF
"@media(prefers-reduced-motion:reduce){i{animation:none}}" CRLF
"</style>" CRLF
"</head>" CRLF
"<body>" CRLF
"<main role=\"status\">" CRLF
"<h1><i></i>We will be right back</h1>" CRLF
"<p>{{message}}</p>" CRLF
"<p class=\"step\">{{step}}</p>" CRLF
"<p class=\"note\">This page tries again by itself.</p>" CRLF
"</main>" CRLF
"</body>" CRLF
"</html>" CRLF
;


static char  ngx_http_fermata_json[] =
"{\"error\":{\"status\":503,\"maintaining\":true,"
"\"message\":\"{{message}}\",\"code\":\"APP_COMMANDING\","
"\"command\":{\"name\":\"{{command}}\"}}}";


static char  ngx_http_fermata_message[] =
    "The application is being maintained.";


typedef struct {
    ngx_str_t                        name;
    size_t                           offset;
    char                            *fallback;
} ngx_http_fermata_field_t;


static ngx_http_fermata_field_t  ngx_http_fermata_fields[] = {
    { ngx_string("{{message}}"), offsetof(struct fm_gate_ask, message),
      ngx_http_fermata_message },
    { ngx_string("{{step}}"), offsetof(struct fm_gate_ask, step), "" },
    { ngx_string("{{command}}"), offsetof(struct fm_gate_ask, command),
      "maintenance" },
    { ngx_null_string, 0, NULL }
};


void
ngx_http_fermata_page_init(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_page_t  *page;

    page = &mcf->pages[NGX_HTTP_FERMATA_HTML];
    page->kind = NGX_HTTP_FERMATA_HTML;
    page->source.data = (u_char *) ngx_http_fermata_html;
    page->source.len = sizeof(ngx_http_fermata_html) - 1;

    page = &mcf->pages[NGX_HTTP_FERMATA_JSON];
    page->kind = NGX_HTTP_FERMATA_JSON;
    page->source.data = (u_char *) ngx_http_fermata_json;
    page->source.len = sizeof(ngx_http_fermata_json) - 1;
}


/* fermata_page html|json file; */

char *
ngx_http_fermata_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_str_t                *value;
    ngx_uint_t                kind;
    ngx_http_fermata_page_t  *page;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "html") == 0) {
        kind = NGX_HTTP_FERMATA_HTML;

    } else if (ngx_strcmp(value[1].data, "json") == 0) {
        kind = NGX_HTTP_FERMATA_JSON;

    } else {
        return "is neither \"html\" nor \"json\"";
    }

    if (lcf->pages[kind]) {
        return "is duplicate";
    }

    page = ngx_pcalloc(cf->pool, sizeof(ngx_http_fermata_page_t));
    if (page == NULL) {
        return NGX_CONF_ERROR;
    }

    page->kind = kind;

    if (ngx_http_fermata_page_read(cf, &value[2], &page->source) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    lcf->pages[kind] = page;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_page_read(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *source)
{
    ssize_t   n;
    ngx_fd_t  fd;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    source->data = ngx_pnalloc(cf->pool, NGX_HTTP_FERMATA_FRAME_MAX);
    if (source->data == NULL) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, source->data, NGX_HTTP_FERMATA_FRAME_MAX);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    if (n <= 0 || n == NGX_HTTP_FERMATA_FRAME_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "page \"%V\" is empty, or longer than 64k", name);
        return NGX_ERROR;
    }

    source->len = n;

    return NGX_OK;
}


/* A program asks for JSON, or for something below /api/. */

ngx_uint_t
ngx_http_fermata_wants_json(ngx_http_request_t *r)
{
#if (NGX_HTTP_HEADERS)
    u_char           *json, *html, *last;
    ngx_table_elt_t  *accept;
#endif

    if (r->uri.len >= 5 && ngx_strncmp(r->uri.data, "/api/", 5) == 0) {
        return 1;
    }

#if (NGX_HTTP_HEADERS)

    accept = r->headers_in.accept;

    if (accept == NULL) {
        return 0;
    }

    last = accept->value.data + accept->value.len;

    json = ngx_strlcasestrn(accept->value.data, last,
                            (u_char *) "application/json",
                            sizeof("application/json") - 2);
    if (json == NULL) {
        return 0;
    }

    html = ngx_strlcasestrn(accept->value.data, last, (u_char *) "text/html",
                            sizeof("text/html") - 2);

    return html == NULL || json < html;

#else

    return 0;

#endif
}


/* A copy of the rendered page for one response. */

ngx_int_t
ngx_http_fermata_page_text(ngx_http_request_t *r, ngx_uint_t kind,
    ngx_str_t *text)
{
    ngx_http_fermata_page_t       *page;
    ngx_http_fermata_loc_conf_t   *lcf;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_fermata_module);
    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    page = lcf->pages[kind] ? lcf->pages[kind] : &mcf->pages[kind];

    if (page->text.data == NULL || page->version != mcf->sh->text) {
        if (ngx_http_fermata_render(page, mcf->sh, r->connection->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    text->len = page->text.len;
    text->data = ngx_pnalloc(r->pool, text->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text->data, page->text.data, text->len);

    return NGX_OK;
}


/* Once for each change of the texts, in each worker. */

static ngx_int_t
ngx_http_fermata_render(ngx_http_fermata_page_t *page,
    ngx_http_fermata_shctx_t *sh, ngx_log_t *log)
{
    size_t              len;
    u_char             *data;
    struct fm_gate_ask  ask;
    ngx_atomic_uint_t   version;

    version = ngx_http_fermata_read(sh, &ask, 0);

    len = ngx_http_fermata_expand(page, &ask, NULL);

    data = ngx_alloc(len, log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_fermata_expand(page, &ask, data);

    if (page->text.data) {
        ngx_free(page->text.data);
    }

    page->text.data = data;
    page->text.len = len;
    page->version = version;

    return NGX_OK;
}


/* The length of the page; writes it too when dst is not NULL. */

static size_t
ngx_http_fermata_expand(ngx_http_fermata_page_t *page,
    const struct fm_gate_ask *ask, u_char *dst)
{
    size_t                     len;
    u_char                    *p, *last;
    const char                *text;
    ngx_http_fermata_field_t  *field;

    len = 0;
    p = page->source.data;
    last = p + page->source.len;

    while (p < last) {

        if (*p == '{') {

            for (field = ngx_http_fermata_fields; field->name.len; field++) {
                if ((size_t) (last - p) >= field->name.len
                    && ngx_strncmp(p, field->name.data, field->name.len) == 0)
                {
                    break;
                }
            }

            if (field->name.len) {
                text = (const char *) ask + field->offset;

                if (*text == '\0') {
                    text = field->fallback;
                }

                dst = ngx_http_fermata_put_text(dst, &len, page->kind, text);
                p += field->name.len;
                continue;
            }
        }

        if (dst) {
            *dst++ = *p;
        }

        len++;
        p++;
    }

    return len;
}


/* The texts come from outside: they are escaped for where they stand. */

static u_char *
ngx_http_fermata_put_text(u_char *dst, size_t *len, ngx_uint_t kind,
    const char *text)
{
    size_t  size;

    size = ngx_strlen(text);

    if (kind == NGX_HTTP_FERMATA_JSON) {
        *len += size + ngx_escape_json(NULL, (u_char *) text, size);

        return dst ? (u_char *) ngx_escape_json(dst, (u_char *) text, size)
                   : NULL;
    }

    *len += size + ngx_escape_html(NULL, (u_char *) text, size);

    return dst ? (u_char *) ngx_escape_html(dst, (u_char *) text, size) : NULL;
}
