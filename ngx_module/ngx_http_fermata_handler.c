
/*
 * The phase handler: what becomes of a request at the gate.
 */


#include "ngx_http_fermata_module.h"


static NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_decide(
    ngx_http_request_t *r, ngx_http_fermata_loc_conf_t *lcf, uint64_t word);
static NGX_HTTP_FERMATA_SLOW ngx_uint_t ngx_http_fermata_is_judged(
    ngx_http_request_t *r, ngx_http_fermata_main_conf_t *mcf);
static NGX_HTTP_FERMATA_HOT ngx_int_t ngx_http_fermata_facts(
    ngx_http_request_t *r, ngx_http_fermata_loc_conf_t *lcf, uint64_t word,
    struct fm_gate_facts *facts);


#if (NGX_DEBUG)

static const char  *ngx_http_fermata_verdicts[] = {
    "pass", "page", "refuse", "hold", "asset"
};

#endif


/*
 * PREACCESS: the location and its variables are known, nobody has been asked
 * for a password yet.  Errors pages are not spared: they may lead to the
 * application.
 */

ngx_int_t
ngx_http_fermata_handler(ngx_http_request_t *r)
{
    uint64_t                       word;
    ngx_http_fermata_loc_conf_t   *lcf;
    ngx_http_fermata_main_conf_t  *mcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    if (!lcf->enable || r != r->main) {
        return NGX_DECLINED;
    }

    if (ngx_http_fermata_is_link(r)) {
        return ngx_http_fermata_open_link(r);
    }

    if (r->uri.len == lcf->live.len
        && ngx_memcmp(r->uri.data, lcf->live.data, lcf->live.len) == 0)
    {
        return ngx_http_fermata_live_send(r);
    }

    mcf = lcf->mcf;
    word = mcf->sh->word;

    if (word != FM_GATE_WORD_OPEN || mcf->blind) {
        return ngx_http_fermata_decide(r, lcf, word);
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata gate is open");

    if (r->internal
        || ngx_http_get_module_ctx(r, ngx_http_fermata_module) != NULL)
    {
        return ngx_http_fermata_admit(r, mcf, 0);
    }

    return ngx_http_fermata_board(r, mcf);
}


static ngx_int_t
ngx_http_fermata_decide(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, uint64_t word)
{
    ngx_int_t             rc;
    struct fm_gate_facts  facts;
    enum fm_gate_verdict  verdict;

    if (r->internal && ngx_http_fermata_is_judged(r, lcf->mcf)) {
        return NGX_DECLINED;
    }

    if (ngx_http_fermata_facts(r, lcf, word, &facts) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (lcf->mcf->blind) {
        word = 0;
    }

    verdict = fm_gate_decide(word, &facts);

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata verdict: %s, word:%016xL bypass:%d hold:%uL",
                   ngx_http_fermata_verdicts[verdict], word, facts.is_bypass,
                   facts.hold_ms);

    if (verdict == FM_GATE_HOLD) {
        rc = ngx_http_fermata_hold(r, lcf, facts.hold_ms);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        verdict = facts.wants_json ? FM_GATE_REFUSE : FM_GATE_PAGE;
    }

    if (verdict == FM_GATE_PASS) {
        return ngx_http_fermata_admit(r, lcf->mcf, facts.is_bypass);
    }

    if (verdict == FM_GATE_ASSET) {
        return ngx_http_fermata_asset_send(r, lcf);
    }

    rc = ngx_http_fermata_upgrade(r, lcf);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_fermata_page_send(r, verdict == FM_GATE_REFUSE
                                         ? NGX_HTTP_FERMATA_JSON
                                         : NGX_HTTP_FERMATA_HTML);
}


/* Redirected within nginx after it was let through, or as an asset. */

static NGX_HTTP_FERMATA_SLOW ngx_uint_t
ngx_http_fermata_is_judged(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf)
{
    ngx_http_fermata_ctx_t  *ctx;

    ctx = ngx_http_fermata_get_ctx(r, mcf);

    if (ctx == NULL || !(ctx->counted || ctx->asset)) {
        return 0;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "fermata has let this request through before");

    return 1;
}


/* What the decision has to know of a request. */

static ngx_int_t
ngx_http_fermata_facts(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, uint64_t word,
    struct fm_gate_facts *facts)
{
    ngx_int_t                      rc;
    ngx_http_fermata_main_conf_t  *mcf;

    mcf = lcf->mcf;

    rc = ngx_http_fermata_test_bypass(r, lcf, word);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    facts->nodes = mcf->nodes;
    facts->is_off = 0;
    facts->is_bypass = (rc == NGX_OK && !mcf->blind);
    facts->wants_json = ngx_http_fermata_wants_json(r);
    facts->is_asset = ngx_http_fermata_is_asset(r, lcf);

    ngx_http_fermata_hold_facts(r, lcf, facts);

    return NGX_OK;
}
