
/*
 * The gate of Fermata: clusters, and bells within one.  Included by
 * ngx_http_fermata_module.h only.
 */


#ifndef _NGX_HTTP_FERMATA_CLUSTER_H_INCLUDED_
#define _NGX_HTTP_FERMATA_CLUSTER_H_INCLUDED_


/* which cluster: ngx_http_fermata_cluster.c */

/* The name that a block cannot have: that of http{} itself. */
#define NGX_HTTP_FERMATA_CLUSTER    "default"

ngx_http_fermata_main_conf_t *ngx_http_fermata_create_cluster(ngx_conf_t *cf);
char *ngx_http_fermata_cluster(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_fermata_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Notes that a cluster is meant here, and its name unless that is NULL;
 * NGX_DECLINED: there is another one already.
 */
ngx_int_t ngx_http_fermata_which(ngx_conf_t *cf, u_char *name,
    ngx_http_fermata_which_t *which);

/*
 * The cluster that is meant in *mcf; where none is named the one of http{},
 * or the only one, or NULL.  NGX_ERROR: no such name, and it has been said.
 */
ngx_int_t ngx_http_fermata_find_cluster(ngx_conf_t *cf,
    ngx_http_fermata_which_t *which, ngx_http_fermata_main_conf_t **mcf);

/* Says that a cluster has to be named, or that there is none. */
void ngx_http_fermata_no_cluster(ngx_conf_t *cf,
    ngx_http_fermata_which_t *which, const char *example);

/* Whether what is not the one's own is apart from all others. */
ngx_int_t ngx_http_fermata_check_clusters(ngx_conf_t *cf,
    ngx_array_t *clusters);

/* A log that says which cluster, if there are several. */
void ngx_http_fermata_init_log(ngx_http_fermata_main_conf_t *mcf,
    ngx_log_t *log);

/* What a request has to do with: its ride's cluster, or its location's. */
ngx_http_fermata_main_conf_t *ngx_http_fermata_cluster_of(
    ngx_http_request_t *r);


/* bells between processes: ngx_http_fermata_bell.c */

ngx_int_t ngx_http_fermata_open_fds(ngx_http_fermata_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_fermata_share_fds(ngx_http_fermata_main_conf_t *mcf,
    ngx_http_fermata_main_conf_t *old);
ngx_int_t ngx_http_fermata_keep_fds(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_ring(ngx_fd_t fd);
ngx_int_t ngx_http_fermata_watch(ngx_cycle_t *cycle, ngx_fd_t fd,
    ngx_event_handler_pt handler, void *data);


#endif /* _NGX_HTTP_FERMATA_CLUSTER_H_INCLUDED_ */
