
/*
 * The open tabs of a worker: what they are told, and how they are let go.
 *
 * A tab waits; when the texts change it is untold until its turn comes; when
 * the gate lets visitors through again it leaves, one after the other over the
 * time of fermata_websocket_release.
 */


#include "ngx_http_fermata_tabs.h"


/* Sockets that are written to before the worker looks after others. */
#define NGX_HTTP_FERMATA_TABS_TURN    256

#define NGX_HTTP_FERMATA_TABS_TICK    10

/* Of one cluster in one worker. */

struct ngx_http_fermata_tabs_s {
    ngx_http_fermata_main_conf_t    *mcf;

    ngx_queue_t                      waiting;
    ngx_queue_t                      untold;
    ngx_queue_t                      leaving;

    ngx_event_t                      tell_event;
    ngx_event_t                      release_event;

    ngx_http_fermata_frame_t        *news;
    ngx_atomic_uint_t                news_number;
    ngx_atomic_uint_t                news_version;

    ngx_uint_t                       told;
    ngx_msec_t                       tell_start;

    ngx_uint_t                       released;
    ngx_uint_t                       to_release;
    ngx_msec_t                       release_start;
    ngx_uint_t                       refresh;
};


static ngx_uint_t ngx_http_fermata_tabs_may_go(
    ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_tabs_tell(ngx_http_fermata_tabs_t *tabs);
static void ngx_http_fermata_tabs_tell_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_fermata_tabs_render(ngx_http_fermata_tabs_t *tabs);
static void ngx_http_fermata_tabs_release(ngx_http_fermata_tabs_t *tabs);
static void ngx_http_fermata_tabs_release_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_fermata_tabs_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_tabs_t  *tabs;

    tabs = ngx_pcalloc(cycle->pool, sizeof(ngx_http_fermata_tabs_t));
    if (tabs == NULL) {
        return NGX_ERROR;
    }

    mcf->tabs = tabs;
    tabs->mcf = mcf;

    ngx_queue_init(&tabs->waiting);
    ngx_queue_init(&tabs->untold);
    ngx_queue_init(&tabs->leaving);

    tabs->tell_event.handler = ngx_http_fermata_tabs_tell_handler;
    tabs->tell_event.data = &mcf->dummy;
    tabs->tell_event.log = cycle->log;

    tabs->release_event.handler = ngx_http_fermata_tabs_release_handler;
    tabs->release_event.data = &mcf->dummy;
    tabs->release_event.log = cycle->log;
    tabs->release_event.cancelable = 1;

    return NGX_OK;
}


/* What nobody has limited has one limit for all clusters together. */

ngx_uint_t
ngx_http_fermata_tabs_are_full(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_uint_t                      i, n;
    ngx_http_fermata_main_conf_t  **mcfp;

    if (mcf->tabs_max != NGX_CONF_UNSET_UINT) {
        return mcf->slot->tabs >= mcf->tabs_max;
    }

    mcfp = mcf->clusters->elts;

    for (i = 0, n = 0; i < mcf->clusters->nelts; i++) {
        n += mcfp[i]->slot->tabs;
    }

    return n >= ngx_cycle->connection_n / 4 * 3;
}


void
ngx_http_fermata_tabs_add(ngx_http_fermata_tab_t *tab)
{
    ngx_queue_insert_tail(&tab->mcf->tabs->waiting, &tab->queue);

    /* the first of them, or the gate has opened meanwhile */

    ngx_http_fermata_tabs_look(tab->mcf);
}


/* Called when anything may have changed. */

void
ngx_http_fermata_tabs_look(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_tabs_t  *tabs;

    tabs = mcf->tabs;

    if (ngx_queue_empty(&tabs->waiting)
        && ngx_queue_empty(&tabs->untold))
    {
        return;
    }

    if (ngx_http_fermata_tabs_may_go(mcf)) {
        ngx_http_fermata_tabs_release(tabs);
        return;
    }

    if (tabs->release_event.timer_set) {
        ngx_del_timer(&tabs->release_event);
    }

    ngx_http_fermata_tabs_tell(tabs);
}


/* Whether its client would get through if it came now. */

static ngx_uint_t
ngx_http_fermata_tabs_may_go(ngx_http_fermata_main_conf_t *mcf)
{
    struct fm_gate_facts  facts;

    ngx_memzero(&facts, sizeof(struct fm_gate_facts));

    facts.nodes = mcf->nodes;

    return fm_gate_decide(mcf->sh->word, &facts) == FM_GATE_PASS;
}


static void
ngx_http_fermata_tabs_tell(ngx_http_fermata_tabs_t *tabs)
{
    ngx_atomic_uint_t  number;

    if (tabs->news
        && tabs->news_version == tabs->mcf->sh->text)
    {
        return;
    }

    number = tabs->news_number;

    /* without memory: they are told when it is looked again */

    if (ngx_http_fermata_tabs_render(tabs) != NGX_OK
        || tabs->news_number == number)
    {
        return;
    }

    if (!ngx_queue_empty(&tabs->waiting)) {
        ngx_queue_add(&tabs->untold, &tabs->waiting);
        ngx_queue_init(&tabs->waiting);
    }

    tabs->told = 0;
    tabs->tell_start = ngx_current_msec;

    ngx_post_event(&tabs->tell_event, &ngx_posted_events);
}


