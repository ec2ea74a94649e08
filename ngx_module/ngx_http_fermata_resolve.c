
/*
 * Servers that are resolved at run time: a node is known by the name of its
 * server, whatever addresses that has.  What a balancer has given stays in
 * memory while the request has it, even if the name has moved on since.
 */


#include "ngx_http_fermata_module.h"


/* The nodes that a connection has been used for, and may be kept for. */

typedef struct {
    ngx_http_fermata_main_conf_t    *mcf;
    uint64_t                         nodes;
} ngx_http_fermata_mark_t;


static ngx_http_upstream_rr_peer_t *ngx_http_fermata_given_peer(
    ngx_peer_connection_t *pc, ngx_http_fermata_srv_conf_t *ucf);
static ngx_uint_t ngx_http_fermata_is_of(ngx_http_upstream_rr_peer_t *peer,
    ngx_str_t *server);
static ngx_http_fermata_mark_t *ngx_http_fermata_find_mark(
    ngx_connection_t *c, ngx_http_fermata_main_conf_t *mcf);
static void ngx_http_fermata_unmark(void *data);


/* The node that the balancer has just given. */

ngx_int_t
ngx_http_fermata_given_node(ngx_peer_connection_t *pc,
    ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_uint_t                    i;
    ngx_http_fermata_node_t      *node;
    ngx_http_upstream_rr_peer_t  *peer;

    if (!ucf->resolved) {
        return ngx_http_fermata_peer_node(pc, ucf);
    }

    peer = ngx_http_fermata_given_peer(pc, ucf);

    if (peer == NULL) {
        ngx_log_error(NGX_LOG_ERR, pc->log, 0,
                      "fermata cannot tell which server of upstream \"%V\" "
                      "its balancer has given", &ucf->upstream->host);
        return FM_GATE_NO_NODE;
    }

    if (!ngx_http_fermata_has_host(peer)) {
        return ngx_http_fermata_peer_node(pc, ucf);
    }

    node = ucf->nodes->elts;

    for (i = 0; i < ucf->nodes->nelts; i++) {
        if (ngx_http_fermata_is_of(peer, &node[i].server)) {
            return node[i].index;
        }
    }

    return FM_GATE_NO_NODE;
}


/* NULL: a balancer that is not nginx's own has servers that are its own. */

static ngx_http_upstream_rr_peer_t *
ngx_http_fermata_given_peer(ngx_peer_connection_t *pc,
    ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_http_upstream_rr_peer_t  *peer;

    if (!ngx_http_fermata_is_in_zone(ucf->upstream, pc->name)) {
        return NULL;
    }

    peer = ngx_queue_data(pc->name, ngx_http_upstream_rr_peer_t, name);

    return peer->sockaddr == pc->sockaddr ? peer : NULL;
}


static ngx_uint_t
ngx_http_fermata_is_of(ngx_http_upstream_rr_peer_t *peer, ngx_str_t *server)
{
    return peer->server.len == server->len
           && ngx_memcmp(peer->server.data, server->data, server->len) == 0;
}


/*
 * How many addresses that server has now; NULL: all of the upstream, if any is
 * resolved at run time.
 */

ngx_uint_t
ngx_http_fermata_count_peers(ngx_http_fermata_srv_conf_t *ucf,
    ngx_str_t *server)
{
    ngx_uint_t                     n;
    ngx_http_upstream_rr_peer_t   *peer;
    ngx_http_upstream_rr_peers_t  *peers;

    n = 0;

    if (!ucf->resolved) {
        return n;
    }

    for (peers = ucf->upstream->peer.data; peers; peers = peers->next) {

        ngx_http_upstream_rr_peers_rlock(peers);

        for (peer = peers->peer; peer; peer = peer->next) {
            n += (server == NULL || ngx_http_fermata_is_of(peer, server));
        }

        ngx_http_upstream_rr_peers_unlock(peers);
    }

    return n;
}


/*
 * The address of that server which has failed least, as a copy: the name may
 * move on meanwhile.  NULL: it has none now, or there is no memory.
 */

ngx_addr_t *
ngx_http_fermata_find_address(ngx_pool_t *pool,
    ngx_http_fermata_srv_conf_t *ucf, ngx_str_t *server)
{
    ngx_addr_t                    *addr;
    ngx_uint_t                     fails;
    ngx_http_upstream_rr_peer_t   *peer;
    ngx_http_upstream_rr_peers_t  *peers;

    addr = ngx_pcalloc(pool, sizeof(ngx_addr_t) + sizeof(ngx_sockaddr_t)
                             + NGX_SOCKADDR_STRLEN);
    if (addr == NULL) {
        return NULL;
    }

    addr->sockaddr = (struct sockaddr *) &addr[1];
    addr->name.data = (u_char *) addr->sockaddr + sizeof(ngx_sockaddr_t);

    fails = (ngx_uint_t) -1;

    for (peers = ucf->upstream->peer.data; peers; peers = peers->next) {

        ngx_http_upstream_rr_peers_rlock(peers);

        for (peer = peers->peer; peer; peer = peer->next) {

            if (peer->fails >= fails || !ngx_http_fermata_is_of(peer, server)) {
                continue;
            }

            fails = peer->fails;

            addr->socklen = peer->socklen;
            addr->name.len = peer->name.len;
            ngx_memcpy(addr->sockaddr, peer->sockaddr, peer->socklen);
            ngx_memcpy(addr->name.data, peer->name.data, peer->name.len);
        }

        ngx_http_upstream_rr_peers_unlock(peers);
    }

    return addr->socklen ? addr : NULL;
}


/*
 * That a connection may be kept is known before it is, and whose it is, too:
 * its address may be another node's when somebody looks at it.
 */

ngx_int_t
ngx_http_fermata_mark(ngx_connection_t *c, ngx_http_fermata_main_conf_t *mcf,
    ngx_int_t node)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_fermata_mark_t  *mark;

    if (node == FM_GATE_NO_NODE) {
        return NGX_OK;
    }

    mark = ngx_http_fermata_find_mark(c, mcf);

    if (mark == NULL) {
        cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_fermata_mark_t));
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_fermata_unmark;

        mark = cln->data;
        mark->mcf = mcf;
        mark->nodes = 0;
    }

    mark->nodes |= (uint64_t) 1 << node;

    return NGX_OK;
}


/* The nodes of that cluster that a connection was marked with, as a mask. */

uint64_t
ngx_http_fermata_marked(ngx_connection_t *c, ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_mark_t  *mark;

    mark = c->pool ? ngx_http_fermata_find_mark(c, mcf) : NULL;

    return mark ? mark->nodes : 0;
}


static ngx_http_fermata_mark_t *
ngx_http_fermata_find_mark(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_fermata_mark_t  *mark;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        mark = cln->data;

        if (cln->handler == ngx_http_fermata_unmark && mark->mcf == mcf) {
            return mark;
        }
    }

    return NULL;
}


static void
ngx_http_fermata_unmark(void *data)
{
    /* void: the mark ends with the connection's pool */
}
