
/*
 * Nodes and the balancers that give them.  Included by
 * ngx_http_fermata_module.h only.
 */


#ifndef _NGX_HTTP_FERMATA_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_FERMATA_UPSTREAM_H_INCLUDED_


/* nodes: ngx_http_fermata_upstream.c, ngx_http_fermata_servers.c */

ngx_int_t ngx_http_fermata_peer_node(ngx_peer_connection_t *pc,
    ngx_http_fermata_srv_conf_t *ucf);
ngx_int_t ngx_http_fermata_place_nodes(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf);
ngx_int_t ngx_http_fermata_check_servers(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf);


/* servers that are resolved at run time: ngx_http_fermata_resolve.c */

ngx_int_t ngx_http_fermata_given_node(ngx_peer_connection_t *pc,
    ngx_http_fermata_srv_conf_t *ucf);
ngx_uint_t ngx_http_fermata_count_peers(ngx_http_fermata_srv_conf_t *ucf,
    ngx_str_t *server);
ngx_addr_t *ngx_http_fermata_find_address(ngx_pool_t *pool,
    ngx_http_fermata_srv_conf_t *ucf, ngx_str_t *server);
ngx_int_t ngx_http_fermata_mark(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf, ngx_int_t node);
uint64_t ngx_http_fermata_marked(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf);


/* balancers: ngx_http_fermata_peer.c, ngx_http_fermata_tries.c */

/* a number that changes with the peers of an upstream, 0: they never do */
#define ngx_http_fermata_version(ucf)                                         \
    ((ucf)->resolved ? ngx_http_fermata_peers_version(                        \
                 (ngx_http_upstream_rr_peers_t *) (ucf)->upstream->peer.data) \
                     : 0)

#define ngx_http_fermata_may(ctx, word, node)                                 \
    ((ctx)->bypassed ? fm_gate_may_bypass(word, (int) (node))                 \
                     : fm_gate_may_use(word, (int) (node)))

ngx_int_t ngx_http_fermata_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
ngx_int_t ngx_http_fermata_init_resolved(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
void ngx_http_fermata_limit_tries(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx);
ngx_int_t ngx_http_fermata_pinned_peer(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, uint64_t word);
ngx_int_t ngx_http_fermata_no_peer(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, uint64_t word);
void ngx_http_fermata_wrap(ngx_http_upstream_t *u,
    ngx_http_fermata_ctx_t *ctx, ngx_http_fermata_srv_conf_t *ucf);
void ngx_http_fermata_take(ngx_http_fermata_ctx_t *ctx, ngx_int_t node);
char *ngx_http_fermata_nodes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_fermata_assign_upstreams(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *root);
char *ngx_http_fermata_upstream_init(ngx_conf_t *cf);


/* rides of an open gate: ngx_http_fermata_adopt.c */

void ngx_http_fermata_adopt(ngx_http_fermata_ctx_t *ctx);
ngx_int_t ngx_http_fermata_served(ngx_http_fermata_ctx_t *ctx);


#endif /* _NGX_HTTP_FERMATA_UPSTREAM_H_INCLUDED_ */
