
/*
 * The tries that a request has: how many, and the last one when its balancer
 * gives nothing.
 */


#include "ngx_http_fermata_module.h"


/*
 * As many tries as there are nodes left: the answer of the last one is passed
 * on to the visitor, however it is.  A node that is in use and must not be
 * any more has a try of its own.
 */

void
ngx_http_fermata_limit_tries(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx)
{
    uint64_t                  word;
    ngx_uint_t                i, n;
    ngx_http_fermata_node_t  *node;

    word = ctx->mcf->sh->word;

    if (word == FM_GATE_WORD_OPEN) {
        return;
    }

    node = ctx->ucf->nodes->elts;

    for (i = 0, n = 0; i < ctx->ucf->nodes->nelts; i++) {

        if (ngx_http_fermata_may(ctx, word, node[i].index)) {
            n += node[i].server.len == 0
                 ? 1 : ngx_http_fermata_count_peers(ctx->ucf, &node[i].server);
        }
    }

    if (n && pc->sockaddr && !ngx_http_fermata_may(ctx, word, ctx->node)) {
        n++;
    }

    if (n && pc->tries > n) {
        pc->tries = n;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "fermata limits tries, word:%016xL nodes:%ui tries:%ui",
                   word, n, pc->tries);
}


/* The page in place of 502. */

ngx_int_t
ngx_http_fermata_no_peer(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, uint64_t word)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "fermata finds no node, word:%016xL", word);

    /* as balancers do; that of a rejected peer may be gone with it */

    pc->name = &ctx->wrapped->upstream->host;

    ctx->blocked = 1;

    return NGX_BUSY;
}


/* The balancer has given up on the node that has to serve: one more try. */

ngx_int_t
ngx_http_fermata_pinned_peer(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, uint64_t word)
{
    ngx_int_t                 pinned;
    ngx_addr_t               *addr;
    ngx_uint_t                i;
    ngx_http_fermata_node_t  *node;

    pinned = fm_gate_only_node(word, ctx->bypassed);

    if (pinned == FM_GATE_NO_NODE) {
        return NGX_BUSY;
    }

    if (ctx->direct_done || !ngx_http_fermata_may(ctx, word, pinned)) {
        return NGX_BUSY;
    }

    node = ctx->ucf->nodes->elts;

    for (i = 0; i < ctx->ucf->nodes->nelts; i++) {

        if (node[i].index != pinned) {
            continue;
        }

        addr = &node[i].addr;

        if (node[i].server.len) {
            addr = ngx_http_fermata_find_address(ctx->request->pool, ctx->ucf,
                                                 &node[i].server);
        }

        if (addr == NULL) {
            continue;
        }

        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                       "fermata tries the pinned node itself");

        ctx->direct = 1;
        ctx->direct_done = 1;

        pc->sockaddr = addr->sockaddr;
        pc->socklen = addr->socklen;
        pc->name = &addr->name;
        pc->cached = 0;
        pc->connection = NULL;

        ngx_http_fermata_take(ctx, pinned);

        return NGX_OK;
    }

    return NGX_BUSY;
}
