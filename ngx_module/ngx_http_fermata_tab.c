
/*
 * One open tab: a websocket that the gate keeps itself.  It is a connection
 * without a request, idle for nginx: it ends with its worker, and makes room
 * when connections become scarce.
 */


#include "ngx_http_fermata_tabs.h"


/* Bytes that a client may send between two pings, and after a fault. */
#define NGX_HTTP_FERMATA_TAB_BUDGET    65536
#define NGX_HTTP_FERMATA_TAB_DISCARD   (1024 * 1024)

/* Pings to which not a byte comes back before a socket is held for dead. */
#define NGX_HTTP_FERMATA_TAB_PINGS     3

/* For the other side to answer a close frame, and to stop after a fault. */
#define NGX_HTTP_FERMATA_TAB_CLOSING   5000
#define NGX_HTTP_FERMATA_TAB_FAULTY    1000

#define NGX_HTTP_FERMATA_TAB_READ      4096


static void ngx_http_fermata_tab_read_handler(ngx_event_t *rev);
static void ngx_http_fermata_tab_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_http_fermata_tab_beat(ngx_http_fermata_tab_t *tab);
static ngx_int_t ngx_http_fermata_tab_read(ngx_http_fermata_tab_t *tab);
static void ngx_http_fermata_tab_pong(ngx_http_fermata_tab_t *tab);
static ngx_int_t ngx_http_fermata_tab_send(ngx_http_fermata_tab_t *tab);
static ngx_int_t ngx_http_fermata_tab_next(ngx_http_fermata_tab_t *tab);
static ngx_int_t ngx_http_fermata_tab_flush(ngx_http_fermata_tab_t *tab);
static void ngx_http_fermata_tab_last(ngx_http_fermata_tab_t *tab);
static ngx_int_t ngx_http_fermata_tab_sent(ngx_http_fermata_tab_t *tab);
static void ngx_http_fermata_tab_hang_up(ngx_http_fermata_tab_t *tab);
static void ngx_http_fermata_tab_close(ngx_http_fermata_tab_t *tab);


ngx_http_fermata_tab_t *
ngx_http_fermata_tab_create(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf, ngx_msec_t timeout)
{
    ngx_http_fermata_tab_t  *tab;

    tab = ngx_pcalloc(c->pool, sizeof(ngx_http_fermata_tab_t));
    if (tab == NULL) {
        return NULL;
    }

    tab->connection = c;
    tab->mcf = mcf;
    tab->period = ngx_max(timeout / NGX_HTTP_FERMATA_TAB_PINGS, 1);

    fm_websocket_init(&tab->parser, NGX_HTTP_FERMATA_TAB_BUDGET);

    return tab;
}


/* The request is gone, the connection is ours. */

void
ngx_http_fermata_tab_open(ngx_http_fermata_tab_t *tab)
{
    ngx_connection_t  *c;

    c = tab->connection;

    c->data = tab;
    c->log->action = "keeping an open tab";

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "fermata keeps an open tab, period:%M", tab->period);

    c->read->handler = ngx_http_fermata_tab_read_handler;
    c->write->handler = ngx_http_fermata_tab_write_handler;

    c->idle = 1;
    ngx_reusable_connection(c, 1);

    tab->mcf->slot->tabs++;
    ngx_http_fermata_tabs_add(tab);

    ngx_add_timer(c->read, tab->period);

    /* what has come meanwhile is not signalled again */

    ngx_post_event(c->read, &ngx_posted_events);
}


static void
ngx_http_fermata_tab_read_handler(ngx_event_t *rev)
{
    ngx_connection_t        *c;
    ngx_http_fermata_tab_t  *tab;

    c = rev->data;
    tab = c->data;

    if (c->close) {
        ngx_http_fermata_tab_hang_up(tab);
        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;

        if (ngx_http_fermata_tab_beat(tab) != NGX_OK) {
            ngx_http_fermata_tab_close(tab);
            return;
        }
    }

    if (ngx_http_fermata_tab_read(tab) != NGX_OK) {
        ngx_http_fermata_tab_close(tab);
        return;
    }

    ngx_http_fermata_tab_push(tab);
}


