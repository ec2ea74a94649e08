
/*
 * fermata_nodes against the servers of its upstream{}, when all of both are
 * known.
 */


#include "ngx_http_fermata_module.h"


static ngx_int_t ngx_http_fermata_place_node(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_uint_t n);
static ngx_int_t ngx_http_fermata_resolve_node(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_uint_t n);
static ngx_http_fermata_node_t *ngx_http_fermata_another_node(
    ngx_http_fermata_srv_conf_t *ucf, ngx_uint_t n);
static ngx_int_t ngx_http_fermata_check_resolved(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_http_upstream_server_t *server);
static ngx_uint_t ngx_http_fermata_is_stray(ngx_http_upstream_srv_conf_t *uscf,
    ngx_http_fermata_node_t *node);


/* what no server has as its address */
static struct sockaddr  ngx_http_fermata_nowhere = { .sa_family = AF_UNSPEC };


/*
 * Nodes that are given by a name: that of a server with "resolve", or one that
 * is looked up once, now.
 */

ngx_int_t
ngx_http_fermata_place_nodes(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_uint_t                   i, n;
    ngx_http_upstream_server_t  *server;

    ucf->upstream = uscf;

    server = uscf->servers ? uscf->servers->elts : NULL;

    for (i = 0; server && i < uscf->servers->nelts; i++) {

        if (ngx_http_fermata_is_service(&server[i])) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "server %V of upstream \"%V\" has \"service\", "
                          "but \"fermata_nodes\" cannot tell apart what is "
                          "behind it: write a \"server name:port resolve\" "
                          "for each node", &server[i].name, &uscf->host);
            return NGX_ERROR;
        }

        if (ngx_http_fermata_is_resolved(&server[i])) {
            ucf->resolved = 1;
        }
    }

    /* those that are added meanwhile have their place */

    n = ucf->nodes->nelts;

    for (i = 0; i < n; i++) {

        if (((ngx_http_fermata_node_t *) ucf->nodes->elts)[i].server.len
            && ngx_http_fermata_place_node(cf, uscf, ucf, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_place_node(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_uint_t n)
{
    ngx_url_t                    u;
    ngx_uint_t                   i, found;
    ngx_http_fermata_node_t     *node;
    ngx_http_upstream_server_t  *server;

    node = (ngx_http_fermata_node_t *) ucf->nodes->elts + n;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = node->server;
    u.default_port = 80;
    u.no_resolve = 1;

    /* as in fermata_nodes, which has said what is wrong with it */

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        return NGX_ERROR;
    }

    found = 0;
    server = uscf->servers ? uscf->servers->elts : NULL;

    for (i = 0; server && i < uscf->servers->nelts; i++) {

        if (!ngx_http_fermata_same_host(&server[i], &u.host)
            || ngx_inet_get_port(server[i].addrs[0].sockaddr) != u.port)
        {
            continue;
        }

        if (found && node->server.len == server[i].name.len
            && ngx_memcmp(node->server.data, server[i].name.data,
                          node->server.len)
               == 0)
        {
            continue;
        }

        if (found++) {
            node = ngx_http_fermata_another_node(ucf, n);
            if (node == NULL) {
                return NGX_ERROR;
            }
        }

        node->server = server[i].name;
        node->addr.name = server[i].name;
        node->addr.sockaddr = &ngx_http_fermata_nowhere;
        node->addr.socklen = sizeof(struct sockaddr);
    }

    return found ? NGX_OK : ngx_http_fermata_resolve_node(cf, uscf, ucf, n);
}


static ngx_int_t
ngx_http_fermata_resolve_node(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_uint_t n)
{
    ngx_url_t                 u;
    ngx_uint_t                i;
    ngx_http_fermata_node_t  *node;

    node = (ngx_http_fermata_node_t *) ucf->nodes->elts + n;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = node->server;
    u.default_port = 80;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s in node \"%V=%V\" of upstream \"%V\"%s in %s:%ui",
                      u.err ? u.err : "invalid address", &node->name,
                      &node->server, &uscf->host,
                      ucf->resolved ? ", nor is it that of a server with "
                                      "\"resolve\"," : "",
                      ucf->which.file, ucf->which.line);
        return NGX_ERROR;
    }

    for (i = 0; i < u.naddrs; i++) {

        if (i) {
            node = ngx_http_fermata_another_node(ucf, n);
            if (node == NULL) {
                return NGX_ERROR;
            }
        }

        ngx_str_null(&node->server);
        node->addr = u.addrs[i];
    }

    return NGX_OK;
}


