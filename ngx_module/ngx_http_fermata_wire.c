
/*
 * Frames on their way out.  What comes in is read by proto/wire, as all
 * programs do.
 */


#include "ngx_http_fermata_wire.h"

#include "base/check.h"


/* A whole frame, in memory of the pool. */

ngx_int_t
ngx_http_fermata_frame_pack(ngx_pool_t *pool, const Fermata__Envelope *envelope,
    ngx_str_t *frame)
{
    size_t  size;

    size = fermata__envelope__get_packed_size(envelope);

    frame->len = FM_FRAME_HEAD + size;
    frame->data = ngx_pnalloc(pool, frame->len);
    if (frame->data == NULL) {
        return NGX_ERROR;
    }

    frame->data[0] = (u_char) (size >> 24);
    frame->data[1] = (u_char) (size >> 16);
    frame->data[2] = (u_char) (size >> 8);
    frame->data[3] = (u_char) size;

    (void) fermata__envelope__pack(envelope, frame->data + FM_FRAME_HEAD);

    return NGX_OK;
}


/* A fault of ours in the code that we share with the other programs. */

void
fm_check_failed(const char *cond, const char *file, int line, const char *func)
{
    ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0,
                  "fermata: internal fault: %s at %s:%d in %s",
                  cond, file, line, func);

    ngx_abort();
}
