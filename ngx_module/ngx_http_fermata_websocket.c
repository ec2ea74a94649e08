
/*
 * Which paths are websockets of open tabs.
 */


#include "ngx_http_fermata_module.h"


static ngx_array_t *ngx_http_fermata_websocket_default(ngx_conf_t *cf);


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