/* One more address, or server, of that node; all others may have moved. */

static ngx_http_fermata_node_t *
ngx_http_fermata_another_node(ngx_http_fermata_srv_conf_t *ucf, ngx_uint_t n)
{
    ngx_http_fermata_node_t  *node;

    node = ngx_array_push(ucf->nodes);

    if (node) {
        *node = ((ngx_http_fermata_node_t *) ucf->nodes->elts)[n];
    }

    return node;
}


ngx_int_t
ngx_http_fermata_check_servers(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_uint_t                   i, j;
    ngx_peer_connection_t        pc;
    ngx_http_upstream_server_t  *server;

    if (uscf->servers == NULL) {
        return NGX_OK;
    }

    server = uscf->servers->elts;

    for (i = 0; i < ucf->nodes->nelts; i++) {

        /* so that peers can be looked up before they have an index */

        ((ngx_http_fermata_node_t *) ucf->nodes->elts)[i].index = i;
    }

    for (i = 0; i < uscf->servers->nelts; i++) {

        if (ngx_http_fermata_is_resolved(&server[i])) {

            if (ngx_http_fermata_check_resolved(cf, uscf, ucf, &server[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        for (j = 0; j < server[i].naddrs; j++) {

            pc.sockaddr = server[i].addrs[j].sockaddr;
            pc.socklen = server[i].addrs[j].socklen;

            if (ngx_http_fermata_peer_node(&pc, ucf) == FM_GATE_NO_NODE) {
                ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                              "server %V of upstream \"%V\" has no name in "
                              "\"fermata_nodes\", it cannot be drained",
                              &server[i].addrs[j].name, &uscf->host);
            }
        }
    }

    return NGX_OK;
}


/* A node that no server is must be meant for one that moves. */

static ngx_int_t
ngx_http_fermata_check_resolved(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_http_upstream_server_t *server)
{
    ngx_uint_t                i;
    ngx_http_fermata_node_t  *node;

    node = ucf->nodes->elts;

    for (i = 0; i < ucf->nodes->nelts; i++) {
        if (node[i].server.len == server->name.len
            && ngx_memcmp(node[i].server.data, server->name.data,
                          server->name.len)
               == 0)
        {
            return NGX_OK;
        }
    }

    for (i = 0; i < ucf->nodes->nelts; i++) {

        if (!ngx_http_fermata_is_stray(uscf, &node[i])) {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "node \"%V=%V\" is no server of upstream \"%V\", where "
                      "server %V has \"resolve\" and any address: write its "
                      "name, as in \"%V=%V\", in %s:%ui", &node[i].name,
                      &node[i].addr.name, &uscf->host, &server->name,
                      &node[i].name, &server->name, ucf->which.file,
                      ucf->which.line);
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "server %V of upstream \"%V\" has no name in "
                  "\"fermata_nodes\", it cannot be drained",
                  &server->name, &uscf->host);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_fermata_is_stray(ngx_http_upstream_srv_conf_t *uscf,
    ngx_http_fermata_node_t *node)
{
    ngx_addr_t                  *addr;
    ngx_uint_t                   i, j;
    ngx_http_upstream_server_t  *server;

    if (node->server.len) {
        return 0;
    }

    server = uscf->servers->elts;

    for (i = 0; i < uscf->servers->nelts; i++) {
        addr = server[i].addrs;

        for (j = 0; j < server[i].naddrs; j++) {
            if (ngx_cmp_sockaddr(addr[j].sockaddr, addr[j].socklen,
                                 node->addr.sockaddr, node->addr.socklen, 1)
                == NGX_OK)
            {
                return 0;
            }
        }
    }

    return 1;
}
