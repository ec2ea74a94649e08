
/*
 * Kept connections to nodes that no request uses: they are closed where the
 * node is denied, as they keep its server from ending, and counted elsewhere.
 * Like all that is under way they are counted while the gate is not open.
 */


#include "ngx_http_fermata_module.h"


/* How old the counts may be. */
#define NGX_HTTP_FERMATA_IDLE_MS  1000

#define ngx_http_fermata_is_denied(word, node)                                \
    (fm_gate_word_mode(word) == FM_GATE_CLOSED                                \
     || !fm_gate_may_use(word, (int) (node)))


static ngx_int_t ngx_http_fermata_idle_node(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf, uint64_t word, ngx_uint_t *denied);
static ngx_int_t ngx_http_fermata_idle_marked(uint64_t marked, uint64_t word,
    ngx_uint_t *denied);


void
ngx_http_fermata_look_idle(ngx_http_fermata_main_conf_t *mcf,
    ngx_uint_t changed)
{
    uint64_t           word;
    uint32_t           idle[NGX_HTTP_FERMATA_NODES];
    ngx_int_t          node;
    ngx_uint_t         i, denied;
    ngx_connection_t  *c;

    word = mcf->sh->word;

    if (!changed
        && ngx_current_msec - mcf->idle_at < NGX_HTTP_FERMATA_IDLE_MS)
    {
        return;
    }

    mcf->idle_at = ngx_current_msec;
    ngx_memzero(idle, sizeof(idle));

    c = ngx_cycle->connections;

    for (i = 0;
         i < ngx_cycle->connection_n && word != FM_GATE_WORD_OPEN;
         i++)
    {

        /* a visitor's has a listening socket */

        if (c[i].fd == (ngx_socket_t) -1 || !c[i].idle || c[i].listening) {
            continue;
        }

        node = ngx_http_fermata_idle_node(&c[i], mcf, word, &denied);

        if (node == FM_GATE_NO_NODE) {
            continue;
        }

        if (denied) {

            /* the way of ngx_close_idle_connections() */

            ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                           "fermata closes a kept connection to node %i, fd:%d",
                           node, c[i].fd);

            c[i].close = 1;
            c[i].read->handler(c[i].read);
            continue;
        }

        idle[node]++;
    }

    for (i = 0; i < NGX_HTTP_FERMATA_NODES; i++) {
        mcf->slot->idle[i] = idle[i];
    }
}


/* The node at the other end; *denied: nothing may be kept to it now. */

static ngx_int_t
ngx_http_fermata_idle_node(ngx_connection_t *c,
    ngx_http_fermata_main_conf_t *mcf, uint64_t word, ngx_uint_t *denied)
{
    socklen_t                      len;
    ngx_int_t                      found;
    ngx_uint_t                     i, j;
    ngx_sockaddr_t                 sa;
    ngx_http_fermata_node_t       *node;
    ngx_http_fermata_srv_conf_t  **ucfp;

    len = sizeof(ngx_sockaddr_t);

    found = ngx_http_fermata_idle_marked(ngx_http_fermata_marked(c, mcf), word,
                                         denied);

    if (*denied) {
        return found;
    }

    if (getpeername(c->fd, &sa.sockaddr, &len) == -1) {
        return found;
    }

    ucfp = mcf->upstreams.elts;

    for (i = 0; i < mcf->upstreams.nelts; i++) {
        node = ucfp[i]->nodes->elts;

        for (j = 0; j < ucfp[i]->nodes->nelts; j++) {

            if (ngx_cmp_sockaddr(&sa.sockaddr, len, node[j].addr.sockaddr,
                                 node[j].addr.socklen, 1)
                != NGX_OK)
            {
                continue;
            }

            found = node[j].index;

            /* one address may be a node of two names: one denied is enough */

            if (ngx_http_fermata_is_denied(word, found)) {
                *denied = 1;
                return found;
            }
        }
    }

    return found;
}


/* The same of one that carries the marks of its nodes: any denied is enough. */

static ngx_int_t
ngx_http_fermata_idle_marked(uint64_t marked, uint64_t word,
    ngx_uint_t *denied)
{
    ngx_int_t  node, found;

    found = FM_GATE_NO_NODE;
    *denied = 0;

    for (node = 0; marked && !*denied; node++, marked >>= 1) {

        if (marked & 1) {
            found = node;
            *denied = ngx_http_fermata_is_denied(word, node);
        }
    }

    return found;
}


/*
 * Whether the connection of a ride that ends may be kept: not where it would
 * keep its node's server from ending, nor where nobody could tell whose it is.
 */

ngx_uint_t
ngx_http_fermata_may_keep(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, uint64_t word)
{
    if (word != FM_GATE_WORD_OPEN
        && ngx_http_fermata_is_denied(word, ctx->node))
    {
        return 0;
    }

    if (!ctx->ucf->resolved || pc->connection == NULL
        || !ctx->request->upstream->keepalive)
    {
        return 1;
    }

    return ngx_http_fermata_mark(pc->connection, ctx->mcf, ctx->node)
           == NGX_OK;
}
