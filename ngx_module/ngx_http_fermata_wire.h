
/*
 * Frames of the coordinator's line.
 */


#ifndef _NGX_HTTP_FERMATA_WIRE_H_INCLUDED_
#define _NGX_HTTP_FERMATA_WIRE_H_INCLUDED_


#include "ngx_http_fermata_module.h"

#include "wire/frame.h"


/*
 * NULL: not an envelope, a body that is not known, one that a coordinator may
 * not send, or one that would take too much memory.
 */
Fermata__Envelope *ngx_http_fermata_frame_unpack(ngx_pool_t *pool,
    u_char *data, size_t size);
ngx_int_t ngx_http_fermata_frame_pack(ngx_pool_t *pool,
    const Fermata__Envelope *envelope, ngx_str_t *frame);

/* NGX_ERROR: a text too long, a name that is none, a mode that is none. */
ngx_int_t ngx_http_fermata_ask_from(const Fermata__GateAsk *msg,
    struct fm_gate_ask *ask);


#endif /* _NGX_HTTP_FERMATA_WIRE_H_INCLUDED_ */
