
/*
 * The answer that carries the page, and the filters that put it in place of an
 * error page of nginx.
 */


#include "ngx_http_fermata_module.h"


static ngx_int_t ngx_http_fermata_header_filter(ngx_http_request_t *r);
static NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_watch_header(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_fermata_replace_header(ngx_http_request_t *r,
    ngx_http_fermata_ctx_t *ctx);
static ngx_int_t ngx_http_fermata_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static NGX_HTTP_FERMATA_SLOW ngx_int_t ngx_http_fermata_replace_body(
    ngx_http_request_t *r, ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_str_t  ngx_http_fermata_types[] = {
    ngx_string("text/html"),
    ngx_string("application/json"),
    ngx_string("application/json"),
    ngx_string("application/json")
};


/* Nothing of an answer that may have been begun stays. */

void
ngx_http_fermata_clear_headers(ngx_http_request_t *r, ngx_uint_t status)
{
    r->err_status = 0;
    r->headers_out.status = status;
    r->headers_out.status_line.len = 0;

    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    ngx_http_clear_location(r);
    ngx_http_clear_content_length(r);
}


/*
 * Status and headers of the page; its text is given back, and the copy that it
 * is a part of, NULL on failure.
 */

ngx_http_fermata_copy_t *
ngx_http_fermata_page_header(ngx_http_request_t *r, ngx_uint_t kind,
    ngx_str_t *text)
{
    ngx_http_fermata_copy_t       *copy;
    ngx_http_fermata_form_t       *form;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_cluster_of(r);

    copy = ngx_http_fermata_page_copy(r, mcf, kind);
    if (copy == NULL) {
        return NULL;
    }

    form = &copy->plain;

#if (NGX_HTTP_GZIP)

    if (copy->packed.text.len && ngx_http_gzip_ok(r) == NGX_OK) {
        form = &copy->packed;
    }

#endif

    *text = form->text;

    ngx_http_fermata_clear_headers(r, NGX_HTTP_OK);

    if (ngx_http_fermata_put_headers(r, mcf, form, kind) != NGX_OK) {
        return NULL;
    }

    r->headers_out.content_type = ngx_http_fermata_types[kind];
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (kind == NGX_HTTP_FERMATA_HTML) {
        ngx_str_set(&r->headers_out.charset, "utf-8");
    }

    if (!ngx_http_fermata_is_live(kind)) {
        r->headers_out.status = NGX_HTTP_SERVICE_UNAVAILABLE;
        mcf->slot->refused++;
    }

    return copy;
}


/* The text is a part of the copy; without one it lives as long as r. */

ngx_int_t
ngx_http_fermata_text_send(ngx_http_request_t *r, ngx_str_t *text,
    ngx_http_fermata_copy_t *copy)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_pool_cleanup_t  *cln;

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

    b->pos = text->data;
    b->last = text->data + text->len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = copy ? ngx_http_fermata_block_output(r, &out)
              : ngx_http_output_filter(r, &out);

    if (copy && rc != NGX_ERROR
        && (rc != NGX_OK || r->buffered || r->connection->buffered))
    {
        /* a slow client reads on when the next one is rendered */

        copy->refs++;

        cln = ngx_pool_cleanup_add(r->pool, 0);

        /* without a cleanup it is never given back, nor taken away */

        if (cln) {
            cln->handler = ngx_http_fermata_copy_release;
            cln->data = copy;
        }
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


/* The answer in place of any other; from a phase handler. */

ngx_int_t
ngx_http_fermata_page_send(ngx_http_request_t *r, ngx_uint_t kind)
{
    ngx_int_t                 rc;
    ngx_str_t                 text;
    ngx_http_fermata_copy_t  *copy;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata refuses: kind %ui, \"%V\"", kind, &r->uri);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_fermata_is_grpc(r)) {
        return ngx_http_fermata_grpc_send(r);
    }

    copy = ngx_http_fermata_page_header(r, kind, &text);
    if (copy == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_fermata_text_send(r, &text, copy);
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
        && status != NGX_HTTP_NOT_FOUND
        && status < NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        return ngx_http_next_header_filter(r);
    }

    return ngx_http_fermata_watch_header(r);
}


static ngx_int_t
ngx_http_fermata_watch_header(ngx_http_request_t *r)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    if (ctx == NULL && r->internal) {

        /* an error_page of the operator's: the redirect has forgotten it */

        ctx = ngx_http_fermata_find_ctx(r);
    }

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    /* not on this disk; it may be where visitors do not get now */

    if (ctx->asset && r->headers_out.status == NGX_HTTP_NOT_FOUND) {
        ctx->blocked = 1;
    }

    if (r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS) {

        if (r->upstream && r->upstream->upgrade) {
            ngx_http_fermata_upgraded(ctx);
        }

    } else if (ctx->blocked && r == r->main) {

        if (ngx_http_fermata_replace_header(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_fermata_replace_header(ngx_http_request_t *r,
    ngx_http_fermata_ctx_t *ctx)
{
    ngx_str_t   text;
    ngx_uint_t  kind;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata page in place of status %ui",
                   r->headers_out.status);

    ctx->blocked = 0;

    kind = ctx->json ? NGX_HTTP_FERMATA_JSON : NGX_HTTP_FERMATA_HTML;

    if (ngx_http_fermata_page_header(r, kind, &text) == NULL) {
        return NGX_ERROR;
    }

    ctx->page.len = text.len;
    ctx->page.data = ngx_pstrdup(r->pool, &text);
    if (ctx->page.data == NULL) {
        return NGX_ERROR;
    }

    /* either let through or refused, not both */

    if (ctx->asset) {
        ctx->mcf->slot->assets--;

    } else {
        ctx->mcf->slot->passed--;
    }

    ctx->replacing = 1;
    ngx_http_fermata_replacing++;

    return NGX_OK;
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
