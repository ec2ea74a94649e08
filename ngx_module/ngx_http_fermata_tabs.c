
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

/* Escaped, a byte is up to six; the rest is ours. */
#define NGX_HTTP_FERMATA_NEWS_MAX                                            \
    ((FM_TEXT_SIZE * 2 + FM_NAME_SIZE) * 6 + 256)


static ngx_uint_t ngx_http_fermata_tabs_may_go(void);
static void ngx_http_fermata_tabs_tell(void);
static void ngx_http_fermata_tabs_tell_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_fermata_tabs_render(void);
static u_char *ngx_http_fermata_tabs_text(u_char *dst,
    const struct fm_gate_ask *ask);
static u_char *ngx_http_fermata_tabs_escape(u_char *dst, const char *text);
static void ngx_http_fermata_tabs_release(void);
static void ngx_http_fermata_tabs_release_handler(ngx_event_t *ev);


/* Set in init_process only: a failed reload must not touch them. */

static ngx_http_fermata_main_conf_t  *ngx_http_fermata_tabs_mcf;
static ngx_uint_t                     ngx_http_fermata_tabs_max;

static ngx_queue_t                    ngx_http_fermata_waiting;
static ngx_queue_t                    ngx_http_fermata_untold;
static ngx_queue_t                    ngx_http_fermata_leaving;

static ngx_connection_t               ngx_http_fermata_tabs_dummy;
static ngx_event_t                    ngx_http_fermata_tell_event;
static ngx_event_t                    ngx_http_fermata_release_event;

static ngx_http_fermata_frame_t      *ngx_http_fermata_news;
static ngx_atomic_uint_t              ngx_http_fermata_news_number;
static ngx_atomic_uint_t              ngx_http_fermata_news_version;

static ngx_uint_t                     ngx_http_fermata_tabs_told;
static ngx_msec_t                     ngx_http_fermata_tell_start;

static ngx_uint_t                     ngx_http_fermata_released;
static ngx_uint_t                     ngx_http_fermata_to_release;
static ngx_msec_t                     ngx_http_fermata_release_start;
static ngx_uint_t                     ngx_http_fermata_refresh;


static ngx_str_t  ngx_http_fermata_farewells[] = {
    ngx_string("{\"type\":\"maintaining\",\"payload\":{\"message\":"
               "\"The application is back.\",\"code\":\"APP_RUNNING\"}}"),
    ngx_string("{\"type\":\"maintaining\",\"payload\":{\"message\":"
               "\"The application is back.\",\"code\":\"APP_RUNNING\","
               "\"refresh\":true}}")
};


void
ngx_http_fermata_tabs_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_tabs_mcf = mcf;

    ngx_http_fermata_tabs_max = mcf->tabs_max == NGX_CONF_UNSET_UINT
                                ? cycle->connection_n / 4 * 3
                                : mcf->tabs_max;

    ngx_queue_init(&ngx_http_fermata_waiting);
    ngx_queue_init(&ngx_http_fermata_untold);
    ngx_queue_init(&ngx_http_fermata_leaving);

    ngx_http_fermata_tabs_dummy.fd = (ngx_socket_t) -1;

    ngx_http_fermata_tell_event.handler = ngx_http_fermata_tabs_tell_handler;
    ngx_http_fermata_tell_event.data = &ngx_http_fermata_tabs_dummy;
    ngx_http_fermata_tell_event.log = cycle->log;

    ngx_http_fermata_release_event.handler =
                                        ngx_http_fermata_tabs_release_handler;
    ngx_http_fermata_release_event.data = &ngx_http_fermata_tabs_dummy;
    ngx_http_fermata_release_event.log = cycle->log;
    ngx_http_fermata_release_event.cancelable = 1;
}


ngx_uint_t
ngx_http_fermata_tabs_are_full(void)
{
    return ngx_http_fermata_slot->tabs >= ngx_http_fermata_tabs_max;
}


void
ngx_http_fermata_tabs_add(ngx_http_fermata_tab_t *tab)
{
    ngx_queue_insert_tail(&ngx_http_fermata_waiting, &tab->queue);

    /* the first of them, or the gate has opened meanwhile */

    ngx_http_fermata_tabs_look();
}


/* Called when anything may have changed. */

void
ngx_http_fermata_tabs_look(void)
{
    if (ngx_queue_empty(&ngx_http_fermata_waiting)
        && ngx_queue_empty(&ngx_http_fermata_untold))
    {
        return;
    }

    if (ngx_http_fermata_tabs_may_go()) {
        ngx_http_fermata_tabs_release();
        return;
    }

    if (ngx_http_fermata_release_event.timer_set) {
        ngx_del_timer(&ngx_http_fermata_release_event);
    }

    ngx_http_fermata_tabs_tell();
}


/* Whether its client would get through if it came now. */

