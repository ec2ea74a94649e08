
/*
 * Each worker: its slot, the rides that go through it, and what it does when
 * the word has changed.
 */


#include "ngx_http_fermata_module.h"


/* How often a worker looks when it cannot be woken, and when it can. */
#define NGX_HTTP_FERMATA_POLL_MS   20
#define NGX_HTTP_FERMATA_BEAT_MS   1000


static ngx_int_t ngx_http_fermata_worker_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_arm(ngx_http_fermata_main_conf_t *mcf,
    ngx_msec_t next);
static void ngx_http_fermata_wake_handler(ngx_event_t *ev);
static void ngx_http_fermata_tick_handler(ngx_event_t *ev);
static void ngx_http_fermata_look(ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_adopt_all(ngx_http_fermata_main_conf_t *mcf);
static ngx_msec_t ngx_http_fermata_sweep(ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_close(ngx_http_fermata_ctx_t *ctx);
static void ngx_http_fermata_cut(ngx_http_fermata_ctx_t *ctx);
static void ngx_http_fermata_cut_handler(ngx_event_t *ev);
static void ngx_http_fermata_cut_subrequests(ngx_http_request_t *r);
static void ngx_http_fermata_let_go(ngx_http_request_t *r);


ngx_uint_t  ngx_http_fermata_replacing;


/*
 * What a process does with a cluster is in its own copy of the conf of the
 * cycle that it was started with: neither a reload nor a failed one touches it.
 */

ngx_int_t
ngx_http_fermata_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_fermata_main_conf_t   *root, **mcfp;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    /* NULL without http{} */

    root = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_fermata_module);

    if (root == NULL) {
        return NGX_OK;
    }

    mcfp = root->clusters->elts;

    for (i = 0; i < root->clusters->nelts; i++) {

        if (ngx_http_fermata_worker_init(cycle, mcfp[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        /* "master_process off": there is no manager, so it lives here */

        if (ngx_process == NGX_PROCESS_SINGLE
            && ngx_http_fermata_client_start(mcfp[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_worker_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_queue_init(&mcf->rides);

    mcf->dummy.fd = (ngx_socket_t) -1;
    mcf->dummy.data = mcf;

    if (ngx_http_fermata_tabs_init(cycle, mcf) != NGX_OK
        || ngx_http_fermata_hold_init(cycle, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    mcf->slot = ngx_http_fermata_claim(mcf);

    if (mcf->slot == NULL) {

        /* nobody would hear of its requests, so it lets none through */

        ngx_log_error(NGX_LOG_ALERT, &mcf->log, 0,
                      "fermata: more than %d processes, this one serves "
                      "the page only", NGX_HTTP_FERMATA_SLOTS);

        mcf->slot = &mcf->no_slot;
        mcf->blind = 1;

        return NGX_OK;
    }

    mcf->deaf = ngx_http_fermata_watch(cycle, mcf->sh->wake,
                                       ngx_http_fermata_wake_handler, mcf)
                != NGX_OK;

    mcf->tick.handler = ngx_http_fermata_tick_handler;
    mcf->tick.data = &mcf->dummy;
    mcf->tick.log = cycle->log;
    mcf->tick.cancelable = 1;

    ngx_http_fermata_arm(mcf, 1);

    return NGX_OK;
}


static void
ngx_http_fermata_arm(ngx_http_fermata_main_conf_t *mcf, ngx_msec_t next)
{
    /* ngx_add_timer() alone keeps a timer that is less than 300 ms away */

    if (mcf->tick.timer_set) {
        ngx_del_timer(&mcf->tick);
    }

    if (next) {
        ngx_add_timer(&mcf->tick, next);
    }
}


static void
ngx_http_fermata_wake_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {
        return;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, ev->log, 0, "fermata worker is woken");

    ngx_http_fermata_look(c->data);
}


static void
ngx_http_fermata_tick_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, ev->log, 0, "fermata worker looks");

    ngx_http_fermata_look(c->data);
}


void
ngx_http_fermata_sweep_soon(ngx_http_fermata_main_conf_t *mcf)
{
    if (!mcf->blind) {
        ngx_http_fermata_arm(mcf, 1);
    }
}


/*
 * A worker runs its handlers one after the other.  So when it says here that
 * it has seen a change, no handler that read the word before is running any
 * more, and everything that one let through is counted in the slot.
 */

static void
ngx_http_fermata_look(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_msec_t                 next;
    ngx_atomic_uint_t          change;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    change = sh->change;
    ngx_memory_barrier();

    ngx_http_fermata_adopt_all(mcf);

    next = ngx_http_fermata_sweep(mcf);

    ngx_http_fermata_tabs_look(mcf);
    ngx_http_fermata_hold_look(mcf);

    ngx_http_fermata_look_idle(mcf, mcf->slot->seen != change);

    if (mcf->slot->seen != change) {

        ngx_memory_barrier();
        mcf->slot->seen = change;
        ngx_memory_barrier();

        ngx_http_fermata_ring(sh->bell);

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "fermata change %uA seen, word:%016xL",
                       change, sh->word);
    }

    if (mcf->deaf
        && (next == 0 || next > NGX_HTTP_FERMATA_POLL_MS))
    {
        next = NGX_HTTP_FERMATA_POLL_MS;
    }

    ngx_http_fermata_arm(mcf, next);
}


static void
ngx_http_fermata_adopt_all(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_queue_t             *q;
    ngx_http_fermata_ctx_t  *ctx;

    for (q = ngx_queue_head(&mcf->rides);
         q != ngx_queue_sentinel(&mcf->rides);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_fermata_ctx_t, queue);

        ngx_http_fermata_adopt(ctx);
    }
}


/*
 * Ends what is over; returns when to look again.  0: when woken, as nothing
 * can be over then, and each timer costs all requests a bit.
 */

static ngx_msec_t
ngx_http_fermata_sweep(ngx_http_fermata_main_conf_t *mcf)
{
    uint64_t                   word;
    ngx_msec_t                 next;
    ngx_queue_t               *q;
    ngx_msec_int_t             left;
    struct fm_gate_ride        ride;
    ngx_atomic_uint_t          cut_at;
    ngx_http_fermata_ctx_t    *ctx;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;
    word = sh->word;
    next = NGX_HTTP_FERMATA_BEAT_MS;

    if (word == FM_GATE_WORD_OPEN) {
        return 0;
    }

    cut_at = sh->cut_at;
    left = cut_at ? (ngx_msec_int_t) (cut_at - ngx_current_msec) : 0;

    for (q = ngx_queue_head(&mcf->rides);
         q != ngx_queue_sentinel(&mcf->rides);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_fermata_ctx_t, queue);

        if (!ctx->counted && !ctx->upgraded) {
            continue;
        }

        ride.since = ctx->change;
        ride.node = (int) ctx->node;
        ride.is_exempt = ctx->exempt;
        ride.is_bypass = ctx->bypassed;

        if (!fm_gate_is_over(word, sh->closed_at, &ride)) {
            continue;
        }

        if (ctx->upgraded) {
            ngx_http_fermata_close(ctx);
            continue;
        }

        if (cut_at == 0) {
            continue;
        }

        if (left <= 0) {
            ngx_http_fermata_cut(ctx);

        } else if ((ngx_msec_t) left < next) {
            next = (ngx_msec_t) left;
        }
    }

    return next;
}


/*
 * The way of worker_shutdown_timeout: ngx_http_request_handler() sees c->close
 * and terminates the request.  Posted, as we are in the middle of the queue.
 */

static void
ngx_http_fermata_close(ngx_http_fermata_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->request->connection;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "fermata closes a connection, upgraded:%ui",
                   (ngx_uint_t) ctx->upgraded);

    c->close = 1;
    c->error = 1;

    ngx_post_event(c->read, &ngx_posted_events);
}


static void
ngx_http_fermata_cut(ngx_http_fermata_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    if (ctx->cut) {
        return;
    }

    r = ctx->request;

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "fermata: the request took too long and is cut");

    ctx->cut = ngx_pcalloc(r->pool, sizeof(ngx_event_t));

    /* the page is no answer once another one has begun */

    if (ctx->cut == NULL || r->main->header_sent || r->aio || r->blocked
        || r->connection->error)
    {
        ngx_http_fermata_close(ctx);
        return;
    }

    ctx->cut->handler = ngx_http_fermata_cut_handler;
    ctx->cut->data = ctx;
    ctx->cut->log = r->connection->log;

    ngx_post_event(ctx->cut, &ngx_posted_events);
}


/*
 * Lets go of the upstream, and answers with the page in its place.  What a
 * subrequest has to do goes on: it is ended with its main request.
 */

static void
ngx_http_fermata_cut_handler(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    if (!ctx->counted) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    if (r != r->main || r->header_sent || c->error) {
        ngx_http_fermata_close(ctx);
        return;
    }

    /* a body that is still on its way would be taken for a request */

    r->keepalive = 0;

    /* whoever delays it, as limit_req does, loses the timer */

    c->write->delayed = 0;

    ngx_http_fermata_cut_subrequests(r);
    ngx_http_fermata_let_go(r);
    ngx_http_fermata_settle(ctx);

    /* either let through or refused, not both */

    ctx->mcf->slot->passed--;

    rc = ngx_http_fermata_page_send(r, ngx_http_fermata_wants_json(r)
                                       ? NGX_HTTP_FERMATA_JSON
                                       : NGX_HTTP_FERMATA_HTML);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


/* Those that hold up the answer, as that of auth_request does. */

static void
ngx_http_fermata_cut_subrequests(ngx_http_request_t *r)
{
    ngx_connection_t        *c;
    ngx_http_request_t      *sr;
    ngx_http_fermata_ctx_t  *ctx;

    c = r->connection;

    while (c->data != r) {
        sr = c->data;

        ngx_http_fermata_let_go(sr);

        ctx = ngx_http_get_module_ctx(sr, ngx_http_fermata_module);

        if (ctx) {
            ngx_http_fermata_settle(ctx);
        }

        ngx_http_finalize_request(sr, NGX_OK);

        if (c->data == sr) {
            return;
        }
    }
}


static void
ngx_http_fermata_let_go(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u && u->cleanup && *u->cleanup) {

        /* which finalizes the request once: pay for it in advance */

        r->main->count++;
        (*u->cleanup)(r);
    }
}
