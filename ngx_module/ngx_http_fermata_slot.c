
/*
 * One slot per process: what it has seen and what goes through it.
 */


#include "ngx_http_fermata_module.h"


static void ngx_http_fermata_inherit(ngx_http_fermata_shctx_t *sh,
    ngx_http_fermata_slot_t *slot);
static ngx_atomic_uint_t ngx_http_fermata_start_time(ngx_pid_t pid);


/*
 * Under the lock: a slot has its pid before or after all the rest is right,
 * never between, so that nobody takes the pid of one process for another's.
 */

ngx_http_fermata_slot_t *
ngx_http_fermata_claim(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_uint_t                 i;
    ngx_atomic_uint_t          started;
    ngx_http_fermata_slot_t   *slot;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;
    started = ngx_http_fermata_start_time(ngx_pid);

    ngx_shmtx_lock(&mcf->shpool->mutex);

    for (i = 0; i < NGX_HTTP_FERMATA_SLOTS; i++) {
        slot = &sh->slots[i];

        if (slot->pid != (ngx_atomic_uint_t) ngx_pid
            && ngx_http_fermata_is_alive(slot))
        {
            continue;
        }

        slot->pid = 0;
        ngx_memory_barrier();

        ngx_http_fermata_inherit(sh, slot);

        slot->in_flight = 0;
        slot->bypassed = 0;
        slot->held = 0;
        slot->bypassed_sockets = 0;
        slot->tabs = 0;
        ngx_memzero((void *) slot->nodes, sizeof(slot->nodes));
        ngx_memzero((void *) slot->websockets, sizeof(slot->websockets));
        ngx_memzero((void *) slot->idle, sizeof(slot->idle));
        slot->generation = (uint32_t) mcf->generation;

        /* nothing has been let through yet, so nothing is owed */

        slot->seen = sh->change;
        slot->started = started;
        ngx_memory_barrier();
        slot->pid = ngx_pid;

        ngx_shmtx_unlock(&mcf->shpool->mutex);

        ngx_log_debug2(NGX_LOG_DEBUG_CORE, ngx_cycle->log, 0,
                       "fermata slot %ui, generation:%uD",
                       i, slot->generation);

        return slot;
    }

    ngx_shmtx_unlock(&mcf->shpool->mutex);

    return NULL;
}


/* What the process before has counted is not lost with it. */

static void
ngx_http_fermata_inherit(ngx_http_fermata_shctx_t *sh,
    ngx_http_fermata_slot_t *slot)
{
    (void) ngx_atomic_fetch_add(&sh->passed, slot->passed);
    (void) ngx_atomic_fetch_add(&sh->refused, slot->refused);
    (void) ngx_atomic_fetch_add(&sh->assets, slot->assets);

    slot->passed = 0;
    slot->refused = 0;
    slot->assets = 0;
}


/*
 * When a process began, in ticks since boot; 0: unknown or a zombie.  Together
 * with the pid it names a process for ever.
 */

static ngx_atomic_uint_t
ngx_http_fermata_start_time(ngx_pid_t pid)
{
    u_char             *p, *last, path[32], buf[512];
    ssize_t             n;
    ngx_fd_t            fd;
    ngx_uint_t          field;
    ngx_atomic_uint_t   ticks;

    ngx_sprintf(path, "/proc/%P/stat%Z", pid);

    fd = open((char *) path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }

    n = read(fd, buf, sizeof(buf));

    (void) close(fd);

    /* the name in parentheses may hold anything: begin after its end */

    for (p = buf + (n > 0 ? n : 0); p > buf && p[-1] != ')'; p--) {
        /* void */
    }

    last = buf + (n > 0 ? n : 0);

    if (p == buf || p + 1 >= last || p[1] == 'Z' || p[1] == 'X') {
        return 0;
    }

    /* p is at the space before field 3; the start is field 22 */

    for (field = 2; p < last; p++) {
        if (*p == ' ' && ++field == 22) {
            break;
        }
    }

    ticks = 0;

    for (p++; p < last && *p >= '0' && *p <= '9'; p++) {
        ticks = ticks * 10 + (*p - '0');
    }

    return ticks;
}


ngx_uint_t
ngx_http_fermata_is_alive(ngx_http_fermata_slot_t *slot)
{
    ngx_pid_t          pid;
    ngx_atomic_uint_t  started;

    pid = slot->pid;
    started = slot->started;

    if (pid == 0) {
        return 0;
    }

    if (kill(pid, 0) == -1 && ngx_errno == ESRCH) {
        return 0;
    }

    /* /proc cannot be read here: the pid must do */

    if (started == 0) {
        return 1;
    }

    return ngx_http_fermata_start_time(pid) == started;
}


ngx_uint_t
ngx_http_fermata_is_in_force(ngx_http_fermata_shctx_t *sh)
{
    ngx_uint_t                i;
    ngx_http_fermata_slot_t  *slot;

    for (i = 0; i < NGX_HTTP_FERMATA_SLOTS; i++) {
        slot = &sh->slots[i];

        if (slot->pid != 0
            && slot->seen < sh->change
            && ngx_http_fermata_is_alive(slot))
        {
            return 0;
        }
    }

    return 1;
}


void
ngx_http_fermata_sum(ngx_http_fermata_shctx_t *sh, ngx_http_fermata_sum_t *sum)
{
    ngx_uint_t                i, j;
    ngx_http_fermata_slot_t  *slot;
    uint32_t                  seen[NGX_HTTP_FERMATA_SLOTS];

    ngx_memzero(sum, sizeof(ngx_http_fermata_sum_t));

    sum->passed = sh->passed;
    sum->refused = sh->refused;
    sum->assets = sh->assets;

    for (i = 0; i < NGX_HTTP_FERMATA_SLOTS; i++) {
        slot = &sh->slots[i];

        if (slot->pid == 0) {
            continue;
        }

        sum->passed += slot->passed;
        sum->refused += slot->refused;
        sum->assets += slot->assets;

        if (!ngx_http_fermata_is_alive(slot)) {
            continue;
        }

        sum->workers++;
        sum->in_flight += slot->in_flight;
        sum->bypassed += slot->bypassed;
        sum->held += slot->held;
        sum->bypassed_sockets += slot->bypassed_sockets;
        sum->tabs += slot->tabs;

        for (j = 0; j < sum->generations; j++) {
            if (seen[j] == slot->generation) {
                break;
            }
        }

        if (j == sum->generations) {
            seen[sum->generations++] = slot->generation;
        }

        for (j = 0; j < sh->nnodes; j++) {
            sum->nodes[j] += slot->nodes[j];
            sum->sockets[j] += slot->websockets[j];
            sum->websockets += slot->websockets[j];
            sum->kept[j] += slot->idle[j];
            sum->idle += slot->idle[j];
        }
    }
}
