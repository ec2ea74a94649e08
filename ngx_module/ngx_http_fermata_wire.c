
/*
 * Asks as bytes: bounded, and checked before anything is believed.
 */


#include "ngx_http_fermata_wire.h"


typedef struct {
    ngx_pool_t  *pool;
    size_t       left;
} ngx_http_fermata_budget_t;


static ngx_uint_t ngx_http_fermata_may_send(Fermata__Envelope__BodyCase body);
static void *ngx_http_fermata_budget_alloc(void *data, size_t size);
static void ngx_http_fermata_budget_free(void *data, void *p);
static ngx_int_t ngx_http_fermata_text(char *dst, size_t size,
    const char *src);
static ngx_int_t ngx_http_fermata_name(char *dst, const char *src);
static ngx_uint_t ngx_http_fermata_is_utf8(const char *text);
static ngx_int_t ngx_http_fermata_bypass_from(const Fermata__GateBypass *msg,
    struct fm_gate_bypass *bypass);
static ngx_int_t ngx_http_fermata_words_from(const Fermata__GateAsk *msg,
    struct fm_gate_ask *ask);


/* The whole of a decoded frame may take this much. */
#define NGX_HTTP_FERMATA_BUDGET  (1024 * 1024)


#define FM_MESSAGE(body, none, agent, gate, operator, coordinator, job)      \
    case FERMATA__ENVELOPE__BODY_##body:                                     \
        return coordinator;


/* Whether a coordinator may send this at all: the common table says. */

static ngx_uint_t
ngx_http_fermata_may_send(Fermata__Envelope__BodyCase body)
{
    switch (body) {

#include "wire/messages.def"

    default:
        return 0;
    }
}


#undef FM_MESSAGE


static void *
ngx_http_fermata_budget_alloc(void *data, size_t size)
{
    ngx_http_fermata_budget_t  *budget = data;

    if (size + NGX_ALIGNMENT > budget->left) {
        return NULL;
    }

    budget->left -= size + NGX_ALIGNMENT;

    return ngx_palloc(budget->pool, size);
}


static void
ngx_http_fermata_budget_free(void *data, void *p)
{
    /* everything goes with the pool of the frame */
}


Fermata__Envelope *
ngx_http_fermata_frame_unpack(ngx_pool_t *pool, u_char *data, size_t size)
{
    Fermata__Envelope          *envelope;
    ProtobufCAllocator          allocator;
    ngx_http_fermata_budget_t   budget;

    budget.pool = pool;
    budget.left = NGX_HTTP_FERMATA_BUDGET;

    allocator.alloc = ngx_http_fermata_budget_alloc;
    allocator.free = ngx_http_fermata_budget_free;
    allocator.allocator_data = &budget;

    envelope = fermata__envelope__unpack(&allocator, size, data);

    if (envelope == NULL || !ngx_http_fermata_may_send(envelope->body_case)) {
        return NULL;
    }

    return envelope;
}


/* A whole frame, in memory of the pool. */

ngx_int_t
ngx_http_fermata_frame_pack(ngx_pool_t *pool, const Fermata__Envelope *envelope,
    ngx_str_t *frame)
{
    size_t  size;

    size = fermata__envelope__get_packed_size(envelope);

    frame->len = FM_FRAME_HEAD + size;
    frame->data = ngx_pnalloc(pool, frame->len);
    if (frame->data == NULL) {
        return NGX_ERROR;
    }

    frame->data[0] = (u_char) (size >> 24);
    frame->data[1] = (u_char) (size >> 16);
    frame->data[2] = (u_char) (size >> 8);
    frame->data[3] = (u_char) size;

    (void) fermata__envelope__pack(envelope, frame->data + FM_FRAME_HEAD);

    return NGX_OK;
}


/* [A-Za-z0-9][A-Za-z0-9._-]*, never "..", shorter than FM_NAME_SIZE. */

