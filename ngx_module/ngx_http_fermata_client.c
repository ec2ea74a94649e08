
/*
 * The coordinator's line: dials, says Hello, carries out asks, reports.
 *
 * Lives in the process that nginx runs for the path of "fermata_state".  That
 * process is killed, replaced and run twice at will: whatever must outlive it
 * is in the zone and in the state file.
 */


#include "ngx_http_fermata_wire.h"


/* What common.proto and the frame rules promise, in ms. */
#define NGX_HTTP_FERMATA_HEARTBEAT     1000
#define NGX_HTTP_FERMATA_LOST          3000
#define NGX_HTTP_FERMATA_WELCOME       5000
#define NGX_HTTP_FERMATA_RETRY_MIN     200
#define NGX_HTTP_FERMATA_RETRY_MAX     3000

/* How often to look: while workers or requests are waited for, and not. */
#define NGX_HTTP_FERMATA_BUSY_MS       10
#define NGX_HTTP_FERMATA_CALM_MS       250

/* Reports of a drain, when nothing came to its end. */
#define NGX_HTTP_FERMATA_REPORT_MS     50
#define NGX_HTTP_FERMATA_REPORT_BEAT   1000

#define NGX_HTTP_FERMATA_OUT_MAX       65536


typedef enum {
    ngx_http_fermata_st_idle = 0,
    ngx_http_fermata_st_connecting,
    ngx_http_fermata_st_hello,
    ngx_http_fermata_st_up
} ngx_http_fermata_line_state_e;


typedef struct {
    ngx_http_fermata_main_conf_t    *mcf;
    ngx_http_fermata_line_state_e    state;
    ngx_peer_connection_t            peer;
    ngx_addr_t                      *addr;
    ngx_uint_t                       next;      /* address to dial */

    ngx_event_t                      tick;
    ngx_connection_t                 dummy;

    ngx_msec_t                       retry;     /* delay, grows */
    ngx_msec_t                       dial_at;
    ngx_msec_t                       heard_at;
    ngx_msec_t                       beat_at;
    ngx_msec_t                       heartbeat; /* as Welcome says */
    ngx_msec_t                       lost;
    uint64_t                         beats;

    ngx_msec_t                       reported_at;
    ngx_uint_t                       reported;  /* rides on what is denied */
    ngx_msec_t                       watched_at;
    time_t                           mtime;
    ngx_file_uniq_t                  uniq;

    /* taken, but not on disk yet */
    struct fm_gate_ask               pending;
    ngx_msec_t                       write_at;
    const char                      *error;
    u_char                           why[FM_TEXT_SIZE];

    size_t                           in_len;
    size_t                           out_len;
    u_char                           in[FM_FRAME_HEAD
                                        + NGX_HTTP_FERMATA_FRAME_MAX];
    u_char                           out[NGX_HTTP_FERMATA_OUT_MAX];

    unsigned                         is_pending:1;
    unsigned                         is_silent:1;   /* told the log once */
    unsigned                         is_retired:1;
} ngx_http_fermata_line_t;


