
/*
 * The state file: the last ask that was taken, kept over every end of nginx.
 * Its bytes are those of fm_gate_file.h.
 */


#include "ngx_http_fermata_module.h"

#include "fm_gate_file.h"


#define NGX_HTTP_FERMATA_PATH     (NGX_MAX_PATH + 1)


static ngx_int_t ngx_http_fermata_state_path(u_char *path, ngx_str_t *dir,
    const char *file);
static ngx_int_t ngx_http_fermata_state_lock(ngx_str_t *dir, ngx_fd_t *fd,
    ngx_log_t *log);
static ngx_int_t ngx_http_fermata_state_replace(ngx_str_t *dir,
    ngx_str_t *data, ngx_log_t *log);
static ngx_int_t ngx_http_fermata_state_sync(ngx_str_t *dir, ngx_log_t *log);
static ngx_int_t ngx_http_fermata_state_fill(u_char *path, ngx_str_t *data,
    ngx_log_t *log);
static ngx_int_t ngx_http_fermata_state_encode(ngx_pool_t *pool,
    const struct fm_gate_ask *ask, ngx_str_t *data);


static ngx_int_t
ngx_http_fermata_state_path(u_char *path, ngx_str_t *dir, const char *file)
{
    u_char  *last;

    last = path + NGX_HTTP_FERMATA_PATH - 1;

    if (ngx_snprintf(path, NGX_HTTP_FERMATA_PATH, "%V/%s%Z", dir, file)
        > last)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_OK, NGX_DECLINED: no such file, NGX_ERROR: a file that is no state. */

ngx_int_t
ngx_http_fermata_state_read(ngx_str_t *dir, const char *file,
    struct fm_gate_ask *ask, ngx_log_t *log)
{
    u_char           *buf, path[NGX_HTTP_FERMATA_PATH];
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_int_t         rc;
    ngx_file_info_t   fi;

    if (ngx_http_fermata_state_path(path, dir, file) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the directory is the workers': follow nothing, wait for nothing */

    fd = open((char *) path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK);

    if (fd == NGX_INVALID_FILE) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_DECLINED;
        }

        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;
    n = -1;
    buf = ngx_alloc(NGX_HTTP_FERMATA_FRAME_MAX, log);

    if (buf && ngx_fd_info(fd, &fi) != NGX_FILE_ERROR && ngx_is_file(&fi)) {
        n = read(fd, buf, NGX_HTTP_FERMATA_FRAME_MAX);
    }

    if (n != -1 && fm_gate_file_read(buf, n, ask)) {
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "fermata: \"%s\" is not a state file", path);

    } else {
        ngx_log_debug3(NGX_LOG_DEBUG_CORE, log, 0, "fermata \"%s\": %uL.%uL",
                       path, ask->voice.epoch, ask->voice.seq);
    }

    if (buf) {
        ngx_free(buf);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", path);
    }

    return rc;
}


/*
 * The manager of an nginx that is being replaced may live beside ours, with a
 * zone of its own and the same directory.  Gone with the process.
 */

static ngx_int_t
ngx_http_fermata_state_lock(ngx_str_t *dir, ngx_fd_t *fd, ngx_log_t *log)
{
    u_char        path[NGX_HTTP_FERMATA_PATH];
    ngx_uint_t    i;
    struct flock  fl;

    if (ngx_http_fermata_state_path(path, dir, "lock") != NGX_OK) {
        return NGX_ERROR;
    }

    *fd = open((char *) path, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);

    if (*fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return NGX_ERROR;
    }

    ngx_memzero(&fl, sizeof(struct flock));
    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;

    /* held for the time of one fsync() */

    for (i = 0; i < 50; i++) {

        if (fcntl(*fd, F_SETLK, &fl) == 0) {
            return NGX_OK;
        }

        ngx_msleep(2);
    }

    ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                  "fcntl(F_SETLK) \"%s\" failed", path);

    (void) close(*fd);

    return NGX_ERROR;
}


/*
 * Durable when NGX_OK is returned.  NGX_DECLINED: the file speaks with a later
 * voice.  *why is for the report.
 */

