
/*
 * The coordinator's line: dialling, frames in and out.
 */


#include "ngx_http_fermata_client.h"


static void ngx_http_fermata_connect_handler(ngx_event_t *ev);
static void ngx_http_fermata_read_handler(ngx_event_t *ev);
static const char *ngx_http_fermata_frames(ngx_http_fermata_line_t *line);
static const char *ngx_http_fermata_greeting(ngx_http_fermata_line_t *line,
    const Fermata__Envelope *envelope);
static const char *ngx_http_fermata_frame(ngx_http_fermata_line_t *line,
    u_char *data, size_t size);
static const char *ngx_http_fermata_welcome(ngx_http_fermata_line_t *line,
    const Fermata__Welcome *welcome);
static void ngx_http_fermata_flush(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_write_handler(ngx_event_t *ev);


void
ngx_http_fermata_dial(ngx_http_fermata_line_t *line)
{
    ngx_int_t          rc;
    ngx_addr_t        *addrs;
    ngx_connection_t  *c;

    addrs = line->mcf->coordinators->elts;
    line->addr = &addrs[line->next++ % line->mcf->coordinators->nelts];

    ngx_memzero(&line->peer, sizeof(ngx_peer_connection_t));

    line->peer.sockaddr = line->addr->sockaddr;
    line->peer.socklen = line->addr->socklen;
    line->peer.name = &line->addr->name;
    line->peer.get = ngx_event_get_peer;
    line->peer.log = &line->mcf->log;
    line->peer.log_error = NGX_ERROR_INFO;

    line->heard_at = ngx_current_msec;
    line->in_len = 0;
    line->out_len = 0;
    line->state = ngx_http_fermata_st_connecting;

    rc = ngx_event_connect_peer(&line->peer);

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, &line->mcf->log, 0,
                   "fermata dials coordinator %V: %i", &line->addr->name, rc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_fermata_hang_up(line, "it cannot be reached");
        return;
    }

    c = line->peer.connection;
    c->data = line;
    c->log = &line->mcf->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_fermata_read_handler;
    c->write->handler = ngx_http_fermata_connect_handler;
    c->read->cancelable = 1;
    c->write->cancelable = 1;

    /* so that a worker that ends gracefully lets go of it (no manager) */

    c->idle = 1;

    if (rc == NGX_OK) {
        ngx_http_fermata_connect_handler(c->write);
    }
}


static void
ngx_http_fermata_connect_handler(ngx_event_t *ev)
{
    int                       err;
    socklen_t                 len;
    ngx_connection_t         *c;
    ngx_http_fermata_line_t  *line;

    c = ev->data;
    line = c->data;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_http_fermata_hang_up(line, "it cannot be reached");
        return;
    }

    ngx_http_fermata_ssl_connect(line);
}


/* Whoever is at the other end has proved itself, or is on this host. */

