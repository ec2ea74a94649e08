
/*
 * Break-glass: root on this host closes or opens the gate without a
 * coordinator.
 *
 * "fermata gate close --local" makes an empty file in the directory of the
 * state, request.VERB.ID or request.VERB.force.ID with an ID of 16 digits, so
 * that it can be made where no block of the disk is left.  The manager takes
 * it away, carries it out and leaves answer.ID.  What is done by hand is kept
 * in the file "override" and overrides every ask until it is taken back by
 * hand: asks are still heard and written down, they rule again after that.
 */


#include "ngx_http_fermata_client.h"

#include "fm_gate_file.h"


#define NGX_HTTP_FERMATA_ANSWER    8192
/* an answer that nobody has fetched */
#define NGX_HTTP_FERMATA_STALE     60


typedef struct {
    struct fm_gate_request           request;
    char                             by[FM_NAME_SIZE];
} ngx_http_fermata_request_t;


static ngx_int_t ngx_http_fermata_find_request(ngx_http_fermata_line_t *line,
    ngx_http_fermata_request_t *req);
static ngx_int_t ngx_http_fermata_take_request(ngx_http_fermata_line_t *line,
    u_char *name, ngx_http_fermata_request_t *req);
static void ngx_http_fermata_remove_stale(ngx_http_fermata_line_t *line,
    u_char *name);
static void ngx_http_fermata_carry_out(ngx_http_fermata_line_t *line,
    ngx_http_fermata_request_t *req);
static void ngx_http_fermata_resume(ngx_http_fermata_line_t *line);
static void ngx_http_fermata_say(ngx_http_fermata_line_t *line,
    const char *id, const char *result);
static u_char *ngx_http_fermata_say_nodes(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_sum_t *sum);
static u_char *ngx_http_fermata_say_clusters(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf);


static const char  *ngx_http_fermata_local_modes[] = {
#define X(name, text)  text,
    FM_GATE_MODES(X)
#undef X
};


void
ngx_http_fermata_local_look(ngx_http_fermata_line_t *line)
{
    ngx_http_fermata_request_t  req;

    if (line->local_id[0]
        || ngx_current_msec - line->local_at < NGX_HTTP_FERMATA_CALM_MS)
    {
        return;
    }

    line->local_at = ngx_current_msec;

    ngx_http_fermata_watch_override(line);

    if (ngx_http_fermata_find_request(line, &req) == NGX_OK) {
        ngx_http_fermata_carry_out(line, &req);
    }
}


static ngx_int_t
ngx_http_fermata_find_request(ngx_http_fermata_line_t *line,
    ngx_http_fermata_request_t *req)
{
    u_char     *name;
    ngx_int_t   rc;
    ngx_dir_t   dir;

    if (ngx_open_dir(&line->mcf->path->name, &dir) == NGX_ERROR) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    while (rc != NGX_OK && ngx_read_dir(&dir) == NGX_OK) {
        name = ngx_de_name(&dir);

        if (ngx_strncmp(name, "answer.", 7) == 0) {
            ngx_http_fermata_remove_stale(line, name);

        } else if (fm_gate_request_read((char *) name, &req->request)) {
            rc = ngx_http_fermata_take_request(line, name, req);
        }
    }

    if (ngx_close_dir(&dir) == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, ngx_errno,
                      ngx_close_dir_n " \"%V\" failed",
                      &line->mcf->path->name);
    }

    return rc;
}


/*
 * The directory is root's and the workers' user's only; a file of anybody else
 * has been carried there, and is not heard.  Whoever takes it away has it.
 */

static ngx_int_t
ngx_http_fermata_take_request(ngx_http_fermata_line_t *line, u_char *name,
    ngx_http_fermata_request_t *req)
{
    u_char       path[NGX_MAX_PATH + 1];
    struct stat  sb;

    ngx_snprintf(path, sizeof(path), "%V/%s%Z", &line->mcf->path->name, name);

    if (lstat((char *) path, &sb) == -1
        || ngx_delete_file(path) == NGX_FILE_ERROR)
    {
        return NGX_DECLINED;
    }

    if (!S_ISREG(sb.st_mode) || sb.st_nlink != 1
        || (sb.st_uid != 0 && sb.st_uid != geteuid()))
    {
        ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, 0,
                      "fermata: request \"%s\" of user %d is not heard",
                      path, (int) sb.st_uid);
        return NGX_DECLINED;
    }

    (void) ngx_snprintf((u_char *) req->by, sizeof(req->by), "uid-%d%Z",
                        (int) sb.st_uid);

    if (sb.st_uid == 0) {
        ngx_memcpy(req->by, "root", sizeof("root"));
    }

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, &line->mcf->log, 0,
                   "fermata request \"%s\" by %s, force:%d",
                   fm_gate_verb_name(req->request.verb), req->by,
                   req->request.force);

    return NGX_OK;
}


static void
ngx_http_fermata_remove_stale(ngx_http_fermata_line_t *line, u_char *name)
{
    u_char           path[NGX_MAX_PATH + 1];
    ngx_file_info_t  fi;

    ngx_snprintf(path, sizeof(path), "%V/%s%Z", &line->mcf->path->name, name);

    if (ngx_file_info(path, &fi) != NGX_FILE_ERROR
        && ngx_time() - ngx_file_mtime(&fi) > NGX_HTTP_FERMATA_STALE)
    {
        (void) ngx_delete_file(path);
    }
}


