
/*
 * Answers that are not the page: to the question of a shown page whether the
 * gate is open by now, and to gRPC, which has a status of its own.
 */


#include "ngx_http_fermata_module.h"


/*
 * What a shown page asks for, in every mode: whether a visitor would get
 * through now, and if not, what to say.
 */

ngx_int_t
ngx_http_fermata_live_send(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_str_t                      text;
    ngx_uint_t                     kind;
    struct fm_gate_facts           facts;
    ngx_http_fermata_copy_t       *copy;
    ngx_http_fermata_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_fermata_cluster_of(r);

    ngx_memzero(&facts, sizeof(struct fm_gate_facts));

    facts.nodes = mcf->nodes;

    kind = (!mcf->blind
            && fm_gate_decide(mcf->sh->word, &facts) == FM_GATE_PASS)
           ? NGX_HTTP_FERMATA_OPENED : NGX_HTTP_FERMATA_LIVE;

    copy = ngx_http_fermata_page_header(r, kind, &text);
    if (copy == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_fermata_text_send(r, &text, copy);
}


/* gRPC proper is HTTP/2; its kin for browsers understands a plain 503. */

ngx_uint_t
ngx_http_fermata_is_grpc(ngx_http_request_t *r)
{
    u_char            c;
    ngx_table_elt_t  *type;

    static ngx_str_t  grpc = ngx_string("application/grpc");

    type = r->headers_in.content_type;

    if (type == NULL || r->http_version < NGX_HTTP_VERSION_20
        || type->value.len < grpc.len
        || ngx_strncasecmp(type->value.data, grpc.data, grpc.len) != 0)
    {
        return 0;
    }

    if (type->value.len == grpc.len) {
        return 1;
    }

    c = type->value.data[grpc.len];

    return c == '+' || c == ';';
}


/* "Trailers-only": the status in the one and only block of headers. */

ngx_int_t
ngx_http_fermata_grpc_send(ngx_http_request_t *r)
{
    ngx_str_t                      text;
    ngx_http_fermata_main_conf_t  *mcf;

    static char  message[] = "The application is being maintained";

    mcf = ngx_http_fermata_cluster_of(r);

    ngx_http_fermata_clear_headers(r, NGX_HTTP_OK);

    r->headers_out.content_length_n = 0;
    ngx_str_set(&r->headers_out.content_type, "application/grpc");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* 14: unavailable, try again */

    if (ngx_http_fermata_add_header(r, "grpc-status", "14", 2) != NGX_OK
        || ngx_http_fermata_add_header(r, "grpc-message", message,
                                       sizeof(message) - 1)
           != NGX_OK
        || ngx_http_fermata_add_retry_after(r, mcf) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf->slot->refused++;

    r->header_only = 1;
    ngx_str_null(&text);

    return ngx_http_fermata_text_send(r, &text, NULL);
}
