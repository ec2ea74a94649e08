
/*
 * The zone: control word and accepted state.
 */


#include "ngx_http_fermata_module.h"

#include <sys/random.h>


static void ngx_http_fermata_new_instance(ngx_http_fermata_shctx_t *sh);
static ngx_int_t ngx_http_fermata_inherit_zone(ngx_shm_zone_t *shm_zone,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_main_conf_t *old);
static ngx_int_t ngx_http_fermata_name_node(ngx_http_fermata_shctx_t *sh,
    ngx_str_t *name);
static ngx_int_t ngx_http_fermata_name_nodes(ngx_http_fermata_main_conf_t *mcf,
    ngx_log_t *log);
static void ngx_http_fermata_load(ngx_http_fermata_main_conf_t *mcf,
    ngx_log_t *log);
static uint64_t ngx_http_fermata_word(ngx_http_fermata_shctx_t *sh,
    const struct fm_gate_ask *ask);
static void ngx_http_fermata_set_word(ngx_http_fermata_shctx_t *sh,
    uint64_t word, ngx_uint_t cut_after);


/*
 * Called in the master before any worker of the cycle lives.  data is the
 * main conf of the previous cycle when the zone lives on.
 */

ngx_int_t
ngx_http_fermata_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_fermata_main_conf_t  *mcf, *old;

    mcf = shm_zone->data;
    old = data;

    ngx_http_fermata_init_log(mcf, shm_zone->shm.log);

    if (old) {
        return ngx_http_fermata_inherit_zone(shm_zone, mcf, old);
    }

    if (ngx_http_fermata_check_zone(shm_zone) != NGX_OK) {
        return NGX_ERROR;
    }

    mcf->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    mcf->sh = ngx_slab_calloc(mcf->shpool, sizeof(ngx_http_fermata_shctx_t));
    if (mcf->sh == NULL) {
        ngx_log_error(NGX_LOG_EMERG, &mcf->log, 0,
                      "fermata zone \"%V\" is too small", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    mcf->shpool->data = mcf->sh;
    mcf->shpool->log_nomem = 0;

    mcf->sh->change = 1;
    mcf->sh->generation = 1;
    mcf->generation = 1;
    mcf->sh->wake = -1;
    mcf->sh->bell = -1;
    mcf->sh->word = fm_gate_word(FM_GATE_CLOSED, FM_GATE_NO_NODE, 0);

    ngx_http_fermata_new_instance(mcf->sh);

    if (ngx_http_fermata_name_nodes(mcf, &mcf->log) != NGX_OK) {
        return NGX_ERROR;
    }

    /* "nginx -t" comes here too: it looks at nothing and opens nothing */

    if (ngx_test_config) {
        return NGX_OK;
    }

    if (ngx_http_fermata_open_fds(mcf, &mcf->log) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_fermata_load(mcf, &mcf->log);

    return NGX_OK;
}


/*
 * What is in a zone was said by one coordinator, whose voice is not to be held
 * against another's.  A cluster may get another name, or another folder.
 */

static ngx_int_t
ngx_http_fermata_inherit_zone(ngx_shm_zone_t *shm_zone,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_main_conf_t *old)
{
    if (ngx_strcmp(mcf->cluster.data, old->cluster.data) != 0
        && ngx_strcmp(mcf->path->name.data, old->path->name.data) != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "fermata zone \"%V\" is that of cluster \"%V\" until "
                      "nginx is restarted, cluster \"%V\" takes another",
                      &shm_zone->shm.name, &old->cluster, &mcf->cluster);
        return NGX_ERROR;
    }

    ngx_http_fermata_share_fds(mcf, old);

    mcf->sh = old->sh;
    mcf->shpool = old->shpool;
    mcf->generation = ++mcf->sh->generation;

    return ngx_http_fermata_name_nodes(mcf, &mcf->log);
}


static void
ngx_http_fermata_new_instance(ngx_http_fermata_shctx_t *sh)
{
    u_char      id[8];
    ngx_msec_t  now;

    if (getrandom(id, sizeof(id), GRND_NONBLOCK) != (ssize_t) sizeof(id)) {
        ngx_memcpy(id, &ngx_pid, 4);
        now = ngx_current_msec;
        ngx_memcpy(&id[4], &now, 4);
    }

    (void) ngx_hex_dump(sh->instance, id, sizeof(id));
    sh->instance[16] = '\0';
}


/* The index of a name; a name known before keeps its own. */

static ngx_int_t
ngx_http_fermata_name_node(ngx_http_fermata_shctx_t *sh, ngx_str_t *name)
{
    ngx_int_t  index;

    /* names are terminated, and shorter than FM_NAME_SIZE */

    index = ngx_http_fermata_find_node(sh, (char *) name->data);

    if (index != FM_GATE_NO_NODE || sh->nnodes == NGX_HTTP_FERMATA_NODES) {
        return index;
    }

    index = sh->nnodes;

    ngx_memcpy(sh->nodes[index], name->data, name->len + 1);
    ngx_memory_barrier();
    sh->nnodes++;

    return index;
}


static ngx_int_t
ngx_http_fermata_name_nodes(ngx_http_fermata_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_uint_t                     i, j;
    ngx_http_fermata_node_t       *node;
    ngx_http_fermata_shctx_t      *sh;
    ngx_http_fermata_srv_conf_t  **ucfp;

    sh = mcf->sh;
    ucfp = mcf->upstreams.elts;

    ngx_shmtx_lock(&mcf->shpool->mutex);

    for (i = 0; i < mcf->upstreams.nelts; i++) {
        node = ucfp[i]->nodes->elts;

        for (j = 0; j < ucfp[i]->nodes->nelts; j++) {

            node[j].index = ngx_http_fermata_name_node(sh, &node[j].name);

            if (node[j].index == FM_GATE_NO_NODE) {
                ngx_shmtx_unlock(&mcf->shpool->mutex);
                ngx_log_error(NGX_LOG_EMERG, log, 0,
                              "fermata: no room for node \"%V\", "
                              "%d names are known since the start",
                              &node[j].name, NGX_HTTP_FERMATA_NODES);
                return NGX_ERROR;
            }

            ngx_log_debug3(NGX_LOG_DEBUG_CORE, log, 0,
                           "fermata node %i is \"%V\" at %V", node[j].index,
                           &node[j].name, &node[j].addr.name);

            mcf->nodes |= (uint64_t) 1 << node[j].index;
        }
    }

    sh->configured = mcf->nodes;

    /* the state may speak of a node that has got its index only now */

    if (sh->taken.mode != FM_GATE_NONE) {
        ngx_http_fermata_reckon(sh);
    }

    ngx_shmtx_unlock(&mcf->shpool->mutex);

    return NGX_OK;
}


/* First start, new binary, other zone size: what was in force, from disk. */

static void
ngx_http_fermata_load(ngx_http_fermata_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_int_t           rc;
    ngx_uint_t          level;
    struct fm_gate_ask  ask;

    rc = ngx_http_fermata_state_read(&mcf->path->name, "state", &ask, log);

    if (rc != NGX_OK && mcf->fallback == NGX_HTTP_FERMATA_DEFAULT_LAST) {
        rc = ngx_http_fermata_state_read(&mcf->path->name, "state.last", &ask,
                                         log);
    }

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "fermata: state of %uL.%uL is back in force",
                      ask.voice.epoch, ask.voice.seq);

    } else {
        ngx_memzero(&ask, sizeof(struct fm_gate_ask));

        ask.mode = mcf->fallback == NGX_HTTP_FERMATA_DEFAULT_OPEN
                   ? FM_GATE_OPEN : FM_GATE_CLOSED;

        level = (rc == NGX_ERROR) ? NGX_LOG_ALERT : NGX_LOG_NOTICE;

        ngx_log_error(level, log, 0,
                      "fermata: no state in \"%V\", the gate is %s by default",
                      &mcf->path->name,
                      ask.mode == FM_GATE_OPEN ? "open" : "closed");
    }

    (void) ngx_http_fermata_override_read(&mcf->path->name,
                                          &mcf->sh->override, log);

    ngx_http_fermata_begin_wait(mcf, &ask, log);
    ngx_http_fermata_store(mcf, &ask);
    ngx_http_fermata_prove(mcf);
}


