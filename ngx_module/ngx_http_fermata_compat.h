
/*
 * The gate of Fermata: all that differs between versions of nginx.  Included
 * by ngx_http_fermata_module.h only.
 */


#ifndef _NGX_HTTP_FERMATA_COMPAT_H_INCLUDED_
#define _NGX_HTTP_FERMATA_COMPAT_H_INCLUDED_


#if (nginx_version >= 1023000)

#define ngx_http_fermata_last_header(h)  (h)->next = NULL
#define ngx_http_fermata_has_cookies(r)  ((r)->headers_in.cookie != NULL)

#else

#define ngx_http_fermata_last_header(h)
#define ngx_http_fermata_has_cookies(r)  ((r)->headers_in.cookies.nelts != 0)

#endif


/*
 * "server name resolve", of NGINX Plus before.  The balancers of nginx give
 * the name within a peer of the zone.
 */

#if (NGX_HTTP_UPSTREAM_ZONE && nginx_version >= 1027003)

#define ngx_http_fermata_is_resolved(server)  ((server)->host.len != 0)
#define ngx_http_fermata_is_service(server)   ((server)->service.len != 0)
#define ngx_http_fermata_has_host(peer)       ((peer)->host != NULL)

#define ngx_http_fermata_same_host(server, h)                                 \
    ((server)->host.len == (h)->len                                           \
     && ngx_strncasecmp((server)->host.data, (h)->data, (h)->len) == 0)

#define ngx_http_fermata_is_in_zone(us, p)                                    \
    ((u_char *) (p) >= (us)->shm_zone->shm.addr                               \
     && (u_char *) (p) < (us)->shm_zone->shm.addr + (us)->shm_zone->shm.size)

/* a number that changes with the peers */

#define ngx_http_fermata_peers_version(peers)                                 \
    ((peers)->config ? *(volatile ngx_uint_t *) (peers)->config : 0)

#else

#define ngx_http_fermata_is_resolved(server)    0
#define ngx_http_fermata_is_service(server)     0
#define ngx_http_fermata_has_host(peer)         0
#define ngx_http_fermata_same_host(server, h)   0
#define ngx_http_fermata_is_in_zone(us, p)      0
#define ngx_http_fermata_peers_version(peers)   0

#endif


#endif /* _NGX_HTTP_FERMATA_COMPAT_H_INCLUDED_ */
