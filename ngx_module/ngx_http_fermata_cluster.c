
/*
 * Which cluster: that of http{}, which needs no name, and those of blocks
 * fermata_cluster{}.  All that concerns one is in its main conf.
 */


#include "ngx_http_fermata_module.h"


static ngx_int_t ngx_http_fermata_name_cluster(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf, ngx_str_t *name);
static ngx_uint_t ngx_http_fermata_is_taken(ngx_conf_t *cf, ngx_str_t *name,
    ngx_array_t *clusters);
static ngx_int_t ngx_http_fermata_check_pair(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *one, ngx_http_fermata_main_conf_t *two);
static ngx_addr_t *ngx_http_fermata_same_coordinator(
    ngx_http_fermata_main_conf_t *one, ngx_http_fermata_main_conf_t *two);
static ngx_uint_t ngx_http_fermata_same_folder(ngx_str_t *one, ngx_str_t *two);
static u_char *ngx_http_fermata_log_cluster(ngx_log_t *log, u_char *buf,
    size_t len);


/*
 * fermata_cluster name { ... }
 *
 * The directives of http{} that concern a cluster, with the conf of this one
 * in the place of the main conf.
 */

char *
ngx_http_fermata_cluster(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_main_conf_t *root = conf;

    char                           *rv;
    ngx_str_t                      *value;
    ngx_conf_t                      save;
    ngx_http_conf_ctx_t            *ctx;
    ngx_http_fermata_main_conf_t   *mcf, **mcfp;

    value = cf->args->elts;

    if (ngx_http_fermata_is_taken(cf, &value[1], root->clusters)) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_fermata_create_cluster(cf);
    mcfp = ngx_array_push(root->clusters);
    ctx = ngx_palloc(cf->pool, sizeof(ngx_http_conf_ctx_t));

    if (mcf == NULL || mcfp == NULL || ctx == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_fermata_name_cluster(cf, mcf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf->clusters = root->clusters;

    *mcfp = mcf;
    *ctx = *(ngx_http_conf_ctx_t *) cf->ctx;

    ctx->main_conf = ngx_palloc(cf->pool, ngx_http_max_module * sizeof(void *));
    if (ctx->main_conf == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(ctx->main_conf, ((ngx_http_conf_ctx_t *) cf->ctx)->main_conf,
               ngx_http_max_module * sizeof(void *));

    ctx->main_conf[ngx_http_fermata_module.ctx_index] = mcf;

    save = *cf;
    cf->ctx = ctx;
    cf->cmd_type = NGX_HTTP_FERMATA_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return rv;
}


/* Browsers keep one cookie of a name for a host, whatever the port. */

static ngx_int_t
ngx_http_fermata_name_cluster(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf, ngx_str_t *name)
{
    mcf->cluster = *name;

    mcf->cookie.len = sizeof(FM_BYPASS_COOKIE "_") - 1 + name->len;
    mcf->cookie.data = ngx_pnalloc(cf->pool, mcf->cookie.len + 1);
    if (mcf->cookie.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(mcf->cookie.data, FM_BYPASS_COOKIE "_%V%Z", name);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_fermata_is_taken(ngx_conf_t *cf, ngx_str_t *name,
    ngx_array_t *clusters)
{
    ngx_uint_t                      i;
    ngx_http_fermata_main_conf_t  **mcfp;

    if (!ngx_http_fermata_is_name((char *) name->data)
        || ngx_strcasecmp(name->data, (u_char *) "on") == 0
        || ngx_strcasecmp(name->data, (u_char *) "off") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of a cluster \"%V\"", name);
        return 1;
    }

    mcfp = clusters->elts;

    for (i = 0; i < clusters->nelts; i++) {
        if (ngx_strcmp(mcfp[i]->cluster.data, name->data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               i ? "cluster \"%V\" is there twice"
                                 : "cluster \"%V\" is that of the directives "
                                   "in http{}, a block takes another name",
                               name);
            return 1;
        }
    }

    return 0;
}


/* fermata on | off | name; */

char *
ngx_http_fermata_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        lcf->enable = 0;
        return NGX_CONF_OK;
    }

    lcf->enable = 1;

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        (void) ngx_http_fermata_which(cf, NULL, &lcf->which);
        return NGX_CONF_OK;
    }

    return ngx_http_fermata_which(cf, value[1].data, &lcf->which) == NGX_OK
           ? NGX_CONF_OK : "names another cluster than \"fermata_status\"";
}


ngx_int_t
ngx_http_fermata_which(ngx_conf_t *cf, u_char *name,
    ngx_http_fermata_which_t *which)
{
    if (name) {

        if (which->name.data && ngx_strcmp(which->name.data, name) != 0) {
            return NGX_DECLINED;
        }

        which->name.data = name;
        which->name.len = ngx_strlen(name);
    }
    which->file = cf->conf_file->file.name.data;
    which->line = cf->conf_file->line;

    return NGX_OK;
}


ngx_int_t
ngx_http_fermata_find_cluster(ngx_conf_t *cf, ngx_http_fermata_which_t *which,
    ngx_http_fermata_main_conf_t **mcf)
{
    ngx_uint_t                      i;
    ngx_array_t                    *clusters;
    ngx_http_fermata_main_conf_t   *root, **mcfp;

    *mcf = NULL;

    root = ngx_http_conf_get_module_main_conf(cf, ngx_http_fermata_module);
    clusters = root->clusters;
    mcfp = clusters->elts;

    if (which->name.data == NULL) {

        if (clusters->nelts == 1 || root->shm_zone) {
            *mcf = mcfp[0];
        }

        return NGX_OK;
    }

    for (i = 0; i < clusters->nelts; i++) {
        if (ngx_strcmp(mcfp[i]->cluster.data, which->name.data) == 0) {
            *mcf = mcfp[i];
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "there is no cluster \"%V\", a \"fermata_cluster\" of that "
                  "name is missing, in %s:%ui",
                  &which->name, which->file, which->line);

    return NGX_ERROR;
}


void
ngx_http_fermata_no_cluster(ngx_conf_t *cf, ngx_http_fermata_which_t *which,
    const char *example)
{
    ngx_http_fermata_main_conf_t  *root, **mcfp;

    root = ngx_http_conf_get_module_main_conf(cf, ngx_http_fermata_module);

    if (root->clusters->nelts == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the gate needs \"fermata_zone\" in %s:%ui",
                      which->file, which->line);
        return;
    }

    mcfp = root->clusters->elts;

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "of %ui clusters one is to be named, such as \"%s%V\", "
                  "in %s:%ui",
                  root->clusters->nelts, example, &mcfp[0]->cluster,
                  which->file, which->line);
}


