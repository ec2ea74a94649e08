
/*
 * The page: what a visitor gets while the application is away, as HTML for
 * people, as the JSON that NocoBase's client understands, and as the small
 * JSON by which a shown page keeps itself up to date.
 */


#include "ngx_http_fermata_module.h"


/* what a template may name, and where its text comes from */

#define NGX_HTTP_FERMATA_FIELDS(X)                                            \
    X(message, t->ask.message[0] ? t->ask.message : t->words->message)        \
    X(step, t->step)                                                          \
    X(phase, t->phase)                                                        \
    X(back, t->back)                                                          \
    X(back_at, t->back_at)                                                    \
    X(back_unix, t->back_unix)                                                \
    X(command, t->ask.command[0] ? t->ask.command : "maintenance")            \
    X(run, t->run)                                                            \
    X(title, t->words->title)                                                 \
    X(note, t->words->note)                                                   \
    X(lang, t->words->tag)                                                    \
    X(dir, t->words->dir)                                                     \
    X(live, t->live)                                                          \
    X(refresh, NGX_HTTP_FERMATA_REFRESH)                                      \
    X(poll, NGX_HTTP_FERMATA_POLL)                                            \
    X(spread, NGX_HTTP_FERMATA_SPREAD)


typedef enum {
#define X(name, value)  NGX_HTTP_FERMATA_FIELD_##name,
    NGX_HTTP_FERMATA_FIELDS(X)
#undef X
    NGX_HTTP_FERMATA_FIELDS_COUNT
} ngx_http_fermata_field_e;


typedef struct {
    struct fm_gate_ask               ask;
    const struct fm_gate_words      *words;
    const char                      *step;
    const char                      *phase;
    const char                      *live;
    char                             back_at[sizeof("1970-09-28 12:00 UTC")];
    char                             back_unix[NGX_TIME_T_LEN + 1];
    char                             back[FM_TEXT_SIZE];
    char                             run[NGX_INT64_LEN + 1];
    const char                      *values[NGX_HTTP_FERMATA_FIELDS_COUNT];
} ngx_http_fermata_texts_t;


static ngx_int_t ngx_http_fermata_page_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *source);
static void ngx_http_fermata_texts(ngx_http_fermata_texts_t *t,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t language);
static time_t ngx_http_fermata_texts_back(ngx_http_fermata_texts_t *t);
static size_t ngx_http_fermata_expand(ngx_http_fermata_page_t *page,
    ngx_http_fermata_texts_t *t, u_char *dst);
static ngx_uint_t ngx_http_fermata_find_field(u_char *p, u_char *last,
    size_t *len);
static u_char *ngx_http_fermata_put_text(u_char *dst, size_t *len,
    ngx_uint_t kind, const char *text);


static char  ngx_http_fermata_html[] =
#include "page.h"
;


static char  ngx_http_fermata_json[] =
"{\"error\":{\"status\":503,\"maintaining\":true,"
"\"message\":\"{{message}}\",\"code\":\"APP_COMMANDING\","
"\"command\":{\"name\":\"{{command}}\"}}}";


static char  ngx_http_fermata_live_closed[] =
"{\"open\":false,\"message\":\"{{message}}\",\"phase\":\"{{phase}}\","
"\"step\":\"{{step}}\",\"back_at\":{{back_unix}},\"back\":\"{{back}}\","
"\"utc\":\"{{back_at}}\",\"run\":{{run}},\"poll\":{{poll}}}"
"\n";


static char  ngx_http_fermata_live_open[] =
"{\"open\":true,\"spread\":{{spread}}}"
"\n";


static ngx_str_t  ngx_http_fermata_templates[] = {
    { sizeof(ngx_http_fermata_html) - 1, (u_char *) ngx_http_fermata_html },
    { sizeof(ngx_http_fermata_json) - 1, (u_char *) ngx_http_fermata_json },
    { sizeof(ngx_http_fermata_live_closed) - 1,
      (u_char *) ngx_http_fermata_live_closed },
    { sizeof(ngx_http_fermata_live_open) - 1,
      (u_char *) ngx_http_fermata_live_open }
};


static ngx_str_t  ngx_http_fermata_fields[] = {
#define X(name, value)  ngx_string("{{" #name "}}"),
    NGX_HTTP_FERMATA_FIELDS(X)
#undef X
    ngx_null_string
};


static const char  *ngx_http_fermata_phases[] = {
#define X(name, text)  text,
    FM_GATE_PHASES(X)
#undef X
};


ngx_int_t
ngx_http_fermata_page_init(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *root)
{
    ngx_uint_t  kind;

    root->pages = ngx_pcalloc(cf->pool, NGX_HTTP_FERMATA_KINDS
                                        * sizeof(ngx_http_fermata_page_t));
    if (root->pages == NULL) {
        return NGX_ERROR;
    }

    for (kind = 0; kind < NGX_HTTP_FERMATA_KINDS; kind++) {
        root->pages[kind].kind = kind;
        root->pages[kind].source = ngx_http_fermata_templates[kind];
    }

    root->pages[NGX_HTTP_FERMATA_HTML].polls = 1;

    return NGX_OK;
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

    /* one that does not look by itself is loaded anew by the browser */

    page->polls = (ngx_strnstr(page->source.data, "{{live}}",
                               page->source.len)
                   != NULL);

    lcf->pages[kind] = page;

    return NGX_CONF_OK;
}


/* fermata_live uri|off; */

