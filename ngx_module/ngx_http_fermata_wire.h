
/*
 * Frames of the coordinator's line.
 */


#ifndef _NGX_HTTP_FERMATA_WIRE_H_INCLUDED_
#define _NGX_HTTP_FERMATA_WIRE_H_INCLUDED_


#include "ngx_http_fermata_module.h"

#include "wire/convert.h"
#include "wire/frame.h"


ngx_int_t ngx_http_fermata_frame_pack(ngx_pool_t *pool,
    const Fermata__Envelope *envelope, ngx_str_t *frame);


#endif /* _NGX_HTTP_FERMATA_WIRE_H_INCLUDED_ */
