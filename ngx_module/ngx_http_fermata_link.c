
/*
 * The link of "fermata bypass": it sets the cookie, and leaves no trace of the
 * secret that is in it.
 */


#include "ngx_http_fermata_module.h"


#define NGX_HTTP_FERMATA_LINK_LEN  (sizeof(FM_BYPASS_PATH) - 1)


static ngx_int_t ngx_http_fermata_parse_link(ngx_http_request_t *r,
    ngx_str_t *token, ngx_str_t *to);
static enum fm_bypass_verdict ngx_http_fermata_find_owner(
    ngx_http_fermata_main_conf_t **mcf, ngx_str_t *token, int64_t *expires);
static void ngx_http_fermata_mask(ngx_str_t *text);
static ngx_int_t ngx_http_fermata_refuse_link(ngx_http_request_t *r,
    enum fm_bypass_verdict verdict);
static ngx_int_t ngx_http_fermata_take_link(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *token, int64_t left, ngx_str_t *to);
static ngx_uint_t ngx_http_fermata_is_tls(ngx_http_request_t *r);


/* FM_BYPASS_PATH, token, where to go: copies of both, as they were sent. */

static ngx_int_t
ngx_http_fermata_parse_link(ngx_http_request_t *r, ngx_str_t *token,
    ngx_str_t *to)
{
    u_char  *p, *last;

    p = r->unparsed_uri.data;
    last = p + r->unparsed_uri.len;

    if (r->unparsed_uri.len <= NGX_HTTP_FERMATA_LINK_LEN
        || ngx_memcmp(p, FM_BYPASS_PATH, NGX_HTTP_FERMATA_LINK_LEN) != 0)
    {
        return NGX_DECLINED;
    }

    p += NGX_HTTP_FERMATA_LINK_LEN;

    token->data = p;

    while (p < last && *p != '/' && *p != '?') {
        p++;
    }

    token->len = p - token->data;

    to->len = last - p;
    to->data = p;

    /* "//host" and "/\host" are other sites, "?..." is no path */

    if (to->len == 0 || to->data[0] != '/'
        || (to->len > 1 && (to->data[1] == '/' || to->data[1] == '\\')))
    {
        ngx_str_set(to, "/");
    }

    token->data = ngx_pstrdup(r->pool, token);
    to->data = ngx_pstrdup(r->pool, to);

    return (token->data && to->data) ? NGX_OK : NGX_DECLINED;
}


/*
 * The token must not get into a log, so it is overwritten where it was
 * received: variables may have been made of it.
 */

ngx_int_t
ngx_http_fermata_open_link(ngx_http_request_t *r)
{
    int64_t                        expires;
    ngx_int_t                      rc;
    ngx_str_t                      token, to;
    enum fm_bypass_verdict         verdict;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_cluster_of(r);

    expires = 0;
    verdict = FM_BYPASS_BAD;

    if (ngx_http_fermata_parse_link(r, &token, &to) == NGX_OK) {
        verdict = ngx_http_fermata_find_owner(&mcf, &token, &expires);
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata bypass by link: %ui", (ngx_uint_t) verdict);

    ngx_http_fermata_mask(&r->unparsed_uri);
    ngx_http_fermata_mask(&r->request_line);
    ngx_http_fermata_mask(&r->uri);

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (verdict != FM_BYPASS_GOOD) {
        return ngx_http_fermata_refuse_link(r, verdict);
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "fermata: a bypass link has been opened");

    return ngx_http_fermata_take_link(r, &mcf->cookie, &token,
                                      expires - ngx_time(), &to);
}


/*
 * Clusters on one host name have one path for their links: who has made one is
 * known by its key.  *mcf is the cluster that was asked, and becomes the owner.
 */

static enum fm_bypass_verdict
ngx_http_fermata_find_owner(ngx_http_fermata_main_conf_t **mcf,
    ngx_str_t *token, int64_t *expires)
{
    ngx_uint_t                      i;
    enum fm_bypass_verdict          verdict;
    ngx_http_fermata_main_conf_t  **mcfp;

    verdict = ngx_http_fermata_token((*mcf)->sh, token->data, token->len,
                                     expires);

    mcfp = (*mcf)->clusters->elts;

    for (i = 0; verdict != FM_BYPASS_GOOD && i < (*mcf)->clusters->nelts; i++) {

        if (ngx_http_fermata_token(mcfp[i]->sh, token->data, token->len,
                                   expires)
            == FM_BYPASS_GOOD)
        {
            *mcf = mcfp[i];
            return FM_BYPASS_GOOD;
        }
    }

    return verdict;
}


/* All that follows the path of a link; the whole of one that is encoded. */

static void
ngx_http_fermata_mask(ngx_str_t *text)
{
    u_char  *p, *last;

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if ((size_t) (last - p) >= NGX_HTTP_FERMATA_LINK_LEN
            && ngx_memcmp(p, FM_BYPASS_PATH, NGX_HTTP_FERMATA_LINK_LEN) == 0)
        {
            p += NGX_HTTP_FERMATA_LINK_LEN;
            break;
        }
    }

    if (p == last) {

        p = ngx_strlchr(text->data, last, '/');

        if (p == NULL) {
            return;
        }
    }

    for ( /* void */ ; p < last && *p != ' '; p++) {
        *p = '*';
    }
}


