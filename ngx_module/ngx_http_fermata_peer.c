
/*
 * The wrapper around a balancer: it asks it, and rejects what may not be used
 * now.
 */


#include "ngx_http_fermata_module.h"


static NGX_HTTP_FERMATA_SLOW ngx_int_t ngx_http_fermata_init_wrapped(
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us,
    ngx_http_fermata_srv_conf_t *ucf);
static void ngx_http_fermata_hook(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx);
static ngx_int_t ngx_http_fermata_ask_balancer(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx);
static ngx_int_t ngx_http_fermata_renew(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx);
static ngx_uint_t ngx_http_fermata_is_refused(ngx_http_fermata_ctx_t *ctx,
    uint64_t word);
static ngx_int_t ngx_http_fermata_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_fermata_reject(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, ngx_int_t rc, ngx_uint_t tries);
static void ngx_http_fermata_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static void ngx_http_fermata_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_fermata_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_fermata_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


/*
 * While the gate is open there is nothing to reject, and most requests end
 * before there is: they go without the wrapper.  Those that are under way
 * when the worker sees a change are adopted then.
 */

ngx_int_t
ngx_http_fermata_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_fermata_ctx_t       *ctx;
    ngx_http_fermata_srv_conf_t  *ucf;

    ucf = ngx_http_conf_upstream_srv_conf(us, ngx_http_fermata_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    if (ctx == NULL || !ctx->counted || ctx->mcf != ucf->mcf
        || ucf->mcf->sh->word != FM_GATE_WORD_OPEN)
    {
        return ngx_http_fermata_init_wrapped(r, us, ucf);
    }

    return ucf->init(r, us);
}


/*
 * Where servers are resolved at run time only the balancer's answer says which
 * node it is: afterwards the name may have moved on.  So it is looked at.
 */

ngx_int_t
ngx_http_fermata_init_resolved(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    return ngx_http_fermata_init_wrapped(r, us,
                 ngx_http_conf_upstream_srv_conf(us, ngx_http_fermata_module));
}


static ngx_int_t
ngx_http_fermata_init_wrapped(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us, ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_uint_t                     version;
    ngx_http_fermata_ctx_t        *ctx;
    ngx_http_fermata_main_conf_t  *mcf;

    /* before the balancer looks at them itself */

    version = ngx_http_fermata_version(ucf);

    if (ucf->init(r, us) != NGX_OK) {
        return NGX_ERROR;
    }

    mcf = ucf->mcf;

    ctx = ngx_http_fermata_get_ctx(r, mcf);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->asset) {

        /* its location is no way round the gate: the page in place of 502 */

        ctx->blocked = 1;

        return NGX_ERROR;
    }

    if (!ctx->counted) {

        /*
         * not by way of the page handler: a subrequest, the gate is off, or
         * it is another cluster's
         */

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "fermata counts a request at its balancer, new:%d",
                       ctx->change == 0);

        if (ctx->change == 0) {
            ctx->exempt = !ctx->foreign;
            ctx->change = ctx->mcf->sh->change;
            ctx->mcf->slot->passed++;
        }

        ctx->counted = 1;
        ctx->mcf->slot->in_flight++;
        ctx->mcf->slot->bypassed += ctx->bypassed;
    }

    if (mcf->sh->word != FM_GATE_WORD_OPEN || mcf->blind || ucf->resolved) {
        ngx_http_fermata_wrap(r->upstream, ctx, ucf);
        ctx->version = version;
    }

    return NGX_OK;
}


void
ngx_http_fermata_wrap(ngx_http_upstream_t *u, ngx_http_fermata_ctx_t *ctx,
    ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_peer_connection_t  *pc;

    pc = &u->peer;

    ctx->wrapped = u;
    ctx->ucf = ucf;

    ctx->blocked = 0;
    ctx->direct = 0;
    ctx->direct_done = 0;
    ctx->json = ngx_http_fermata_wants_json(ctx->request);

    ngx_http_fermata_hook(pc, ctx);
    ngx_http_fermata_limit_tries(pc, ctx);
}


static void
ngx_http_fermata_hook(ngx_peer_connection_t *pc, ngx_http_fermata_ctx_t *ctx)
{
    ctx->data = pc->data;
    ctx->get = pc->get;
    ctx->free = pc->free;
    ctx->notify = pc->notify;

    pc->data = ctx;
    pc->get = ngx_http_fermata_get_peer;
    pc->free = ngx_http_fermata_free_peer;

    if (ctx->notify) {
        pc->notify = ngx_http_fermata_notify_peer;
    }

#if (NGX_HTTP_SSL)

    ctx->set_session = pc->set_session;
    ctx->save_session = pc->save_session;

    if (ctx->set_session) {
        pc->set_session = ngx_http_fermata_set_session;
    }

    if (ctx->save_session) {
        pc->save_session = ngx_http_fermata_save_session;
    }

#endif
}


/*
 * A balancer gives nothing more to a request once its servers have other
 * addresses: it is set up anew.
 */

static ngx_int_t
ngx_http_fermata_ask_balancer(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  version;

    rc = ctx->get(pc, ctx->data);

    if (rc != NGX_BUSY || !ctx->ucf->resolved) {
        return rc;
    }

    version = ngx_http_fermata_version(ctx->ucf);

    if (version == ctx->version) {
        return rc;
    }

    ctx->version = version;

    rc = ngx_http_fermata_renew(pc, ctx);

    return rc == NGX_OK ? ctx->get(pc, ctx->data) : rc;
}


