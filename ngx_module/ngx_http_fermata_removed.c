
/*
 * Clusters that a reload takes away.  Workers of before obey the last word of
 * such a one and end what they have under way, but nobody counts that, and no
 * coordinator hears of it: the log says so at least.
 */


#include "ngx_http_fermata_module.h"


static ngx_uint_t ngx_http_fermata_is_kept(ngx_http_fermata_main_conf_t *root,
    ngx_http_fermata_main_conf_t *old);
static void ngx_http_fermata_removed(ngx_http_fermata_main_conf_t *mcf,
    ngx_log_t *log);


/* In the master, when nothing can make the reload fail any more. */

ngx_int_t
ngx_http_fermata_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_fermata_main_conf_t   *root, *old, **mcfp;

    if (ngx_is_init_cycle(cycle->old_cycle)) {
        return NGX_OK;
    }

    old = ngx_http_cycle_get_module_main_conf(cycle->old_cycle,
                                              ngx_http_fermata_module);
    if (old == NULL) {
        return NGX_OK;
    }

    /* NULL: http{} is gone */

    root = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_fermata_module);

    mcfp = old->clusters->elts;

    for (i = 0; i < old->clusters->nelts; i++) {
        if (mcfp[i]->sh && !ngx_http_fermata_is_kept(root, mcfp[i])) {
            ngx_http_fermata_removed(mcfp[i], cycle->log);
        }
    }

    return NGX_OK;
}


/* What makes it the same cluster is its zone. */

static ngx_uint_t
ngx_http_fermata_is_kept(ngx_http_fermata_main_conf_t *root,
    ngx_http_fermata_main_conf_t *old)
{
    ngx_uint_t                      i;
    ngx_http_fermata_main_conf_t  **mcfp;

    if (root == NULL) {
        return 0;
    }

    mcfp = root->clusters->elts;

    for (i = 0; i < root->clusters->nelts; i++) {
        if (mcfp[i]->sh == old->sh) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_fermata_removed(ngx_http_fermata_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_uint_t              requests;
    enum fm_gate_mode       mode;
    ngx_http_fermata_sum_t  sum;

    mode = fm_gate_word_mode(mcf->sh->word);

    ngx_http_fermata_sum(mcf->sh, &sum);

    requests = sum.in_flight + sum.held;

    if (mode != FM_GATE_OPEN) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "fermata: cluster \"%V\" is taken away while its gate "
                      "is %s: whatever leads to its nodes now, nobody stops "
                      "it there", &mcf->cluster,
                      mode == FM_GATE_PINNED ? "pinned" : "closed");
    }

    if (requests || sum.websockets || sum.tabs) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "fermata: cluster \"%V\" is taken away with %ui "
                      "requests, %ui websockets and %ui open tabs under way: "
                      "nobody counts them from now on; they end with workers "
                      "of before", &mcf->cluster, requests, sum.websockets,
                      sum.tabs);
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "fermata: cluster \"%V\" is taken away, its folder \"%V\" "
                  "stays", &mcf->cluster, &mcf->path->name);
}
