
/*
 * A ride: a request from the gate to its end, and the counts that it is in.
 */


#include "ngx_http_fermata_module.h"


static ngx_inline ngx_http_fermata_ctx_t *ngx_http_fermata_new_ctx(
    ngx_http_request_t *r, ngx_http_fermata_main_conf_t *mcf);
static NGX_HTTP_FERMATA_SLOW void ngx_http_fermata_move(
    ngx_http_fermata_ctx_t *ctx, ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_cleanup(void *data);


/*
 * The ride of a request, as one of that cluster.  An internal redirect forgets
 * the context of a module, but not the cleanup handlers.
 */

ngx_http_fermata_ctx_t *
ngx_http_fermata_get_ctx(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    if (ctx == NULL && r->internal) {
        ctx = ngx_http_fermata_find_ctx(r);
    }

    if (ctx == NULL) {
        return ngx_http_fermata_new_ctx(r, mcf);
    }

    if (ctx->mcf != mcf) {
        ngx_http_fermata_move(ctx, mcf);
    }

    return ctx;
}


/*
 * A location of one cluster has led to a location or an upstream of another.
 * What the gate of the first one said does not count there: a visitor is
 * judged anew, and an operator is a visitor.
 */

static void
ngx_http_fermata_move(ngx_http_fermata_ctx_t *ctx,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "fermata moves a request of cluster \"%V\" to \"%V\"",
                   &ctx->mcf->cluster, &mcf->cluster);

    ctx->foreign = (ctx->change != 0 && (!ctx->exempt || ctx->bypassed));

    ngx_http_fermata_settle(ctx);

    if (ctx->asset) {
        ctx->mcf->slot->assets--;
        mcf->slot->assets++;
    }

    ctx->wrapped = NULL;
    ctx->change = 0;
    ctx->served = FM_GATE_NO_NODE;
    ctx->exempt = 0;
    ctx->bypassed = 0;
    ctx->blocked = 0;
    ctx->mcf = mcf;

    ngx_queue_remove(&ctx->queue);
    ngx_queue_insert_tail(&mcf->rides, &ctx->queue);
}


/* In flight from here on: the body may take long, and so may the access. */

ngx_int_t
ngx_http_fermata_admit(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t bypassed)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_fermata_get_ctx(r, mcf);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->counted) {
        return NGX_DECLINED;
    }

    ctx->change = mcf->sh->change;
    ctx->bypassed = bypassed;
    ctx->exempt = bypassed;
    ctx->foreign = 0;
    ctx->counted = 1;

    mcf->slot->in_flight++;
    mcf->slot->passed++;

    if (bypassed) {
        mcf->slot->bypassed++;
    }

    return NGX_DECLINED;
}


/* The way of nearly all requests: new, and let through by an open gate. */

ngx_int_t
ngx_http_fermata_board(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_ctx_t   *ctx;
    ngx_http_fermata_slot_t  *slot;

    ctx = ngx_http_fermata_new_ctx(r, mcf);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->change = mcf->sh->change;
    ctx->counted = 1;

    slot = mcf->slot;

    slot->in_flight++;
    slot->passed++;

    return NGX_DECLINED;
}


static ngx_inline ngx_http_fermata_ctx_t *
ngx_http_fermata_new_ctx(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_palloc(r->pool, sizeof(ngx_http_fermata_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    /* what concerns the upstream is set with the wrapper */

    ctx->request = r;
    ctx->mcf = mcf;
    ctx->wrapped = NULL;
    ctx->change = 0;
    ctx->node = FM_GATE_NO_NODE;
    ctx->served = FM_GATE_NO_NODE;
    ctx->cut = NULL;
    ctx->hold = NULL;
    ctx->flags = 0;

    ctx->cleanup.handler = ngx_http_fermata_cleanup;
    ctx->cleanup.data = ctx;
    ctx->cleanup.next = r->main->cleanup;
    r->main->cleanup = &ctx->cleanup;

    ngx_queue_insert_tail(&mcf->rides, &ctx->queue);

    ngx_http_set_ctx(r, ctx, ngx_http_fermata_module);

    return ctx;
}


/* What an internal redirect has forgotten; NULL: there was none. */

ngx_http_fermata_ctx_t *
ngx_http_fermata_find_ctx(ngx_http_request_t *r)
{
    ngx_http_cleanup_t      *cln;
    ngx_http_fermata_ctx_t  *ctx;

    for (cln = r->main->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_fermata_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request == r) {
            ngx_http_set_ctx(r, ctx, ngx_http_fermata_module);
            return ctx;
        }
    }

    return NULL;
}


static void
ngx_http_fermata_cleanup(void *data)
{
    ngx_http_fermata_ctx_t *ctx = data;

    ngx_queue_remove(&ctx->queue);

    if (ctx->cut && ctx->cut->posted) {
        ngx_delete_posted_event(ctx->cut);
    }

    if (ctx->hold) {
        ngx_http_fermata_unhold(ctx);
    }

    if (ctx->replacing) {
        ngx_http_fermata_replacing--;
    }

    ngx_http_fermata_settle(ctx);
}


/* The header of an upgraded connection is on its way to the client. */

void
ngx_http_fermata_upgraded(ngx_http_fermata_ctx_t *ctx)
{
    uint64_t                   word;
    struct fm_gate_ride        ride;
    ngx_http_fermata_slot_t   *slot;
    ngx_http_fermata_shctx_t  *sh;

    ngx_http_fermata_adopt(ctx);

    if (!ctx->counted || ctx->node == FM_GATE_NO_NODE) {
        return;
    }

    slot = ctx->mcf->slot;
    sh = ctx->mcf->sh;

    slot->websockets[ctx->node]++;
    slot->nodes[ctx->node]--;

    if (ctx->bypassed) {
        slot->bypassed_sockets++;
        slot->bypassed--;
    }

    slot->in_flight--;

    ctx->counted = 0;
    ctx->upgraded = 1;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "fermata counts a websocket, node:%i", ctx->node);

    ride.since = ctx->change;
    ride.node = (int) ctx->node;
    ride.is_exempt = ctx->exempt;
    ride.is_bypass = ctx->bypassed;

    word = sh->word;

    if (word != FM_GATE_WORD_OPEN
        && fm_gate_is_over(word, sh->closed_at, &ride))
    {
        /* it was let through before the change, and answered after it */

        ngx_http_fermata_sweep_soon(ctx->mcf);
        ngx_http_fermata_ring(sh->bell);
    }
}


/* Takes a ride out of the counts; once. */

void
ngx_http_fermata_settle(ngx_http_fermata_ctx_t *ctx)
{
    ngx_http_fermata_slot_t   *slot;
    ngx_http_fermata_shctx_t  *sh;

    slot = ctx->mcf->slot;
    sh = ctx->mcf->sh;

    if (ctx->upgraded) {

        if (ctx->bypassed) {
            slot->bypassed_sockets--;
        }

        slot->websockets[ctx->node]--;

    } else if (ctx->counted) {

        if (ctx->bypassed) {
            slot->bypassed--;
        }

        if (ctx->node != FM_GATE_NO_NODE) {
            slot->nodes[ctx->node]--;
        }

        slot->in_flight--;

    } else {
        return;
    }

    ctx->upgraded = 0;
    ctx->counted = 0;
    ctx->node = FM_GATE_NO_NODE;

    if (sh->word != FM_GATE_WORD_OPEN) {

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                       "fermata settles a request, in flight:%uD",
                       slot->in_flight);

        ngx_http_fermata_ring(sh->bell);
    }
}
