
/*
 * Who may pass a closed gate: an operator, by address, header, predicate or
 * the cookie of a link.
 */


#include "ngx_http_fermata_module.h"

#include <openssl/crypto.h>


static ngx_uint_t ngx_http_fermata_has_header(ngx_http_request_t *r,
    ngx_keyval_t *kv);
static ngx_uint_t ngx_http_fermata_has_cookie(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf);


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
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "fermata bypass by address");
        return NGX_OK;
    }

    if (lcf->bypass_headers) {
        kv = lcf->bypass_headers->elts;

        for (i = 0; i < lcf->bypass_headers->nelts; i++) {
            if (ngx_http_fermata_has_header(r, &kv[i])) {
                ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                               "fermata bypass by header \"%V\"",
                               &kv[i].key);
                return NGX_OK;
            }
        }
    }

    if (lcf->bypass) {
        rc = ngx_http_test_predicates(r, lcf->bypass);

        if (rc != NGX_OK) {
            ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                           "fermata bypass by value: %i", rc);
            return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
        }
    }

    if (!ngx_http_fermata_has_cookies(r)) {
        return NGX_DECLINED;
    }

    return ngx_http_fermata_has_cookie(r, lcf->mcf) ? NGX_OK : NGX_DECLINED;
}


/* The next header of that name, after one or from the first. */

ngx_table_elt_t *
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
ngx_http_fermata_has_cookie(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    size_t                   size;
    int64_t                  expires;
    const char              *token;
    ngx_table_elt_t         *h;
    enum fm_bypass_verdict   verdict;

    static ngx_str_t  name = ngx_string("cookie");

    h = NULL;

    while ((h = ngx_http_fermata_find_header(r, &name, h)) != NULL) {

        if (!fm_bypass_find((char *) mcf->cookie.data, (char *) h->value.data,
                            h->value.len, &token, &size))
        {
            continue;
        }

        verdict = ngx_http_fermata_token(mcf->sh, (u_char *) token, size,
                                         &expires);

        /* never the token: logs are read by many */

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "fermata bypass by cookie: %ui", (ngx_uint_t) verdict);

        if (verdict != FM_BYPASS_GOOD) {
            continue;
        }

        ngx_memset(h->value.data + (token - (char *) h->value.data), '*',
                   size);

        return 1;
    }

    return 0;
}


enum fm_bypass_verdict
ngx_http_fermata_token(ngx_http_fermata_shctx_t *sh, const u_char *token,
    size_t size, int64_t *expires)
{
    struct fm_bypass    now;
    struct fm_gate_ask  ask;

    (void) ngx_http_fermata_read(sh, &ask, 0);

    now.run = ask.run;
    now.expires = ngx_time();

    return fm_bypass_check(ask.bypass.key, (const char *) token, size, &now,
                           expires);
}


void
ngx_http_fermata_bypass_create(ngx_http_fermata_loc_conf_t *lcf)
{
    lcf->bypass = NGX_CONF_UNSET_PTR;
    lcf->bypass_addresses = NGX_CONF_UNSET_PTR;
    lcf->bypass_headers = NGX_CONF_UNSET_PTR;
}


void
ngx_http_fermata_bypass_merge(ngx_http_fermata_loc_conf_t *conf,
    ngx_http_fermata_loc_conf_t *prev)
{
    ngx_conf_merge_ptr_value(conf->bypass, prev->bypass, NULL);
    ngx_conf_merge_ptr_value(conf->bypass_addresses, prev->bypass_addresses,
                             NULL);
    ngx_conf_merge_ptr_value(conf->bypass_headers, prev->bypass_headers, NULL);
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
