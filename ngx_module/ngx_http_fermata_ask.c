
/*
 * Hello, asks and reports.
 */


#include "ngx_http_fermata_client.h"


static uint32_t ngx_http_fermata_visitors(uint64_t word, ngx_uint_t all,
    ngx_uint_t bypassed);
static void ngx_http_fermata_report_sum(Fermata__GateReport *report,
    ngx_http_fermata_shctx_t *sh, ngx_http_fermata_sum_t *sum);
static void ngx_http_fermata_fill(struct fm_gate_ask *ask,
    const struct fm_gate_ask *taken);
static ngx_uint_t ngx_http_fermata_is_welcome(ngx_http_fermata_line_t *line,
    const struct fm_gate_ask *ask, const struct fm_gate_ask *taken);


#if (NGX_DEBUG)

static const char  *ngx_http_fermata_hearings[] = {
    "taken", "repeated", "stale", "clash"
};

#endif


/* A coordinator without an opinion: its voice counts, all else stays. */

static void
ngx_http_fermata_fill(struct fm_gate_ask *ask, const struct fm_gate_ask *taken)
{
    uint64_t         run;
    struct fm_voice  voice;

    if (ask->mode != FM_GATE_NONE) {
        return;
    }

    run = ask->run;
    voice = ask->voice;

    *ask = *taken;

    ask->run = run;
    ask->voice = voice;
}


/* Whether a whole ask is to be carried out; line->why says why it is not. */

static ngx_uint_t
ngx_http_fermata_is_welcome(ngx_http_fermata_line_t *line,
    const struct fm_gate_ask *ask, const struct fm_gate_ask *taken)
{
    u_char                *last;
    enum fm_gate_hearing   hearing;

    last = line->why + sizeof(line->why);

    hearing = fm_gate_hear(taken, ask);

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, &line->mcf->log, 0,
                   "fermata ask %uL.%uL: %s, mode:%d",
                   ask->voice.epoch, ask->voice.seq,
                   ngx_http_fermata_hearings[hearing], (int) ask->mode);

    switch (hearing) {

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

const char *
ngx_http_fermata_ask(ngx_http_fermata_line_t *line,
    const Fermata__GateAsk *msg)
{
    struct fm_err              err;
    struct fm_gate_ask         ask;
    const struct fm_gate_ask  *taken;

    if (fm_gate_ask_from(msg, &ask, &err) != 0) {
        ngx_log_error(NGX_LOG_WARN, &line->mcf->log, 0, "fermata: %s",
                      err.text);
        return "it has sent an ask that makes no sense";
    }

    if (ngx_http_fermata_is_deposed(line)) {
        return NULL;
    }

    taken = line->is_pending ? &line->pending : &line->mcf->sh->taken;

    ngx_http_fermata_fill(&ask, taken);

    /* whatever becomes of it, it is answered */

    line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;

    if (!ngx_http_fermata_is_welcome(line, &ask, taken)) {
        ngx_log_error(NGX_LOG_WARN, &line->mcf->log, 0, "fermata: %s",
                      line->why);
        line->error = (const char *) line->why;
        return NULL;
    }

    /* the same voice may bring other words for visitors */

    if (ngx_memcmp(taken, &ask, sizeof(struct fm_gate_ask)) == 0) {

        /* what was refused in between is settled */

        if (!line->is_pending) {
            line->error = NULL;
            ngx_http_fermata_told(line->mcf);
        }

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

void
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
                                      &line->mcf->log, &why);

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

    ngx_log_error(NGX_LOG_NOTICE, &line->mcf->log, 0,
                  "fermata: %uL.%uL, mode %d, pinned \"%s\", %ud drained",
                  line->pending.voice.epoch, line->pending.voice.seq,
                  (int) line->pending.mode, line->pending.pinned,
                  line->pending.drained_count);

    ngx_http_fermata_store(mcf, &line->pending);
    ngx_http_fermata_told(mcf);
    ngx_http_fermata_ring(sh->wake);

    /* more zeal than the clock: nothing may be reported of before */

    line->reported = (ngx_uint_t) -1;
}


/*
 * Nobody waits for the end of an operator's requests as long as he may make
 * them; when he may not any more they count like all others.
 */

static uint32_t
ngx_http_fermata_visitors(uint64_t word, ngx_uint_t all, ngx_uint_t bypassed)
{
    if (!fm_gate_has_bypass(word)) {
        return (uint32_t) all;
    }

    return (uint32_t) (all > bypassed ? all - bypassed : 0);
}


/* Requests, websockets and kept connections that the rule wants gone. */

ngx_uint_t
ngx_http_fermata_owed(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum)
{
    uint64_t    word;
    ngx_uint_t  i, owed;

    word = line->mcf->sh->word;

    if (fm_gate_word_mode(word) == FM_GATE_CLOSED) {
        return ngx_http_fermata_visitors(word, sum->in_flight, sum->bypassed)
               + ngx_http_fermata_visitors(word, sum->websockets,
                                           sum->bypassed_sockets)
               + sum->idle;
    }

    owed = 0;

    for (i = 0; i < line->mcf->sh->nnodes; i++) {
        if (!fm_gate_may_use(word, (int) i)) {
            owed += sum->nodes[i] + sum->sockets[i] + sum->kept[i];
        }
    }

    return owed;
}


/* What goes through, and what holds it. */

static void
ngx_http_fermata_report_sum(Fermata__GateReport *report,
    ngx_http_fermata_shctx_t *sh, ngx_http_fermata_sum_t *sum)
{
    report->in_flight = ngx_http_fermata_visitors(sh->word, sum->in_flight,
                                                  sum->bypassed);
    report->websockets = ngx_http_fermata_visitors(sh->word, sum->websockets,
                                                   sum->bypassed_sockets);
    report->bypassed = (uint32_t) (sum->bypassed + sum->bypassed_sockets);
    report->tabs = (uint32_t) sum->tabs;
    report->idle = (uint32_t) sum->idle;
    report->held = (uint32_t) sum->held;
    report->workers = (uint32_t) sum->workers;
    report->generations = (uint32_t) sum->generations;
    report->override = (Fermata__GateMode) sh->override.mode;
    report->override_at = sh->override.at;
    report->override_by = sh->override.by;
    report->waiting = sh->waiting != 0;
    report->passed = sum->passed;
    report->refused = sum->refused;
}


void
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
        traffic[i].idle = (uint32_t) sum->kept[i];

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
    ngx_http_fermata_report_sum(&report, sh, sum);

    report.error = (char *) (line->error ? line->error : "");

    envelope.body_case = FERMATA__ENVELOPE__BODY_GATE_REPORT;
    envelope.gate_report = &report;

    line->reported_at = ngx_current_msec;

    ngx_log_debug5(NGX_LOG_DEBUG_CORE, &line->mcf->log, 0,
                   "fermata reports %uL.%uL, in flight:%uD websockets:%uD "
                   "error:\"%s\"",
                   report.epoch, report.seq, report.in_flight,
                   report.websockets, report.error);

    ngx_http_fermata_send(line, &envelope);
}


void
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