static ngx_int_t
ngx_http_fermata_refuse_link(ngx_http_request_t *r,
    enum fm_bypass_verdict verdict)
{
    static ngx_str_t  type = ngx_string("text/plain");
    static ngx_str_t  texts[] = {
        ngx_null_string,
        ngx_string("This is not a link of \"fermata bypass\", or a part of "
                   "it is missing.\n"),
        ngx_string("This link belongs to another run, or there is nothing "
                   "to bypass now.\nFor a new one: fermata bypass\n"),
        ngx_string("This link has run out.\nFor a new one: "
                   "fermata bypass\n")
    };

    ngx_http_complex_value_t  cv;

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "fermata: a bypass link has been refused");

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = texts[verdict];

    if (ngx_http_fermata_add_header(r, "Cache-Control", "no-store", 8)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, ngx_http_send_response(r, NGX_HTTP_FORBIDDEN,
                                                        &type, &cv));

    return NGX_DONE;
}


/* A Location of ours: nginx would make an absolute one with its own port. */

static ngx_int_t
ngx_http_fermata_take_link(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *token, int64_t left, ngx_str_t *to)
{
    u_char  *p, *cookie;

    static char  tail[] = "; Path=/; HttpOnly; SameSite=Lax";

    cookie = ngx_pnalloc(r->pool, name->len + sizeof("=") - 1 + token->len
                                  + sizeof("; Max-Age=") - 1 + NGX_INT64_LEN
                                  + sizeof(tail) - 1 + sizeof("; Secure") - 1);
    if (cookie == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_sprintf(cookie, "%V=%V; Max-Age=%L%s%s", name, token, left, tail,
                    ngx_http_fermata_is_tls(r) ? "; Secure" : "");

    if (ngx_http_fermata_add_header(r, "Location", (char *) to->data, to->len)
            != NGX_OK
        || ngx_http_fermata_add_header(r, "Set-Cookie", (char *) cookie,
                                       p - cookie)
           != NGX_OK
        || ngx_http_fermata_add_header(r, "Referrer-Policy", "no-referrer", 11)
           != NGX_OK
        || ngx_http_fermata_add_header(r, "Cache-Control", "no-store", 8)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_SEE_OTHER;
    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    ngx_http_finalize_request(r, ngx_http_send_header(r));

    return NGX_DONE;
}


/* Ended here, or by a proxy before us; a false word only makes it stricter. */

static ngx_uint_t
ngx_http_fermata_is_tls(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("x-forwarded-proto");

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        return 1;
    }

#endif

    h = ngx_http_fermata_find_header(r, &name, NULL);

    return h && h->value.len == 5
           && ngx_strncasecmp(h->value.data, (u_char *) "https", 5) == 0;
}
