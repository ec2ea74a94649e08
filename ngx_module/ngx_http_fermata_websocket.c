
/*
 * Which paths are websockets of open tabs.
 */


#include "ngx_http_fermata_module.h"


static ngx_array_t *ngx_http_fermata_websocket_default(ngx_conf_t *cf);


/* fermata_websocket uri ... | off; */

char *
ngx_http_fermata_websocket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_str_t   *value, *uri;
    ngx_uint_t   i;

    if (lcf->tabs != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        lcf->tabs = NULL;
        return NGX_CONF_OK;
    }

    lcf->tabs = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                 sizeof(ngx_str_t));
    if (lcf->tabs == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].data[0] != '/') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid uri of websockets \"%V\", it begins "
                               "with \"/\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        uri = ngx_array_push(lcf->tabs);
        if (uri == NULL) {
            return NGX_CONF_ERROR;
        }

        *uri = value[i];
    }

    return NGX_CONF_OK;
}


/* What clients of NocoBase ask for, unless it is served below another path. */

static ngx_array_t *
ngx_http_fermata_websocket_default(ngx_conf_t *cf)
{
    ngx_str_t    *uri;
    ngx_array_t  *uris;

    uris = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (uris == NULL) {
        return NULL;
    }

    uri = ngx_array_push(uris);
    if (uri == NULL) {
        return NULL;
    }

    ngx_str_set(uri, "/ws");

    return uris;
}


ngx_int_t
ngx_http_fermata_websocket_merge(ngx_conf_t *cf,
    ngx_http_fermata_loc_conf_t *prev, ngx_http_fermata_loc_conf_t *conf)
{
    ngx_conf_merge_msec_value(conf->tabs_timeout, prev->tabs_timeout, 60000);

    if (conf->tabs != NGX_CONF_UNSET_PTR) {
        return NGX_OK;
    }

    if (prev->tabs == NGX_CONF_UNSET_PTR) {
        prev->tabs = ngx_http_fermata_websocket_default(cf);
        if (prev->tabs == NULL) {
            return NGX_ERROR;
        }
    }

    conf->tabs = prev->tabs;

    return NGX_OK;
}