static void ngx_http_fermata_bell_handler(ngx_event_t *ev);
static void ngx_http_fermata_line_handler(ngx_event_t *ev);
static void ngx_http_fermata_line_look(ngx_http_fermata_line_t *line);
static ngx_uint_t ngx_http_fermata_is_deposed(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_line_keep(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_watch_file(ngx_http_fermata_line_t *line);

static void ngx_http_fermata_dial(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_connect_handler(ngx_event_t *ev);
static void ngx_http_fermata_begin(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_hang_up(ngx_http_fermata_line_t *line,
    const char *why);
static void ngx_http_fermata_read_handler(ngx_event_t *ev);
static void ngx_http_fermata_write_handler(ngx_event_t *ev);
static void ngx_http_fermata_flush(ngx_http_fermata_line_t *line);
static const char *ngx_http_fermata_frames(ngx_http_fermata_line_t *line);
static const char *ngx_http_fermata_frame(ngx_http_fermata_line_t *line,
    u_char *data, size_t size);
static const char *ngx_http_fermata_welcome(ngx_http_fermata_line_t *line,
    const Fermata__Welcome *welcome);

static const char *ngx_http_fermata_ask(ngx_http_fermata_line_t *line,
    const Fermata__GateAsk *msg);
static void ngx_http_fermata_obey(ngx_http_fermata_line_t *line);
static ngx_uint_t ngx_http_fermata_owed(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum);
static void ngx_http_fermata_report(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum);
static void ngx_http_fermata_hello(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_send(ngx_http_fermata_line_t *line,
    const Fermata__Envelope *envelope);


/* Of this process: set when its event loop runs. */

static ngx_http_fermata_line_t  *ngx_http_fermata_line;


ngx_int_t
ngx_http_fermata_client_start(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_line_t  *line;

    if (ngx_http_fermata_line || mcf->sh == NULL) {
        return NGX_OK;
    }

    line = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_fermata_line_t));
    if (line == NULL) {
        return NGX_ERROR;
    }

    line->mcf = mcf;
    line->retry = NGX_HTTP_FERMATA_RETRY_MIN;
    line->dial_at = ngx_current_msec;
    line->reported_at = ngx_current_msec;
    line->watched_at = ngx_current_msec - NGX_HTTP_FERMATA_CALM_MS;

    line->dummy.fd = (ngx_socket_t) -1;

    line->tick.handler = ngx_http_fermata_line_handler;
    line->tick.data = &line->dummy;
    line->tick.log = ngx_cycle->log;
    line->tick.cancelable = 1;

    ngx_http_fermata_line = line;

    (void) ngx_http_fermata_watch((ngx_cycle_t *) ngx_cycle, mcf->sh->bell,
                                  ngx_http_fermata_bell_handler);

    /* the newest manager of a zone is the only one that acts */

    mcf->sh->manager = ngx_pid;
    mcf->sh->connected = 0;
    ngx_memory_barrier();
    ngx_http_fermata_ring(mcf->sh->bell);

    /* one that was killed while it wrote has left this odd */

    if (mcf->sh->text & 1) {
        ngx_http_fermata_prove(mcf);
    }

    ngx_http_fermata_line_look(line);

    return NGX_OK;
}


static void
ngx_http_fermata_bell_handler(ngx_event_t *ev)
{
    ngx_http_fermata_line_look(ngx_http_fermata_line);
}


static void
ngx_http_fermata_line_handler(ngx_event_t *ev)
{
    ngx_http_fermata_line_look(ngx_http_fermata_line);
}


/* Says that what was taken is in force, once it is; NGX_AGAIN before. */

static ngx_int_t
ngx_http_fermata_try_proof(ngx_http_fermata_line_t *line)
{
    ngx_http_fermata_shctx_t  *sh;

    sh = line->mcf->sh;

    if (sh->proved.voice.epoch == sh->taken.voice.epoch
        && sh->proved.voice.seq == sh->taken.voice.seq)
    {
        return NGX_OK;
    }

    if (!ngx_http_fermata_is_in_force(sh)) {
        return NGX_AGAIN;
    }

    ngx_http_fermata_prove(line->mcf);

    line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "fermata: %uL.%uL is in force",
                  sh->proved.voice.epoch, sh->proved.voice.seq);

    return NGX_OK;
}


/* Everything that is done without being told by the peer. */

static void
ngx_http_fermata_line_look(ngx_http_fermata_line_t *line)
{
    ngx_msec_t              next, since;
    ngx_uint_t              owed;
    ngx_http_fermata_sum_t  sum;

    if (line->is_retired || ngx_http_fermata_is_deposed(line)) {
        return;
    }

    ngx_http_fermata_watch_file(line);
    ngx_http_fermata_obey(line);

    next = NGX_HTTP_FERMATA_CALM_MS;

    if (ngx_http_fermata_try_proof(line) == NGX_AGAIN) {
        next = NGX_HTTP_FERMATA_BUSY_MS;
    }

    ngx_http_fermata_sum(line->mcf->sh, &sum);

    owed = ngx_http_fermata_owed(line, &sum);

    if (owed) {
        next = NGX_HTTP_FERMATA_BUSY_MS;
    }

    ngx_http_fermata_line_keep(line);

    since = ngx_current_msec - line->reported_at;

    if (line->state == ngx_http_fermata_st_up
        && (since >= NGX_HTTP_FERMATA_REPORT_BEAT
            || (owed != line->reported
                && (owed == 0 || since >= NGX_HTTP_FERMATA_REPORT_MS))))
    {
        line->reported = owed;
        ngx_http_fermata_report(line, &sum);
    }

    if (line->tick.timer_set) {
        ngx_del_timer(&line->tick);
    }

    ngx_add_timer(&line->tick, next);
}


/* After a reload: the old manager lives for a moment beside the new one. */

static ngx_uint_t
ngx_http_fermata_is_deposed(ngx_http_fermata_line_t *line)
{
    if (line->mcf->sh->manager == (ngx_atomic_uint_t) ngx_pid) {
        return 0;
    }

    line->is_retired = 1;

    if (line->tick.timer_set) {
        ngx_del_timer(&line->tick);
    }

    ngx_http_fermata_hang_up(line, "a newer manager has taken over");

    return 1;
}


static void
ngx_http_fermata_line_keep(ngx_http_fermata_line_t *line)
{
    ngx_msec_t          now, limit;
    Fermata__Envelope   envelope = FERMATA__ENVELOPE__INIT;
    Fermata__Heartbeat  beat = FERMATA__HEARTBEAT__INIT;

    now = ngx_current_msec;

    if (line->state == ngx_http_fermata_st_idle) {

        if (line->mcf->coordinators
            && (ngx_msec_int_t) (now - line->dial_at) >= 0)
        {
            ngx_http_fermata_dial(line);
        }

        return;
    }

    limit = line->state == ngx_http_fermata_st_up ? line->lost
                                                  : NGX_HTTP_FERMATA_WELCOME;

    if (now - line->heard_at > limit) {
        ngx_http_fermata_hang_up(line, "it is silent");
        return;
    }

    if (line->state == ngx_http_fermata_st_up
        && now - line->beat_at >= line->heartbeat)
    {
        line->beat_at = now;

        beat.count = ++line->beats;
        envelope.body_case = FERMATA__ENVELOPE__BODY_HEARTBEAT;
        envelope.heartbeat = &beat;

        ngx_http_fermata_send(line, &envelope);
    }
}


/*
 * The manager of another zone, before or after the change of the binary, may
 * have been told something that we were not; and our predecessor may have been
 * killed between file and word.
 */

static void
ngx_http_fermata_watch_file(ngx_http_fermata_line_t *line)
{
    u_char              path[NGX_MAX_PATH + 1];
    ngx_str_t          *dir;
    ngx_file_info_t     fi;
    struct fm_gate_ask  ask;

    if (ngx_current_msec - line->watched_at < NGX_HTTP_FERMATA_CALM_MS) {
        return;
    }

    line->watched_at = ngx_current_msec;

    dir = &line->mcf->path->name;

    ngx_snprintf(path, sizeof(path), "%V/state%Z", dir);

    if (ngx_file_info(path, &fi) == NGX_FILE_ERROR
        || (line->uniq == ngx_file_uniq(&fi)
            && line->mtime == ngx_file_mtime(&fi)))
    {
        return;
    }

    line->uniq = ngx_file_uniq(&fi);
    line->mtime = ngx_file_mtime(&fi);

    if (ngx_http_fermata_state_read(dir, "state", &ask, ngx_cycle->log)
        != NGX_OK
        || fm_gate_hear(&line->mcf->sh->taken, &ask) != FM_GATE_TAKE)
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "fermata: %uL.%uL taken from the state file",
                  ask.voice.epoch, ask.voice.seq);

    ngx_http_fermata_store(line->mcf, &ask);
    ngx_http_fermata_ring(line->mcf->sh->wake);
}


static void
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
    line->peer.log = ngx_cycle->log;
    line->peer.log_error = NGX_ERROR_INFO;

    line->heard_at = ngx_current_msec;
    line->in_len = 0;
    line->out_len = 0;
    line->state = ngx_http_fermata_st_connecting;

    rc = ngx_event_connect_peer(&line->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_fermata_hang_up(line, "it cannot be reached");
        return;
    }

    c = line->peer.connection;
    c->data = line;
    c->log = ngx_cycle->log;
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


/* TLS: its handshake belongs here, and ends in ngx_http_fermata_begin(). */

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

    ngx_http_fermata_begin(line);
}


