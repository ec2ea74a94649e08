
/*
 * From a request to a waiting websocket: the handshake of RFC 6455, and the
 * connection without its request.
 */


#include "ngx_http_fermata_tabs.h"

#include <ngx_sha1.h>


#define NGX_HTTP_FERMATA_KEY_LEN     24
#define NGX_HTTP_FERMATA_ACCEPT_LEN  28


typedef struct {
    ngx_event_t                      event;
    ngx_http_request_t              *request;
    u_char                           accept[NGX_HTTP_FERMATA_ACCEPT_LEN];
} ngx_http_fermata_upgrade_t;


static ngx_int_t ngx_http_fermata_check(ngx_http_request_t *r,
    ngx_http_fermata_upgrade_t *up);
static ngx_uint_t ngx_http_fermata_is_tab(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf);
static ngx_int_t ngx_http_fermata_no_version(ngx_http_request_t *r);
static ngx_str_t *ngx_http_fermata_header(ngx_http_request_t *r, char *name);
static ngx_int_t ngx_http_fermata_accept(ngx_str_t *key, u_char *accept);
static void ngx_http_fermata_upgrade_cleanup(void *data);
static void ngx_http_fermata_upgrade_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_fermata_upgrade_send(ngx_http_request_t *r,
    ngx_http_fermata_upgrade_t *up);
static void ngx_http_fermata_take_over(ngx_http_request_t *r,
    ngx_http_fermata_tab_t *tab);
static void ngx_http_fermata_free_buffers(ngx_http_connection_t *hc,
    ngx_connection_t *c);


/*
 * For a request that the gate does not let through: NGX_DECLINED when it gets
 * the page like any other, otherwise what the phase handler returns.
 */

