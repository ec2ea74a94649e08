
/*
 * What a gate does without a coordinator: between its start and the first word
 * of one (fermata_start_wait), and in a hole that nobody tells the end of.
 */


#include "ngx_http_fermata_client.h"


/* fermata_start_wait time | forever; */

char *
ngx_http_fermata_start_wait(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "forever") != 0) {
        return ngx_conf_set_msec_slot(cf, cmd, conf);
    }

    if (mcf->start_wait != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    mcf->start_wait = NGX_HTTP_FERMATA_FOREVER;

    return NGX_CONF_OK;
}


/*
 * While this nginx was away the cluster may have been closed, or be in the
 * middle of an upgrade: what the file says is not to be believed before the
 * coordinator had a chance to say otherwise.  A new binary beside the old one
 * was not away.
 */

void
ngx_http_fermata_begin_wait(ngx_http_fermata_main_conf_t *mcf,
    const struct fm_gate_ask *ask, ngx_log_t *log)
{
    if (mcf->coordinators == NULL || mcf->start_wait == 0 || ngx_inherited
        || ask->mode == FM_GATE_CLOSED)
    {
        return;
    }

    mcf->sh->waiting = 1;

    if (mcf->start_wait == NGX_HTTP_FERMATA_FOREVER) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "fermata: the page until a coordinator has said what "
                      "is wanted now, however long that takes");
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "fermata: the page until a coordinator has said what is "
                  "wanted now, for %M ms at most", mcf->start_wait);
}


/* The newest ask is known, or is waited for no longer. */

void
ngx_http_fermata_told(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    if (!sh->waiting) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, &mcf->log, 0,
                   "fermata waits no longer, %uL.%uL",
                   sh->taken.voice.epoch, sh->taken.voice.seq);

    ngx_shmtx_lock(&mcf->shpool->mutex);

    sh->waiting = 0;
    ngx_http_fermata_reckon(sh);

    ngx_shmtx_unlock(&mcf->shpool->mutex);
}


/*
 * A gate that has just started has waited long enough.  What it was told and
 * could not write down is not forgotten over that.
 */

void
ngx_http_fermata_wait_look(ngx_http_fermata_line_t *line)
{
    ngx_msec_t                 until;
    ngx_http_fermata_shctx_t  *sh;

    sh = line->mcf->sh;

    if (!sh->waiting || line->mcf->start_wait == NGX_HTTP_FERMATA_FOREVER) {
        return;
    }

    if (sh->wait_until == 0) {
        until = ngx_current_msec + line->mcf->start_wait;
        sh->wait_until = until ? until : 1;
    }

    if (line->is_pending
        || (ngx_msec_int_t) (ngx_current_msec - sh->wait_until) < 0)
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, &line->mcf->log, 0,
                  "fermata: no word from a coordinator, %uL.%uL is in force "
                  "again", sh->taken.voice.epoch, sh->taken.voice.seq);

    ngx_http_fermata_told(line->mcf);
}


/*
 * That no node is there was true when it was said.  Without a coordinator
 * nobody says when it is over: nginx finds out by itself.
 */

void
ngx_http_fermata_alone_look(ngx_http_fermata_line_t *line)
{
    ngx_uint_t                 alone;
    ngx_http_fermata_shctx_t  *sh;

    sh = line->mcf->sh;

    if (line->state == ngx_http_fermata_st_up) {
        line->alone_at = 0;
        alone = 0;

    } else {

        if (line->alone_at == 0) {
            line->alone_at = ngx_current_msec ? ngx_current_msec : 1;
        }

        /* the manager before this one may have waited already */

        alone = sh->alone
                || ngx_current_msec - line->alone_at
                   >= NGX_HTTP_FERMATA_ALONE_MS;
    }

    if (alone == sh->alone) {
        return;
    }

    if (alone && sh->taken.hole) {
        ngx_log_error(NGX_LOG_WARN, &line->mcf->log, 0,
                      "fermata: no coordinator, and no node was there: "
                      "requests are sent to them again");
    }

    ngx_shmtx_lock(&line->mcf->shpool->mutex);

    sh->alone = alone;
    ngx_http_fermata_reckon(sh);

    ngx_shmtx_unlock(&line->mcf->shpool->mutex);
}
