
/*
 * Frames that open tabs are sent: what is said to all of them, and the buffers
 * that many of them share.
 */


#include "ngx_http_fermata_tabs.h"


/* Escaped, a byte is up to six; the rest is ours. */
#define NGX_HTTP_FERMATA_NEWS_MAX                                            \
    ((FM_TEXT_SIZE * 2 + FM_NAME_SIZE) * 6 + 256)


static u_char *ngx_http_fermata_news_text(u_char *dst,
    const struct fm_gate_ask *ask);
static u_char *ngx_http_fermata_news_escape(u_char *dst, const char *text);


static ngx_str_t  ngx_http_fermata_farewells[] = {
    ngx_string("{\"type\":\"maintaining\",\"payload\":{\"message\":"
               "\"The application is back.\",\"code\":\"APP_RUNNING\"}}"),
    ngx_string("{\"type\":\"maintaining\",\"payload\":{\"message\":"
               "\"The application is back.\",\"code\":\"APP_RUNNING\","
               "\"refresh\":true}}")
};


ngx_http_fermata_frame_t *
ngx_http_fermata_frame_news(const struct fm_gate_ask *ask)
{
    size_t                     len, size;
    u_char                    *last, text[NGX_HTTP_FERMATA_NEWS_MAX];
    ngx_http_fermata_frame_t  *frame;

    last = ngx_http_fermata_news_text(text, ask);

    size = last - text;

    frame = ngx_http_fermata_frame_create(FM_WEBSOCKET_SERVER_HEAD + size);
    if (frame == NULL) {
        return NULL;
    }

    len = fm_websocket_head(frame->data, FM_WEBSOCKET_OP_TEXT, size);

    ngx_memcpy(frame->data + len, text, size);
    frame->len = len + size;

    return frame;
}


/* The message as NocoBase itself sends it; dst takes NEWS_MAX bytes. */

static u_char *
ngx_http_fermata_news_text(u_char *dst, const struct fm_gate_ask *ask)
{
    u_char       *p, *last;
    const char   *message, *command;

    last = dst + NGX_HTTP_FERMATA_NEWS_MAX;

    message = ask->message;
    command = ask->command[0] ? ask->command : "maintenance";

    if (ask->message[0] == '\0' && ask->step[0] == '\0') {
        message = "The application is being maintained.";
    }

    p = ngx_slprintf(dst, last, "{\"type\":\"maintaining\",\"payload\":{"
                                "\"message\":\"");

    p = ngx_http_fermata_news_escape(p, message);

    if (ask->message[0] && ask->step[0]) {

        /* a middle dot */

        p = ngx_slprintf(p, last, " \xc2\xb7 ");
    }

    p = ngx_http_fermata_news_escape(p, ask->step);

    p = ngx_slprintf(p, last, "\",\"command\":{\"name\":\"");

    p = ngx_http_fermata_news_escape(p, command);

    return ngx_slprintf(p, last, "\"},\"code\":\"APP_COMMANDING\"}}");
}


/* The texts come from outside. */

static u_char *
ngx_http_fermata_news_escape(u_char *dst, const char *text)
{
    return (u_char *) ngx_escape_json(dst, (u_char *) text, ngx_strlen(text));
}


ngx_http_fermata_frame_t *
ngx_http_fermata_frame_farewell(ngx_uint_t refresh)
{
    size_t                     len;
    ngx_str_t                 *text;
    ngx_http_fermata_frame_t  *frame;

    text = &ngx_http_fermata_farewells[refresh];

    frame = ngx_http_fermata_frame_create(FM_WEBSOCKET_SERVER_HEAD * 2
                                          + text->len);
    if (frame == NULL) {
        return NULL;
    }

    len = fm_websocket_head(frame->data, FM_WEBSOCKET_OP_TEXT, text->len);

    ngx_memcpy(frame->data + len, text->data, text->len);
    len += text->len;

    frame->len = len + fm_websocket_close(frame->data + len,
                                          FM_WEBSOCKET_RESTART);

    return frame;
}


ngx_http_fermata_frame_t *
ngx_http_fermata_frame_ping(void)
{
    ngx_http_fermata_frame_t  *frame;

    frame = ngx_http_fermata_frame_create(FM_WEBSOCKET_SERVER_HEAD);
    if (frame == NULL) {
        return NULL;
    }

    frame->len = fm_websocket_head(frame->data, FM_WEBSOCKET_OP_PING, 0);

    return frame;
}


ngx_http_fermata_frame_t *
ngx_http_fermata_frame_create(size_t len)
{
    ngx_http_fermata_frame_t  *frame;

    frame = ngx_alloc(offsetof(ngx_http_fermata_frame_t, data) + len,
                      ngx_cycle->log);
    if (frame == NULL) {
        return NULL;
    }

    frame->refs = 1;
    frame->len = len;

    return frame;
}


void
ngx_http_fermata_frame_free(ngx_http_fermata_frame_t *frame)
{
    if (--frame->refs == 0) {
        ngx_free(frame);
    }
}