ngx_int_t
ngx_http_fermata_state_write(ngx_str_t *dir, const struct fm_gate_ask *ask,
    ngx_log_t *log, const char **why)
{
    ngx_fd_t            lock;
    ngx_str_t           data;
    ngx_int_t           rc;
    ngx_pool_t         *pool;
    struct fm_gate_ask  old;

    *why = "the state file cannot be written";

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_fermata_state_encode(pool, ask, &data) != NGX_OK
        || ngx_http_fermata_state_lock(dir, &lock, log) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    if (ngx_http_fermata_state_read(dir, "state", &old, log) == NGX_OK
        && fm_gate_hear(&old, ask) == FM_GATE_STALE)
    {
        *why = "the state file holds a later voice";
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_fermata_state_replace(dir, &data, log);
    }

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, log, 0,
                   "fermata state %uL.%uL written: %i, %uz bytes",
                   ask->voice.epoch, ask->voice.seq, rc, data.len);

    if (ngx_close_file(lock) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " lock failed");
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_http_fermata_state_encode(ngx_pool_t *pool, const struct fm_gate_ask *ask,
    ngx_str_t *data)
{
    data->data = ngx_pnalloc(pool, FM_GATE_FILE_MAX);
    if (data->data == NULL) {
        return NGX_ERROR;
    }

    data->len = fm_gate_file_write(data->data, ask);

    return data->len ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_fermata_state_replace(ngx_str_t *dir, ngx_str_t *data, ngx_log_t *log)
{
    u_char  from[NGX_HTTP_FERMATA_PATH], to[NGX_HTTP_FERMATA_PATH],
            last[NGX_HTTP_FERMATA_PATH];

    if (ngx_http_fermata_state_path(from, dir, "state.new") != NGX_OK
        || ngx_http_fermata_state_path(to, dir, "state") != NGX_OK
        || ngx_http_fermata_state_path(last, dir, "state.last") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_fermata_state_fill(from, data, log) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the one before, for "fermata_default last"; there may be none */

    (void) unlink((char *) last);

    if (link((char *) to, (char *) last) == -1 && ngx_errno != NGX_ENOENT) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "link() \"%s\" failed", last);
    }

    if (ngx_rename_file(from, to) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_rename_file_n " \"%s\" to \"%s\" failed", from, to);
        return NGX_ERROR;
    }

    return ngx_http_fermata_state_sync(dir, log);
}


static ngx_int_t
ngx_http_fermata_state_sync(ngx_str_t *dir, ngx_log_t *log)
{
    u_char    path[NGX_HTTP_FERMATA_PATH];
    ngx_fd_t  fd;

    if (ngx_http_fermata_state_path(path, dir, ".") != NGX_OK) {
        return NGX_ERROR;
    }

    fd = open((char *) path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE || fsync(fd) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "fsync() \"%s\" failed", path);

        if (fd != NGX_INVALID_FILE) {
            (void) close(fd);
        }

        return NGX_ERROR;
    }

    (void) close(fd);

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_state_fill(u_char *path, ngx_str_t *data, ngx_log_t *log)
{
    ngx_fd_t  fd;

    (void) unlink((char *) path);

    fd = open((char *) path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC|O_NOFOLLOW,
              0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return NGX_ERROR;
    }

    if (write(fd, data->data, data->len) != (ssize_t) data->len
        || fsync(fd) == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "write() \"%s\" failed", path);
        (void) close(fd);
        return NGX_ERROR;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Another file of the same format; durable when NGX_OK is returned. */

ngx_int_t
ngx_http_fermata_state_save(ngx_str_t *dir, const char *file,
    const struct fm_gate_ask *ask, ngx_log_t *log)
{
    u_char       from[NGX_HTTP_FERMATA_PATH], to[NGX_HTTP_FERMATA_PATH];
    ngx_int_t    rc;
    ngx_str_t    data;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_http_fermata_state_encode(pool, ask, &data) == NGX_OK
        && ngx_http_fermata_state_path(from, dir, "other.new") == NGX_OK
        && ngx_http_fermata_state_path(to, dir, file) == NGX_OK
        && ngx_http_fermata_state_fill(from, &data, log) == NGX_OK)
    {
        if (ngx_rename_file(from, to) == NGX_FILE_ERROR) {
            ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                          ngx_rename_file_n " \"%s\" to \"%s\" failed",
                          from, to);

        } else {
            rc = ngx_http_fermata_state_sync(dir, log);
        }
    }

    ngx_destroy_pool(pool);

    return rc;
}


ngx_int_t
ngx_http_fermata_state_remove(ngx_str_t *dir, const char *file,
    ngx_log_t *log)
{
    u_char  path[NGX_HTTP_FERMATA_PATH];

    if (ngx_http_fermata_state_path(path, dir, file) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_delete_file(path) == NGX_FILE_ERROR) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", path);
        return NGX_ERROR;
    }

    return ngx_http_fermata_state_sync(dir, log);
}