static void
ngx_http_fermata_carry_out(ngx_http_fermata_line_t *line,
    ngx_http_fermata_request_t *req)
{
    enum fm_gate_verb  verb;

    verb = req->request.verb;

    if (verb == FM_GATE_VERB_STATUS) {
        ngx_http_fermata_say(line, req->request.id, "ok");
        return;
    }

    if (verb != FM_GATE_VERB_RESUME
        && line->mcf->sh->connected && !req->request.force)
    {
        ngx_http_fermata_say(line, req->request.id, "connected");
        return;
    }

    /* answered when it is in force in every worker */

    ngx_memcpy(line->local_id, req->request.id, sizeof(line->local_id));

    if (verb == FM_GATE_VERB_RESUME) {
        ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, 0,
                      "fermata: by hand of %s on this host: coordinators "
                      "rule again", req->by);
        ngx_http_fermata_resume(line);
        return;
    }

    ngx_http_fermata_do_override(line, verb == FM_GATE_VERB_OPEN
                                       ? FM_GATE_OPEN : FM_GATE_CLOSED,
                                 req->by);
}


static void
ngx_http_fermata_resume(ngx_http_fermata_line_t *line)
{
    ngx_http_fermata_override_t  override;

    ngx_memzero(&override, sizeof(ngx_http_fermata_override_t));

    if (ngx_http_fermata_state_remove(&line->mcf->path->name, "override",
                                      &line->mcf->log)
        != NGX_OK)
    {
        /* it would be back after the next start: not resumed by half */

        ngx_http_fermata_say(line, line->local_id, "unwritten");
        line->local_id[0] = '\0';
        return;
    }

    line->override_uniq = 0;
    ngx_http_fermata_set_override(line->mcf, &override);
}


/* What was asked by hand is in force, and said so. */

void
ngx_http_fermata_local_answer(ngx_http_fermata_line_t *line)
{
    if (line->local_id[0] == '\0') {
        return;
    }

    ngx_http_fermata_say(line, line->local_id,
                         line->mcf->sh->override.loose ? "loose" : "ok");

    line->local_id[0] = '\0';

    /* the coordinator, if there is one, hears of it at once */

    line->reported_at = ngx_current_msec - NGX_HTTP_FERMATA_REPORT_BEAT;
}


static void
ngx_http_fermata_say(ngx_http_fermata_line_t *line, const char *id,
    const char *result)
{
    u_char                     *p, *last, text[NGX_HTTP_FERMATA_ANSWER],
                               path[NGX_MAX_PATH + 1], to[NGX_MAX_PATH + 1];
    ngx_fd_t                    fd;
    ngx_http_fermata_sum_t      sum;
    ngx_http_fermata_shctx_t   *sh;

    sh = line->mcf->sh;
    last = text + sizeof(text);

    ngx_http_fermata_sum(sh, &sum);

    p = ngx_slprintf(text, last,
                     "result=%s\nmode=%s\nasked=%s\nvoice=%uL.%uL\n"
                     "override=%s\noverride_at=%L\noverride_by=%s\n"
                     "connected=%uA\nwaiting=%uA\nworkers=%ui\n"
                     "generations=%ui\nin_flight=%ui\nwebsockets=%ui\n"
                     "idle=%ui\n",
                     result,
                     ngx_http_fermata_local_modes[
                                           fm_gate_word_mode(sh->word) & 3],
                     ngx_http_fermata_local_modes[sh->taken.mode],
                     sh->taken.voice.epoch, sh->taken.voice.seq,
                     ngx_http_fermata_local_modes[sh->override.mode],
                     sh->override.at, sh->override.by, sh->connected,
                     sh->waiting, sum.workers, sum.generations, sum.in_flight,
                     sum.websockets, sum.idle);

    p = ngx_http_fermata_say_clusters(p, last, line->mcf);
    p = ngx_http_fermata_say_nodes(p, last, line->mcf, &sum);

    ngx_snprintf(path, sizeof(path), "%V/answer.%s.new%Z",
                 &line->mcf->path->name, id);
    ngx_snprintf(to, sizeof(to), "%V/answer.%s%Z", &line->mcf->path->name, id);

    fd = open((char *) path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC|O_NOFOLLOW,
              0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return;
    }

    /* on a full disk it stays empty: the name alone says that it is done */

    if (write(fd, text, p - text) != p - text) {
        ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, ngx_errno,
                      "write() \"%s\" failed", path);
    }

    (void) close(fd);

    if (ngx_rename_file(path, to) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, &line->mcf->log, ngx_errno,
                      ngx_rename_file_n " \"%s\" to \"%s\" failed", path, to);
    }
}


static u_char *
ngx_http_fermata_say_nodes(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_sum_t *sum)
{
    ngx_uint_t                 i;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    for (i = 0; i < sh->nnodes; i++) {

        if (!(mcf->nodes >> i & 1)) {
            continue;
        }

        p = ngx_slprintf(p, last, "node=%s %ui %ui %ui\n", sh->nodes[i],
                         sum->nodes[i], sum->sockets[i], sum->kept[i]);
    }

    return p;
}


/* Its own name, and where the others of this nginx are reached. */

static u_char *
ngx_http_fermata_say_clusters(u_char *p, u_char *last,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_uint_t                      i;
    ngx_http_fermata_main_conf_t  **mcfp;

    p = ngx_slprintf(p, last, "cluster=%V\n", &mcf->cluster);

    mcfp = mcf->clusters->elts;

    for (i = 0; i < mcf->clusters->nelts; i++) {

        if (mcfp[i] != mcf) {
            p = ngx_slprintf(p, last, "other=%V %V\n", &mcfp[i]->cluster,
                             &mcfp[i]->path->name);
        }
    }

    return p;
}