ngx_int_t
ngx_http_fermata_upgrade(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf)
{
    ngx_int_t                    rc;
    ngx_http_cleanup_t          *cln;
    ngx_http_fermata_upgrade_t  *up;

    if (!ngx_http_fermata_is_tab(r, lcf)) {
        return NGX_DECLINED;
    }

    up = ngx_pcalloc(r->pool, sizeof(ngx_http_fermata_upgrade_t));
    if (up == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_fermata_check(r, up);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata handshake of a tab: %i, tabs:%uD",
                   rc, lcf->mcf->slot->tabs);

    if (rc != NGX_OK) {
        return rc;
    }

    /* the page, and the client comes again */

    if (ngx_exiting || ngx_terminate || lcf->mcf->blind
        || ngx_http_fermata_tabs_are_full(lcf->mcf))
    {
        return NGX_DECLINED;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_fermata_upgrade_cleanup;
    cln->data = up;

    up->request = r;
    up->event.handler = ngx_http_fermata_upgrade_handler;
    up->event.data = up;
    up->event.log = r->connection->log;

    /* later, as the request is freed, and callers may still need it */

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_post_event(&up->event, &ngx_posted_events);

    return NGX_DONE;
}


/* Whether the handshake is a proper one. */

static ngx_int_t
ngx_http_fermata_check(ngx_http_request_t *r, ngx_http_fermata_upgrade_t *up)
{
    ngx_str_t  *key, *version;

    if (r->method != NGX_HTTP_GET
        || r->http_version != NGX_HTTP_VERSION_11
        || r->headers_in.content_length_n > 0
        || r->headers_in.chunked)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    version = ngx_http_fermata_header(r, "sec-websocket-version");

    if (version == NULL || version->len != 2
        || ngx_strncmp(version->data, "13", 2) != 0)
    {
        return ngx_http_fermata_no_version(r);
    }

    key = ngx_http_fermata_header(r, "sec-websocket-key");

    if (key == NULL || ngx_http_fermata_accept(key, up->accept) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_fermata_is_tab(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf)
{
    ngx_str_t   *uri, *value;
    ngx_uint_t   i;

    /* HTTP/2 has no upgrade */

    if (lcf->tabs == NULL || r->http_version > NGX_HTTP_VERSION_11) {
        return 0;
    }

    if (r->headers_in.upgrade == NULL) {
        return 0;
    }

    value = &r->headers_in.upgrade->value;

    if (value->len != sizeof("websocket") - 1
        || ngx_strncasecmp(value->data, (u_char *) "websocket", value->len)
           != 0)
    {
        return 0;
    }

    /* headers_in.connection is not set before 1.23 */

    value = ngx_http_fermata_header(r, "connection");

    if (value == NULL
        || ngx_strlcasestrn(value->data, value->data + value->len,
                            (u_char *) "upgrade", sizeof("upgrade") - 2)
           == NULL)
    {
        return 0;
    }

    uri = lcf->tabs->elts;

    for (i = 0; i < lcf->tabs->nelts; i++) {
        if (uri[i].len == r->uri.len
            && ngx_strncmp(uri[i].data, r->uri.data, r->uri.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* RFC 6455, 4.4 */

static ngx_int_t
ngx_http_fermata_no_version(ngx_http_request_t *r)
{
    if (ngx_http_fermata_add_header(r, "Sec-WebSocket-Version", "13", 2)
        != NGX_OK
        || ngx_http_fermata_add_header(r, "Upgrade", "websocket", 9) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.status_line, "426 Upgrade Required");

    return NGX_HTTP_FERMATA_UPGRADE_REQUIRED;
}


/* A header of the request by its name in lower case; the first one. */

static ngx_str_t *
ngx_http_fermata_header(ngx_http_request_t *r, char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (header[i].key.len == len
                && ngx_strncasecmp(header[i].key.data, (u_char *) name, len)
                   == 0)
            {
                return &header[i].value;
            }
        }
    }

    return NULL;
}


/* RFC 6455, 4.2.2: the key is 16 bytes in base64. */

static ngx_int_t
ngx_http_fermata_accept(ngx_str_t *key, u_char *accept)
{
    u_char      digest[20], raw[NGX_HTTP_FERMATA_KEY_LEN];
    ngx_str_t   src, dst;
    ngx_sha1_t  sha1;

    if (key->len != NGX_HTTP_FERMATA_KEY_LEN) {
        return NGX_DECLINED;
    }

    dst.data = raw;

    if (ngx_decode_base64(&dst, key) != NGX_OK || dst.len != 16) {
        return NGX_DECLINED;
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_update(&sha1, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    ngx_sha1_final(digest, &sha1);

    src.data = digest;
    src.len = sizeof(digest);
    dst.data = accept;

    ngx_encode_base64(&dst, &src);

    return NGX_OK;
}


static void
ngx_http_fermata_upgrade_cleanup(void *data)
{
    ngx_http_fermata_upgrade_t *up = data;

    if (up->event.posted) {
        ngx_delete_posted_event(&up->event);
    }
}


static void
ngx_http_fermata_upgrade_handler(ngx_event_t *ev)
{
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_fermata_tab_t       *tab;
    ngx_http_fermata_upgrade_t   *up;
    ngx_http_fermata_loc_conf_t  *lcf;

    up = ev->data;
    r = up->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    tab = ngx_http_fermata_tab_create(c, lcf->mcf, lcf->tabs_timeout);

    if (tab == NULL || r->main->count != 1 || c->error
        || ngx_http_fermata_upgrade_send(r, up) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
        return;
    }

    ngx_http_fermata_take_over(r, tab);
}


/* Through the filters of headers, as any other answer. */

static ngx_int_t
ngx_http_fermata_upgrade_send(ngx_http_request_t *r,
    ngx_http_fermata_upgrade_t *up)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;

    r->keepalive = 0;
    r->limit_rate = 0;
    r->limit_rate_set = 1;

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    ngx_http_clear_content_length(r);

    if (ngx_http_fermata_add_header(r, "Upgrade", "websocket", 9) != NGX_OK
        || ngx_http_fermata_add_header(r, "Sec-WebSocket-Accept",
                                       (char *) up->accept,
                                       NGX_HTTP_FERMATA_ACCEPT_LEN)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_send_header(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) != NGX_OK || c->buffered) {
        return NGX_ERROR;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return clcf->tcp_nodelay ? ngx_tcp_nodelay(c) : NGX_OK;
}


/*
 * The way of a connection that is kept alive: the request is logged and freed,
 * and so are the buffers that its header was read into.
 */

static void
ngx_http_fermata_take_over(ngx_http_request_t *r, ngx_http_fermata_tab_t *tab)
{
    ngx_buf_t              *b;
    ngx_connection_t       *c;
    ngx_http_connection_t  *hc;

    c = r->connection;
    hc = r->http_connection;
    b = r->header_in;

    ngx_http_free_request(r, 0);

    if (b->pos < b->last) {

        /* a client that did not wait for the answer */

        ngx_http_fermata_tab_input(tab, b->pos, b->last - b->pos);
    }

    ngx_http_fermata_free_buffers(hc, c);

    ngx_http_fermata_tab_open(tab);
}


static void
ngx_http_fermata_free_buffers(ngx_http_connection_t *hc, ngx_connection_t *c)
{
    ngx_chain_t  *cl, *next;

    if (c->buffer) {
        (void) ngx_pfree(c->pool, c->buffer->start);
        c->buffer = NULL;
    }

    for (cl = hc->free; cl; cl = next) {
        next = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
    }

    for (cl = hc->busy; cl; cl = next) {
        next = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
    }

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        ngx_ssl_free_buffer(c);
    }
#endif
}
