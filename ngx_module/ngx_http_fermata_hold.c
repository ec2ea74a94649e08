
/*
 * Requests that wait at the gate for a short hole to end, in place of getting
 * the page: bounded in time, number and memory, in the order of their coming.
 * What is held has not been let through: nothing is counted as in flight, no
 * body is read, and a client that goes away is forgotten.
 */


#include "ngx_http_fermata_module.h"


/* How often to look for those whose time is over, and whether we are to end */
#define NGX_HTTP_FERMATA_HOLD_MS  100


struct ngx_http_fermata_hold_s {
    ngx_queue_t                      queue;
    ngx_event_t                      event;
    ngx_http_request_t              *request;
    ngx_http_fermata_ctx_t          *ctx;
    ngx_msec_t                       until;
    size_t                           size;
    unsigned                         queued:1;
};


/* those of one cluster in one worker */

struct ngx_http_fermata_holds_s {
    ngx_queue_t                      queue;
    size_t                           memory;
    ngx_atomic_uint_t                change;
    ngx_event_t                      timer;
};


static ngx_http_fermata_hold_t *ngx_http_fermata_hold_get(
    ngx_http_request_t *r, ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_hold_begin(ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_hold_timer_handler(ngx_event_t *ev);
static size_t ngx_http_fermata_hold_size(ngx_http_request_t *r);
static void ngx_http_fermata_hold_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_fermata_hold_value(ngx_http_fermata_loc_conf_t *lcf,
    ngx_str_t *value);


static ngx_conf_bitmask_t  ngx_http_fermata_hold_masks[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_fermata_hold_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_holds_t  *holds;

    holds = ngx_pcalloc(cycle->pool, sizeof(ngx_http_fermata_holds_t));
    if (holds == NULL) {
        return NGX_ERROR;
    }

    mcf->holds = holds;

    ngx_queue_init(&holds->queue);

    holds->timer.handler = ngx_http_fermata_hold_timer_handler;
    holds->timer.data = &mcf->dummy;
    holds->timer.log = cycle->log;

    return NGX_OK;
}


/* What the decision needs to know; hold_ms 0: this one is not held. */

void
ngx_http_fermata_hold_facts(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, struct fm_gate_facts *facts)
{
    facts->hold_ms = 0;
    facts->holds_closed = lcf->hold_closed;

    if (lcf->hold == 0
        || ngx_exiting
        || lcf->mcf->blind
        || r->headers_in.upgrade
        || !(r->method & lcf->hold_methods))
    {
        return;
    }

    facts->hold_ms = fm_gate_hold_left(lcf->mcf->sh->hole_at,
                                       ngx_current_msec, lcf->hold);
}


/* NGX_AGAIN: it waits; NGX_DECLINED: there is no room. */

ngx_int_t
ngx_http_fermata_hold(ngx_http_request_t *r, ngx_http_fermata_loc_conf_t *lcf,
    ngx_msec_t left)
{
    ngx_http_fermata_hold_t       *hold;
    ngx_http_fermata_holds_t      *holds;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = lcf->mcf;
    holds = mcf->holds;

    if (mcf->slot->held >= lcf->hold_requests
        || holds->memory + ngx_http_fermata_hold_size(r)
           > lcf->hold_size)
    {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "fermata has no room to hold a request, "
                       "held:%uD memory:%uz",
                       mcf->slot->held,
                       holds->memory);
        return NGX_DECLINED;
    }

    hold = ngx_http_fermata_hold_get(r, mcf);
    if (hold == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* notices that the client goes away, and reads nothing */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (mcf->slot->held == 0) {
        ngx_http_fermata_hold_begin(mcf);
    }

    hold->until = ngx_current_msec + left;
    hold->queued = 1;

    ngx_queue_insert_tail(&holds->queue, &hold->queue);

    holds->memory += hold->size;
    mcf->slot->held++;

    r->connection->log->action = "waiting for the gate";

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata holds a request, at most %M ms", left);

    return NGX_AGAIN;
}


/* That of the request; made once, however often it is held. */

static ngx_http_fermata_hold_t *
ngx_http_fermata_hold_get(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_ctx_t   *ctx;
    ngx_http_fermata_hold_t  *hold;

    ctx = ngx_http_fermata_get_ctx(r, mcf);
    if (ctx == NULL) {
        return NULL;
    }

    if (ctx->hold) {
        return ctx->hold;
    }

    hold = ngx_pcalloc(r->pool, sizeof(ngx_http_fermata_hold_t));
    if (hold == NULL) {
        return NULL;
    }

    hold->request = r;
    hold->ctx = ctx;
    hold->size = ngx_http_fermata_hold_size(r);
    hold->event.handler = ngx_http_fermata_hold_handler;
    hold->event.data = hold;
    hold->event.log = r->connection->log;

    ctx->hold = hold;

    return hold;
}


/*
 * Not a cancelable timer: a worker that is to end would not wait for those it
 * holds, and each of them is to have an answer.
 */

static void
ngx_http_fermata_hold_begin(ngx_http_fermata_main_conf_t *mcf)
{
    mcf->holds->change = mcf->sh->change;

    ngx_add_timer(&mcf->holds->timer, NGX_HTTP_FERMATA_HOLD_MS);
}


static void
ngx_http_fermata_hold_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t              *c;
    ngx_http_fermata_main_conf_t  *mcf;

    c = ev->data;
    mcf = c->data;

    ngx_http_fermata_hold_look(mcf);

    if (mcf->slot->held) {
        ngx_add_timer(ev, NGX_HTTP_FERMATA_HOLD_MS);
    }
}


/* What nginx has set aside for it by now, about. */

static size_t
ngx_http_fermata_hold_size(ngx_http_request_t *r)
{
    size_t                     size;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    size = cscf->connection_pool_size + cscf->request_pool_size
           + sizeof(ngx_connection_t) + 2 * sizeof(ngx_event_t);

    if (r->header_in) {
        size += r->header_in->end - r->header_in->start;
    }

    return size;
}


/* Takes it off the list; from the cleanup of its request, too. */

void
ngx_http_fermata_unhold(ngx_http_fermata_ctx_t *ctx)
{
    ngx_http_fermata_hold_t       *hold;
    ngx_http_fermata_holds_t      *holds;
    ngx_http_fermata_main_conf_t  *mcf;

    hold = ctx->hold;
    mcf = ctx->mcf;
    holds = mcf->holds;

    if (!hold->queued) {
        return;
    }

    if (hold->event.posted) {
        ngx_delete_posted_event(&hold->event);
    }

    ngx_queue_remove(&hold->queue);

    holds->memory -= hold->size;
    mcf->slot->held--;

    hold->queued = 0;

    if (mcf->slot->held == 0 && holds->timer.timer_set) {
        ngx_del_timer(&holds->timer);
    }
}


/*
 * After a change all are judged anew, in order; else those whose time is over,
 * and everybody when this worker is to end.
 */

void
ngx_http_fermata_hold_look(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_uint_t                 all;
    ngx_queue_t               *q;
    ngx_http_fermata_hold_t   *hold;
    ngx_http_fermata_holds_t  *holds;

    if (mcf->slot->held == 0) {
        return;
    }

    holds = mcf->holds;

    all = ngx_exiting || holds->change != mcf->sh->change;

    holds->change = mcf->sh->change;

    for (q = ngx_queue_head(&holds->queue);
         q != ngx_queue_sentinel(&holds->queue);
         q = ngx_queue_next(q))
    {
        hold = ngx_queue_data(q, ngx_http_fermata_hold_t, queue);

        if (all
            || (ngx_msec_int_t) (hold->until - ngx_current_msec) <= 0)
        {
            ngx_post_event(&hold->event, &ngx_posted_events);
        }
    }
}


/* The phase handler is asked again, and may hold it again. */

static void
ngx_http_fermata_hold_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_fermata_hold_t  *hold;

    hold = ev->data;
    r = hold->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "fermata judges a held request anew, left:%M ms",
                   (ngx_msec_int_t) (hold->until - ngx_current_msec));

    ngx_http_fermata_unhold(hold->ctx);

    c->log->action = NULL;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_fermata_hold_create(ngx_http_fermata_loc_conf_t *lcf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     lcf->hold_methods = 0;
     */

    lcf->hold = NGX_CONF_UNSET_MSEC;
    lcf->hold_closed = NGX_CONF_UNSET;
    lcf->hold_requests = NGX_CONF_UNSET_UINT;
    lcf->hold_size = NGX_CONF_UNSET_SIZE;
}