static void
ngx_http_fermata_begin(ngx_http_fermata_line_t *line)
{
    ngx_connection_t  *c;

    c = line->peer.connection;

    line->state = ngx_http_fermata_st_hello;
    line->heard_at = ngx_current_msec;

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


static void
ngx_http_fermata_hang_up(ngx_http_fermata_line_t *line, const char *why)
{
    ngx_uint_t  level;

    if (line->state == ngx_http_fermata_st_idle) {
        return;
    }

    /* the first of a row of failures is worth a line, the others are not */

    level = line->is_silent ? NGX_LOG_INFO : NGX_LOG_WARN;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "fermata: no line to coordinator %V: %s",
                  &line->addr->name, why);

    line->is_silent = 1;

    if (line->peer.connection) {
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

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
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
    ngx_pool_t         *pool;
    const char         *fault;
    Fermata__Envelope  *envelope;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return "no memory";
    }

    envelope = ngx_http_fermata_frame_unpack(pool, data, size);

    if (envelope == NULL) {
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

    ngx_destroy_pool(pool);

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

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
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


/* Whether a whole ask is to be carried out; line->why says why it is not. */

static ngx_uint_t
ngx_http_fermata_is_welcome(ngx_http_fermata_line_t *line,
    const struct fm_gate_ask *ask)
{
    u_char                    *last;
    const struct fm_gate_ask  *taken;

    taken = line->is_pending ? &line->pending : &line->mcf->sh->taken;
    last = line->why + sizeof(line->why);

    switch (fm_gate_hear(taken, ask)) {

    case FM_GATE_TAKE:
    case FM_GATE_REPEAT:
        break;

    case FM_GATE_STALE:
        (void) ngx_slprintf(line->why, last,
                            "%uL.%uL is refused, %uL.%uL has been obeyed%Z",
                            ask->voice.epoch, ask->voice.seq,
                            taken->voice.epoch, taken->voice.seq);
        return 0;

    default: /* FM_GATE_CLASH */
        (void) ngx_slprintf(line->why, last,
                            "%uL.%uL has been obeyed with other rules%Z",
                            ask->voice.epoch, ask->voice.seq);
        return 0;
    }

    if (ask->mode == FM_GATE_PINNED
        && ngx_http_fermata_find_node(line->mcf->sh, ask->pinned)
           == FM_GATE_NO_NODE)
    {
        (void) ngx_slprintf(line->why, last,
                            "node \"%s\" is not known to this gate%Z",
                            ask->pinned);
        return 0;
    }

    return 1;
}


/* Checked, weighed, and kept until it is on disk. */

static const char *
ngx_http_fermata_ask(ngx_http_fermata_line_t *line,
    const Fermata__GateAsk *msg)
{
    struct fm_gate_ask         ask;
    const struct fm_gate_ask  *taken;

    if (ngx_http_fermata_ask_from(msg, &ask) != NGX_OK) {
        return "it has sent an ask that makes no sense";
    }

    if (ngx_http_fermata_is_deposed(line)) {
        return NULL;
    }

    /* whatever becomes of it, it is answered */

    line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;

    if (!ngx_http_fermata_is_welcome(line, &ask)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "fermata: %s",
                      line->why);
        line->error = (const char *) line->why;
        return NULL;
    }

    /* the same voice may bring other words for visitors */

    taken = line->is_pending ? &line->pending : &line->mcf->sh->taken;

    if (ngx_memcmp(taken, &ask, sizeof(struct fm_gate_ask)) == 0) {
        return NULL;
    }

    line->pending = ask;
    line->is_pending = 1;
    line->write_at = ngx_current_msec;
    line->error = NULL;

    ngx_http_fermata_obey(line);

    return NULL;
}


/* On disk first, then in force, then said. */

static void
ngx_http_fermata_obey(ngx_http_fermata_line_t *line)
{
    ngx_int_t                      rc;
    const char                    *why;
    ngx_http_fermata_shctx_t      *sh;
    ngx_http_fermata_main_conf_t  *mcf;

    if (!line->is_pending
        || (ngx_msec_int_t) (ngx_current_msec - line->write_at) < 0)
    {
        return;
    }

    mcf = line->mcf;
    sh = mcf->sh;

    rc = ngx_http_fermata_state_write(&mcf->path->name, &line->pending,
                                      ngx_cycle->log, &why);

    if (rc == NGX_DECLINED) {
        line->is_pending = 0;
        line->error = why;
        line->watched_at = ngx_current_msec - NGX_HTTP_FERMATA_CALM_MS;
        line->mtime = 0;
        return;
    }

    if (rc != NGX_OK) {
        line->error = why;
        line->write_at = ngx_current_msec + NGX_HTTP_FERMATA_HEARTBEAT;
        line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;
        return;
    }

    line->is_pending = 0;
    line->error = NULL;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "fermata: %uL.%uL, mode %d, pinned \"%s\", %ud drained",
                  line->pending.voice.epoch, line->pending.voice.seq,
                  (int) line->pending.mode, line->pending.pinned,
                  line->pending.drained_count);

    ngx_http_fermata_store(mcf, &line->pending);
    ngx_http_fermata_ring(sh->wake);

    /* more zeal than the clock: nothing may be reported of before */

    line->reported = (ngx_uint_t) -1;
}