static ngx_int_t
ngx_http_fermata_renew(ngx_peer_connection_t *pc, ngx_http_fermata_ctx_t *ctx)
{
    ngx_uint_t  tries;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "fermata sets a balancer up anew, version:%ui",
                   ctx->version);

    tries = pc->tries;

    pc->data = NULL;
    pc->get = ctx->get;
    pc->free = ctx->free;
    pc->notify = ctx->notify;
#if (NGX_HTTP_SSL)
    pc->set_session = ctx->set_session;
    pc->save_session = ctx->save_session;
#endif

    if (ctx->ucf->init(ctx->request, ctx->ucf->upstream) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_fermata_hook(pc, ctx);

    pc->tries = tries;

    return NGX_OK;
}


/* Nobody but the gate of another cluster has let this one through. */

static ngx_uint_t
ngx_http_fermata_is_refused(ngx_http_fermata_ctx_t *ctx, uint64_t word)
{
    return ctx->foreign
           && (ctx->mcf->blind || !fm_gate_serves(word, ctx->mcf->nodes));
}


static ngx_int_t
ngx_http_fermata_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_fermata_ctx_t *ctx = data;

    uint64_t    word;
    ngx_int_t   rc, node;
    ngx_uint_t  i, n, tries;

    /* read again: the word may have changed while the body was read */

    word = ctx->mcf->sh->word;
    tries = pc->tries;

    if (ngx_http_fermata_is_refused(ctx, word)) {
        return ngx_http_fermata_no_peer(pc, ctx, word);
    }

    /* a balancer with a single server gives the same one for ever */

    for (i = 0, n = 2 * ctx->ucf->nodes->nelts + 2; i < n; i++) {

        rc = ngx_http_fermata_ask_balancer(pc, ctx);

        if (rc != NGX_OK && rc != NGX_DONE) {
            break;
        }

        node = ngx_http_fermata_given_node(pc, ctx->ucf);

        if (word == FM_GATE_WORD_OPEN
            || ngx_http_fermata_may(ctx, word, node))
        {
            ngx_http_fermata_take(ctx, node);
            return rc;
        }

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                       "fermata rejects node %i, cached:%d",
                       node, rc == NGX_DONE);

        ngx_http_fermata_reject(pc, ctx, rc, tries);

        if (i == 0) {
            n += 2 * ngx_http_fermata_count_peers(ctx->ucf, NULL);
        }

        rc = NGX_BUSY;
    }

    if (rc != NGX_BUSY || word == FM_GATE_WORD_OPEN) {
        return rc;
    }

    if (ngx_http_fermata_pinned_peer(pc, ctx, word) == NGX_OK) {
        return NGX_OK;
    }

    return ngx_http_fermata_no_peer(pc, ctx, word);
}


void
ngx_http_fermata_take(ngx_http_fermata_ctx_t *ctx, ngx_int_t node)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "fermata takes node %i", node);

    ctx->blocked = 0;
    ctx->node = node;
    ctx->served = node;

    if (node != FM_GATE_NO_NODE) {
        ctx->mcf->slot->nodes[node]++;
    }
}


static void
ngx_http_fermata_reject(ngx_peer_connection_t *pc, ngx_http_fermata_ctx_t *ctx,
    ngx_int_t rc, ngx_uint_t tries)
{
    ngx_connection_t  *c;

    if (rc == NGX_DONE) {

        /* a kept connection, taken out of the cache already */

        c = pc->connection;

#if (NGX_HTTP_SSL)

        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }

#endif

        ngx_destroy_pool(c->pool);
        ngx_close_connection(c);

        pc->connection = NULL;
    }

    ctx->free(pc, ctx->data, 0);

    /* with a sockaddr ngx_http_upstream_next() would free it again */

    pc->tries = tries;
    pc->sockaddr = NULL;
    pc->cached = 0;
}


static void
ngx_http_fermata_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_fermata_ctx_t *ctx = data;

    uint64_t              word;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    word = ctx->mcf->sh->word;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "fermata frees node %i, state:%ui direct:%d last:%d",
                   ctx->node, state, ctx->direct, u->cleanup == NULL);

    if (ctx->direct) {

        /* the balancer knows nothing of it */

        ctx->direct = 0;

    } else {

        if (!ngx_http_fermata_may_keep(pc, ctx, word)) {
            u->keepalive = 0;
        }

        ctx->free(pc, ctx->data, state);
    }

    if (u->cleanup == NULL) {

        /* the upstream is being finalized: no further try */

        ngx_http_fermata_settle(ctx);
        return;
    }

    /* still in flight: nobody may see it gone between two tries */

    if (ctx->counted && ctx->node != FM_GATE_NO_NODE) {
        ctx->mcf->slot->nodes[ctx->node]--;
        ctx->node = FM_GATE_NO_NODE;
    }

    /* should that have been the last try: the page in place of 502 */

    ctx->blocked = (word != FM_GATE_WORD_OPEN);
}


static void
ngx_http_fermata_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_fermata_ctx_t *ctx = data;

    if (!ctx->direct) {
        ctx->notify(pc, ctx->data, type);
    }
}


#if (NGX_HTTP_SSL)

static ngx_int_t
ngx_http_fermata_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_fermata_ctx_t *ctx = data;

    if (ctx->direct) {
        return NGX_OK;
    }

    return ctx->set_session(pc, ctx->data);
}


static void
ngx_http_fermata_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_fermata_ctx_t *ctx = data;

    if (!ctx->direct) {
        ctx->save_session(pc, ctx->data);
    }
}

#endif
