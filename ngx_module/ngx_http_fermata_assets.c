
/*
 * fermata_assets: parts of the client go on being served while visitors are
 * not, from a location of the operator's that has them on disk.  Open tabs
 * load them long after the first page, and break for good without them.
 */


#include "ngx_http_fermata_module.h"


static char *ngx_http_fermata_add_asset(ngx_conf_t *cf, ngx_array_t *uris,
    ngx_str_t *uri);


/* Where NocoBase has them. */

static ngx_str_t  ngx_http_fermata_default_assets[] = {
    ngx_string("/assets/"),
    ngx_string("/static/"),
    ngx_string("/dist/"),
    ngx_string("/v/assets/"),
    ngx_string("/favicon"),
    ngx_null_string
};


/* Whether what was asked for is one of them. */

ngx_uint_t
ngx_http_fermata_is_asset(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf)
{
    ngx_str_t   *uri;
    ngx_uint_t   i;

    if (lcf->assets == NULL || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return 0;
    }

    /* the uri is normalized: nothing in it leads out of a prefix */

    uri = lcf->assets->elts;

    for (i = 0; i < lcf->assets->nelts; i++) {
        if (r->uri.len > uri[i].len
            && ngx_memcmp(r->uri.data, uri[i].data, uri[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * From a phase handler.  It is not let through: it is counted apart, no drain
 * waits for it, and the wrapper refuses it, should that location lead to a
 * node after all.
 */

ngx_int_t
ngx_http_fermata_asset_send(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_fermata_get_ctx(r, lcf->mcf);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->asset = 1;
    ctx->json = ngx_http_fermata_wants_json(r);

    lcf->mcf->slot->assets++;

    (void) ngx_http_named_location(r, &lcf->assets_location);

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


/* fermata_assets @location [uri-prefix ...] | off; */

char *
ngx_http_fermata_assets(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (lcf->assets != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        lcf->assets = NULL;
        return NGX_CONF_OK;
    }

    if (value[1].len < 2 || value[1].data[0] != '@') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a named location such as "
                           "\"@assets\", nor \"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    lcf->assets_location = value[1];

    lcf->assets = ngx_array_create(cf->pool, 5, sizeof(ngx_str_t));
    if (lcf->assets == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_fermata_add_asset(cf, lcf->assets, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 0;
         cf->args->nelts == 2 && ngx_http_fermata_default_assets[i].len;
         i++)
    {
        if (ngx_http_fermata_add_asset(cf, lcf->assets,
                                       &ngx_http_fermata_default_assets[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_fermata_add_asset(ngx_conf_t *cf, ngx_array_t *uris, ngx_str_t *uri)
{
    ngx_str_t  *new;

    /* not all of the site */

    if (uri->len < 2 || uri->data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid prefix of assets \"%V\": it begins with "
                           "\"/\", and is longer than that", uri);
        return NGX_CONF_ERROR;
    }

    new = ngx_array_push(uris);
    if (new == NULL) {
        return NGX_CONF_ERROR;
    }

    *new = *uri;

    return NGX_CONF_OK;
}


void
ngx_http_fermata_assets_merge(ngx_http_fermata_loc_conf_t *conf,
    ngx_http_fermata_loc_conf_t *prev)
{
    if (conf->assets == NGX_CONF_UNSET_PTR) {
        conf->assets_location = prev->assets_location;
    }

    ngx_conf_merge_ptr_value(conf->assets, prev->assets, NULL);
}
