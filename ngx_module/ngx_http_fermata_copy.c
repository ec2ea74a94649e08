
/*
 * Copies of the page: one for each kind, cluster and language in each worker,
 * made again when what it says has changed.
 */


#include "ngx_http_fermata_module.h"

#include <zlib.h>

#if (NGX_SSL)
#include <openssl/sha.h>
#endif


/* a smaller page is one packet anyway */
#define NGX_HTTP_FERMATA_PACK_MIN  1024

#define NGX_HTTP_FERMATA_HASH_LEN  sizeof("'sha256-'") - 1 + 44


static ngx_int_t ngx_http_fermata_copies_create(ngx_conf_t *cf,
    ngx_http_fermata_page_t *page, ngx_uint_t clusters);
static ngx_http_fermata_copy_t *ngx_http_fermata_copy_make(
    ngx_http_fermata_page_t *page, ngx_http_fermata_main_conf_t *mcf,
    ngx_uint_t language, ngx_log_t *log);
static ngx_uint_t ngx_http_fermata_language(ngx_http_request_t *r);
#if (NGX_HTTP_GZIP)
static void ngx_http_fermata_pack(ngx_http_fermata_copy_t *copy,
    ngx_log_t *log);
static voidpf ngx_http_fermata_zalloc(voidpf opaque, uInt items, uInt size);
static void ngx_http_fermata_zfree(voidpf opaque, voidpf address);
#endif
static u_char *ngx_http_fermata_policy_hash(u_char *dst, ngx_str_t *page,
    char *open, char *close);


/* Of our own pages, which are those of all clusters. */