static ngx_uint_t
ngx_http_fermata_tabs_may_go(void)
{
    struct fm_gate_facts  facts;

    ngx_memzero(&facts, sizeof(struct fm_gate_facts));

    facts.nodes = ngx_http_fermata_tabs_mcf->nodes;

    return fm_gate_decide(ngx_http_fermata_sh->word, &facts) == FM_GATE_PASS;
}


static void
ngx_http_fermata_tabs_tell(void)
{
    ngx_atomic_uint_t  number;

    if (ngx_http_fermata_news
        && ngx_http_fermata_news_version == ngx_http_fermata_sh->text)
    {
        return;
    }

    number = ngx_http_fermata_news_number;

    /* without memory: they are told when it is looked again */

    if (ngx_http_fermata_tabs_render() != NGX_OK
        || ngx_http_fermata_news_number == number)
    {
        return;
    }

    if (!ngx_queue_empty(&ngx_http_fermata_waiting)) {
        ngx_queue_add(&ngx_http_fermata_untold, &ngx_http_fermata_waiting);
        ngx_queue_init(&ngx_http_fermata_waiting);
    }

    ngx_http_fermata_tabs_told = 0;
    ngx_http_fermata_tell_start = ngx_current_msec;

    ngx_post_event(&ngx_http_fermata_tell_event, &ngx_posted_events);
}


static void
ngx_http_fermata_tabs_tell_handler(ngx_event_t *ev)
{
    ngx_uint_t               n;
    ngx_queue_t             *q;
    ngx_http_fermata_tab_t  *tab;

    for (n = 0; n < NGX_HTTP_FERMATA_TABS_TURN; n++) {

        if (ngx_queue_empty(&ngx_http_fermata_untold)) {
            ngx_time_update();

            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                          "fermata: %ui open tabs told within %M ms",
                          ngx_http_fermata_tabs_told,
                          ngx_current_msec - ngx_http_fermata_tell_start);
            return;
        }

        ngx_http_fermata_tabs_told++;

        q = ngx_queue_head(&ngx_http_fermata_untold);
        tab = ngx_queue_data(q, ngx_http_fermata_tab_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_http_fermata_waiting, q);

        ngx_http_fermata_tab_push(tab);
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}


ngx_uint_t
ngx_http_fermata_tabs_is_news(ngx_atomic_uint_t told)
{
    return ngx_http_fermata_news && ngx_http_fermata_news_number != told;
}


ngx_http_fermata_frame_t *
ngx_http_fermata_tabs_news(ngx_atomic_uint_t *told)
{
    *told = ngx_http_fermata_news_number;

    ngx_http_fermata_news->refs++;

    return ngx_http_fermata_news;
}


/*
 * The frame of all sockets of this worker.  Its number is raised when it is
 * another one: the version of the state changes more often.
 */

static ngx_int_t
ngx_http_fermata_tabs_render(void)
{
    size_t                     len, size;
    u_char                    *last, text[NGX_HTTP_FERMATA_NEWS_MAX];
    struct fm_gate_ask         ask;
    ngx_atomic_uint_t          version;
    ngx_http_fermata_frame_t  *frame, *old;

    version = ngx_http_fermata_read(ngx_http_fermata_sh, &ask, 0);

    last = ngx_http_fermata_tabs_text(text, &ask);

    size = last - text;

    frame = ngx_http_fermata_frame_create(FM_WEBSOCKET_SERVER_HEAD + size);
    if (frame == NULL) {
        return NGX_ERROR;
    }

    len = fm_websocket_head(frame->data, FM_WEBSOCKET_OP_TEXT, size);

    ngx_memcpy(frame->data + len, text, size);
    frame->len = len + size;

    ngx_http_fermata_news_version = version;

    old = ngx_http_fermata_news;

    if (old && old->len == frame->len
        && ngx_memcmp(old->data, frame->data, frame->len) == 0)
    {
        ngx_http_fermata_frame_free(frame);
        return NGX_OK;
    }

    if (old) {
        ngx_http_fermata_frame_free(old);
    }

    ngx_http_fermata_news = frame;
    ngx_http_fermata_news_number++;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "fermata news %uA for tabs, %uz bytes",
                   ngx_http_fermata_news_number, frame->len);

    return NGX_OK;
}


/* The message as NocoBase itself sends it; dst takes NEWS_MAX bytes. */

static u_char *
ngx_http_fermata_tabs_text(u_char *dst, const struct fm_gate_ask *ask)
{
    u_char       *p, *last;
    const char   *message, *command;

    last = dst + NGX_HTTP_FERMATA_NEWS_MAX;

    message = ask->message;
    command = ask->command[0] ? ask->command : "maintenance";

    if (ask->message[0] == '\0' && ask->step[0] == '\0') {
        message = "The application is being maintained.";
    }

    p = ngx_slprintf(dst, last, "{\"type\":\"maintaining\",\"payload\":{"
                                "\"message\":\"");

    p = ngx_http_fermata_tabs_escape(p, message);

    if (ask->message[0] && ask->step[0]) {

        /* a middle dot */

        p = ngx_slprintf(p, last, " \xc2\xb7 ");
    }

    p = ngx_http_fermata_tabs_escape(p, ask->step);

    p = ngx_slprintf(p, last, "\",\"command\":{\"name\":\"");

    p = ngx_http_fermata_tabs_escape(p, command);

    return ngx_slprintf(p, last, "\"},\"code\":\"APP_COMMANDING\"}}");
}