static void
ngx_http_fermata_tab_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;

    c = wev->data;

    ngx_http_fermata_tab_push(c->data);
}


/* Once in a period: dead sockets are found, others get a ping. */

static ngx_int_t
ngx_http_fermata_tab_beat(ngx_http_fermata_tab_t *tab)
{
    if (tab->closing || tab->silent == NGX_HTTP_FERMATA_TAB_PINGS) {

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, tab->connection->log, 0,
                       "fermata tab is over, closing:%d", tab->closing);

        return NGX_DONE;
    }

    tab->silent++;
    tab->ping = 1;

    fm_websocket_allow(&tab->parser, NGX_HTTP_FERMATA_TAB_BUDGET);

    ngx_add_timer(tab->connection->read, tab->period);

    return NGX_OK;
}


/* Through a buffer on the stack: nothing of it is kept. */

static ngx_int_t
ngx_http_fermata_tab_read(ngx_http_fermata_tab_t *tab)
{
    u_char             buf[NGX_HTTP_FERMATA_TAB_READ];
    ssize_t            n;
    ngx_connection_t  *c;

    c = tab->connection;

    while (!tab->closed) {

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            return ngx_handle_read_event(c->read, 0);
        }

        if (n <= 0) {
            return NGX_DONE;
        }

        tab->silent = 0;

        if (!tab->deaf) {
            ngx_http_fermata_tab_input(tab, buf, n);
            continue;
        }

        tab->discarded += (uint32_t) n;

        if (tab->discarded > NGX_HTTP_FERMATA_TAB_DISCARD) {
            return NGX_DONE;
        }
    }

    return NGX_OK;
}


void
ngx_http_fermata_tab_input(ngx_http_fermata_tab_t *tab, u_char *data,
    size_t len)
{
    size_t                   used;
    enum fm_websocket_event  event;

    do {
        event = fm_websocket_read(&tab->parser, data, len, &used);

        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, tab->connection->log, 0,
                       "fermata tab event:%ui, used:%uz of %uz",
                       (ngx_uint_t) event, used, len);

        data += used;
        len -= used;

        switch (event) {

        case FM_WEBSOCKET_MORE:
        case FM_WEBSOCKET_PONG:
            break;

        case FM_WEBSOCKET_PING:
            ngx_http_fermata_tab_pong(tab);
            break;

        case FM_WEBSOCKET_CLOSE:
            tab->code = tab->parser.code;
            tab->closed = 1;
            return;

        default: /* FM_WEBSOCKET_FAULT */

            ngx_log_error(NGX_LOG_INFO, tab->connection->log, 0,
                          "client sent a wrong or too large websocket frame, "
                          "closed with %ud", (unsigned) tab->parser.code);

            tab->code = tab->parser.code;
            tab->deaf = 1;
            return;
        }

    } while (len);
}


/* A client that does not read what it is sent gets none. */

static void
ngx_http_fermata_tab_pong(ngx_http_fermata_tab_t *tab)
{
    size_t                     len, size;
    u_char                     head[FM_WEBSOCKET_SERVER_HEAD];
    ngx_http_fermata_frame_t  *frame;

    if (tab->frame || tab->closing) {
        return;
    }

    size = tab->parser.control_size;
    len = fm_websocket_head(head, FM_WEBSOCKET_OP_PONG, size);

    frame = ngx_http_fermata_frame_create(len + size);
    if (frame == NULL) {
        return;
    }

    ngx_memcpy(ngx_cpymem(frame->data, head, len), tab->parser.control, size);

    tab->frame = frame;
    tab->sent = 0;

    /* more of them may have come at once */

    (void) ngx_http_fermata_tab_flush(tab);
}


void
ngx_http_fermata_tab_push(ngx_http_fermata_tab_t *tab)
{
    if (ngx_http_fermata_tab_send(tab) != NGX_OK) {
        ngx_http_fermata_tab_close(tab);
    }
}


static ngx_int_t
ngx_http_fermata_tab_send(ngx_http_fermata_tab_t *tab)
{
    ngx_int_t  rc;

    for ( ;; ) {

        rc = ngx_http_fermata_tab_flush(tab);

        if (rc == NGX_AGAIN) {
            return ngx_handle_write_event(tab->connection->write, 0);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (tab->closing) {
            return ngx_http_fermata_tab_sent(tab);
        }

        rc = ngx_http_fermata_tab_next(tab);

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }
    }
}


