
/*
 * TLS of the coordinator's line: both sides prove who they are, with
 * certificates of the cluster's own authority.
 */


#include "ngx_http_fermata_client.h"


#define NGX_HTTP_FERMATA_SSL_DEPTH  1


#if (NGX_SSL)

static char *ngx_http_fermata_ssl_create(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_ssl_handler(ngx_connection_t *c);


/* Every coordinator has this name in its certificate, beside its own. */

static ngx_str_t  ngx_http_fermata_ssl_name =
    ngx_string("coordinator.fermata");

#endif


/* After all directives were read. */

char *
ngx_http_fermata_ssl_init(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *mcf)
{
    if (mcf->ssl_certificate.len == 0 && mcf->ssl_certificate_key.len == 0
        && mcf->ssl_trusted.len == 0)
    {
        return NGX_CONF_OK;
    }

    if (mcf->ssl_certificate.len == 0 || mcf->ssl_certificate_key.len == 0
        || mcf->ssl_trusted.len == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "TLS to the coordinator needs "
                           "\"fermata_ssl_certificate\", "
                           "\"fermata_ssl_certificate_key\" and "
                           "\"fermata_ssl_trusted_certificate\"");
        return NGX_CONF_ERROR;
    }

#if (NGX_SSL)

    return ngx_http_fermata_ssl_create(cf, mcf);

#else

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "TLS to the coordinator needs an nginx with SSL");
    return NGX_CONF_ERROR;

#endif
}


#if (NGX_SSL)

/* Lives as long as its cycle: never in a static of ours. */

static char *
ngx_http_fermata_ssl_create(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *mcf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_CONF_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_certificate(cf, ssl, &mcf->ssl_certificate,
                            &mcf->ssl_certificate_key, NULL)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_ssl_trusted_certificate(cf, ssl, &mcf->ssl_trusted,
                                    NGX_HTTP_FERMATA_SSL_DEPTH)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mcf->ssl = ssl;

    return NGX_CONF_OK;
}

#endif


/* The TCP connection is there; ends in ngx_http_fermata_begin(). */

void
ngx_http_fermata_ssl_connect(ngx_http_fermata_line_t *line)
{
#if (NGX_SSL)

    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = line->peer.connection;

    if (line->mcf->ssl) {

        c->pool = ngx_create_pool(256, ngx_cycle->log);
        if (c->pool == NULL) {
            ngx_http_fermata_hang_up(line, "no memory");
            return;
        }

        if (ngx_ssl_create_connection(line->mcf->ssl, c,
                                      NGX_SSL_BUFFER|NGX_SSL_CLIENT)
            != NGX_OK)
        {
            ngx_http_fermata_hang_up(line, "TLS cannot begin");
            return;
        }

        rc = ngx_ssl_handshake(c);

        if (rc == NGX_AGAIN) {
            c->ssl->handler = ngx_http_fermata_ssl_handler;
            return;
        }

        ngx_http_fermata_ssl_handler(c);
        return;
    }

#endif

    ngx_http_fermata_begin(line);
}


void
ngx_http_fermata_ssl_close(ngx_connection_t *c)
{
#if (NGX_SSL)

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

#endif

    if (c->pool) {
        ngx_destroy_pool(c->pool);
        c->pool = NULL;
    }
}


#if (NGX_SSL)

static void
ngx_http_fermata_ssl_handler(ngx_connection_t *c)
{
    long                      verdict;
    ngx_http_fermata_line_t  *line;

    line = c->data;

    if (!c->ssl->handshaked) {
        ngx_http_fermata_hang_up(line, "TLS handshake failed");
        return;
    }

    verdict = SSL_get_verify_result(c->ssl->connection);

    if (verdict != X509_V_OK) {
        ngx_http_fermata_hang_up(line,
                                 X509_verify_cert_error_string(verdict));
        return;
    }

    if (ngx_ssl_check_host(c, &ngx_http_fermata_ssl_name) != NGX_OK) {
        ngx_http_fermata_hang_up(line,
                                 "its certificate is not a coordinator's");
        return;
    }

    ngx_http_fermata_begin(line);
}

#endif