/* The texts come from outside. */

static u_char *
ngx_http_fermata_tabs_escape(u_char *dst, const char *text)
{
    return (u_char *) ngx_escape_json(dst, (u_char *) text, ngx_strlen(text));
}


/*
 * Without a herd: all of them leave over the time of the directive, one after
 * the other; the first at once.
 */

static void
ngx_http_fermata_tabs_release(void)
{
    ngx_queue_t         *q;
    struct fm_gate_ask   ask;

    if (ngx_http_fermata_release_event.timer_set) {
        return;
    }

    (void) ngx_http_fermata_read(ngx_http_fermata_sh, &ask, 0);

    ngx_http_fermata_refresh = ask.refresh;

    if (!ngx_queue_empty(&ngx_http_fermata_untold)) {
        ngx_queue_add(&ngx_http_fermata_waiting, &ngx_http_fermata_untold);
        ngx_queue_init(&ngx_http_fermata_untold);
    }

    ngx_http_fermata_to_release = 0;
    ngx_http_fermata_released = 0;

    for (q = ngx_queue_head(&ngx_http_fermata_waiting);
         q != ngx_queue_sentinel(&ngx_http_fermata_waiting);
         q = ngx_queue_next(q))
    {
        ngx_http_fermata_to_release++;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "fermata: %ui open tabs are let go, refresh:%ui",
                  ngx_http_fermata_to_release, ngx_http_fermata_refresh);

    ngx_http_fermata_release_start = ngx_current_msec;

    ngx_add_timer(&ngx_http_fermata_release_event, 1);
}


static void
ngx_http_fermata_tabs_release_handler(ngx_event_t *ev)
{
    uint64_t                 due;
    ngx_uint_t               n;
    ngx_msec_t               elapsed, window;
    ngx_queue_t             *q;
    ngx_http_fermata_tab_t  *tab;

    /* closed again: look() has not been called yet */

    if (!ngx_http_fermata_tabs_may_go()) {
        return;
    }

    window = ngx_http_fermata_tabs_mcf->tabs_release;
    elapsed = ngx_current_msec - ngx_http_fermata_release_start;

    due = elapsed >= window
          ? NGX_MAX_UINT32_VALUE
          : (uint64_t) ngx_http_fermata_to_release * elapsed / window + 1;

    for (n = 0; n < NGX_HTTP_FERMATA_TABS_TURN; n++) {

        if (ngx_queue_empty(&ngx_http_fermata_waiting)) {
            return;
        }

        if (ngx_http_fermata_released >= due) {
            break;
        }

        q = ngx_queue_head(&ngx_http_fermata_waiting);
        tab = ngx_queue_data(q, ngx_http_fermata_tab_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_http_fermata_leaving, q);

        ngx_http_fermata_released++;
        tab->leaving = 1;

        ngx_http_fermata_tab_push(tab);
    }

    ngx_add_timer(ev, n == NGX_HTTP_FERMATA_TABS_TURN
                      ? 1 : NGX_HTTP_FERMATA_TABS_TICK);
}


ngx_http_fermata_frame_t *
ngx_http_fermata_tabs_farewell(void)
{
    size_t                     len;
    ngx_str_t                 *text;
    ngx_http_fermata_frame_t  *frame;

    text = &ngx_http_fermata_farewells[ngx_http_fermata_refresh];

    frame = ngx_http_fermata_frame_create(FM_WEBSOCKET_SERVER_HEAD * 2
                                          + text->len);
    if (frame == NULL) {
        return NULL;
    }

    len = fm_websocket_head(frame->data, FM_WEBSOCKET_OP_TEXT, text->len);

    ngx_memcpy(frame->data + len, text->data, text->len);
    len += text->len;

    frame->len = len + fm_websocket_close(frame->data + len,
                                          FM_WEBSOCKET_RESTART);

    return frame;
}


ngx_http_fermata_frame_t *
ngx_http_fermata_frame_create(size_t len)
{
    ngx_http_fermata_frame_t  *frame;

    frame = ngx_alloc(offsetof(ngx_http_fermata_frame_t, data) + len,
                      ngx_cycle->log);
    if (frame == NULL) {
        return NULL;
    }

    frame->refs = 1;
    frame->len = len;

    return frame;
}


void
ngx_http_fermata_frame_free(ngx_http_fermata_frame_t *frame)
{
    if (--frame->refs == 0) {
        ngx_free(frame);
    }
}
