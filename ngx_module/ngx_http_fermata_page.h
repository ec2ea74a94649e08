
/*
 * The gate of Fermata: what the parts of the page share.  Included by
 * ngx_http_fermata_module.h only.
 */


#ifndef _NGX_HTTP_FERMATA_PAGE_H_INCLUDED_
#define _NGX_HTTP_FERMATA_PAGE_H_INCLUDED_


/*
 * The page: ngx_http_fermata_page.c, ngx_http_fermata_copy.c,
 * ngx_http_fermata_header.c, ngx_http_fermata_answer.c,
 * ngx_http_fermata_block.c, ngx_http_fermata_live.c.
 */

/* seconds after which a browser without scripts loads it again */
#define NGX_HTTP_FERMATA_REFRESH    "15"

/* seconds between two looks of a shown page */
#define NGX_HTTP_FERMATA_POLL       "5"

/* seconds over which shown pages come back once the gate is open */
#define NGX_HTTP_FERMATA_SPREAD     "5"

/* a time beyond the year 9999 is a mistake */
#define NGX_HTTP_FERMATA_FAR        253402300799

ngx_int_t ngx_http_fermata_page_init(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *root);
ngx_int_t ngx_http_fermata_page_share(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *root);
ngx_int_t ngx_http_fermata_page_merge(ngx_conf_t *cf,
    ngx_http_fermata_loc_conf_t *prev, ngx_http_fermata_loc_conf_t *conf);
char *ngx_http_fermata_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_fermata_live(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_fermata_render(ngx_http_fermata_page_t *page,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t language,
    ngx_http_fermata_copy_t *copy, ngx_log_t *log);

NGX_HTTP_FERMATA_HOT ngx_http_fermata_copy_t *ngx_http_fermata_page_copy(
    ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t kind);
void ngx_http_fermata_copy_release(void *data);
ngx_int_t ngx_http_fermata_page_policy(ngx_conf_t *cf,
    ngx_http_fermata_page_t *page);

/* who gets JSON: ngx_http_fermata_api.c */
ngx_uint_t ngx_http_fermata_wants_json(ngx_http_request_t *r);
ngx_int_t ngx_http_fermata_api_merge(ngx_conf_t *cf,
    ngx_http_fermata_loc_conf_t *prev, ngx_http_fermata_loc_conf_t *conf);

/* ngx_http_fermata_header.c; key: a literal */

#define ngx_http_fermata_add_header(r, key, value, len)                       \
    ngx_http_fermata_push_header(r, key, sizeof(key) - 1, value, len)

ngx_int_t ngx_http_fermata_push_header(ngx_http_request_t *r, char *key,
    size_t key_len, char *value, size_t len);
ngx_int_t ngx_http_fermata_add_retry_after(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_form_headers(ngx_http_fermata_form_t *form,
    ngx_http_fermata_page_t *page, ngx_uint_t packed);
NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_put_headers(
    ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_form_t *form,
    ngx_uint_t kind);
time_t ngx_http_fermata_retry_after(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf);

/* ngx_http_fermata_answer.c */
void ngx_http_fermata_clear_headers(ngx_http_request_t *r, ngx_uint_t status);
NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_text_send(
    ngx_http_request_t *r, ngx_str_t *text, ngx_http_fermata_copy_t *copy);
NGX_HTTP_FERMATA_HOT ngx_http_fermata_copy_t *ngx_http_fermata_page_header(
    ngx_http_request_t *r, ngx_uint_t kind, ngx_str_t *text);
NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_page_send(
    ngx_http_request_t *r, ngx_uint_t kind);
ngx_int_t ngx_http_fermata_page_filter_init(ngx_conf_t *cf);

/* ngx_http_fermata_block.c */
u_char *ngx_http_fermata_block_alloc(size_t size, ngx_log_t *log);
void ngx_http_fermata_block_free(u_char *text);
NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_block_output(
    ngx_http_request_t *r, ngx_chain_t *out);

/* ngx_http_fermata_live.c */
ngx_int_t ngx_http_fermata_live_send(ngx_http_request_t *r);
ngx_uint_t ngx_http_fermata_is_grpc(ngx_http_request_t *r);
ngx_int_t ngx_http_fermata_grpc_send(ngx_http_request_t *r);


#endif /* _NGX_HTTP_FERMATA_PAGE_H_INCLUDED_ */