void
ngx_http_fermata_hold_merge(ngx_http_fermata_loc_conf_t *conf,
    ngx_http_fermata_loc_conf_t *prev)
{
    ngx_conf_merge_msec_value(conf->hold, prev->hold, 0);
    ngx_conf_merge_value(conf->hold_closed, prev->hold_closed, 0);
    ngx_conf_merge_uint_value(conf->hold_requests, prev->hold_requests, 1024);
    ngx_conf_merge_size_value(conf->hold_size, prev->hold_size,
                              16 * 1024 * 1024);
    ngx_conf_merge_bitmask_value(conf->hold_methods, prev->hold_methods,
                                 (NGX_CONF_BITMASK_SET|NGX_HTTP_GET
                                  |NGX_HTTP_HEAD|NGX_HTTP_OPTIONS));
}


/* fermata_hold off | time [requests=number] [memory=size] [closed]; */

char *
ngx_http_fermata_hold_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (lcf->hold != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    lcf->hold = 0;
    lcf->hold_closed = 0;
    lcf->hold_requests = 1024;
    lcf->hold_size = 16 * 1024 * 1024;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return cf->args->nelts == 2 ? NGX_CONF_OK : "has values after \"off\"";
    }

    n = ngx_parse_time(&value[1], 0);

    if (n == NGX_ERROR || n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    lcf->hold = n;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_fermata_hold_value(lcf, &value[i]) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_hold_value(ngx_http_fermata_loc_conf_t *lcf, ngx_str_t *value)
{
    ssize_t    size;
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strcmp(value->data, "closed") == 0) {
        lcf->hold_closed = 1;
        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "requests=", 9) == 0) {
        n = ngx_atoi(value->data + 9, value->len - 9);

        if (n > 0) {
            lcf->hold_requests = n;
            return NGX_OK;
        }
    }

    if (ngx_strncmp(value->data, "memory=", 7) == 0) {
        s.data = value->data + 7;
        s.len = value->len - 7;
        size = ngx_parse_size(&s);

        if (size > 0) {
            lcf->hold_size = size;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


/* fermata_hold_methods method ...; */

char *
ngx_http_fermata_hold_methods(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_command_t  bitmask;

    bitmask = *cmd;
    bitmask.offset = offsetof(ngx_http_fermata_loc_conf_t, hold_methods);
    bitmask.post = ngx_http_fermata_hold_masks;

    return ngx_conf_set_bitmask_slot(cf, &bitmask, conf);
}
