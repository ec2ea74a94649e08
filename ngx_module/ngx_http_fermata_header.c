
/*
 * Headers of the answers.  Those of a page are made with its copy, all but
 * the time of Retry-After, so that an answer takes them over as one block.
 */


#include "ngx_http_fermata_module.h"


/* 2^64 by the golden ratio: neighbours among clients get distant numbers */
#define NGX_HTTP_FERMATA_SCATTER  0x9e3779b97f4a7c15

/* where those are that each answer has of its own */
#define NGX_HTTP_FERMATA_LENGTH   0
#define NGX_HTTP_FERMATA_RETRY    1


static void ngx_http_fermata_form_header(ngx_http_fermata_form_t *form,
    char *key, size_t key_len, ngx_str_t *value);
static ngx_table_elt_t *ngx_http_fermata_reserve(ngx_list_t *list,
    ngx_uint_t n);
static u_char *ngx_http_fermata_put_seconds(u_char *last, time_t seconds);
static uint32_t ngx_http_fermata_client_number(ngx_connection_t *c);


#define ngx_http_fermata_add_form(form, key, value)                           \
    ngx_http_fermata_form_header(form, key, sizeof(key) - 1, value)


/* by what else the answer to the same URI differs */

static ngx_str_t  ngx_http_fermata_varies[] = {
    ngx_string("Accept, Accept-Language, Accept-Encoding"),
    ngx_string("Accept, Accept-Language"),
    ngx_string("Accept-Language"),
    ngx_null_string
};


ngx_int_t
ngx_http_fermata_push_header(ngx_http_request_t *r, char *key, size_t key_len,
    char *value, size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_http_fermata_last_header(h);
    h->key.data = (u_char *) key;
    h->key.len = key_len;
    h->value.data = (u_char *) value;
    h->value.len = len;

    return NGX_OK;
}


/* Of a form whose text is there. */

void
ngx_http_fermata_form_headers(ngx_http_fermata_form_t *form,
    ngx_http_fermata_page_t *page, ngx_uint_t packed)
{
    ngx_str_t  length;

    static ngx_str_t  no_store = ngx_string("no-store");
    static ngx_str_t  gzip = ngx_string("gzip");
    static ngx_str_t  refresh = ngx_string(NGX_HTTP_FERMATA_REFRESH);
    static ngx_str_t  none = ngx_null_string;

    length.data = form->length;
    length.len = ngx_sprintf(form->length, "%uz", form->text.len)
                 - form->length;

    form->packed = packed;
    form->nelts = 0;

    ngx_http_fermata_add_form(form, "Content-Length", &length);

    if (!ngx_http_fermata_is_live(page->kind)) {
        ngx_http_fermata_add_form(form, "Retry-After", &none);
    }

    /* what an operator's own page may do is the operator's to say */

    if (page->policy.len) {
        ngx_http_fermata_add_form(form, "Content-Security-Policy",
                                  &page->policy);
    }

    /* one with a script of ours has it in <noscript>: else both would load */

    if (page->kind == NGX_HTTP_FERMATA_HTML && !page->polls) {
        ngx_http_fermata_add_form(form, "Refresh", &refresh);
    }

    ngx_http_fermata_add_form(form, "Cache-Control", &no_store);

    if (ngx_http_fermata_varies[page->kind].len) {
        ngx_http_fermata_add_form(form, "Vary",
                                  &ngx_http_fermata_varies[page->kind]);
    }

    if (packed) {
        ngx_http_fermata_add_form(form, "Content-Encoding", &gzip);
    }
}


static void
ngx_http_fermata_form_header(ngx_http_fermata_form_t *form, char *key,
    size_t key_len, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = &form->headers[form->nelts++];

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) key;
    h->key.len = key_len;
    h->value = *value;
}


/*
 * What is of the copy alone is copied: the copy may go away while a body is
 * still read, and logs want the headers after that.
 */

ngx_int_t
ngx_http_fermata_put_headers(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf, ngx_http_fermata_form_t *form,
    ngx_uint_t kind)
{
    u_char           *p, *last;
    ngx_table_elt_t  *h, *field;

    h = ngx_http_fermata_reserve(&r->headers_out.headers, form->nelts);
    if (h == NULL) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, NGX_SIZE_T_LEN + NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(h, form->headers, form->nelts * sizeof(ngx_table_elt_t));

    /* nobody needs to print the length once more */

    field = &h[NGX_HTTP_FERMATA_LENGTH];
    field->value.data = p;

    r->headers_out.content_length = field;
    r->headers_out.content_length_n = form->text.len;

    p = ngx_cpymem(p, form->length, NGX_SIZE_T_LEN);

    if (!ngx_http_fermata_is_live(kind)) {
        last = p + NGX_TIME_T_LEN;

        field = &h[NGX_HTTP_FERMATA_RETRY];
        field->value.data = ngx_http_fermata_put_seconds(last,
                                         ngx_http_fermata_retry_after(r, mcf));
        field->value.len = last - field->value.data;
    }

    if (form->packed) {
        r->headers_out.content_encoding = &h[form->nelts - 1];
    }

    return NGX_OK;
}


/* So many elements in a row; NULL when there is no memory. */

static ngx_table_elt_t *
ngx_http_fermata_reserve(ngx_list_t *list, ngx_uint_t n)
{
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = list->last;

    while (list->nalloc - part->nelts < n) {

        /* what is left of this part is never sent */

        h = ngx_list_push(list);
        if (h == NULL) {
            return NULL;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        part = list->last;
    }

    h = part->elts;
    h += part->nelts;

    part->nelts += n;

    return h;
}


/* Seconds; the same for one client as long as nothing changes. */

time_t
ngx_http_fermata_retry_after(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    int64_t                       back_at;
    ngx_http_fermata_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    /* one aligned load: no need for the rest of the state */

    back_at = *(volatile int64_t *) &mcf->sh->taken.back_at;

    return fm_gate_retry_after(ngx_time(), back_at, lcf->retry_after,
                               ngx_http_fermata_client_number(r->connection));
}


ngx_int_t
ngx_http_fermata_add_retry_after(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    u_char  *p, *last;

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = p + NGX_TIME_T_LEN;
    p = ngx_http_fermata_put_seconds(last, ngx_http_fermata_retry_after(r,
                                                                        mcf));

    return ngx_http_fermata_add_header(r, "Retry-After", (char *) p, last - p);
}


/*
 * Ends at last; never negative.  ngx_sprintf() takes six times as long for it.
 */

static u_char *
ngx_http_fermata_put_seconds(u_char *last, time_t seconds)
{
    uint32_t  n;

    n = (uint32_t) seconds;

    do {
        *--last = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return last;
}


/* By its address only: a new connection makes no new client of it. */

static uint32_t
ngx_http_fermata_client_number(ngx_connection_t *c)
{
    uint64_t              n;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    uint64_t              half[2];
    struct sockaddr_in6  *sin6;
#endif

    switch (c->sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) c->sockaddr;
        n = sin->sin_addr.s_addr;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) c->sockaddr;
        ngx_memcpy(half, &sin6->sin6_addr, sizeof(half));
        n = half[0] ^ half[1];
        break;
#endif

    default: /* AF_UNIX */
        n = 0;
        break;
    }

    return (uint32_t) (n * NGX_HTTP_FERMATA_SCATTER >> 32);
}