void
ngx_http_fermata_begin(ngx_http_fermata_line_t *line)
{
    ngx_connection_t  *c;

    c = line->peer.connection;

    line->state = ngx_http_fermata_st_hello;
    line->heard_at = ngx_current_msec;

    c->read->handler = ngx_http_fermata_read_handler;
    c->write->handler = ngx_http_fermata_write_handler;

    /* an ask waits for no other one, a report neither */

    if (line->addr->sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    ngx_http_fermata_hello(line);

    if (line->state == ngx_http_fermata_st_hello && c->read->ready) {
        ngx_http_fermata_read_handler(c->read);
    }
}


void
ngx_http_fermata_hang_up(ngx_http_fermata_line_t *line, const char *why)
{
    ngx_uint_t  level;

    if (line->state == ngx_http_fermata_st_idle) {
        return;
    }

    /* the first of a row of failures is worth a line, the others are not */

    level = line->is_silent ? NGX_LOG_INFO : NGX_LOG_WARN;

    ngx_log_error(level, &line->mcf->log, 0,
                  "fermata: no line to coordinator %V: %s",
                  &line->addr->name, why);

    line->is_silent = 1;

    if (line->peer.connection) {
        ngx_http_fermata_ssl_close(line->peer.connection);
        ngx_close_connection(line->peer.connection);
        line->peer.connection = NULL;
    }

    if (line->state == ngx_http_fermata_st_up) {
        line->retry = NGX_HTTP_FERMATA_RETRY_MIN;
    }

    line->state = ngx_http_fermata_st_idle;
    line->dial_at = ngx_current_msec + line->retry / 2
                    + ngx_random() % (line->retry / 2 + 1);
    line->retry = ngx_min(line->retry * 2, NGX_HTTP_FERMATA_RETRY_MAX);

    if (!line->is_retired) {
        line->mcf->sh->connected = 0;
    }
}


static void
ngx_http_fermata_read_handler(ngx_event_t *ev)
{
    ssize_t                   n;
    const char               *fault;
    ngx_connection_t         *c;
    ngx_http_fermata_line_t  *line;

    c = ev->data;
    line = c->data;

    if (c->close) {
        line->is_retired = 1;
        ngx_http_fermata_hang_up(line, "this process ends");
        return;
    }

    if (line->state == ngx_http_fermata_st_connecting) {
        return;
    }

    do {
        n = c->recv(c, line->in + line->in_len,
                    sizeof(line->in) - line->in_len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_fermata_hang_up(line, "it has closed the connection");
            return;
        }

        line->in_len += n;
        line->heard_at = ngx_current_msec;

        fault = ngx_http_fermata_frames(line);

        if (fault) {
            ngx_http_fermata_hang_up(line, fault);
            return;
        }

        if (line->state == ngx_http_fermata_st_idle) {
            return;
        }

    } while (c->read->ready);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_fermata_hang_up(line, "an event failed");
        return;
    }

    ngx_http_fermata_line_look(line);
}


/*
 * The buffer holds one frame of the greatest length: a length is checked
 * before anything is done for it.
 */

static const char *
ngx_http_fermata_frames(ngx_http_fermata_line_t *line)
{
    size_t       size, used;
    u_char      *p;
    const char  *fault;

    used = 0;

    while (line->in_len - used >= FM_FRAME_HEAD) {

        p = line->in + used;
        size = (size_t) p[0] << 24 | (size_t) p[1] << 16
               | (size_t) p[2] << 8 | p[3];

        if (size == 0 || size > NGX_HTTP_FERMATA_FRAME_MAX) {
            return "it has sent a frame of an impossible length";
        }

        if (line->in_len - used - FM_FRAME_HEAD < size) {
            break;
        }

        fault = ngx_http_fermata_frame(line, p + FM_FRAME_HEAD, size);

        if (fault) {
            return fault;
        }

        if (line->state == ngx_http_fermata_st_idle) {
            return NULL;
        }

        used += FM_FRAME_HEAD + size;
    }

    line->in_len -= used;
    ngx_memmove(line->in, line->in + used, line->in_len);

    return NULL;
}


/* What may come before the line is up. */

static const char *
ngx_http_fermata_greeting(ngx_http_fermata_line_t *line,
    const Fermata__Envelope *envelope)
{
    size_t       len;
    const char  *reason;

    switch ((ngx_uint_t) envelope->body_case) {

    case FERMATA__ENVELOPE__BODY_WELCOME:
        return ngx_http_fermata_welcome(line, envelope->welcome);

    case FERMATA__ENVELOPE__BODY_GOODBYE:
        reason = envelope->goodbye->reason;
        len = ngx_min(ngx_strlen(reason), 200);

        ngx_log_error(NGX_LOG_WARN, &line->mcf->log, 0,
                      "fermata: coordinator says \"%*s\"", len, reason);

        return "it refuses this gate";

    default:
        return "it has not begun with Welcome";
    }
}