/* Requests and websockets that the ask in force wants gone. */

static ngx_uint_t
ngx_http_fermata_owed(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum)
{
    uint64_t    word;
    ngx_uint_t  i, owed;

    word = line->mcf->sh->word;

    if (fm_gate_word_mode(word) == FM_GATE_CLOSED) {
        return sum->in_flight + sum->websockets;
    }

    owed = 0;

    for (i = 0; i < line->mcf->sh->nnodes; i++) {
        if (!fm_gate_may_use(word, (int) i)) {
            owed += sum->nodes[i] + sum->sockets[i];
        }
    }

    return owed;
}


static void
ngx_http_fermata_report(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum)
{
    char                      *drained[FM_NODES_MAX];
    ngx_uint_t                 i;
    struct fm_gate_ask        *proved;
    Fermata__Envelope          envelope = FERMATA__ENVELOPE__INIT;
    Fermata__GateReport        report = FERMATA__GATE_REPORT__INIT;
    Fermata__NodeTraffic       traffic[NGX_HTTP_FERMATA_NODES];
    Fermata__NodeTraffic      *nodes[NGX_HTTP_FERMATA_NODES];
    ngx_http_fermata_shctx_t  *sh;

    sh = line->mcf->sh;
    proved = &sh->proved;

    for (i = 0; i < proved->drained_count; i++) {
        drained[i] = proved->drained[i];
    }

    for (i = 0; i < sh->nnodes; i++) {
        fermata__node_traffic__init(&traffic[i]);

        traffic[i].name = (char *) sh->nodes[i];
        traffic[i].in_flight = (uint32_t) sum->nodes[i];
        traffic[i].websockets = (uint32_t) sum->sockets[i];

        nodes[i] = &traffic[i];
    }

    report.epoch = proved->voice.epoch;
    report.seq = proved->voice.seq;
    report.mode = (Fermata__GateMode) proved->mode;
    report.pinned = proved->pinned;
    report.n_drained = proved->drained_count;
    report.drained = drained;
    report.n_nodes = sh->nnodes;
    report.nodes = nodes;
    report.in_flight = (uint32_t) sum->in_flight;
    report.websockets = (uint32_t) sum->websockets;
    report.workers = (uint32_t) sum->workers;
    report.passed = sum->passed;
    report.refused = sum->refused;
    report.error = (char *) (line->error ? line->error : "");

    envelope.body_case = FERMATA__ENVELOPE__BODY_GATE_REPORT;
    envelope.gate_report = &report;

    line->reported_at = ngx_current_msec;

    ngx_http_fermata_send(line, &envelope);
}


