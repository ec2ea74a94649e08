
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


static ngx_command_t  ngx_http_fermata_commands[] = {

    { ngx_string("fermata_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_state"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_fermata_state,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_coordinator"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_fermata_coordinator,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, ssl_certificate),
      NULL },

    { ngx_string("fermata_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, ssl_certificate_key),
      NULL },

    { ngx_string("fermata_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, ssl_trusted),
      NULL },

    { ngx_string("fermata_default"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, fallback),
      &ngx_http_fermata_fallbacks },

    { ngx_string("fermata_start_wait"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
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
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, enable),
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
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
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
      ngx_http_fermata_websocket,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fermata_websocket_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fermata_loc_conf_t, tabs_timeout),
      NULL },

    { ngx_string("fermata_websocket_release"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, tabs_release),
      NULL },

    { ngx_string("fermata_websocket_max"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fermata_main_conf_t, tabs_max),
      NULL },

    { ngx_string("fermata_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
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
    NULL,                                  /* init module */
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
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_fermata_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     mcf->shm_zone = NULL;
     *     mcf->sh = NULL;
     *     mcf->nodes = 0;
     *     mcf->path = NULL;
     *     mcf->coordinators = NULL;
     *     mcf->name = { 0, NULL };
     *     mcf->ssl_certificate = { 0, NULL };
     *     mcf->ssl_certificate_key = { 0, NULL };
     *     mcf->ssl_trusted = { 0, NULL };
     *     mcf->ssl = NULL;
     *     mcf->live = { 0, NULL };
     *     mcf->policy = { 0, NULL };
     *     mcf->used = 0;
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

    ngx_http_fermata_page_init(mcf);

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
    ngx_http_fermata_bypass_create(lcf);
    ngx_http_fermata_hold_create(lcf);

    return lcf;
}


static char *
ngx_http_fermata_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_fermata_loc_conf_t *prev = parent;
    ngx_http_fermata_loc_conf_t *conf = child;

    ngx_uint_t                     i;
    ngx_http_fermata_main_conf_t  *mcf;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_sec_value(conf->retry_after, prev->retry_after, 10);
    ngx_http_fermata_bypass_merge(conf, prev);
    ngx_http_fermata_assets_merge(conf, prev);
    ngx_http_fermata_hold_merge(conf, prev);

    if (ngx_http_fermata_websocket_merge(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < NGX_HTTP_FERMATA_KINDS; i++) {
        if (conf->pages[i] == NULL) {
            conf->pages[i] = prev->pages[i];
        }
    }

    if (conf->status) {
        conf->enable = 0;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_fermata_module);

    conf->live = mcf->live;

    if (conf->enable || conf->status) {
        if (mcf->shm_zone == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the gate needs \"fermata_zone\"");
            return NGX_CONF_ERROR;
        }
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

    if (mcf->shm_zone == NULL) {
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