static const char *
ngx_http_fermata_frame(ngx_http_fermata_line_t *line, u_char *data,
    size_t size)
{
    const char         *fault;
    struct fm_err       err;
    Fermata__Envelope  *envelope;

    envelope = fm_frame_unpack(data, size, FERMATA__ROLE__ROLE_COORDINATOR,
                               &err);

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, &line->mcf->log, 0,
                   "fermata frame in, size:%uz body:%d",
                   size, envelope ? (int) envelope->body_case : -1);

    if (envelope == NULL) {
        ngx_log_error(NGX_LOG_WARN, &line->mcf->log, 0, "fermata: %s",
                      err.text);
        fault = "it has sent a frame that it may not send, or that is none";

    } else if (line->state == ngx_http_fermata_st_hello) {
        fault = ngx_http_fermata_greeting(line, envelope);

    } else {

        switch ((ngx_uint_t) envelope->body_case) {

        case FERMATA__ENVELOPE__BODY_HEARTBEAT:
            fault = NULL;
            break;

        case FERMATA__ENVELOPE__BODY_GATE_ASK:
            fault = ngx_http_fermata_ask(line, envelope->gate_ask);
            break;

        case FERMATA__ENVELOPE__BODY_GOODBYE:
            fault = "it has said goodbye";
            break;

        default:
            fault = "it has sent what is not for a gate";
        }
    }

    fm_envelope_free(envelope);

    return fault;
}


static const char *
ngx_http_fermata_welcome(ngx_http_fermata_line_t *line,
    const Fermata__Welcome *welcome)
{
    if (welcome->major != FM_WIRE_MAJOR) {
        line->retry = NGX_HTTP_FERMATA_RETRY_MAX;
        return "it speaks another version of the protocol";
    }

    line->heartbeat = NGX_HTTP_FERMATA_HEARTBEAT;
    line->lost = NGX_HTTP_FERMATA_LOST;

    if (welcome->heartbeat_ms >= 100 && welcome->heartbeat_ms <= 60000) {
        line->heartbeat = welcome->heartbeat_ms;
    }

    if (welcome->lost_ms >= 300 && welcome->lost_ms <= 180000) {
        line->lost = welcome->lost_ms;
    }

    ngx_log_error(NGX_LOG_NOTICE, &line->mcf->log, 0,
                  "fermata: line to coordinator %V is up",
                  &line->addr->name);

    line->state = ngx_http_fermata_st_up;
    line->retry = NGX_HTTP_FERMATA_RETRY_MIN;
    line->is_silent = 0;
    line->beat_at = ngx_current_msec - line->heartbeat;
    line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;
    line->mcf->sh->connected = 1;

    return NULL;
}


void
ngx_http_fermata_send(ngx_http_fermata_line_t *line,
    const Fermata__Envelope *envelope)
{
    ngx_str_t    frame;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, &line->mcf->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_http_fermata_frame_pack(pool, envelope, &frame) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, &line->mcf->log, 0,
                   "fermata frame out, size:%uz body:%d waiting:%uz",
                   frame.len, (int) envelope->body_case, line->out_len);

    if (frame.len > sizeof(line->out) - line->out_len) {
        ngx_destroy_pool(pool);
        ngx_http_fermata_hang_up(line, "it does not read");
        return;
    }

    ngx_memcpy(line->out + line->out_len, frame.data, frame.len);
    line->out_len += frame.len;

    ngx_destroy_pool(pool);

    ngx_http_fermata_flush(line);
}


static void
ngx_http_fermata_flush(ngx_http_fermata_line_t *line)
{
    size_t             used;
    ssize_t            n;
    ngx_connection_t  *c;

    c = line->peer.connection;
    used = 0;

    while (used < line->out_len && c->write->ready) {

        n = c->send(c, line->out + used, line->out_len - used);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_fermata_hang_up(line, "it has closed the connection");
            return;
        }

        used += n;
    }

    line->out_len -= used;
    ngx_memmove(line->out, line->out + used, line->out_len);

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_fermata_hang_up(line, "an event failed");
    }
}


static void
ngx_http_fermata_write_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {
        return;
    }

    ngx_http_fermata_flush(c->data);
}
