
/*
 * fermata_nodes: which servers are which nodes. The balancer of each such
 * upstream{} gets a wrapper, see ngx_http_fermata_peer.c.
 */


#include "ngx_http_fermata_module.h"


static char *ngx_http_fermata_nodes_cluster(ngx_conf_t *cf,
    ngx_http_fermata_srv_conf_t *ucf, ngx_str_t *value);
static ngx_int_t ngx_http_fermata_add_node(ngx_conf_t *cf,
    ngx_http_fermata_srv_conf_t *ucf, ngx_str_t *value);
static ngx_int_t ngx_http_fermata_push_nodes(ngx_http_fermata_srv_conf_t *ucf,
    ngx_str_t *name, ngx_url_t *u);
static ngx_http_fermata_srv_conf_t *ngx_http_fermata_nodes_of(
    ngx_http_upstream_srv_conf_t *uscf);
static ngx_int_t ngx_http_fermata_count_names(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);


/* fermata_nodes [cluster=name] name=address|server ...; */

char *
ngx_http_fermata_nodes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_srv_conf_t *ucf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (ucf->nodes == NULL) {
        ucf->nodes = ngx_array_create(cf->pool, 4,
                                      sizeof(ngx_http_fermata_node_t));
        if (ucf->nodes == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    (void) ngx_http_fermata_which(cf, NULL, &ucf->which);

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rv = ngx_http_fermata_nodes_cluster(cf, ucf, &value[i]);

        if (rv == NGX_CONF_OK) {
            continue;
        }

        if (rv != NGX_CONF_ERROR) {
            return rv;
        }

        if (ngx_http_fermata_add_node(cf, ucf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/*
 * NGX_CONF_ERROR: it is a node, which may have that name, too: addresses have a
 * colon, clusters have none.
 */

static char *
ngx_http_fermata_nodes_cluster(ngx_conf_t *cf,
    ngx_http_fermata_srv_conf_t *ucf, ngx_str_t *value)
{
    u_char  *name;

    name = value->data + 8;

    if (ngx_strncmp(value->data, "cluster=", 8) != 0
        || !ngx_http_fermata_is_name((char *) name))
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_fermata_which(cf, name, &ucf->which) == NGX_OK
           ? NGX_CONF_OK : "names two clusters for one upstream";
}


static ngx_int_t
ngx_http_fermata_add_node(ngx_conf_t *cf, ngx_http_fermata_srv_conf_t *ucf,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_url_t   u;
    ngx_str_t   name;

    p = ngx_strlchr(value->data, value->data + value->len, '=');

    if (p == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not name=address", value);
        return NGX_ERROR;
    }

    name.len = p - value->data;
    name.data = ngx_pnalloc(cf->pool, name.len + 1);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(name.data, value->data, name.len + 1);

    if (!ngx_http_fermata_is_name((char *) name.data)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid node name \"%V\"", &name);
        return NGX_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = p + 1;
    u.url.len = value->data + value->len - u.url.data;
    u.default_port = 80;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in node \"%V\"",
                           u.err ? u.err : "invalid address", value);
        return NGX_ERROR;
    }

    return ngx_http_fermata_push_nodes(ucf, &name, &u);
}


/* One for each address, or one that is to be placed yet. */

static ngx_int_t
ngx_http_fermata_push_nodes(ngx_http_fermata_srv_conf_t *ucf, ngx_str_t *name,
    ngx_url_t *u)
{
    ngx_uint_t                i;
    ngx_http_fermata_node_t  *node;

    i = 0;

    do {
        node = ngx_array_push(ucf->nodes);
        if (node == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(node, sizeof(ngx_http_fermata_node_t));

        node->name = *name;
        node->index = FM_GATE_NO_NODE;

        if (u->naddrs) {
            node->addr = u->addrs[i];

        } else {
            /* a name: whether of a server with "resolve" is not known yet */
            node->server = u->url;
        }

    } while (++i < u->naddrs);

    return NGX_OK;
}


/* Each upstream that has nodes, to the cluster that it names. */

ngx_int_t
ngx_http_fermata_assign_upstreams(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *root)
{
    ngx_uint_t                       i;
    ngx_http_fermata_srv_conf_t     *ucf, **ucfp;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        ucf = ngx_http_fermata_nodes_of(uscfp[i]);

        if (ucf == NULL) {
            continue;
        }

        if (ngx_http_fermata_place_nodes(cf, uscfp[i], ucf) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_fermata_find_cluster(cf, &ucf->which, &ucf->mcf)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ucf->mcf == NULL) {
            ngx_http_fermata_no_cluster(cf, &ucf->which,
                                        "fermata_nodes cluster=");
            return NGX_ERROR;
        }

        ucfp = ngx_array_push(&ucf->mcf->upstreams);
        if (ucfp == NULL) {
            return NGX_ERROR;
        }

        *ucfp = ucf;
    }

    for (i = 0; i < root->clusters->nelts; i++) {
        if (ngx_http_fermata_count_names(cf,
                 ((ngx_http_fermata_main_conf_t **) root->clusters->elts)[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * From init_main_conf: after all balancers have been set up, so that the
 * wrapper is the outermost whatever the order of the directives.
 */

char *
ngx_http_fermata_upstream_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_fermata_srv_conf_t     *ucf;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        ucf = ngx_http_fermata_nodes_of(uscfp[i]);

        if (ucf == NULL) {
            continue;
        }

        if (ngx_http_fermata_check_servers(cf, uscfp[i], ucf) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        ucf->init = uscfp[i]->peer.init;
        uscfp[i]->peer.init = ucf->resolved ? ngx_http_fermata_init_resolved
                                            : ngx_http_fermata_init_peer;
    }

    return NGX_CONF_OK;
}


static ngx_http_fermata_srv_conf_t *
ngx_http_fermata_nodes_of(ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_http_fermata_srv_conf_t  *ucf;

    /* an implicit upstream, of an address in proxy_pass */

    if (uscf->srv_conf == NULL) {
        return NULL;
    }

    ucf = ngx_http_conf_upstream_srv_conf(uscf, ngx_http_fermata_module);

    return ucf->nodes ? ucf : NULL;
}


/* As many names as NocoBase gives ids to its nodes; each has a bit. */

static ngx_int_t
ngx_http_fermata_count_names(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *mcf)
{
    ngx_str_t                     *names[NGX_HTTP_FERMATA_NODES];
    ngx_uint_t                     i, j, k, n;
    ngx_http_fermata_node_t       *node;
    ngx_http_fermata_srv_conf_t  **ucfp;

    n = 0;
    ucfp = mcf->upstreams.elts;

    for (i = 0; i < mcf->upstreams.nelts; i++) {
        node = ucfp[i]->nodes->elts;

        for (j = 0; j < ucfp[i]->nodes->nelts; j++) {

            for (k = 0; k < n; k++) {
                if (ngx_strcmp(names[k]->data, node[j].name.data) == 0) {
                    break;
                }
            }

            if (k < n) {
                continue;
            }

            if (n == NGX_HTTP_FERMATA_NODES) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "too many nodes in \"fermata_nodes\": "
                                   "\"%V\" is one more than %d, the most "
                                   "that a cluster may have",
                                   &node[j].name, NGX_HTTP_FERMATA_NODES);
                return NGX_ERROR;
            }

            names[n++] = &node[j].name;
        }
    }

    return NGX_OK;
}


/* The node that a server is, by its address. */

ngx_int_t
ngx_http_fermata_peer_node(ngx_peer_connection_t *pc,
    ngx_http_fermata_srv_conf_t *ucf)
{
    ngx_uint_t                i, n;
    struct sockaddr_in       *sin, *nsin;
    ngx_http_fermata_node_t  *node;

    node = ucf->nodes->elts;
    n = ucf->nodes->nelts;

    if (pc->sockaddr->sa_family == AF_INET) {
        sin = (struct sockaddr_in *) pc->sockaddr;

        for (i = 0; i < n; i++) {
            nsin = (struct sockaddr_in *) node[i].addr.sockaddr;

            if (nsin->sin_port == sin->sin_port
                && nsin->sin_family == AF_INET
                && nsin->sin_addr.s_addr == sin->sin_addr.s_addr)
            {
                return node[i].index;
            }
        }

        return FM_GATE_NO_NODE;
    }

    for (i = 0; i < n; i++) {
        if (ngx_cmp_sockaddr(pc->sockaddr, pc->socklen, node[i].addr.sockaddr,
                             node[i].addr.socklen, 1)
            == NGX_OK)
        {
            return node[i].index;
        }
    }

    return FM_GATE_NO_NODE;
}