ngx_int_t
ngx_http_fermata_find_node(ngx_http_fermata_shctx_t *sh, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < sh->nnodes; i++) {
        if (ngx_strcmp(sh->nodes[i], name) == 0) {
            return i;
        }
    }

    return FM_GATE_NO_NODE;
}


static uint64_t
ngx_http_fermata_word(ngx_http_fermata_shctx_t *sh,
    const struct fm_gate_ask *ask)
{
    uint64_t    denied;
    ngx_int_t   index, bypass;
    ngx_uint_t  i;

    if (sh->override.mode != FM_GATE_NONE) {
        return fm_gate_word(sh->override.mode, FM_GATE_NO_NODE, 0);
    }

    if (sh->waiting) {
        return fm_gate_word_closed(FM_GATE_BYPASS_NONE, 0);
    }

    denied = 0;

    for (i = 0; i < ask->drained_count && !(sh->alone && ask->hole); i++) {
        index = ngx_http_fermata_find_node(sh, ask->drained[i]);

        if (index != FM_GATE_NO_NODE) {
            denied |= (uint64_t) 1 << index;
        }
    }

    if (ask->mode == FM_GATE_CLOSED) {

        bypass = FM_GATE_BYPASS_ALL;

        if (ask->bypass.node[0] != '\0') {
            bypass = ngx_http_fermata_find_node(sh, ask->bypass.node);
        }

        if (ask->bypass.shut
            || (bypass == FM_GATE_NO_NODE && ask->bypass.node[0] != '\0'))
        {
            bypass = FM_GATE_BYPASS_NONE;
        }

        return fm_gate_word_closed((int) bypass, denied);
    }

    return fm_gate_word(ask->mode,
                        ngx_http_fermata_find_node(sh, ask->pinned), denied);
}