ngx_int_t
ngx_http_fermata_page_share(ngx_conf_t *cf, ngx_http_fermata_main_conf_t *root)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_FERMATA_KINDS; i++) {
        if (ngx_http_fermata_copies_create(cf, &root->pages[i],
                                           root->clusters->nelts)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_fermata_page_policy(cf,
                                        &root->pages[NGX_HTTP_FERMATA_HTML]);
}


/* After page_share(): it is known how many clusters there are. */

ngx_int_t
ngx_http_fermata_page_merge(ngx_conf_t *cf, ngx_http_fermata_loc_conf_t *prev,
    ngx_http_fermata_loc_conf_t *conf)
{
    ngx_uint_t                     i;
    ngx_http_fermata_main_conf_t  *root;

    root = ngx_http_conf_get_module_main_conf(cf, ngx_http_fermata_module);

    for (i = 0; i < NGX_HTTP_FERMATA_KINDS; i++) {

        if (conf->pages[i] == NULL) {
            conf->pages[i] = prev->pages[i] ? prev->pages[i] : &root->pages[i];
        }

        if (ngx_http_fermata_copies_create(cf, conf->pages[i],
                                           root->clusters->nelts)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_copies_create(ngx_conf_t *cf, ngx_http_fermata_page_t *page,
    ngx_uint_t clusters)
{
    if (page->copies) {
        return NGX_OK;
    }

    page->copies = ngx_pcalloc(cf->pool, clusters * FM_GATE_LANGUAGES
                                         * sizeof(ngx_http_fermata_copy_t *));

    return page->copies ? NGX_OK : NGX_ERROR;
}


/*
 * The page as it is now in the language of this request.  It is kept while
 * handlers and filters run; who needs it for longer takes a reference.
 */

ngx_http_fermata_copy_t *
ngx_http_fermata_page_copy(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t kind)
{
    ngx_uint_t                    language;
    ngx_http_fermata_copy_t      *copy;
    ngx_http_fermata_page_t      *page;
    ngx_http_fermata_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    page = lcf->pages[kind];
    language = ngx_http_fermata_language(r);
    copy = page->copies[mcf->number * FM_GATE_LANGUAGES + language];

    if (copy == NULL || copy->version != mcf->sh->text
        || ngx_time() >= copy->expires)
    {
        copy = ngx_http_fermata_copy_make(page, mcf, language,
                                          r->connection->log);
    }

    return copy;
}


/* Once for each reference. */

void
ngx_http_fermata_copy_release(void *data)
{
    ngx_http_fermata_copy_t *copy = data;

    if (--copy->refs) {
        return;
    }

    if (copy->packed.text.data) {
        ngx_http_fermata_block_free(copy->packed.text.data);
    }

    ngx_http_fermata_block_free(copy->plain.text.data);
    ngx_free(copy);
}


static ngx_http_fermata_copy_t *
ngx_http_fermata_copy_make(ngx_http_fermata_page_t *page,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t language, ngx_log_t *log)
{
    ngx_http_fermata_copy_t  *copy, **kept;

    copy = ngx_calloc(sizeof(ngx_http_fermata_copy_t), log);
    if (copy == NULL) {
        return NULL;
    }

    if (ngx_http_fermata_render(page, mcf, language, copy, log) != NGX_OK) {
        ngx_free(copy);
        return NULL;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, log, 0,
                   "fermata page: kind %ui, language %s, text %uA, %uz bytes",
                   page->kind, fm_gate_words(language)->tag, copy->version,
                   copy->plain.text.len);

#if (NGX_HTTP_GZIP)

    if (page->kind == NGX_HTTP_FERMATA_HTML
        && copy->plain.text.len >= NGX_HTTP_FERMATA_PACK_MIN)
    {
        ngx_http_fermata_pack(copy, log);
        ngx_http_fermata_form_headers(&copy->packed, page, 1);
    }

#endif

    ngx_http_fermata_form_headers(&copy->plain, page, 0);

    copy->refs = 1;

    kept = &page->copies[mcf->number * FM_GATE_LANGUAGES + language];

    if (*kept) {
        ngx_http_fermata_copy_release(*kept);
    }

    *kept = copy;

    return copy;
}


static ngx_uint_t
ngx_http_fermata_language(ngx_http_request_t *r)
{
#if (NGX_HTTP_HEADERS)
    ngx_table_elt_t  *h;

    h = r->headers_in.accept_language;

    if (h) {
        return fm_gate_language((char *) h->value.data, h->value.len);
    }

#endif

    return 0;
}


#if (NGX_HTTP_GZIP)

/* On any failure the page goes out as it is. */

static void
ngx_http_fermata_pack(ngx_http_fermata_copy_t *copy, ngx_log_t *log)
{
    int        rc;
    u_char    *data;
    z_stream   z;

    ngx_memzero(&z, sizeof(z_stream));

    z.zalloc = ngx_http_fermata_zalloc;
    z.zfree = ngx_http_fermata_zfree;
    z.opaque = log;

    rc = deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16,
                      MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "deflateInit2() failed: %d", rc);
        return;
    }

    data = ngx_http_fermata_block_alloc(copy->plain.text.len, log);

    if (data) {
        z.next_in = copy->plain.text.data;
        z.avail_in = (uInt) copy->plain.text.len;
        z.next_out = data;
        z.avail_out = (uInt) copy->plain.text.len;

        /* more than the page itself is not worth it */

        if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
            copy->packed.text.data = data;
            copy->packed.text.len = z.total_out;

        } else {
            ngx_http_fermata_block_free(data);
        }
    }

    (void) deflateEnd(&z);
}


static voidpf
ngx_http_fermata_zalloc(voidpf opaque, uInt items, uInt size)
{
    return ngx_alloc((size_t) items * size, opaque);
}


static void
ngx_http_fermata_zfree(voidpf opaque, voidpf address)
{
    ngx_free(address);
}

#endif


/*
 * What our own page may do: its own style and script, by their hashes, and
 * asking this host.  It may be shown in a frame, as the application may.
 */

ngx_int_t
ngx_http_fermata_page_policy(ngx_conf_t *cf, ngx_http_fermata_page_t *page)
{
    u_char  *p;

    static char  start[] = "default-src 'none'; connect-src 'self'; "
                           "img-src 'self'; base-uri 'none'; "
                           "form-action 'none'; style-src ";
    static char  middle[] = "; script-src ";

    p = ngx_pnalloc(cf->pool, sizeof(start) + sizeof(middle)
                              + 2 * (NGX_HTTP_FERMATA_HASH_LEN));
    if (p == NULL) {
        return NGX_ERROR;
    }

    page->policy.data = p;

    p = ngx_cpymem(p, start, sizeof(start) - 1);
    p = ngx_http_fermata_policy_hash(p, &page->source, "<style>", "</style>");
    p = ngx_cpymem(p, middle, sizeof(middle) - 1);
    p = ngx_http_fermata_policy_hash(p, &page->source, "<script>", "</script>");

    page->policy.len = p - page->policy.data;

    return NGX_OK;
}


static u_char *
ngx_http_fermata_policy_hash(u_char *dst, ngx_str_t *page, char *open,
    char *close)
{
#if (NGX_SSL)
    u_char     hash[SHA256_DIGEST_LENGTH], *p, *last;
    ngx_str_t  from, to;

    p = (u_char *) ngx_strstr(page->data, open) + ngx_strlen(open);
    last = (u_char *) ngx_strstr(p, close);

    (void) SHA256(p, last - p, hash);

    from.data = hash;
    from.len = SHA256_DIGEST_LENGTH;

    dst = ngx_cpymem(dst, "'sha256-", sizeof("'sha256-") - 1);

    to.data = dst;
    ngx_encode_base64(&to, &from);

    dst += to.len;
    *dst++ = '\'';

    return dst;

#else

    return ngx_cpymem(dst, "'unsafe-inline'", sizeof("'unsafe-inline'") - 1);

#endif
}
