
/*
 * fermata_status: what the gate does now, as JSON or for Prometheus.
 */


#include "ngx_http_fermata_module.h"


#define NGX_HTTP_FERMATA_STATUS_MAX         (48 * 1024)

#define NGX_HTTP_FERMATA_STATUS_JSON        1
#define NGX_HTTP_FERMATA_STATUS_PROMETHEUS  2


/*
 * What is counted: key of JSON and, with "fermata_" before it, name of the
 * metric; type; whether it is true or false; what it is; where it comes from.
 * fermata-gate(7) lists them, tests/gate/test_status.py compares.
 */

#define NGX_HTTP_FERMATA_METRICS(X)                                           \
    X(epoch, "gauge", 0, "Epoch of the ask last accepted.",                   \
      p->ask.voice.epoch)                                                     \
    X(seq, "gauge", 0, "Sequence of the ask last accepted.",                  \
      p->ask.voice.seq)                                                       \
    X(run, "gauge", 0, "Number of the run that asked.", p->ask.run)           \
    X(back_at, "gauge", 0,                                                    \
      "When service is expected, unix seconds; 0: not known.",                \
      p->ask.back_at)                                                         \
    X(in_flight, "gauge", 0, "Requests under way.", p->sum.in_flight)         \
    X(websockets, "gauge", 0, "Websockets to nodes.", p->sum.websockets)      \
    X(idle, "gauge", 0, "Idle connections kept to nodes.", p->sum.idle)       \
    X(tabs, "gauge", 0, "Open tabs kept by the gate.", p->sum.tabs)           \
    X(bypassed, "gauge", 0,                                                   \
      "Requests and websockets of operators past the page.",                  \
      p->sum.bypassed + p->sum.bypassed_sockets)                              \
    X(held, "gauge", 0, "Requests that wait at the gate.", p->sum.held)       \
    X(passed, "counter", 0, "Requests let through.", p->sum.passed)           \
    X(refused, "counter", 0, "Requests answered with the page.",              \
      p->sum.refused)                                                         \
    X(assets, "counter", 0, "Assets served while closed.", p->sum.assets)     \
    X(workers, "gauge", 0, "Living workers.", p->sum.workers)                 \
    X(generations, "gauge", 0, "Generations of workers that live.",           \
      p->sum.generations)                                                     \
    X(waiting, "gauge", 1, "A start that waits for the coordinator.",         \
      p->sh->waiting != 0)                                                    \
    X(by_hand, "gauge", 1, "The mode was given by hand, at the gate itself.", \
      p->sh->override.mode != FM_GATE_NONE)                                   \
    X(in_every_worker, "gauge", 1,                                            \
      "The ask last accepted is in force in every worker.",                   \
      ngx_http_fermata_is_in_force(p->sh) != 0)                               \
    X(connected, "gauge", 1, "The coordinator is connected.",                 \
      p->sh->connected != 0)


#define NGX_HTTP_FERMATA_NODE_METRICS(X)                                      \
    X(in_flight, "gauge", 0, "Requests under way to the node.",               \
      p->sum.nodes[i])                                                        \
    X(websockets, "gauge", 0, "Websockets to the node.", p->sum.sockets[i])   \
    X(idle, "gauge", 0, "Idle connections kept to the node.",                 \
      p->sum.kept[i])                                                         \
    X(allowed, "gauge", 1, "The node may get visitors.",                      \
      fm_gate_word_mode(p->word) != FM_GATE_CLOSED                            \
      && fm_gate_may_use(p->word, (int) i))


typedef struct {
    const char                      *key;
    const char                      *type;
    ngx_uint_t                       is_flag;
    const char                      *help;
} ngx_http_fermata_metric_t;


static ngx_http_fermata_metric_t  ngx_http_fermata_metrics[] = {
#define X(key, type, is_flag, help, value)  { #key, type, is_flag, help },
    NGX_HTTP_FERMATA_METRICS(X)
};


static ngx_http_fermata_metric_t  ngx_http_fermata_node_metrics[] = {
    NGX_HTTP_FERMATA_NODE_METRICS(X)
#undef X
};


