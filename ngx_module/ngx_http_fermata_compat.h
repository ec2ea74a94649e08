
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


/* "server name resolve", of NGINX Plus before */

#if (NGX_HTTP_UPSTREAM_ZONE && nginx_version >= 1027003)

#define ngx_http_fermata_is_resolved(server)  ((server)->host.len != 0)

#else

#define ngx_http_fermata_is_resolved(server)  0

#endif


#endif /* _NGX_HTTP_FERMATA_COMPAT_H_INCLUDED_ */
