
/*
 * Rides of an open gate, which go without the wrapper: what they get when the
 * gate is not open any more.
 */


#include "ngx_http_fermata_module.h"


static ngx_http_fermata_srv_conf_t *ngx_http_fermata_upstream_conf(
    ngx_http_request_t *r);


/* What r->upstream has to do with nodes; NULL: nothing, or not yet. */

static ngx_http_fermata_srv_conf_t *
ngx_http_fermata_upstream_conf(ngx_http_request_t *r)
{
    ngx_http_upstream_srv_conf_t  *us;
    ngx_http_fermata_srv_conf_t   *ucf;

    us = r->upstream ? r->upstream->upstream : NULL;

    if (us == NULL || us->srv_conf == NULL) {
        return NULL;
    }

    ucf = ngx_http_conf_upstream_srv_conf(us, ngx_http_fermata_module);

    return ucf->nodes ? ucf : NULL;
}


/*
 * The wrapper and the count of its node, for a ride that began when the gate
 * was open.  Until a worker has done so with all of its rides it has not seen
 * the change.
 */

void
ngx_http_fermata_adopt(ngx_http_fermata_ctx_t *ctx)
{
    ngx_http_upstream_t          *u;
    ngx_http_fermata_srv_conf_t  *ucf;

    u = ctx->request->upstream;
    ucf = ngx_http_fermata_upstream_conf(ctx->request);

    if (ucf == NULL || !ctx->counted) {
        return;
    }

    if (ctx->wrapped == u) {

        if (ucf->resolved) {

            /* since its beginning; there may be fewer nodes left now */

            ngx_http_fermata_limit_tries(&u->peer, ctx);
        }

        return;
    }

    if (u->cleanup == NULL) {

        /* the upstream has been finalized: only the client is awaited */

        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                       "fermata has nothing to adopt, upstream is done");

        ngx_http_fermata_settle(ctx);
        return;
    }

    if (u->peer.sockaddr) {
        ngx_http_fermata_take(ctx, ngx_http_fermata_peer_node(&u->peer, ucf));
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "fermata adopts a request, node:%i", ctx->node);

    ngx_http_fermata_wrap(u, ctx, ucf);
}


/* The node that serves a ride, or has served it. */

ngx_int_t
ngx_http_fermata_served(ngx_http_fermata_ctx_t *ctx)
{
    ngx_str_t                    *name;
    ngx_uint_t                    i;
    ngx_http_upstream_t          *u;
    ngx_http_fermata_node_t      *node;
    ngx_http_fermata_srv_conf_t  *ucf;

    u = ctx->request->upstream;
    ucf = ngx_http_fermata_upstream_conf(ctx->request);

    if (ucf == NULL || ctx->wrapped == u || u->state == NULL
        || u->state->peer == NULL)
    {
        return ctx->served;
    }

    /* never wrapped: what its balancer gave is known by name only */

    name = u->state->peer;
    node = ucf->nodes->elts;

    for (i = 0; i < ucf->nodes->nelts; i++) {
        if (node[i].addr.name.len == name->len
            && ngx_memcmp(node[i].addr.name.data, name->data, name->len) == 0)
        {
            return node[i].index;
        }
    }

    return FM_GATE_NO_NODE;
}