#define NGX_HTTP_FERMATA_METRICS_N                                            \
    (sizeof(ngx_http_fermata_metrics) / sizeof(ngx_http_fermata_metric_t))
#define NGX_HTTP_FERMATA_NODE_METRICS_N                                       \
    (sizeof(ngx_http_fermata_node_metrics)                                    \
     / sizeof(ngx_http_fermata_metric_t))


/* One look: what is written is of one moment, as far as that goes. */

typedef struct {
    ngx_http_fermata_main_conf_t    *mcf;
    ngx_http_fermata_shctx_t        *sh;
    uint64_t                         word;
    u_char                           label[sizeof("cluster=\"\"")
                                           + FM_NAME_SIZE];
    struct fm_gate_ask               ask;
    ngx_http_fermata_sum_t           sum;
    uint64_t                         values[NGX_HTTP_FERMATA_METRICS_N];
    uint64_t                         nodes[NGX_HTTP_FERMATA_NODES]
                                          [NGX_HTTP_FERMATA_NODE_METRICS_N];
} ngx_http_fermata_picture_t;


static char *ngx_http_fermata_status_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_fermata_loc_conf_t *lcf);
static ngx_int_t ngx_http_fermata_status_handler(ngx_http_request_t *r);
static void ngx_http_fermata_look(ngx_http_fermata_picture_t *p,
    ngx_http_request_t *r);
static const char *ngx_http_fermata_mode(ngx_http_fermata_picture_t *p);
static u_char *ngx_http_fermata_write_text(u_char *p, u_char *last,
    const char *key, const char *text);
static u_char *ngx_http_fermata_write_metrics(u_char *dst, u_char *last,
    ngx_http_fermata_metric_t *m, ngx_uint_t n, uint64_t *values);
static u_char *ngx_http_fermata_write_json(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p);
static u_char *ngx_http_fermata_write_json_nodes(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p);
static u_char *ngx_http_fermata_write_help(u_char *dst, u_char *last,
    const char *prefix, ngx_http_fermata_metric_t *m);
static u_char *ngx_http_fermata_write_prometheus(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p);
static u_char *ngx_http_fermata_write_prometheus_nodes(u_char *dst,
    u_char *last, ngx_http_fermata_picture_t *p);


static const char  *ngx_http_fermata_modes[] = {
#define X(name, text)  text,
    FM_GATE_MODES(X)
#undef X
};


/* fermata_status [json | prometheus] [cluster=name]; */

