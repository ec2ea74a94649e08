
/*
 * Who may pass a closed gate: an operator, by address, header, predicate or
 * the cookie of a link; and the link itself, which sets the cookie.
 */


#include "ngx_http_fermata_module.h"
#include "wire/bypass.h"

#include <openssl/crypto.h>


#define NGX_HTTP_FERMATA_LINK_LEN  (sizeof(FM_BYPASS_PATH) - 1)


static ngx_table_elt_t *ngx_http_fermata_find_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_table_elt_t *after);
static ngx_uint_t ngx_http_fermata_has_header(ngx_http_request_t *r,
    ngx_keyval_t *kv);
static ngx_uint_t ngx_http_fermata_has_cookie(ngx_http_request_t *r);
static enum fm_bypass_verdict ngx_http_fermata_token(const u_char *token,
    size_t size, int64_t *expires);
static void ngx_http_fermata_mask(ngx_str_t *text);
static ngx_int_t ngx_http_fermata_refuse_link(ngx_http_request_t *r,
    enum fm_bypass_verdict verdict);
static ngx_int_t ngx_http_fermata_take_link(ngx_http_request_t *r,
    ngx_str_t *token, int64_t left, ngx_str_t *to);
static ngx_uint_t ngx_http_fermata_is_tls(ngx_http_request_t *r);


/*
 * NGX_OK: let past, NGX_DECLINED: a visitor, NGX_ERROR.  The application never
 * sees the token of a cookie that was good.
 */

ngx_int_t
ngx_http_fermata_test_bypass(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, uint64_t word)
{
    ngx_int_t      rc;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    if (!fm_gate_has_bypass(word)) {
        return NGX_DECLINED;
    }

    if (lcf->bypass_addresses
        && ngx_cidr_match(r->connection->sockaddr, lcf->bypass_addresses)
           == NGX_OK)
    {
        return NGX_OK;
    }

    if (lcf->bypass_headers) {
        kv = lcf->bypass_headers->elts;

        for (i = 0; i < lcf->bypass_headers->nelts; i++) {
            if (ngx_http_fermata_has_header(r, &kv[i])) {
                return NGX_OK;
            }
        }
    }

    if (lcf->bypass) {
        rc = ngx_http_test_predicates(r, lcf->bypass);

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
        }
    }

    return ngx_http_fermata_has_cookie(r) ? NGX_OK : NGX_DECLINED;
}


/* The next header of that name, after one or from the first. */

static ngx_table_elt_t *
ngx_http_fermata_find_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_table_elt_t *after)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;

    for ( ;; ) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (after) {
                if (&h[i] == after) {
                    after = NULL;
                }

                continue;
            }

            if (h[i].key.len == name->len
                && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
            {
                return &h[i];
            }
        }

        if (part->next == NULL) {
            return NULL;
        }

        part = part->next;
    }
}