char *
ngx_http_fermata_live(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->live.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&mcf->live, "");
        return NGX_CONF_OK;
    }

    if (value[1].data[0] != '/') {
        return "is neither \"off\" nor an URI that begins with \"/\"";
    }

    mcf->live = value[1];

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


/*
 * The page in one language, as it is now.  Its text is a block that the
 * caller frees; it is right until copy->expires, and as long as sh->text is
 * copy->version.
 */

ngx_int_t
ngx_http_fermata_render(ngx_http_fermata_page_t *page,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t language,
    ngx_http_fermata_copy_t *copy, ngx_log_t *log)
{
    size_t                    len;
    u_char                   *data;
    time_t                    expires;
    ngx_atomic_uint_t         version;
    ngx_http_fermata_texts_t  t;

    version = ngx_http_fermata_read(mcf->sh, &t.ask, 0);

    expires = ngx_http_fermata_texts_back(&t);

    ngx_http_fermata_texts(&t, mcf, language);

    len = ngx_http_fermata_expand(page, &t, NULL);

    data = ngx_http_fermata_block_alloc(len, log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_fermata_expand(page, &t, data);

    copy->plain.text.data = data;
    copy->plain.text.len = len;
    copy->version = version;
    copy->expires = expires;

    return NGX_OK;
}


/*
 * "14:30 UTC", with the date if that is far.  Returns until when it is right.
 */

static time_t
ngx_http_fermata_texts_back(ngx_http_fermata_texts_t *t)
{
    u_char    *p;
    time_t     now, at;
    ngx_tm_t   tm;

    now = ngx_time();
    at = (time_t) t->ask.back_at;

    if (at < 0 || at > NGX_HTTP_FERMATA_FAR) {
        at = 0;
    }

    *ngx_sprintf((u_char *) t->back_unix, "%T", at) = '\0';
    t->back_at[0] = '\0';
    t->back[0] = '\0';

    if (at <= now) {
        return NGX_MAX_TIME_T_VALUE;
    }

    ngx_gmtime(at, &tm);

    p = (u_char *) t->back_at;

    if (at - now > 12 * 3600) {
        p = ngx_sprintf(p, "%4d-%02d-%02d ", tm.ngx_tm_year, tm.ngx_tm_mon,
                        tm.ngx_tm_mday);
    }

    *ngx_sprintf(p, "%02d:%02d UTC", tm.ngx_tm_hour, tm.ngx_tm_min) = '\0';

    /* the date goes away, or the time is past */

    return at - now > 12 * 3600 ? at - 12 * 3600 : at;
}


static void
ngx_http_fermata_texts(ngx_http_fermata_texts_t *t,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t language)
{
    enum fm_gate_phase  phase;

    phase = t->ask.phase;

    t->words = fm_gate_words(language);
    t->phase = ngx_http_fermata_phases[phase];
    t->step = t->words->phases[phase] ? t->words->phases[phase] : t->ask.step;
    t->live = (char *) mcf->live.data;

    *ngx_sprintf((u_char *) t->run, "%uL", t->ask.run) = '\0';

    if (t->back_at[0]) {
        (void) snprintf(t->back, sizeof(t->back), t->words->back, t->back_at);

    } else if (t->back_unix[0] != '0') {
        (void) snprintf(t->back, sizeof(t->back), "%s", t->words->late);
    }

#define X(name, value)  t->values[NGX_HTTP_FERMATA_FIELD_##name] = value;
    NGX_HTTP_FERMATA_FIELDS(X)
#undef X
}


/* The length of the page; writes it too when dst is not NULL. */

static size_t
ngx_http_fermata_expand(ngx_http_fermata_page_t *page,
    ngx_http_fermata_texts_t *t, u_char *dst)
{
    size_t       len, skip;
    u_char      *p, *last;
    ngx_uint_t   field;

    len = 0;
    p = page->source.data;
    last = p + page->source.len;

    while (p < last) {

        field = ngx_http_fermata_find_field(p, last, &skip);

        if (field != NGX_HTTP_FERMATA_FIELDS_COUNT) {
            dst = ngx_http_fermata_put_text(dst, &len, page->kind,
                                            t->values[field]);
            p += skip;
            continue;
        }

        if (dst) {
            *dst++ = *p;
        }

        len++;
        p++;
    }

    return len;
}


static ngx_uint_t
ngx_http_fermata_find_field(u_char *p, u_char *last, size_t *len)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (*p != '{') {
        return NGX_HTTP_FERMATA_FIELDS_COUNT;
    }

    for (i = 0; i < NGX_HTTP_FERMATA_FIELDS_COUNT; i++) {
        name = &ngx_http_fermata_fields[i];

        if ((size_t) (last - p) >= name->len
            && ngx_strncmp(p, name->data, name->len) == 0)
        {
            *len = name->len;
            break;
        }
    }

    return i;
}


/* The texts come from outside: they are escaped for where they stand. */

static u_char *
ngx_http_fermata_put_text(u_char *dst, size_t *len, ngx_uint_t kind,
    const char *text)
{
    size_t  size;

    size = ngx_strlen(text);

    if (kind != NGX_HTTP_FERMATA_HTML) {
        *len += size + ngx_escape_json(NULL, (u_char *) text, size);

        return dst ? (u_char *) ngx_escape_json(dst, (u_char *) text, size)
                   : NULL;
    }

    *len += size + ngx_escape_html(NULL, (u_char *) text, size);

    return dst ? (u_char *) ngx_escape_html(dst, (u_char *) text, size) : NULL;
}
