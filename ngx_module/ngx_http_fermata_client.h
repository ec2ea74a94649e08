
/*
 * The coordinator's line, within the process that is its client.
 */


#ifndef _NGX_HTTP_FERMATA_CLIENT_H_INCLUDED_
#define _NGX_HTTP_FERMATA_CLIENT_H_INCLUDED_


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

/* workers are woken so often, to count rides by node while the gate is open */
#define NGX_HTTP_FERMATA_WAKE_MS       1000

/* without a coordinator for so long it is not known any more what is down */
#define NGX_HTTP_FERMATA_ALONE_MS      5000

#define NGX_HTTP_FERMATA_OUT_MAX       65536


typedef enum {
    ngx_http_fermata_st_idle = 0,
    ngx_http_fermata_st_connecting,
    ngx_http_fermata_st_hello,
    ngx_http_fermata_st_up
} ngx_http_fermata_line_state_e;


struct ngx_http_fermata_line_s {
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
    ngx_msec_t                       alone_at;  /* 0: connected */
    uint64_t                         beats;

    ngx_msec_t                       reported_at;
    ngx_uint_t                       reported;  /* rides on what is denied */
    ngx_msec_t                       watched_at;
    ngx_msec_t                       woke_at;
    time_t                           mtime;
    ngx_file_uniq_t                  uniq;

    /* taken, but not on disk yet */
    struct fm_gate_ask               pending;
    ngx_msec_t                       write_at;
    const char                      *error;

    /* by hand on this host: see ngx_http_fermata_local.c */
    ngx_msec_t                       local_at;
    ngx_file_uniq_t                  override_uniq;
    char                             local_id[17];
    u_char                           why[FM_TEXT_SIZE];

    size_t                           in_len;
    size_t                           out_len;
    u_char                           in[FM_FRAME_HEAD
                                        + NGX_HTTP_FERMATA_FRAME_MAX];
    u_char                           out[NGX_HTTP_FERMATA_OUT_MAX];

    unsigned                         is_pending:1;
    unsigned                         is_silent:1;   /* told the log once */
    unsigned                         is_retired:1;
};


/* what is due: ngx_http_fermata_client.c */

void ngx_http_fermata_line_look(ngx_http_fermata_line_t *line);
ngx_uint_t ngx_http_fermata_is_deposed(ngx_http_fermata_line_t *line);


/* without a coordinator: ngx_http_fermata_wait.c */

void ngx_http_fermata_wait_look(ngx_http_fermata_line_t *line);
void ngx_http_fermata_alone_look(ngx_http_fermata_line_t *line);


/* by hand: ngx_http_fermata_override.c, ngx_http_fermata_local.c */

void ngx_http_fermata_watch_override(ngx_http_fermata_line_t *line);
void ngx_http_fermata_do_override(ngx_http_fermata_line_t *line,
    enum fm_gate_mode mode, const char *by);

void ngx_http_fermata_local_look(ngx_http_fermata_line_t *line);
void ngx_http_fermata_local_answer(ngx_http_fermata_line_t *line);


/* bytes: ngx_http_fermata_line.c */

void ngx_http_fermata_dial(ngx_http_fermata_line_t *line);
void ngx_http_fermata_begin(ngx_http_fermata_line_t *line);
void ngx_http_fermata_hang_up(ngx_http_fermata_line_t *line, const char *why);
void ngx_http_fermata_send(ngx_http_fermata_line_t *line,
    const Fermata__Envelope *envelope);


/* TLS, if it is configured: ngx_http_fermata_ssl.c */

void ngx_http_fermata_ssl_connect(ngx_http_fermata_line_t *line);
void ngx_http_fermata_ssl_close(ngx_connection_t *c);


/* asks and reports: ngx_http_fermata_ask.c; a fault is returned, or NULL */

void ngx_http_fermata_hello(ngx_http_fermata_line_t *line);
const char *ngx_http_fermata_ask(ngx_http_fermata_line_t *line,
    const Fermata__GateAsk *msg);
void ngx_http_fermata_obey(ngx_http_fermata_line_t *line);
ngx_uint_t ngx_http_fermata_owed(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum);
void ngx_http_fermata_report(ngx_http_fermata_line_t *line,
    ngx_http_fermata_sum_t *sum);


#endif /* _NGX_HTTP_FERMATA_CLIENT_H_INCLUDED_ */
