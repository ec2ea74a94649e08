
/*
 * The answer that carries the page, and the filters that put it in place of an
 * error page of nginx.
 */


#include "ngx_http_fermata_module.h"


#define NGX_HTTP_FERMATA_RETRY_FLOOR  5
#define NGX_HTTP_FERMATA_RETRY_CEIL   3600


static ngx_int_t ngx_http_fermata_retry_after(ngx_http_request_t *r);
static ngx_int_t ngx_http_fermata_header_filter(ngx_http_request_t *r);
static NGX_HTTP_FERMATA_SLOW ngx_int_t ngx_http_fermata_watch_header(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_fermata_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static NGX_HTTP_FERMATA_SLOW ngx_int_t ngx_http_fermata_replace_body(
    ngx_http_request_t *r, ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_str_t  ngx_http_fermata_types[] = {
    ngx_string("text/html"),
    ngx_string("application/json")
};


ngx_int_t
ngx_http_fermata_add_header(ngx_http_request_t *r, char *key, char *value,
    size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key.data = (u_char *) key;
    h->key.len = ngx_strlen(key);
    h->value.data = (u_char *) value;
    h->value.len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_retry_after(ngx_http_request_t *r)
{
    time_t                         wait, back_at;
    u_char                        *p, *last;
    ngx_http_fermata_loc_conf_t   *lcf;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_fermata_module);
    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    wait = lcf->retry_after;

    /* one aligned load: no need for the rest of the state */

    back_at = *(volatile int64_t *) &mcf->sh->taken.back_at;

    if (back_at > ngx_time()) {
        wait = ngx_min(back_at - ngx_time(), NGX_HTTP_FERMATA_RETRY_CEIL);
        wait = ngx_max(wait, NGX_HTTP_FERMATA_RETRY_FLOOR);
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "%T", wait);

    return ngx_http_fermata_add_header(r, "Retry-After", (char *) p, last - p);
}


/* Status and headers of the page; its text is given back. */

ngx_int_t
ngx_http_fermata_page_header(ngx_http_request_t *r, ngx_uint_t kind,
    ngx_str_t *text)
{
    if (ngx_http_fermata_page_text(r, kind, text) != NGX_OK) {
        return NGX_ERROR;
    }

    r->err_status = 0;
    r->headers_out.status = NGX_HTTP_SERVICE_UNAVAILABLE;
    r->headers_out.status_line.len = 0;

    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    ngx_http_clear_location(r);
    ngx_http_clear_content_length(r);

    r->headers_out.content_length_n = text->len;
    r->headers_out.content_type = ngx_http_fermata_types[kind];
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (kind == NGX_HTTP_FERMATA_HTML) {
        ngx_str_set(&r->headers_out.charset, "utf-8");

        if (ngx_http_fermata_add_header(r, "Refresh", NGX_HTTP_FERMATA_REFRESH,
                                     sizeof(NGX_HTTP_FERMATA_REFRESH) - 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_fermata_retry_after(r) != NGX_OK
        || ngx_http_fermata_add_header(r, "Cache-Control", "no-store", 8)
           != NGX_OK
        || ngx_http_fermata_add_header(r, "Vary", "Accept", 6) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_fermata_slot->refused++;

    return NGX_OK;
}


/* The answer in place of any other; from a phase handler. */

ngx_int_t
ngx_http_fermata_page_send(ngx_http_request_t *r, ngx_uint_t kind)
{
    ngx_int_t    rc;
    ngx_str_t    text;
    ngx_buf_t   *b;
    ngx_chain_t  out;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_fermata_page_header(r, kind, &text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_DONE;
    }

    b->pos = text.data;
    b->last = text.data + text.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));

    return NGX_DONE;
}


ngx_int_t
ngx_http_fermata_page_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_fermata_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_fermata_body_filter;

    return NGX_OK;
}


/*
 * Sees two things: that a connection has been upgraded, and that nginx gives
 * up with an error page on a request for which the gate found no node.
 */

static ngx_int_t
ngx_http_fermata_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t  status;

    status = r->headers_out.status;

    if (status != NGX_HTTP_SWITCHING_PROTOCOLS
        && status < NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        return ngx_http_next_header_filter(r);
    }

    return ngx_http_fermata_watch_header(r);
}


static ngx_int_t
ngx_http_fermata_watch_header(ngx_http_request_t *r)
{
    ngx_uint_t               kind;
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS) {

        if (r->upstream && r->upstream->upgrade) {
            ngx_http_fermata_upgraded(ctx);
        }

    } else if (ctx->blocked && r == r->main) {
        ctx->blocked = 0;

        kind = ngx_http_fermata_wants_json(r) ? NGX_HTTP_FERMATA_JSON
                                              : NGX_HTTP_FERMATA_HTML;

        if (ngx_http_fermata_page_header(r, kind, &ctx->page) != NGX_OK) {
            return NGX_ERROR;
        }

        /* either let through or refused, not both */

        ngx_http_fermata_slot->passed--;

        ctx->replacing = 1;
        ngx_http_fermata_replacing++;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_fermata_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    if (ngx_http_fermata_replacing == 0 || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    return ngx_http_fermata_replace_body(r, in);
}


static ngx_int_t
ngx_http_fermata_replace_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t               *b;
    ngx_chain_t              out, *cl;
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    if (ctx == NULL || !ctx->replacing) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->replaced) {
        return ngx_http_next_body_filter(r, NULL);
    }

    ctx->replaced = 1;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = ctx->page.data;
    b->last = ctx->page.data + ctx->page.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}