static ngx_uint_t
ngx_http_fermata_has_header(ngx_http_request_t *r, ngx_keyval_t *kv)
{
    ngx_table_elt_t  *h;

    h = NULL;

    while ((h = ngx_http_fermata_find_header(r, &kv->key, h)) != NULL) {

        if (h->value.len == kv->value.len
            && CRYPTO_memcmp(h->value.data, kv->value.data, kv->value.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_fermata_has_cookie(ngx_http_request_t *r)
{
    size_t            size;
    int64_t           expires;
    const char       *token;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("cookie");

    h = NULL;

    while ((h = ngx_http_fermata_find_header(r, &name, h)) != NULL) {

        if (!fm_bypass_find((char *) h->value.data, h->value.len, &token,
                            &size))
        {
            continue;
        }

        if (ngx_http_fermata_token((u_char *) token, size, &expires)
            != FM_BYPASS_GOOD)
        {
            continue;
        }

        ngx_memset(h->value.data + (token - (char *) h->value.data), '*',
                   size);

        return 1;
    }

    return 0;
}


static enum fm_bypass_verdict
ngx_http_fermata_token(const u_char *token, size_t size, int64_t *expires)
{
    struct fm_bypass    now;
    struct fm_gate_ask  ask;

    (void) ngx_http_fermata_read(ngx_http_fermata_sh, &ask, 0);

    now.run = ask.run;
    now.expires = ngx_time();

    return fm_bypass_check(ask.bypass.key, (const char *) token, size, &now,
                           expires);
}


/*
 * FM_BYPASS_PATH, token, where to go.  The token must not get into a log, so it
 * is overwritten where it was received: variables may have been made of it.
 */

ngx_int_t
ngx_http_fermata_open_link(ngx_http_request_t *r)
{
    u_char                  *p, *last;
    int64_t                  expires;
    ngx_int_t                rc;
    ngx_str_t                token, to;
    enum fm_bypass_verdict   verdict;

    expires = 0;
    verdict = FM_BYPASS_BAD;
    ngx_str_null(&token);
    ngx_str_null(&to);

    p = r->unparsed_uri.data;
    last = p + r->unparsed_uri.len;

    if (r->unparsed_uri.len > NGX_HTTP_FERMATA_LINK_LEN
        && ngx_memcmp(p, FM_BYPASS_PATH, NGX_HTTP_FERMATA_LINK_LEN) == 0)
    {
        p += NGX_HTTP_FERMATA_LINK_LEN;
        token.data = p;

        while (p < last && *p != '/' && *p != '?') {
            p++;
        }

        token.len = p - token.data;

        to.len = last - p;
        to.data = p;

        /* "//host" and "/\host" are other sites, "?..." is no path */

        if (to.len == 0 || to.data[0] != '/'
            || (to.len > 1 && (to.data[1] == '/' || to.data[1] == '\\')))
        {
            ngx_str_set(&to, "/");
        }

        token.data = ngx_pstrdup(r->pool, &token);
        to.data = ngx_pstrdup(r->pool, &to);

        if (token.data == NULL || to.data == NULL) {
            token.len = 0;
        }

        verdict = ngx_http_fermata_token(token.data, token.len, &expires);
    }

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

    return ngx_http_fermata_take_link(r, &token, expires - ngx_time(), &to);
}


/* All that follows the path of a link; the whole of what is written otherwise. */

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
ngx_http_fermata_take_link(ngx_http_request_t *r, ngx_str_t *token,
    int64_t left, ngx_str_t *to)
{
    u_char  *p, *cookie;

    static char  tail[] = "; Path=/; HttpOnly; SameSite=Lax";

    cookie = ngx_pnalloc(r->pool, sizeof(FM_BYPASS_COOKIE "=") - 1 + token->len
                                  + sizeof("; Max-Age=") - 1 + NGX_INT64_LEN
                                  + sizeof(tail) - 1 + sizeof("; Secure") - 1);
    if (cookie == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_sprintf(cookie, FM_BYPASS_COOKIE "=%V; Max-Age=%L%s%s", token,
                    left, tail, ngx_http_fermata_is_tls(r) ? "; Secure" : "");

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


/* fermata_bypass_address CIDR ...; */

char *
ngx_http_fermata_bypass_address(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;
    ngx_cidr_t  *cidr;

    if (lcf->bypass_addresses == NGX_CONF_UNSET_PTR) {
        lcf->bypass_addresses = ngx_array_create(cf->pool, 2,
                                                 sizeof(ngx_cidr_t));
        if (lcf->bypass_addresses == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(lcf->bypass_addresses);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        rc = ngx_ptocidr(&value[i], cidr);

        if (rc == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid address \"%V\", an address or "
                               "network such as 192.0.2.0/24 is expected",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of %V are meaningless",
                               &value[i]);
        }
    }

    return NGX_CONF_OK;
}


/* fermata_bypass_header name value; */

char *
ngx_http_fermata_bypass_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_str_t     *value;
    ngx_keyval_t  *kv;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs a name";
    }

    /* one that anybody could guess is as good as none */

    if (value[2].len < 16) {
        return "needs a value of at least 16 characters";
    }

    if (lcf->bypass_headers == NGX_CONF_UNSET_PTR) {
        lcf->bypass_headers = ngx_array_create(cf->pool, 1,
                                               sizeof(ngx_keyval_t));
        if (lcf->bypass_headers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    kv = ngx_array_push(lcf->bypass_headers);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];
    kv->value = value[2];

    return NGX_CONF_OK;
}
