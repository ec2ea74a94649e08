
/*
 * The client of the coordinator: what it does without being told.
 *
 * It lives in the process that nginx runs for the path of "fermata_state".
 * That process is killed, replaced and run twice at will: whatever must
 * outlive it is in the zone and in the state file.
 */


#include "ngx_http_fermata_client.h"


static void ngx_http_fermata_bell_handler(ngx_event_t *ev);
static void ngx_http_fermata_line_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_fermata_try_proof(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_line_keep(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_watch_file(ngx_http_fermata_line_t *line);


ngx_int_t
ngx_http_fermata_client_start(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_line_t  *line;

    if (mcf->line || mcf->sh == NULL) {
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
    line->dummy.data = line;

    line->tick.handler = ngx_http_fermata_line_handler;
    line->tick.data = &line->dummy;
    line->tick.log = &line->mcf->log;
    line->tick.cancelable = 1;

    mcf->line = line;

    (void) ngx_http_fermata_watch((ngx_cycle_t *) ngx_cycle, mcf->sh->bell,
                                  ngx_http_fermata_bell_handler, line);

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
    ngx_connection_t  *c;

    c = ev->data;

    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, ev->log, 0, "fermata manager is rung");

    ngx_http_fermata_line_look(c->data);
}


static void
ngx_http_fermata_line_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_http_fermata_line_look(c->data);
}


/* Says that what was taken is in force, once it is; NGX_AGAIN before. */

static ngx_int_t
ngx_http_fermata_try_proof(ngx_http_fermata_line_t *line)
{
    ngx_http_fermata_shctx_t  *sh;

    sh = line->mcf->sh;

    if (sh->proved.voice.epoch == sh->taken.voice.epoch
        && sh->proved.voice.seq == sh->taken.voice.seq
        && sh->proved_change == sh->change)
    {
        return NGX_OK;
    }

    if (!ngx_http_fermata_is_in_force(sh)) {
        return NGX_AGAIN;
    }

    ngx_http_fermata_prove(line->mcf);

    line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;

    ngx_log_error(NGX_LOG_NOTICE, &line->mcf->log, 0,
                  "fermata: %uL.%uL is in force",
                  sh->proved.voice.epoch, sh->proved.voice.seq);

    return NGX_OK;
}


/* Everything that is done without being told by the peer. */

void
ngx_http_fermata_line_look(ngx_http_fermata_line_t *line)
{
    ngx_msec_t              next, since;
    ngx_uint_t              owed;
    ngx_http_fermata_sum_t  sum;

    if (line->is_retired || ngx_http_fermata_is_deposed(line)) {
        return;
    }

    ngx_http_fermata_watch_file(line);
    ngx_http_fermata_local_look(line);
    ngx_http_fermata_obey(line);
    ngx_http_fermata_wait_look(line);
    ngx_http_fermata_alone_look(line);

    next = NGX_HTTP_FERMATA_CALM_MS;

    if (ngx_http_fermata_try_proof(line) == NGX_AGAIN) {
        next = NGX_HTTP_FERMATA_BUSY_MS;

    } else {
        ngx_http_fermata_local_answer(line);
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

    if (ngx_current_msec - line->woke_at >= NGX_HTTP_FERMATA_WAKE_MS) {
        line->woke_at = ngx_current_msec;
        ngx_http_fermata_ring(line->mcf->sh->wake);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, &line->mcf->log, 0,
                   "fermata manager: owed:%ui, looks in %M ms", owed, next);

    if (line->tick.timer_set) {
        ngx_del_timer(&line->tick);
    }

    ngx_add_timer(&line->tick, next);
}


/* After a reload: the old manager lives for a moment beside the new one. */

ngx_uint_t
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

    if (ngx_http_fermata_state_read(dir, "state", &ask, &line->mcf->log)
        != NGX_OK
        || fm_gate_hear(&line->mcf->sh->taken, &ask) != FM_GATE_TAKE)
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, &line->mcf->log, 0,
                  "fermata: %uL.%uL taken from the state file",
                  ask.voice.epoch, ask.voice.seq);

    ngx_http_fermata_store(line->mcf, &ask);
    ngx_http_fermata_told(line->mcf);
    ngx_http_fermata_ring(line->mcf->sh->wake);
}