static void
ngx_http_fermata_hello(ngx_http_fermata_line_t *line)
{
    char                       name[FM_NAME_SIZE];
    Fermata__Hello             hello = FERMATA__HELLO__INIT;
    Fermata__Envelope          envelope = FERMATA__ENVELOPE__INIT;
    ngx_http_fermata_shctx_t  *sh;

    sh = line->mcf->sh;

    (void) ngx_cpystrn((u_char *) name, line->mcf->name.data,
                       ngx_min(line->mcf->name.len + 1, sizeof(name)));

    hello.major = FM_WIRE_MAJOR;
    hello.minor = FM_WIRE_MINOR;
    hello.role = FERMATA__ROLE__ROLE_GATE;
    hello.name = name;
    hello.program = "ngx_http_fermata_module/" NGX_HTTP_FERMATA_VERSION
                    " " NGINX_VER;
    hello.instance = (char *) sh->instance;
    hello.epoch = sh->taken.voice.epoch;
    hello.seq = sh->taken.voice.seq;

    envelope.body_case = FERMATA__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;

    ngx_http_fermata_send(line, &envelope);
}


static void
ngx_http_fermata_send(ngx_http_fermata_line_t *line,
    const Fermata__Envelope *envelope)
{
    ngx_str_t    frame;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_http_fermata_frame_pack(pool, envelope, &frame) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

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