/*
 * Zones are compared when they are added, and so are folders by name: see
 * ngx_http_fermata_conf.c and ngx_add_path().
 */

ngx_int_t
ngx_http_fermata_check_clusters(ngx_conf_t *cf, ngx_array_t *clusters)
{
    ngx_uint_t                      i, j;
    ngx_http_fermata_main_conf_t  **mcfp;

    mcfp = clusters->elts;

    for (i = 0; i < clusters->nelts; i++) {
        for (j = 0; j < i; j++) {
            if (ngx_http_fermata_check_pair(cf, mcfp[j], mcfp[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_check_pair(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *one,
    ngx_http_fermata_main_conf_t *two)
{
    ngx_addr_t  *addr;

    if (ngx_http_fermata_same_folder(&one->path->name, &two->path->name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" and \"%V\" are the same folder: clusters "
                           "\"%V\" and \"%V\" need a \"fermata_state\" each",
                           &one->path->name, &two->path->name,
                           &one->cluster, &two->cluster);
        return NGX_ERROR;
    }

    if (one->name.len != two->name.len
        || ngx_strncmp(one->name.data, two->name.data, one->name.len) != 0)
    {
        return NGX_OK;
    }

    addr = ngx_http_fermata_same_coordinator(one, two);

    if (addr) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "clusters \"%V\" and \"%V\" are both gate \"%V\" "
                           "at coordinator %V: each cluster has a "
                           "coordinator of its own",
                           &one->cluster, &two->cluster, &one->name,
                           &addr->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_addr_t *
ngx_http_fermata_same_coordinator(ngx_http_fermata_main_conf_t *one,
    ngx_http_fermata_main_conf_t *two)
{
    ngx_uint_t   i, j;
    ngx_addr_t  *a, *b;

    if (one->coordinators == NULL || two->coordinators == NULL) {
        return NULL;
    }

    a = one->coordinators->elts;
    b = two->coordinators->elts;

    for (i = 0; i < one->coordinators->nelts; i++) {
        for (j = 0; j < two->coordinators->nelts; j++) {

            if (ngx_cmp_sockaddr(a[i].sockaddr, a[i].socklen, b[j].sockaddr,
                                 b[j].socklen, 1)
                == NGX_OK)
            {
                return &b[j];
            }
        }
    }

    return NULL;
}


/* Under another spelling, or by a link; one that is not there yet is not. */

static ngx_uint_t
ngx_http_fermata_same_folder(ngx_str_t *one, ngx_str_t *two)
{
    ngx_file_info_t  a, b;

    return ngx_file_info(one->data, &a) != NGX_FILE_ERROR
           && ngx_file_info(two->data, &b) != NGX_FILE_ERROR
           && a.st_dev == b.st_dev
           && ngx_file_uniq(&a) == ngx_file_uniq(&b);
}


void
ngx_http_fermata_init_log(ngx_http_fermata_main_conf_t *mcf, ngx_log_t *log)
{
    mcf->log = *log;

    if (mcf->clusters->nelts > 1) {
        mcf->log.handler = ngx_http_fermata_log_cluster;
        mcf->log.data = mcf;
    }
}


static u_char *
ngx_http_fermata_log_cluster(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = log->data;

    return ngx_snprintf(buf, len, ", cluster: \"%V\"", &mcf->cluster);
}


ngx_http_fermata_main_conf_t *
ngx_http_fermata_cluster_of(ngx_http_request_t *r)
{
    ngx_http_fermata_ctx_t       *ctx;
    ngx_http_fermata_loc_conf_t  *lcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    if (ctx) {
        return ctx->mcf;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    return lcf->mcf;
}