/* Something else than the ask has changed; the zone is locked. */

void
ngx_http_fermata_reckon(ngx_http_fermata_shctx_t *sh)
{
    uint64_t  word;

    word = ngx_http_fermata_word(sh, &sh->taken);

    if (word != sh->word) {
        ngx_http_fermata_set_word(sh, word, sh->taken.cut_after_ms);
        ngx_http_fermata_ring(sh->wake);
    }
}


/*
 * The number of the change is raised after the word is stored: who has seen
 * the number has seen the word.
 */

static void
ngx_http_fermata_set_word(ngx_http_fermata_shctx_t *sh, uint64_t word,
    ngx_uint_t cut_after)
{
    ngx_msec_t  cut_at;

    if (fm_gate_word_mode(word) == FM_GATE_CLOSED
        && fm_gate_word_mode(sh->word) != FM_GATE_CLOSED)
    {
        sh->closed_at = sh->change + 1;
    }

    if (fm_gate_serves(sh->word, sh->configured)
        && !fm_gate_serves(word, sh->configured))
    {
        sh->hole_at = ngx_current_msec ? ngx_current_msec : 1;
    }

    cut_at = 0;

    if (cut_after) {

        /* comparable between processes: the system's monotonic clock */

        cut_at = ngx_current_msec + cut_after;

        if (cut_at == 0) {
            cut_at = 1;
        }
    }

    sh->cut_at = cut_at;
    ngx_memory_barrier();
    sh->word = word;
    ngx_memory_barrier();
    sh->change++;

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, ngx_cycle->log, 0,
                   "fermata word:%016xL, change:%uA closed at:%uA cut:%ui",
                   word, sh->change, sh->closed_at, cut_after);
}


/* The only writer of word and text, in the master or the manager. */

void
ngx_http_fermata_store(ngx_http_fermata_main_conf_t *mcf,
    const struct fm_gate_ask *ask)
{
    uint64_t                   word;
    ngx_uint_t                 cut_after;
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    ngx_shmtx_lock(&mcf->shpool->mutex);

    cut_after = sh->taken.cut_after_ms;

    /* odd already when a writer was killed here */

    sh->text |= 1;
    ngx_memory_barrier();
    sh->taken = *ask;
    ngx_memory_barrier();
    sh->text++;

    word = ngx_http_fermata_word(sh, ask);

    if (word != sh->word || ask->cut_after_ms != cut_after) {
        ngx_http_fermata_set_word(sh, word, ask->cut_after_ms);
    }

    ngx_shmtx_unlock(&mcf->shpool->mutex);
}


void
ngx_http_fermata_prove(ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_shctx_t  *sh;

    sh = mcf->sh;

    ngx_shmtx_lock(&mcf->shpool->mutex);

    sh->text |= 1;
    ngx_memory_barrier();
    sh->proved = sh->taken;

    if (sh->override.mode != FM_GATE_NONE || sh->waiting) {
        sh->proved.mode = fm_gate_word_mode(sh->word);
        sh->proved.pinned[0] = '\0';
        sh->proved.drained_count = 0;
    }

    sh->proved_change = sh->change;
    ngx_memory_barrier();
    sh->text++;

    ngx_shmtx_unlock(&mcf->shpool->mutex);
}


/* A coherent copy; the version of it is returned, 0 when there is none. */

ngx_atomic_uint_t
ngx_http_fermata_read(ngx_http_fermata_shctx_t *sh, struct fm_gate_ask *ask,
    ngx_uint_t proved)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  version;

    for (i = 0; i < 1000; i++) {
        version = sh->text;
        ngx_memory_barrier();

        if ((version & 1) == 0) {
            *ask = proved ? sh->proved : sh->taken;
            ngx_memory_barrier();

            if (sh->text == version) {
                return version;
            }
        }

        ngx_cpu_pause();
    }

    /* its writer has been stopped or killed in the middle of it */

    ngx_memzero(ask, sizeof(struct fm_gate_ask));
    ask->mode = fm_gate_word_mode(sh->word);

    return 0;
}