ngx_uint_t
ngx_http_fermata_is_name(const char *name)
{
    u_char       ch;
    const char  *p;

    for (p = name; *p; p++) {
        ch = (u_char) *p;

        if ((ch >= 'a' && ch <= 'z')
            || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9'))
        {
            continue;
        }

        if (p == name || (ch != '.' && ch != '_' && ch != '-')) {
            return 0;
        }

        if (ch == '.' && p[1] == '.') {
            return 0;
        }
    }

    return p != name && p - name < FM_NAME_SIZE;
}


static ngx_int_t
ngx_http_fermata_text(char *dst, size_t size, const char *src)
{
    size_t  len;

    len = ngx_strlen(src);

    if (len >= size) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst, src, len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_name(char *dst, const char *src)
{
    if (!ngx_http_fermata_is_name(src)) {
        return NGX_ERROR;
    }

    return ngx_http_fermata_text(dst, FM_NAME_SIZE, src);
}


static ngx_uint_t
ngx_http_fermata_is_utf8(const char *text)
{
    u_char  *p, *last;

    p = (u_char *) text;
    last = p + ngx_strlen(text);

    while (p < last) {
        if (*p < 0x80) {
            p++;
            continue;
        }

        if (ngx_utf8_decode(&p, last - p) > 0x10ffff) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_fermata_bypass_from(const Fermata__GateBypass *msg,
    struct fm_gate_bypass *bypass)
{
    if (msg == NULL) {
        return NGX_OK;
    }

    if (msg->key.len != 0) {

        if (msg->key.len != FM_BYPASS_KEY_SIZE) {
            return NGX_ERROR;
        }

        ngx_memcpy(bypass->key, msg->key.data, FM_BYPASS_KEY_SIZE);
    }

    if (msg->node[0] != '\0'
        && ngx_http_fermata_name(bypass->node, msg->node) != NGX_OK)
    {
        return NGX_ERROR;
    }

    bypass->shut = msg->shut;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fermata_words_from(const Fermata__GateAsk *msg,
    struct fm_gate_ask *ask)
{
    if (!ngx_http_fermata_is_utf8(msg->message)
        || !ngx_http_fermata_is_utf8(msg->step)
        || !ngx_http_fermata_is_utf8(msg->command)
        || ngx_http_fermata_text(ask->message, FM_TEXT_SIZE, msg->message)
           != NGX_OK
        || ngx_http_fermata_text(ask->step, FM_TEXT_SIZE, msg->step) != NGX_OK
        || ngx_http_fermata_text(ask->command, FM_NAME_SIZE, msg->command)
           != NGX_OK
        || ngx_http_fermata_bypass_from(msg->bypass, &ask->bypass) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ask->back_at = msg->back_at;
    ask->estimated = msg->estimated;

    /* a later coordinator may have more words */

    if ((ngx_uint_t) msg->phase < FM_PHASE_COUNT) {
        ask->phase = (enum fm_gate_phase) msg->phase;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_fermata_ask_from(const Fermata__GateAsk *msg, struct fm_gate_ask *ask)
{
    size_t  i;

    ngx_memzero(ask, sizeof(struct fm_gate_ask));

    switch (msg->mode) {

    case FERMATA__GATE_MODE__GATE_NONE:
        ask->mode = FM_GATE_NONE;
        break;

    case FERMATA__GATE_MODE__GATE_OPEN:
        ask->mode = FM_GATE_OPEN;
        break;

    case FERMATA__GATE_MODE__GATE_CLOSED:
        ask->mode = FM_GATE_CLOSED;
        break;

    case FERMATA__GATE_MODE__GATE_PINNED:
        ask->mode = FM_GATE_PINNED;
        break;

    default:
        return NGX_ERROR;
    }

    ask->voice.epoch = msg->epoch;
    ask->voice.seq = msg->seq;
    ask->cut_after_ms = msg->cut_after_ms;
    ask->run = msg->run;
    ask->refresh = msg->refresh;

    if (msg->pinned[0] != '\0'
        && ngx_http_fermata_name(ask->pinned, msg->pinned) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (msg->n_drained > FM_NODES_MAX) {
        return NGX_ERROR;
    }

    for (i = 0; i < msg->n_drained; i++) {
        if (ngx_http_fermata_name(ask->drained[i], msg->drained[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ask->drained_count = (unsigned) msg->n_drained;

    return ngx_http_fermata_words_from(msg, ask);
}


ngx_int_t
ngx_http_fermata_ask_unpack(u_char *data, size_t size, struct fm_gate_ask *ask,
    ngx_log_t *log)
{
    ngx_int_t                   rc;
    ngx_pool_t                 *pool;
    Fermata__GateAsk           *msg;
    ProtobufCAllocator          allocator;
    ngx_http_fermata_budget_t   budget;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    budget.pool = pool;
    budget.left = NGX_HTTP_FERMATA_BUDGET;

    allocator.alloc = ngx_http_fermata_budget_alloc;
    allocator.free = ngx_http_fermata_budget_free;
    allocator.allocator_data = &budget;

    msg = fermata__gate_ask__unpack(&allocator, size, data);

    rc = (msg == NULL) ? NGX_ERROR : ngx_http_fermata_ask_from(msg, ask);

    ngx_destroy_pool(pool);

    return rc;
}


ngx_int_t
ngx_http_fermata_ask_pack(ngx_pool_t *pool, const struct fm_gate_ask *ask,
    ngx_str_t *packed)
{
    char                 *drained[FM_NODES_MAX];
    unsigned              i;
    Fermata__GateAsk      msg = FERMATA__GATE_ASK__INIT;
    Fermata__GateBypass   bypass = FERMATA__GATE_BYPASS__INIT;

    for (i = 0; i < ask->drained_count; i++) {
        drained[i] = (char *) ask->drained[i];
    }

    msg.epoch = ask->voice.epoch;
    msg.seq = ask->voice.seq;
    msg.mode = (Fermata__GateMode) ask->mode;
    msg.pinned = (char *) ask->pinned;
    msg.n_drained = ask->drained_count;
    msg.drained = drained;
    msg.cut_after_ms = ask->cut_after_ms;
    msg.message = (char *) ask->message;
    msg.step = (char *) ask->step;
    msg.command = (char *) ask->command;
    msg.back_at = ask->back_at;
    msg.run = ask->run;
    msg.refresh = ask->refresh;
    msg.phase = (Fermata__GatePhase) ask->phase;
    msg.estimated = ask->estimated;

    bypass.key.data = (uint8_t *) ask->bypass.key;
    bypass.key.len = FM_BYPASS_KEY_SIZE;
    bypass.node = (char *) ask->bypass.node;
    bypass.shut = ask->bypass.shut;

    msg.bypass = &bypass;

    packed->len = fermata__gate_ask__get_packed_size(&msg);
    packed->data = ngx_pnalloc(pool, packed->len ? packed->len : 1);
    if (packed->data == NULL) {
        return NGX_ERROR;
    }

    (void) fermata__gate_ask__pack(&msg, packed->data);

    return NGX_OK;
}
