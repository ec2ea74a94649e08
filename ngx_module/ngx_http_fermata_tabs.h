
/*
 * Open tabs: websockets that the gate itself keeps while the application is
 * away.
 */


#ifndef _NGX_HTTP_FERMATA_TABS_H_INCLUDED_
#define _NGX_HTTP_FERMATA_TABS_H_INCLUDED_


#include "ngx_http_fermata_module.h"
#include "fm_websocket.h"


/* One or more frames as bytes; many sockets may be sent the same. */

typedef struct {
    ngx_uint_t                       refs;
    size_t                           len;
    u_char                           data[1];
} ngx_http_fermata_frame_t;


typedef struct {
    ngx_queue_t                      queue;
    ngx_connection_t                *connection;
    ngx_http_fermata_main_conf_t    *mcf;

    ngx_http_fermata_frame_t        *frame;     /* on its way */
    size_t                           sent;      /* so much of it */

    ngx_atomic_uint_t                told;      /* number of the news */
    ngx_msec_t                       period;    /* between two pings */
    uint32_t                         discarded;

    unsigned                         code:16;   /* close with it; 0: do not */
    unsigned                         silent:8;  /* periods without a byte */
    unsigned                         leaving:1; /* the farewell is next */
    unsigned                         ping:1;    /* one is due */
    unsigned                         closing:1; /* nothing more is sent */
    unsigned                         closed:1;  /* the other side is done */
    unsigned                         deaf:1;    /* nothing more is read */

    struct fm_websocket              parser;
} ngx_http_fermata_tab_t;


/* one socket: ngx_http_fermata_tab.c */

ngx_http_fermata_tab_t *ngx_http_fermata_tab_create(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf, ngx_msec_t timeout);
void ngx_http_fermata_tab_input(ngx_http_fermata_tab_t *tab, u_char *data,
    size_t len);
void ngx_http_fermata_tab_open(ngx_http_fermata_tab_t *tab);

/* Sends what is to be sent; the socket may be closed afterwards. */
void ngx_http_fermata_tab_push(ngx_http_fermata_tab_t *tab);


/* all sockets of a worker and cluster, what they are told: ngx_http_fermata_tabs.c */

ngx_uint_t ngx_http_fermata_tabs_are_full(
    ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_tabs_add(ngx_http_fermata_tab_t *tab);

/* What a waiting socket is told, held once more; its number; NULL as above. */
ngx_http_fermata_frame_t *ngx_http_fermata_tabs_news(
    ngx_http_fermata_main_conf_t *mcf, ngx_atomic_uint_t *told);
ngx_uint_t ngx_http_fermata_tabs_is_news(ngx_http_fermata_main_conf_t *mcf,
    ngx_atomic_uint_t told);

/* What it is told at the end, its close frame included. */
ngx_http_fermata_frame_t *ngx_http_fermata_tabs_farewell(
    ngx_http_fermata_main_conf_t *mcf);


/* bytes: ngx_http_fermata_frame.c */

/* A frame with room for len bytes, held once; NULL without memory. */
ngx_http_fermata_frame_t *ngx_http_fermata_frame_create(size_t len);
void ngx_http_fermata_frame_free(ngx_http_fermata_frame_t *frame);

/* What tabs are told of an ask, at the end with its close frame; a ping. */
ngx_http_fermata_frame_t *ngx_http_fermata_frame_news(
    const struct fm_gate_ask *ask);
ngx_http_fermata_frame_t *ngx_http_fermata_frame_farewell(ngx_uint_t refresh);
ngx_http_fermata_frame_t *ngx_http_fermata_frame_ping(void);


#endif /* _NGX_HTTP_FERMATA_TABS_H_INCLUDED_ */
