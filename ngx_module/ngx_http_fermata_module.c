
/*
 * The gate of Fermata: directives.
 */


#include "ngx_http_fermata_module.h"


static void *ngx_http_fermata_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_fermata_create_srv_conf(ngx_conf_t *cf);
static void *ngx_http_fermata_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_fermata_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_fermata_init(ngx_conf_t *cf);


static ngx_conf_enum_t  ngx_http_fermata_fallbacks[] = {
    { ngx_string("closed"), NGX_HTTP_FERMATA_DEFAULT_CLOSED },
    { ngx_string("open"), NGX_HTTP_FERMATA_DEFAULT_OPEN },
    { ngx_string("last"), NGX_HTTP_FERMATA_DEFAULT_LAST },
    { ngx_null_string, 0 }
};


/* those with NGX_HTTP_FERMATA_CONF: in http{}, and in fermata_cluster{} */

static ngx_command_t  ngx_http_fermata_commands[] = {

    { ngx_string("fermata_cluster"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_fermata_cluster,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    /* nginx's own is not for contexts that it does not know */

    { ngx_string("include"),
      NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_include,
      0,
      0,
      NULL },

    { ngx_string("fermata_zone"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_state"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_state,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_coordinator"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_coordinator,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, ssl_certificate),
      NULL },

    { ngx_string("fermata_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, ssl_certificate_key),
      NULL },

    { ngx_string("fermata_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, ssl_trusted),
      NULL },

    { ngx_string("fermata_default"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, fallback),
      &ngx_http_fermata_fallbacks },

    { ngx_string("fermata_start_wait"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_start_wait,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, start_wait),
      NULL },

    { ngx_string("fermata_nodes"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_nodes,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_enable,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_bypass"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_set_predicate_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, bypass),
      NULL },

    { ngx_string("fermata_bypass_address"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_bypass_address,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_bypass_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_fermata_bypass_header,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_assets"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_assets,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_api"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_set_uris_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, api),
      "prefix of an API" },

    { ngx_string("fermata_hold"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_hold_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_hold_methods"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_hold_methods,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_retry_after"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, retry_after),
      NULL },

    { ngx_string("fermata_live"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_live,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_page"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_fermata_page,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_websocket"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_set_uris_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, tabs),
      "uri of websockets" },

    { ngx_string("fermata_websocket_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, tabs_timeout),
      NULL },

    { ngx_string("fermata_websocket_release"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, tabs_release),
      NULL },

    { ngx_string("fermata_websocket_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_FERMATA_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, tabs_max),
      NULL },

    { ngx_string("fermata_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_fermata_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_fermata_module_ctx = {
    ngx_http_fermata_add_variables,        /* preconfiguration */
    ngx_http_fermata_init,                 /* postconfiguration */

    ngx_http_fermata_create_main_conf,     /* create main configuration */
    ngx_http_fermata_init_main_conf,       /* init main configuration */

    ngx_http_fermata_create_srv_conf,      /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_fermata_create_loc_conf,      /* create location configuration */
    ngx_http_fermata_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_fermata_module = {
    NGX_MODULE_V1,
    &ngx_http_fermata_module_ctx,          /* module context */
    ngx_http_fermata_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_fermata_init_module,          /* init module */
    ngx_http_fermata_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_fermata_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_fermata_main_conf_t  *mcf, **mcfp;

    mcf = ngx_http_fermata_create_cluster(cf);
    if (mcf == NULL) {
        return NULL;
    }

    ngx_str_set(&mcf->cluster, NGX_HTTP_FERMATA_CLUSTER);
    ngx_str_set(&mcf->cookie, FM_BYPASS_COOKIE);

    mcf->clusters = ngx_array_create(cf->pool, 2,
                                     sizeof(ngx_http_fermata_main_conf_t *));
    if (mcf->clusters == NULL) {
        return NULL;
    }

    mcfp = ngx_array_push(mcf->clusters);
    if (mcfp == NULL) {
        return NULL;
    }

    *mcfp = mcf;

    if (ngx_http_fermata_page_init(cf, mcf) != NGX_OK) {
        return NULL;
    }

    return mcf;
}


/* The conf of http{}, or of a block fermata_cluster{}. */

ngx_http_fermata_main_conf_t *
ngx_http_fermata_create_cluster(ngx_conf_t *cf)
{
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_fermata_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     mcf->sh = NULL;
     *     mcf->slot = NULL;
     *     mcf->blind = 0;
     *     mcf->nodes = 0;
     *     mcf->shm_zone = NULL;
     *     mcf->fds = NULL;
     *     mcf->path = NULL;
     *     mcf->coordinators = NULL;
     *     mcf->name = { 0, NULL };
     *     mcf->ssl_certificate = { 0, NULL };
     *     mcf->ssl_certificate_key = { 0, NULL };
     *     mcf->ssl_trusted = { 0, NULL };
     *     mcf->ssl = NULL;
     *     mcf->live = { 0, NULL };
     *     and all that is of one process
     */

    mcf->fallback = NGX_CONF_UNSET_UINT;
    mcf->tabs_max = NGX_CONF_UNSET_UINT;
    mcf->tabs_release = NGX_CONF_UNSET_MSEC;
    mcf->start_wait = NGX_CONF_UNSET_MSEC;

    if (ngx_array_init(&mcf->upstreams, cf->pool, 2,
                       sizeof(ngx_http_fermata_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}


static void *
ngx_http_fermata_create_srv_conf(ngx_conf_t *cf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     ucf->nodes = NULL;
     *     ucf->init = NULL;
     *     ucf->mcf = NULL;
     *     ucf->which = { { 0, NULL }, NULL, 0 };
     *     ucf->upstream = NULL;
     *     ucf->resolved = 0;
     */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_fermata_srv_conf_t));
}


static void *
ngx_http_fermata_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_fermata_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_fermata_loc_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     lcf->mcf = NULL;
     *     lcf->which = { { 0, NULL }, NULL, 0 };
     *     lcf->status = 0;
     *     lcf->live = { 0, NULL };
     *     lcf->assets_location = { 0, NULL };
     *     lcf->pages = { NULL };
     */

    lcf->enable = NGX_CONF_UNSET;
    lcf->retry_after = NGX_CONF_UNSET;
    lcf->tabs = NGX_CONF_UNSET_PTR;
    lcf->tabs_timeout = NGX_CONF_UNSET_MSEC;
    lcf->assets = NGX_CONF_UNSET_PTR;
    lcf->api = NGX_CONF_UNSET_PTR;
    ngx_http_fermata_bypass_create(lcf);
    ngx_http_fermata_hold_create(lcf);

    return lcf;
}


static char *
ngx_http_fermata_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_fermata_loc_conf_t *prev = parent;
    ngx_http_fermata_loc_conf_t *conf = child;

    if (conf->which.name.data == NULL
        && (prev->which.name.data || conf->which.file == NULL))
    {
        conf->which = prev->which;
    }

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_sec_value(conf->retry_after, prev->retry_after, 10);
    ngx_http_fermata_bypass_merge(conf, prev);
    ngx_http_fermata_assets_merge(conf, prev);
    ngx_http_fermata_hold_merge(conf, prev);

    if (ngx_http_fermata_api_merge(cf, prev, conf) != NGX_OK
        || ngx_http_fermata_websocket_merge(cf, prev, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_fermata_page_merge(cf, prev, conf) != NGX_OK
        || ngx_http_fermata_find_cluster(cf, &conf->which, &conf->mcf)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->mcf) {
        conf->live = conf->mcf->live;

    } else if (conf->enable || conf->status) {
        ngx_http_fermata_no_cluster(cf, &conf->which,
                                    conf->status ? "fermata_status cluster="
                                                 : "fermata ");
        return NGX_CONF_ERROR;
    }

    if (conf->status) {
        conf->enable = 0;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt           *h;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_fermata_module);

    if (mcf->clusters->nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_fermata_handler;

    return ngx_http_fermata_page_filter_init(cf);
}