/* What is to be sent next; a frame that is on its way is never broken off. */

static ngx_int_t
ngx_http_fermata_tab_next(ngx_http_fermata_tab_t *tab)
{
    ngx_http_fermata_frame_t  *frame;

    if (tab->code) {
        frame = ngx_http_fermata_frame_create(FM_WEBSOCKET_SERVER_HEAD);

        if (frame) {
            frame->len = fm_websocket_close(frame->data, tab->code);
        }

        ngx_http_fermata_tab_last(tab);

    } else if (tab->leaving) {
        frame = ngx_http_fermata_tabs_farewell(tab->mcf);
        ngx_http_fermata_tab_last(tab);

    } else if (ngx_http_fermata_tabs_is_news(tab->mcf, tab->told)) {
        frame = ngx_http_fermata_tabs_news(tab->mcf, &tab->told);

    } else if (tab->ping) {
        frame = ngx_http_fermata_frame_ping();
        tab->ping = 0;

    } else {
        return NGX_DECLINED;
    }

    if (frame == NULL) {
        return NGX_ERROR;
    }

    tab->frame = frame;
    tab->sent = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_tab_flush(ngx_http_fermata_tab_t *tab)
{
    ssize_t                    n;
    ngx_connection_t          *c;
    ngx_http_fermata_frame_t  *frame;

    c = tab->connection;
    frame = tab->frame;

    if (frame == NULL) {
        return NGX_OK;
    }

    while (tab->sent < frame->len) {

        n = c->send(c, frame->data + tab->sent, frame->len - tab->sent);

        if (n == NGX_AGAIN || n == 0) {
            return NGX_AGAIN;
        }

        if (n < 0) {
            return NGX_ERROR;
        }

        tab->sent += n;
    }

    ngx_http_fermata_frame_free(frame);
    tab->frame = NULL;

    return NGX_OK;
}


/* A close frame is on its way, from now on the time is limited. */

static void
ngx_http_fermata_tab_last(ngx_http_fermata_tab_t *tab)
{
    ngx_event_t  *rev;

    rev = tab->connection->read;

    tab->closing = 1;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    ngx_add_timer(rev, tab->deaf ? NGX_HTTP_FERMATA_TAB_FAULTY
                                 : NGX_HTTP_FERMATA_TAB_CLOSING);
}


/* The close frame is out: whose turn is it to end the connection? */

static ngx_int_t
ngx_http_fermata_tab_sent(ngx_http_fermata_tab_t *tab)
{
    ngx_connection_t  *c;

    if (tab->closed) {
        return NGX_DONE;
    }

    c = tab->connection;

    if (!tab->deaf) {
        return NGX_OK;
    }

    /* closed with something unread, the frame would be lost on its way */

#if (NGX_SSL)
    if (c->ssl) {
        return NGX_OK;
    }
#endif

    if (ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN) == -1
        && ngx_socket_errno != NGX_ENOTCONN)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The worker ends, or nginx needs the connection; the client comes back. */

static void
ngx_http_fermata_tab_hang_up(ngx_http_fermata_tab_t *tab)
{
    size_t             len;
    u_char             frame[FM_WEBSOCKET_SERVER_HEAD];
    ngx_connection_t  *c;

    c = tab->connection;

    if (!tab->closing && (tab->frame == NULL || tab->sent == 0)) {
        len = fm_websocket_close(frame, FM_WEBSOCKET_RESTART);

        (void) c->send(c, frame, len);
    }

    ngx_http_fermata_tab_close(tab);
}


static void
ngx_http_fermata_tab_close(ngx_http_fermata_tab_t *tab)
{
    ngx_connection_t  *c;

    c = tab->connection;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "fermata closes a tab, leaving:%d code:%d",
                   tab->leaving, tab->code);

    ngx_queue_remove(&tab->queue);

    if (tab->frame) {
        ngx_http_fermata_frame_free(tab->frame);
    }

    tab->mcf->slot->tabs--;

    c->idle = 0;
    ngx_reusable_connection(c, 0);

    ngx_http_close_connection(c);
}
