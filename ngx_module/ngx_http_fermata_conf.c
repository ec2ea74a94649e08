
/*
 * Directives of a cluster: zone, state, coordinator.
 */


#include "ngx_http_fermata_module.h"


static ngx_int_t ngx_http_fermata_own_zone(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);
static ngx_int_t ngx_http_fermata_add_coordinator(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf, ngx_str_t *value);
static ngx_uint_t ngx_http_fermata_is_local(struct sockaddr *sa);
static void ngx_http_fermata_init_values(ngx_http_fermata_main_conf_t *mcf,
    ngx_http_fermata_main_conf_t *root);
static ngx_int_t ngx_http_fermata_init_cluster(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);
static ngx_msec_t ngx_http_fermata_manager(void *data);


/* fermata_zone name:size; */

char *
ngx_http_fermata_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_main_conf_t *mcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (mcf->shm_zone) {
        return "is duplicate: another cluster takes a block "
               "\"fermata_cluster\"";
    }

    value = cf->args->elts;

    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (p == NULL || p == value[1].data) {
        return "is not name:size";
    }

    name.data = value[1].data;
    name.len = p - name.data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size < NGX_HTTP_FERMATA_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size of zone \"%V\", at least 256k",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->shm_zone = ngx_shared_memory_add(cf, &name, size,
                                          &ngx_http_fermata_module);
    if (mcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_fermata_own_zone(cf, mcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_own_zone(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_main_conf_t  *other;

    other = mcf->shm_zone->data;

    if (other) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is that of cluster \"%V\", each "
                           "cluster has its own",
                           &mcf->shm_zone->shm.name, &other->cluster);
        return NGX_ERROR;
    }

    mcf->shm_zone->init = ngx_http_fermata_init_zone;
    mcf->shm_zone->data = mcf;

    return ngx_http_fermata_keep_fds(cf, mcf);
}


/*
 * On a reload nginx gives the old zone to the new cycle, unless its size or the
 * module's address in memory is another one.  The old workers would live on in
 * a zone that nobody looks into: what they do would not be counted.
 */