char *
ngx_http_fermata_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fermata_loc_conf_t *lcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->status) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_fermata_status_value(cf, &value[i], lcf);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (lcf->status == 0) {
        lcf->status = NGX_HTTP_FERMATA_STATUS_JSON;
    }

    (void) ngx_http_fermata_which(cf, NULL, &lcf->which);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_fermata_status_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_fermata_status_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_fermata_loc_conf_t *lcf)
{
    if (ngx_strncmp(value->data, "cluster=", 8) == 0) {
        return ngx_http_fermata_which(cf, value->data + 8, &lcf->which)
               == NGX_OK
               ? NGX_CONF_OK : "names another cluster than \"fermata\"";
    }

    if (lcf->status) {
        return "takes one format";
    }

    if (ngx_strcmp(value->data, "json") == 0) {
        lcf->status = NGX_HTTP_FERMATA_STATUS_JSON;

    } else if (ngx_strcmp(value->data, "prometheus") == 0) {
        lcf->status = NGX_HTTP_FERMATA_STATUS_PROMETHEUS;

    } else {
        return "is neither \"json\" nor \"prometheus\"";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fermata_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_buf_t                     *b;
    ngx_chain_t                    out;
    ngx_http_fermata_picture_t    *picture;
    ngx_http_fermata_loc_conf_t   *lcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    picture = ngx_palloc(r->pool, sizeof(ngx_http_fermata_picture_t));
    b = ngx_create_temp_buf(r->pool, NGX_HTTP_FERMATA_STATUS_MAX);

    if (picture == NULL || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_fermata_look(picture, r);

    if (lcf->status == NGX_HTTP_FERMATA_STATUS_PROMETHEUS) {
        b->last = ngx_http_fermata_write_prometheus(b->pos, b->end, picture);
        ngx_str_set(&r->headers_out.content_type,
                    "text/plain; version=0.0.4; charset=utf-8");

    } else {
        b->last = ngx_http_fermata_write_json(b->pos, b->end, picture);
        ngx_str_set(&r->headers_out.content_type, "application/json");
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_fermata_look(ngx_http_fermata_picture_t *p, ngx_http_request_t *r)
{
    ngx_uint_t                    i, n;
    ngx_http_fermata_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_fermata_module);

    p->mcf = lcf->mcf;
    p->sh = p->mcf->sh;
    p->word = p->sh->word;
    p->label[0] = '\0';

    /* the one of http{} goes without: it needs no name */

    if (ngx_strcmp(p->mcf->cluster.data, NGX_HTTP_FERMATA_CLUSTER) != 0) {
        (void) ngx_snprintf(p->label, sizeof(p->label), "cluster=\"%V\"%Z",
                            &p->mcf->cluster);
    }

    (void) ngx_http_fermata_read(p->sh, &p->ask, 0);
    ngx_http_fermata_sum(p->sh, &p->sum);

    n = 0;
#define X(key, type, is_flag, help, value)  p->values[n++] = value;
    NGX_HTTP_FERMATA_METRICS(X)
#undef X

    for (i = 0; i < p->sh->nnodes; i++) {
        n = 0;
#define X(key, type, is_flag, help, value)  p->nodes[i][n++] = value;
        NGX_HTTP_FERMATA_NODE_METRICS(X)
#undef X
    }
}


/* What is in force, by hand on this host or as asked. */

static const char *
ngx_http_fermata_mode(ngx_http_fermata_picture_t *p)
{
    return ngx_http_fermata_modes[fm_gate_word_mode(p->word) & 3];
}


/* "key":"text", with the text escaped and bounded. */

static u_char *
ngx_http_fermata_write_text(u_char *p, u_char *last, const char *key,
    const char *text)
{
    size_t  size;

    size = ngx_strlen(text);

    p = ngx_slprintf(p, last, "\"%s\":\"", key);

    if ((size_t) (last - p) > size + ngx_escape_json(NULL, (u_char *) text,
                                                     size))
    {
        p = (u_char *) ngx_escape_json(p, (u_char *) text, size);
    }

    return ngx_slprintf(p, last, "\",");
}


static u_char *
ngx_http_fermata_write_metrics(u_char *dst, u_char *last,
    ngx_http_fermata_metric_t *m, ngx_uint_t n, uint64_t *values)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (m[i].is_flag) {
            dst = ngx_slprintf(dst, last, ",\"%s\":%s", m[i].key,
                               values[i] ? "true" : "false");

        } else {
            dst = ngx_slprintf(dst, last, ",\"%s\":%uL", m[i].key, values[i]);
        }
    }

    return dst;
}


static u_char *
ngx_http_fermata_write_json(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p)
{
    ngx_uint_t  i;

    dst = ngx_slprintf(dst, last, "{\"mode\":\"%s\",\"override\":\"%s\","
                       "\"cluster\":\"%V\",\"gate\":\"%V\","
                       "\"instance\":\"%s\",",
                       ngx_http_fermata_mode(p),
                       ngx_http_fermata_modes[p->sh->override.mode & 3],
                       &p->mcf->cluster, &p->mcf->name, p->sh->instance);

    dst = ngx_http_fermata_write_text(dst, last, "pinned", p->ask.pinned);
    dst = ngx_http_fermata_write_text(dst, last, "message", p->ask.message);
    dst = ngx_http_fermata_write_text(dst, last, "step", p->ask.step);
    dst = ngx_http_fermata_write_text(dst, last, "command", p->ask.command);

    dst = ngx_slprintf(dst, last, "\"drained\":[");

    for (i = 0; i < p->ask.drained_count; i++) {
        dst = ngx_slprintf(dst, last, "%s\"%s\"", i ? "," : "",
                           p->ask.drained[i]);
    }

    dst = ngx_slprintf(dst, last, "]");
    dst = ngx_http_fermata_write_metrics(dst, last, ngx_http_fermata_metrics,
                                         NGX_HTTP_FERMATA_METRICS_N,
                                         p->values);
    dst = ngx_http_fermata_write_json_nodes(dst, last, p);

    return ngx_slprintf(dst, last, "}\n");
}


static u_char *
ngx_http_fermata_write_json_nodes(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p)
{
    ngx_uint_t  i, n;

    dst = ngx_slprintf(dst, last, ",\"nodes\":[");

    for (i = 0, n = 0; i < p->sh->nnodes; i++) {

        if (!(p->mcf->nodes >> i & 1)) {
            continue;
        }

        dst = ngx_slprintf(dst, last, "%s{\"name\":\"%s\"", n++ ? "," : "",
                           p->sh->nodes[i]);
        dst = ngx_http_fermata_write_metrics(dst, last,
                                             ngx_http_fermata_node_metrics,
                                             NGX_HTTP_FERMATA_NODE_METRICS_N,
                                             p->nodes[i]);
        dst = ngx_slprintf(dst, last, "}");
    }

    return ngx_slprintf(dst, last, "]");
}


static u_char *
ngx_http_fermata_write_help(u_char *dst, u_char *last, const char *prefix,
    ngx_http_fermata_metric_t *m)
{
    const char  *suffix;

    suffix = (m->type[0] == 'c') ? "_total" : "";

    return ngx_slprintf(dst, last, "# HELP %s%s%s %s\n# TYPE %s%s%s %s\n",
                        prefix, m->key, suffix, m->help,
                        prefix, m->key, suffix, m->type);
}


static u_char *
ngx_http_fermata_write_prometheus(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p)
{
    ngx_uint_t                  i;
    ngx_http_fermata_metric_t  *m;

    dst = ngx_slprintf(dst, last, "# HELP fermata_mode 1 for the mode.\n"
                       "# TYPE fermata_mode gauge\n");

    for (i = FM_GATE_OPEN; i <= FM_GATE_PINNED; i++) {
        dst = ngx_slprintf(dst, last, "fermata_mode{%s%smode=\"%s\"} %d\n",
                           p->label, p->label[0] ? "," : "",
                           ngx_http_fermata_modes[i],
                           fm_gate_word_mode(p->word) == i);
    }

    for (i = 0; i < NGX_HTTP_FERMATA_METRICS_N; i++) {
        m = &ngx_http_fermata_metrics[i];

        dst = ngx_http_fermata_write_help(dst, last, "fermata_", m);
        dst = ngx_slprintf(dst, last, "fermata_%s%s%s%s%s %uL\n", m->key,
                           m->type[0] == 'c' ? "_total" : "",
                           p->label[0] ? "{" : "", p->label,
                           p->label[0] ? "}" : "", p->values[i]);
    }

    return ngx_http_fermata_write_prometheus_nodes(dst, last, p);
}


/* A name has no character that would have to be escaped. */

static u_char *
ngx_http_fermata_write_prometheus_nodes(u_char *dst, u_char *last,
    ngx_http_fermata_picture_t *p)
{
    ngx_uint_t                  i, n;
    ngx_http_fermata_metric_t  *m;

    for (n = 0; n < NGX_HTTP_FERMATA_NODE_METRICS_N; n++) {
        m = &ngx_http_fermata_node_metrics[n];

        dst = ngx_http_fermata_write_help(dst, last, "fermata_node_", m);

        for (i = 0; i < p->sh->nnodes; i++) {
            if (p->mcf->nodes >> i & 1) {
                dst = ngx_slprintf(dst, last,
                                   "fermata_node_%s{%s%snode=\"%s\"} %uL\n",
                                   m->key, p->label, p->label[0] ? "," : "",
                                   p->sh->nodes[i], p->nodes[i][n]);
            }
        }
    }

    return dst;
}
