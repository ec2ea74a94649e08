
/*
 * Who gets JSON in place of the page: what asks for it, and what asks for
 * something below the paths of the application's API.
 */


#include "ngx_http_fermata_module.h"


static ngx_uint_t ngx_http_fermata_is_api(ngx_http_request_t *r);
static ngx_uint_t ngx_http_fermata_overlaps(ngx_array_t *uris,
    ngx_str_t *uri);


static ngx_str_t  ngx_http_fermata_default_api = ngx_string("/api/");


static ngx_array_t  ngx_http_fermata_default_apis = {
    &ngx_http_fermata_default_api, 1, sizeof(ngx_str_t), 1, NULL
};


/* A program asks for JSON, or for something of the API. */

ngx_uint_t
ngx_http_fermata_wants_json(ngx_http_request_t *r)
{
#if (NGX_HTTP_HEADERS)
    u_char           *json, *html, *last;
    ngx_table_elt_t  *accept;
#endif

    if (ngx_http_fermata_is_api(r)) {
        return 1;
    }

#if (NGX_HTTP_HEADERS)

    accept = r->headers_in.accept;

    if (accept == NULL) {
        return 0;
    }

    last = accept->value.data + accept->value.len;

    json = ngx_strlcasestrn(accept->value.data, last,
                            (u_char *) "application/json",
                            sizeof("application/json") - 2);
    if (json == NULL) {
        return 0;
    }

    html = ngx_strlcasestrn(accept->value.data, last, (u_char *) "text/html",
                            sizeof("text/html") - 2);

    return html == NULL || json < html;

#else

    return 0;

#endif
}


static ngx_uint_t
ngx_http_fermata_is_api(ngx_http_request_t *r)
{
    ngx_str_t                    *uri;
    ngx_uint_t                    i;
    ngx_http_fermata_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    if (lcf->api == NULL) {
        return 0;
    }

    uri = lcf->api->elts;

    for (i = 0; i < lcf->api->nelts; i++) {
        if (r->uri.len >= uri[i].len
            && ngx_memcmp(r->uri.data, uri[i].data, uri[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * After assets have been merged: those on a disk have nothing to do with the
 * API, whose answers nobody has there.
 */

ngx_int_t
ngx_http_fermata_api_merge(ngx_conf_t *cf, ngx_http_fermata_loc_conf_t *prev,
    ngx_http_fermata_loc_conf_t *conf)
{
    ngx_str_t   *uri;
    ngx_uint_t   i;

    ngx_conf_merge_ptr_value(conf->api, prev->api,
                             &ngx_http_fermata_default_apis);

    if (conf->assets == NULL || conf->api == NULL) {
        return NGX_OK;
    }

    uri = conf->assets->elts;

    for (i = 0; i < conf->assets->nelts; i++) {

        if (ngx_http_fermata_overlaps(conf->api, &uri[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid prefix of assets \"%V\": it has to do "
                               "with \"fermata_api\", which is \"/api/\" if "
                               "it is not given", &uri[i]);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Whether one is the beginning of the other. */

static ngx_uint_t
ngx_http_fermata_overlaps(ngx_array_t *uris, ngx_str_t *uri)
{
    ngx_str_t   *other;
    ngx_uint_t   i;

    other = uris->elts;

    for (i = 0; i < uris->nelts; i++) {
        if (ngx_strncmp(other[i].data, uri->data,
                        ngx_min(other[i].len, uri->len))
            == 0)
        {
            return 1;
        }
    }

    return 0;
}
