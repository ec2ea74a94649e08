
/*
 * $fermata_mode, $fermata_node and others, for logs and conditions.
 */


#include "ngx_http_fermata_module.h"


static ngx_http_fermata_main_conf_t *ngx_http_fermata_variable_cluster(
    ngx_http_request_t *r, ngx_http_variable_value_t *v);
static ngx_int_t ngx_http_fermata_cluster_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_fermata_mode_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_fermata_node_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_fermata_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_fermata_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_fermata_retry_after_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_fermata_bypassed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_fermata_vars[] = {

    { ngx_string("fermata_cluster"), NULL, ngx_http_fermata_cluster_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_mode"), NULL, ngx_http_fermata_mode_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_node"), NULL, ngx_http_fermata_node_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_epoch"), NULL, ngx_http_fermata_number_variable,
      offsetof(struct fm_gate_ask, voice.epoch), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_seq"), NULL, ngx_http_fermata_number_variable,
      offsetof(struct fm_gate_ask, voice.seq), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_run"), NULL, ngx_http_fermata_number_variable,
      offsetof(struct fm_gate_ask, run), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_back_at"), NULL, ngx_http_fermata_number_variable,
      offsetof(struct fm_gate_ask, back_at), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_message"), NULL, ngx_http_fermata_text_variable,
      offsetof(struct fm_gate_ask, message), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_step"), NULL, ngx_http_fermata_text_variable,
      offsetof(struct fm_gate_ask, step), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_retry_after"), NULL,
      ngx_http_fermata_retry_after_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("fermata_bypassed"), NULL,
      ngx_http_fermata_bypassed_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* NULL: no gate rules here, and the variable is not found. */

static ngx_http_fermata_main_conf_t *
ngx_http_fermata_variable_cluster(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_cluster_of(r);

    v->not_found = (mcf == NULL);

    return mcf;
}


static ngx_int_t
ngx_http_fermata_cluster_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_variable_cluster(r, v);
    if (mcf == NULL) {
        return NGX_OK;
    }

    v->data = mcf->cluster.data;
    v->len = mcf->cluster.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_mode_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    static ngx_str_t  names[] = {
#define X(name, text)  ngx_string(text),
        FM_GATE_MODES(X)
#undef X
    };

    ngx_str_t                     *name;
    enum fm_gate_mode              mode;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_variable_cluster(r, v);
    if (mcf == NULL) {
        return NGX_OK;
    }

    mode = fm_gate_word_mode(mcf->sh->word);
    name = &names[mode <= FM_GATE_PINNED ? mode : FM_GATE_NONE];

    v->data = name->data;
    v->len = name->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* The node that serves the request, or has served it. */

static ngx_int_t
ngx_http_fermata_node_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t                node;
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    node = ctx ? ngx_http_fermata_served(ctx) : FM_GATE_NO_NODE;

    if (node == FM_GATE_NO_NODE) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ctx->mcf->sh->nodes[node];
    v->len = ngx_strlen(v->data);
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                        *p;
    uint64_t                       n;
    struct fm_gate_ask             ask;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_variable_cluster(r, v);
    if (mcf == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_fermata_read(mcf->sh, &ask, 0);

    n = *(uint64_t *) ((u_char *) &ask + data);

    v->data = p;
    v->len = ngx_sprintf(p, "%uL", n) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/*
 * A text of the last ask; not found when it is empty.  It may well be used in
 * a header or a log: it is one line.
 */

static ngx_int_t
ngx_http_fermata_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                      text;
    ngx_uint_t                     i;
    struct fm_gate_ask             ask;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_variable_cluster(r, v);
    if (mcf == NULL) {
        return NGX_OK;
    }

    (void) ngx_http_fermata_read(mcf->sh, &ask, 0);

    text.data = (u_char *) &ask + data;
    text.len = ngx_strlen(text.data);

    if (text.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ngx_pstrdup(r->pool, &text);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < text.len; i++) {
        if (v->data[i] < 0x20 || v->data[i] == 0x7f) {
            v->data[i] = ' ';
        }
    }

    v->len = text.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* What a refusal of this request says, or would say. */

static ngx_int_t
ngx_http_fermata_retry_after_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = ngx_http_fermata_variable_cluster(r, v);
    if (mcf == NULL) {
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(v->data, "%T", ngx_http_fermata_retry_after(r, mcf))
             - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_bypassed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_fermata_module);

    v->data = (u_char *) (ctx && ctx->bypassed ? "1" : "0");
    v->len = 1;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_fermata_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_fermata_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
