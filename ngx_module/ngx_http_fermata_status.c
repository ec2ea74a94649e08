
/*
 * fermata_status: what the gate does now, as JSON.
 */


#include "ngx_http_fermata_module.h"


#define NGX_HTTP_FERMATA_STATUS_MAX  (16 * 1024)


static ngx_int_t ngx_http_fermata_status_handler(ngx_http_request_t *r);
static u_char *ngx_http_fermata_status_write(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf);
static u_char *ngx_http_fermata_status_text(u_char *p, u_char *last,
    const char *key, const char *text);
static u_char *ngx_http_fermata_status_state(u_char *p, u_char *last,
    ngx_http_fermata_shctx_t *sh);
static u_char *ngx_http_fermata_status_nodes(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_sum_t *sum);


static const char  *ngx_http_fermata_modes[] = {
#define X(name, text)  text,
    FM_GATE_MODES(X)
#undef X
};


char *
ngx_http_fermata_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    lcf->status = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_fermata_status_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_buf_t                     *b;
    ngx_chain_t                    out;
    ngx_http_fermata_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_fermata_module);
    b = ngx_create_temp_buf(r->pool, NGX_HTTP_FERMATA_STATUS_MAX);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_fermata_status_write(b->pos, b->end, mcf);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static u_char *
ngx_http_fermata_status_write(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_sum_t     sum;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    ngx_http_fermata_sum(sh, &sum);

    p = ngx_http_fermata_status_state(p, last, sh);
    p = ngx_http_fermata_status_nodes(p, last, mcf, &sum);

    return ngx_slprintf(p, last,
                        "\"in_flight\":%ui,\"websockets\":%ui,\"idle\":%ui,"
                        "\"tabs\":%ui,\"bypassed\":%ui,\"held\":%ui,"
                        "\"passed\":%uA,\"refused\":%uA,\"workers\":%ui,"
                        "\"generations\":%ui,"
                        "\"override\":\"%s\",\"waiting\":%s,"
                        "\"in_every_worker\":%s,\"connected\":%s,"
                        "\"gate\":\"%V\",\"instance\":\"%s\"}\n",
                        sum.in_flight, sum.websockets, sum.idle, sum.tabs,
                        sum.bypassed + sum.bypassed_sockets, sum.held,
                        sum.passed, sum.refused, sum.workers, sum.generations,
                        ngx_http_fermata_modes[sh->override.mode],
                        sh->waiting ? "true" : "false",
                        ngx_http_fermata_is_in_force(sh) ? "true" : "false",
                        sh->connected ? "true" : "false",
                        &mcf->name, sh->instance);
}


/* "key":"text", with the text escaped and bounded. */

static u_char *
ngx_http_fermata_status_text(u_char *p, u_char *last, const char *key,
    const char *text)
{
    size_t  size;

    size = ngx_strlen(text);

    p = ngx_slprintf(p, last, "\"%s\":\"", key);

    if ((size_t) (last - p) > size + ngx_escape_json(NULL, (u_char *) text,
                                                     size))
    {
        p = (u_char *) ngx_escape_json(p, (u_char *) text, size);
    }

    return ngx_slprintf(p, last, "\",");
}


static u_char *
ngx_http_fermata_status_state(u_char *p, u_char *last,
    ngx_http_fermata_shctx_t *sh)
{
    ngx_uint_t          i;
    struct fm_gate_ask  ask;

    (void) ngx_http_fermata_read(sh, &ask, 0);

    p = ngx_slprintf(p, last, "{\"mode\":\"%s\",\"epoch\":%uL,\"seq\":%uL,"
                     "\"run\":%uL,\"back_at\":%L,",
                     ngx_http_fermata_modes[fm_gate_word_mode(sh->word) & 3],
                     ask.voice.epoch,
                     ask.voice.seq, ask.run, ask.back_at);

    p = ngx_http_fermata_status_text(p, last, "pinned", ask.pinned);
    p = ngx_http_fermata_status_text(p, last, "message", ask.message);
    p = ngx_http_fermata_status_text(p, last, "step", ask.step);
    p = ngx_http_fermata_status_text(p, last, "command", ask.command);

    p = ngx_slprintf(p, last, "\"drained\":[");

    for (i = 0; i < ask.drained_count; i++) {
        p = ngx_slprintf(p, last, "%s\"%s\"", i ? "," : "", ask.drained[i]);
    }

    return ngx_slprintf(p, last, "],");
}


static u_char *
ngx_http_fermata_status_nodes(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_sum_t *sum)
{
    uint64_t                   word;
    ngx_uint_t                 i, n;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;
    word = sh->word;

    p = ngx_slprintf(p, last, "\"nodes\":[");

    for (i = 0, n = 0; i < sh->nnodes; i++) {

        if (!(mcf->nodes >> i & 1)) {
            continue;
        }

        p = ngx_slprintf(p, last, "%s{\"name\":\"%s\",\"in_flight\":%ui,"
                         "\"websockets\":%ui,\"idle\":%ui,\"allowed\":%s}",
                         n++ ? "," : "", sh->nodes[i], sum->nodes[i],
                         sum->sockets[i], sum->kept[i],
                         fm_gate_word_mode(word) != FM_GATE_CLOSED
                         && fm_gate_may_use(word, (int) i) ? "true" : "false");
    }

    return ngx_slprintf(p, last, "],");
}
