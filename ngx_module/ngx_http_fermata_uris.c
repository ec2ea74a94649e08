
/*
 * Directives whose value is a list of URIs, or of what URIs begin with.
 */


#include "ngx_http_fermata_module.h"


/*
 * directive uri ... | off;  the array at cmd->offset, of ngx_str_t, NULL when
 * off.  cmd->post: what they are, for the error.
 */

char *
ngx_http_fermata_set_uris_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *p = conf;

    ngx_str_t     *value, *uri;
    ngx_uint_t     i;
    ngx_array_t  **uris;

    uris = (ngx_array_t **) (p + cmd->offset);

    if (*uris != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        *uris = NULL;
        return NGX_CONF_OK;
    }

    *uris = ngx_array_create(cf->pool, cf->args->nelts - 1,
                             sizeof(ngx_str_t));
    if (*uris == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].data[0] != '/') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid %s \"%V\", it begins with \"/\"",
                               cmd->post, &value[i]);
            return NGX_CONF_ERROR;
        }

        uri = ngx_array_push(*uris);
        if (uri == NULL) {
            return NGX_CONF_ERROR;
        }

        *uri = value[i];
    }

    return NGX_CONF_OK;
}