static void
ngx_http_fermata_tabs_tell_handler(ngx_event_t *ev)
{
    ngx_uint_t                n;
    ngx_queue_t              *q;
    ngx_connection_t         *c;
    ngx_http_fermata_tab_t   *tab;
    ngx_http_fermata_tabs_t  *tabs;

    c = ev->data;
    tabs = ((ngx_http_fermata_main_conf_t *) c->data)->tabs;

    for (n = 0; n < NGX_HTTP_FERMATA_TABS_TURN; n++) {

        if (ngx_queue_empty(&tabs->untold)) {
            ngx_time_update();

            ngx_log_error(NGX_LOG_INFO, &tabs->mcf->log, 0,
                          "fermata: %ui open tabs told within %M ms",
                          tabs->told,
                          ngx_current_msec - tabs->tell_start);
            return;
        }

        tabs->told++;

        q = ngx_queue_head(&tabs->untold);
        tab = ngx_queue_data(q, ngx_http_fermata_tab_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&tabs->waiting, q);

        ngx_http_fermata_tab_push(tab);
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}


ngx_uint_t
ngx_http_fermata_tabs_is_news(ngx_http_fermata_main_conf_t *mcf,
    ngx_atomic_uint_t told)
{
    return mcf->tabs->news && mcf->tabs->news_number != told;
}


ngx_http_fermata_frame_t *
ngx_http_fermata_tabs_news(ngx_http_fermata_main_conf_t *mcf,
    ngx_atomic_uint_t *told)
{
    ngx_http_fermata_tabs_t  *tabs;

    tabs = mcf->tabs;

    *told = tabs->news_number;

    tabs->news->refs++;

    return tabs->news;
}


/*
 * The frame of all sockets of this worker.  Its number is raised when it is
 * another one: the version of the state changes more often.
 */

static ngx_int_t
ngx_http_fermata_tabs_render(ngx_http_fermata_tabs_t *tabs)
{
    struct fm_gate_ask         ask;
    ngx_atomic_uint_t          version;
    ngx_http_fermata_frame_t  *frame, *old;

    version = ngx_http_fermata_read(tabs->mcf->sh, &ask, 0);

    frame = ngx_http_fermata_frame_news(&ask);
    if (frame == NULL) {
        return NGX_ERROR;
    }

    tabs->news_version = version;

    old = tabs->news;

    if (old && old->len == frame->len
        && ngx_memcmp(old->data, frame->data, frame->len) == 0)
    {
        ngx_http_fermata_frame_free(frame);
        return NGX_OK;
    }

    if (old) {
        ngx_http_fermata_frame_free(old);
    }

    tabs->news = frame;
    tabs->news_number++;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &tabs->mcf->log, 0,
                   "fermata news %uA for tabs, %uz bytes",
                   tabs->news_number, frame->len);

    return NGX_OK;
}


/*
 * Without a herd: all of them leave over the time of the directive, one after
 * the other; the first at once.
 */

static void
ngx_http_fermata_tabs_release(ngx_http_fermata_tabs_t *tabs)
{
    ngx_queue_t         *q;
    struct fm_gate_ask   ask;

    if (tabs->release_event.timer_set) {
        return;
    }

    (void) ngx_http_fermata_read(tabs->mcf->sh, &ask, 0);

    tabs->refresh = ask.refresh;

    if (!ngx_queue_empty(&tabs->untold)) {
        ngx_queue_add(&tabs->waiting, &tabs->untold);
        ngx_queue_init(&tabs->untold);
    }

    tabs->to_release = 0;
    tabs->released = 0;

    for (q = ngx_queue_head(&tabs->waiting);
         q != ngx_queue_sentinel(&tabs->waiting);
         q = ngx_queue_next(q))
    {
        tabs->to_release++;
    }

    ngx_log_error(NGX_LOG_NOTICE, &tabs->mcf->log, 0,
                  "fermata: %ui open tabs are let go, refresh:%ui",
                  tabs->to_release, tabs->refresh);

    tabs->release_start = ngx_current_msec;

    ngx_add_timer(&tabs->release_event, 1);
}


static void
ngx_http_fermata_tabs_release_handler(ngx_event_t *ev)
{
    uint64_t                  due;
    ngx_uint_t                n;
    ngx_msec_t                elapsed, window;
    ngx_queue_t              *q;
    ngx_connection_t         *c;
    ngx_http_fermata_tab_t   *tab;
    ngx_http_fermata_tabs_t  *tabs;

    c = ev->data;
    tabs = ((ngx_http_fermata_main_conf_t *) c->data)->tabs;

    /* closed again: look() has not been called yet */

    if (!ngx_http_fermata_tabs_may_go(tabs->mcf)) {
        return;
    }

    window = tabs->mcf->tabs_release;
    elapsed = ngx_current_msec - tabs->release_start;

    due = elapsed >= window
          ? NGX_MAX_UINT32_VALUE
          : (uint64_t) tabs->to_release * elapsed / window + 1;

    for (n = 0; n < NGX_HTTP_FERMATA_TABS_TURN; n++) {

        if (ngx_queue_empty(&tabs->waiting)) {
            return;
        }

        if (tabs->released >= due) {
            break;
        }

        q = ngx_queue_head(&tabs->waiting);
        tab = ngx_queue_data(q, ngx_http_fermata_tab_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&tabs->leaving, q);

        tabs->released++;
        tab->leaving = 1;

        ngx_http_fermata_tab_push(tab);
    }

    ngx_add_timer(ev, n == NGX_HTTP_FERMATA_TABS_TURN
                      ? 1 : NGX_HTTP_FERMATA_TABS_TICK);
}


ngx_http_fermata_frame_t *
ngx_http_fermata_tabs_farewell(ngx_http_fermata_main_conf_t *mcf)
{
    return ngx_http_fermata_frame_farewell(mcf->tabs->refresh);
}