ngx_int_t
ngx_http_fermata_check_zone(ngx_shm_zone_t *shm_zone)
{
    ngx_uint_t        i;
    ngx_str_t        *name;
    ngx_shm_zone_t   *old;
    ngx_list_part_t  *part;

    /* still that of the cycle before, which has none at the first start */

    for (part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
         part;
         part = part->next)
    {
        old = part->elts;

        for (i = 0; i < part->nelts; i++) {
            name = &old[i].shm.name;

            if (name->len != shm_zone->shm.name.len
                || ngx_strncmp(name->data, shm_zone->shm.name.data, name->len)
                   != 0)
            {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "fermata zone \"%V\" has another size now, or the "
                          "module is loaded from another file: that takes a "
                          "restart or a new binary (signal USR2), a reload "
                          "cannot do it", name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * fermata_state directory;
 *
 * A path with a manager: nginx makes the directory, gives it to the user of
 * the workers, and runs one process with an event loop for it, which becomes
 * the client of the coordinator.
 */

char *
ngx_http_fermata_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_main_conf_t *mcf = conf;

    ngx_str_t   *value;
    ngx_path_t  *path;

    if (mcf->path) {
        return "is duplicate";
    }

    value = cf->args->elts;

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    path->name = value[1];

    if (path->name.len > 1 && path->name.data[path->name.len - 1] == '/') {
        path->name.len--;
        path->name.data[path->name.len] = '\0';
    }

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    path->manager = ngx_http_fermata_manager;
    path->data = mcf;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    mcf->path = path;

    if (ngx_add_path(cf, &mcf->path) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* fermata_coordinator host:port ... [name=gate]; */

char *
ngx_http_fermata_coordinator(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_main_conf_t *mcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (mcf->coordinators == NULL) {
        mcf->coordinators = ngx_array_create(cf->pool, 2, sizeof(ngx_addr_t));
        if (mcf->coordinators == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "name=", 5) == 0) {
            mcf->name.data = value[i].data + 5;
            mcf->name.len = value[i].len - 5;

            if (!ngx_http_fermata_is_name((char *) mcf->name.data)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid name of the gate \"%V\"",
                                   &mcf->name);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_http_fermata_add_coordinator(cf, mcf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_add_coordinator(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf, ngx_str_t *value)
{
    ngx_url_t    u;
    ngx_uint_t   i;
    ngx_addr_t  *addr;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = *value;
    u.default_port = 7400;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in address of the coordinator \"%V\"",
                           u.err ? u.err : "fault", value);
        return NGX_ERROR;
    }

    for (i = 0; i < u.naddrs; i++) {

        addr = ngx_array_push(mcf->coordinators);
        if (addr == NULL) {
            return NGX_ERROR;
        }

        *addr = u.addrs[i];
    }

    return NGX_OK;
}


/* What is said there opens the gate: in clear on this host only. */

char *
ngx_http_fermata_coordinator_init(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_uint_t   i;
    ngx_addr_t  *addr;

    if (mcf->coordinators == NULL || mcf->ssl) {
        return NGX_CONF_OK;
    }

    addr = mcf->coordinators->elts;

    for (i = 0; i < mcf->coordinators->nelts; i++) {

        if (!ngx_http_fermata_is_local(addr[i].sockaddr)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "coordinator \"%V\" is not on the loopback "
                               "interface, that takes TLS: see "
                               "\"fermata_ssl_certificate\"",
                               &addr[i].name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_fermata_is_local(struct sockaddr *sa)
{
    in_addr_t             ip;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

    case AF_UNIX:
        return 1;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

    default: /* AF_INET */
        ip = ntohl(((struct sockaddr_in *) sa)->sin_addr.s_addr);
        return ip >> 24 == 127;
    }
}


/* What was not given, and what must be. */

char *
ngx_http_fermata_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_fermata_main_conf_t *root = conf;

    ngx_uint_t                      i;
    ngx_http_fermata_main_conf_t  **mcfp;

    ngx_http_fermata_init_values(root, root);

    if (root->shm_zone == NULL) {

        if (root->coordinators || root->path) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the gate needs \"fermata_zone\"");
            return NGX_CONF_ERROR;
        }

        /* the first one: there are those of blocks only, if any */

        mcfp = root->clusters->elts;
        root->clusters->nelts--;
        root->clusters->elts = mcfp + 1;
    }

    mcfp = root->clusters->elts;

    for (i = 0; i < root->clusters->nelts; i++) {
        mcfp[i]->number = i;

        ngx_http_fermata_init_values(mcfp[i], root);

        if (ngx_http_fermata_init_cluster(cf, mcfp[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_fermata_check_clusters(cf, root->clusters) != NGX_OK
        || ngx_http_fermata_page_share(cf, root) != NGX_OK
        || ngx_http_fermata_assign_upstreams(cf, root) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_fermata_upstream_init(cf);
}


static void
ngx_http_fermata_init_values(ngx_http_fermata_main_conf_t *mcf,
    ngx_http_fermata_main_conf_t *root)
{
    if (mcf == root) {
        ngx_conf_init_uint_value(mcf->fallback,
                                 NGX_HTTP_FERMATA_DEFAULT_CLOSED);
        ngx_conf_init_msec_value(mcf->tabs_release, 3000);
        ngx_conf_init_msec_value(mcf->start_wait, 3000);

        if (mcf->live.data == NULL) {
            ngx_str_set(&mcf->live, "/fermata-live");
        }

    } else {
        ngx_conf_init_uint_value(mcf->fallback, root->fallback);
        ngx_conf_init_msec_value(mcf->tabs_release, root->tabs_release);
        ngx_conf_init_uint_value(mcf->tabs_max, root->tabs_max);
        ngx_conf_init_msec_value(mcf->start_wait, root->start_wait);

        if (mcf->live.data == NULL) {
            mcf->live = root->live;
        }
    }

    if (mcf->name.len == 0) {
        ngx_str_set(&mcf->name, "gate1");
    }
}


static ngx_int_t
ngx_http_fermata_init_cluster(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf)
{
    if (mcf->shm_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "cluster \"%V\" needs \"fermata_zone\"",
                           &mcf->cluster);
        return NGX_ERROR;
    }

    if (mcf->path == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the gate needs \"fermata_state\", that of cluster "
                           "\"%V\" is missing",
                           &mcf->cluster);
        return NGX_ERROR;
    }

    if (ngx_http_fermata_ssl_init(cf, mcf) != NGX_CONF_OK
        || ngx_http_fermata_coordinator_init(cf, mcf) != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Called first right after the start of the manager process. */

static ngx_msec_t
ngx_http_fermata_manager(void *data)
{
    ngx_http_fermata_main_conf_t *mcf = data;

    if (ngx_http_fermata_client_start(mcf) != NGX_OK) {
        return 1000;
    }

    return 3600 * 1000;
}
