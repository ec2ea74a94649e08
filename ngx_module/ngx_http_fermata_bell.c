
/*
 * Bells between processes: two eventfds for each zone, to its workers and to
 * its manager.
 *
 * Made by the master and kept as long as one of its cycles has the zone, so
 * that workers of every generation have both under the same number; a new
 * binary makes its own.
 */


#include "ngx_http_fermata_module.h"

#include <sys/eventfd.h>


static void ngx_http_fermata_release_fds(void *data);


ngx_int_t
ngx_http_fermata_open_fds(ngx_http_fermata_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_http_fermata_fds_t  *fds;

    fds = ngx_alloc(sizeof(ngx_http_fermata_fds_t), log);
    if (fds == NULL) {
        return NGX_ERROR;
    }

    fds->refs = 1;
    fds->wake = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    fds->bell = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    mcf->fds = fds;

    if (fds->wake == -1 || fds->bell == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "eventfd() failed");
        return NGX_ERROR;
    }

    mcf->sh->wake = fds->wake;
    mcf->sh->bell = fds->bell;

    return NGX_OK;
}


/* The next cycle has the zone, too. */

void
ngx_http_fermata_share_fds(ngx_http_fermata_main_conf_t *mcf,
    ngx_http_fermata_main_conf_t *old)
{
    mcf->fds = old->fds;

    if (mcf->fds) {
        mcf->fds->refs++;
    }
}


/*
 * With the pool of its cycle: after a reload that of the cycle before, after a
 * failed one that of the cycle that has come to nothing.
 */

ngx_int_t
ngx_http_fermata_keep_fds(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *mcf)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_fermata_release_fds;
    cln->data = mcf;

    return NGX_OK;
}


static void
ngx_http_fermata_release_fds(void *data)
{
    ngx_http_fermata_main_conf_t *mcf = data;

    ngx_http_fermata_fds_t  *fds;

    fds = mcf->fds;

    if (fds == NULL || --fds->refs) {
        return;
    }

    if (fds->wake != -1) {
        (void) close(fds->wake);
    }

    if (fds->bell != -1) {
        (void) close(fds->bell);
    }

    ngx_free(fds);
    mcf->fds = NULL;
}


void
ngx_http_fermata_ring(ngx_fd_t fd)
{
    uint64_t  one;

    if (fd == -1) {
        return;
    }

    one = 1;

    /* EAGAIN: so many rings wait that another adds nothing */

    if (write(fd, &one, sizeof(uint64_t)) == -1
        && ngx_errno != NGX_EAGAIN)
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "write() to eventfd failed");
    }
}


/*
 * Edge triggered and never read: each write wakes every process that watches,
 * of whatever generation.
 */

ngx_int_t
ngx_http_fermata_watch(ngx_cycle_t *cycle, ngx_fd_t fd,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    if (fd == -1 || (ngx_event_flags & NGX_USE_CLEAR_EVENT) == 0) {
        return NGX_DECLINED;
    }

    c = ngx_get_connection(fd, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = data;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->read->handler = handler;

    /* like the master's channel: no obstacle to a graceful end */

    c->read->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    return NGX_OK;
}
