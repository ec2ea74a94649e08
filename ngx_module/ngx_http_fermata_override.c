
/*
 * A mode that somebody gave the gate by hand: it rules in place of every ask
 * until it is taken back by hand, and is kept in the file "override".
 */


#include "ngx_http_fermata_client.h"


static void ngx_http_fermata_note_override(ngx_http_fermata_line_t *line);


static const char  *ngx_http_fermata_override_modes[] = {
#define X(name, text)  text,
    FM_GATE_MODES(X)
#undef X
};


void
ngx_http_fermata_set_override(ngx_http_fermata_main_conf_t *mcf,
    const ngx_http_fermata_override_t *override)
{
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, &mcf->log, 0,
                   "fermata override: mode:%d loose:%ui",
                   (int) override->mode, override->loose);

    ngx_shmtx_lock(&mcf->shpool->mutex);

    sh->override = *override;
    ngx_http_fermata_reckon(sh);

    ngx_shmtx_unlock(&mcf->shpool->mutex);
}


/*
 * NGX_DECLINED: there is none.  NGX_ERROR: there is one that cannot be read;
 * somebody wanted the gate otherwise than the coordinator, so it is closed.
 */

ngx_int_t
ngx_http_fermata_override_read(ngx_str_t *dir,
    ngx_http_fermata_override_t *override, ngx_log_t *log)
{
    ngx_int_t           rc;
    struct fm_gate_ask  ask;

    ngx_memzero(override, sizeof(ngx_http_fermata_override_t));

    rc = ngx_http_fermata_state_read(dir, "override", &ask, log);

    if (rc == NGX_DECLINED) {
        return rc;
    }

    if (rc == NGX_OK) {
        override->mode = ask.mode == FM_GATE_OPEN ? FM_GATE_OPEN
                                                  : FM_GATE_CLOSED;
        override->at = ask.back_at;
        ngx_memcpy(override->by, ask.pinned, FM_NAME_SIZE);

    } else {
        override->mode = FM_GATE_CLOSED;
        override->at = ngx_time();
        ngx_memcpy(override->by, "damaged-file", sizeof("damaged-file"));
    }

    ngx_log_error(NGX_LOG_ALERT, log, 0,
                  "fermata: the gate is %s by hand of %s on this host, "
                  "whatever a coordinator says",
                  ngx_http_fermata_override_modes[override->mode],
                  override->by);

    return rc;
}


/*
 * The file is the word: our predecessor, or the manager of another zone while
 * the binary is replaced, may have been the one that was asked.
 */

void
ngx_http_fermata_watch_override(ngx_http_fermata_line_t *line)
{
    u_char                        path[NGX_MAX_PATH + 1];
    ngx_str_t                    *dir;
    ngx_file_info_t               fi;
    ngx_http_fermata_override_t   override;

    dir = &line->mcf->path->name;

    ngx_snprintf(path, sizeof(path), "%V/override%Z", dir);

    if (ngx_file_info(path, &fi) == NGX_FILE_ERROR) {

        if (ngx_errno != NGX_ENOENT
            || line->mcf->sh->override.mode == FM_GATE_NONE
            || line->mcf->sh->override.loose)
        {
            return;
        }

        ngx_memzero(&override, sizeof(ngx_http_fermata_override_t));

    } else {

        if (line->override_uniq == ngx_file_uniq(&fi)) {
            return;
        }

        (void) ngx_http_fermata_override_read(dir, &override, &line->mcf->log);
    }

    line->override_uniq = override.mode == FM_GATE_NONE ? 0
                                                        : ngx_file_uniq(&fi);
    ngx_http_fermata_set_override(line->mcf, &override);
}


/* Written by ourselves: no news. */

static void
ngx_http_fermata_note_override(ngx_http_fermata_line_t *line)
{
    u_char           path[NGX_MAX_PATH + 1];
    ngx_file_info_t  fi;

    ngx_snprintf(path, sizeof(path), "%V/override%Z", &line->mcf->path->name);

    if (ngx_file_info(path, &fi) != NGX_FILE_ERROR) {
        line->override_uniq = ngx_file_uniq(&fi);
    }
}


/* Glass is broken when other things are, such as a disk: done anyway. */

void
ngx_http_fermata_do_override(ngx_http_fermata_line_t *line,
    enum fm_gate_mode mode, const char *by)
{
    struct fm_gate_ask            ask;
    ngx_http_fermata_override_t   override;

    ngx_memzero(&ask, sizeof(struct fm_gate_ask));

    ask.mode = mode;
    ask.back_at = ngx_time();
    ngx_memcpy(ask.pinned, by, FM_NAME_SIZE);

    ngx_memzero(&override, sizeof(ngx_http_fermata_override_t));

    override.mode = mode;
    override.at = ask.back_at;
    ngx_memcpy(override.by, by, FM_NAME_SIZE);

    ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, 0,
                  "fermata: the gate is %s by hand of %s on this host, "
                  "whatever a coordinator says",
                  ngx_http_fermata_override_modes[mode], by);

    override.loose = ngx_http_fermata_state_save(&line->mcf->path->name,
                                                 "override", &ask,
                                                 &line->mcf->log)
                     != NGX_OK;

    if (!override.loose) {
        ngx_http_fermata_note_override(line);
    }

    ngx_http_fermata_set_override(line->mcf, &override);
}
