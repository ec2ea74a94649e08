
/*
 * The gate of Fermata: what its parts share.
 */


#ifndef _NGX_HTTP_FERMATA_MODULE_H_INCLUDED_
#define _NGX_HTTP_FERMATA_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

/*
 * What the parts share is nobody else's: calls and loads go straight, and no
 * other module can get in between.
 */

#pragma GCC visibility push(hidden)


#include "fm_gate.h"
#include "base/text.h"
#include "wire/bypass.h"
#include "fm_gate_words.h"
#include "ngx_http_fermata_compat.h"


/* on the path of the page: together in memory, and no burden on others */
#define NGX_HTTP_FERMATA_HOT        __attribute__((noinline, hot))

/* off the path of each request, and no burden on it */
#define NGX_HTTP_FERMATA_SLOW       __attribute__((noinline, cold))

#define NGX_HTTP_FERMATA_VERSION    "0.1.0"

/* directives within fermata_cluster{}: no bit of nginx's own */
#define NGX_HTTP_FERMATA_CONF       0x00800000

#define NGX_HTTP_FERMATA_NODES      FM_NODES_MAX
#define NGX_HTTP_FERMATA_SLOTS      128
#define NGX_HTTP_FERMATA_ZONE_MIN   (256 * 1024)

/* of a node, or of the gate; terminated */
#define ngx_http_fermata_is_name(name)                                        \
    fm_is_name((const char *) (name), FM_NAME_SIZE)

/* largest frame, state file and page template that are read */
#define NGX_HTTP_FERMATA_FRAME_MAX  65536

#define NGX_HTTP_FERMATA_HTML       0
#define NGX_HTTP_FERMATA_JSON       1
#define NGX_HTTP_FERMATA_LIVE       2
#define NGX_HTTP_FERMATA_OPENED     3
#define NGX_HTTP_FERMATA_KINDS      4

/* what a shown page looks at, no answer to a visitor's request */
#define ngx_http_fermata_is_live(kind)  ((kind) >= NGX_HTTP_FERMATA_LIVE)

/* of a page, at most */
#define NGX_HTTP_FERMATA_HEADERS    6

#define NGX_HTTP_FERMATA_DEFAULT_CLOSED  0
#define NGX_HTTP_FERMATA_DEFAULT_OPEN    1
#define NGX_HTTP_FERMATA_DEFAULT_LAST    2


#include "ngx_http_fermata_shm.h"


/* The eventfds of a zone, in the master: closed when no cycle has the zone. */

typedef struct {
    ngx_uint_t                       refs;
    ngx_fd_t                         wake;
    ngx_fd_t                         bell;
} ngx_http_fermata_fds_t;


/* A text, and the headers that go with it. */

typedef struct {
    ngx_str_t                        text;
    ngx_uint_t                       packed;
    ngx_uint_t                       nelts;
    ngx_table_elt_t                  headers[NGX_HTTP_FERMATA_HEADERS];
    u_char                           length[NGX_SIZE_T_LEN];
} ngx_http_fermata_form_t;


/*
 * What one process has rendered.  Responses point to it: it lives until the
 * last of them that could not be sent at once has been.
 */

typedef struct {
    ngx_uint_t                       refs;
    ngx_http_fermata_form_t          plain;
    ngx_http_fermata_form_t          packed;    /* gzipped; empty: not */
    ngx_atomic_uint_t                version;   /* of sh->text */
    time_t                           expires;
} ngx_http_fermata_copy_t;


typedef struct {
    ngx_str_t                        source;    /* with {{placeholders}} */
    ngx_uint_t                       kind;
    ngx_http_fermata_copy_t        **copies;    /* by cluster, language */
    ngx_str_t                        policy;    /* of ours, what it may do */
    unsigned                         polls:1;   /* itself, by its script */
} ngx_http_fermata_page_t;


typedef struct {
    ngx_str_t                        name;
    ngx_addr_t                       addr;      /* by name: nowhere */
    ngx_str_t                        server;    /* as it stands, or empty */
    ngx_int_t                        index;
} ngx_http_fermata_node_t;


typedef struct ngx_http_fermata_main_conf_s  ngx_http_fermata_main_conf_t;
typedef struct ngx_http_fermata_line_s       ngx_http_fermata_line_t;
typedef struct ngx_http_fermata_tabs_s       ngx_http_fermata_tabs_t;
typedef struct ngx_http_fermata_holds_s      ngx_http_fermata_holds_t;


/*
 * One cluster: the main conf of http{}, and another for each block
 * fermata_cluster{}.  Nothing of one is known to another.
 */

struct ngx_http_fermata_main_conf_s {

    /* of a worker, for each request: see ngx_http_fermata_worker.c */

    ngx_http_fermata_shctx_t        *sh;
    ngx_http_fermata_slot_t         *slot;
    ngx_uint_t                       blind;     /* the page only */
    ngx_queue_t                      rides;

    ngx_slab_pool_t                 *shpool;
    uint64_t                         nodes;     /* mask of the named ones */

    ngx_str_t                        cluster;   /* its name */
    ngx_str_t                        cookie;    /* of a bypass, its name */
    ngx_uint_t                       number;    /* among the clusters */
    ngx_array_t                     *clusters;  /* of all, pointers */
    ngx_log_t                        log;       /* says which one it is */

    ngx_shm_zone_t                  *shm_zone;
    ngx_http_fermata_fds_t          *fds;
    ngx_path_t                      *path;
    ngx_array_t                     *coordinators;  /* of ngx_addr_t */
    ngx_str_t                        name;
    ngx_uint_t                       fallback;
    ngx_msec_t                       start_wait;
    ngx_uint_t                       generation;

    ngx_str_t                        ssl_certificate;
    ngx_str_t                        ssl_certificate_key;
    ngx_str_t                        ssl_trusted;
    ngx_ssl_t                       *ssl;

    ngx_http_fermata_page_t         *pages;     /* ours, in http{} only */
    ngx_str_t                        live;      /* uri, empty: off */
    ngx_array_t                      upstreams; /* of ucf pointers */
    ngx_uint_t                       tabs_max;
    ngx_msec_t                       tabs_release;

    /* of one process: a worker's, and in the manager the line */

    ngx_event_t                      tick;
    ngx_connection_t                 dummy;     /* data: this conf */
    ngx_uint_t                       deaf;
    ngx_msec_t                       idle_at;
    ngx_http_fermata_tabs_t         *tabs;
    ngx_http_fermata_holds_t        *holds;
    ngx_http_fermata_line_t         *line;
    ngx_http_fermata_slot_t          no_slot;
};


/* A name of a cluster in the configuration, and where it stands. */

typedef struct {
    ngx_str_t                        name;      /* NULL: not said */
    u_char                          *file;
    ngx_uint_t                       line;
} ngx_http_fermata_which_t;


typedef struct {
    ngx_array_t                     *nodes;     /* of node_t */
    ngx_http_upstream_init_peer_pt   init;      /* the balancer's */
    ngx_http_fermata_main_conf_t    *mcf;
    ngx_http_fermata_which_t         which;
    ngx_http_upstream_srv_conf_t    *upstream;
    ngx_uint_t                       resolved;  /* servers at run time */
} ngx_http_fermata_srv_conf_t;


typedef struct {
    ngx_flag_t                       enable;
    ngx_http_fermata_main_conf_t    *mcf;       /* NULL: none */
    ngx_http_fermata_which_t         which;
    ngx_flag_t                       status;
    ngx_str_t                        live;      /* of the main conf */
    time_t                           retry_after;
    ngx_array_t                     *bypass;
    ngx_array_t                     *bypass_addresses;  /* of cidr_t */
    ngx_array_t                     *bypass_headers;    /* of keyval_t */
    ngx_array_t                     *tabs;      /* of ngx_str_t, or NULL */
    ngx_msec_t                       tabs_timeout;
    ngx_array_t                     *assets;    /* of ngx_str_t, or NULL */
    ngx_str_t                        assets_location;
    ngx_array_t                     *api;       /* of ngx_str_t, or NULL */
    ngx_msec_t                       hold;
    ngx_flag_t                       hold_closed;
    ngx_uint_t                       hold_requests;
    size_t                           hold_size;
    ngx_uint_t                       hold_methods;
    ngx_http_fermata_page_t         *pages[NGX_HTTP_FERMATA_KINDS];
} ngx_http_fermata_loc_conf_t;


typedef struct ngx_http_fermata_hold_s  ngx_http_fermata_hold_t;


/* A request that is let through, or a subrequest's use of an upstream. */

typedef struct {
    ngx_queue_t                      queue;
    ngx_http_cleanup_t               cleanup;
    ngx_http_request_t              *request;
    ngx_http_fermata_main_conf_t    *mcf;       /* that counts it */
    ngx_http_upstream_t             *wrapped;
    ngx_http_fermata_srv_conf_t     *ucf;       /* of the wrapped one */

    ngx_atomic_uint_t                change;
    ngx_int_t                        node;
    ngx_int_t                        served;    /* the last node, for logs */

    ngx_uint_t                       version;   /* of the resolved peers */
    void                            *data;
    ngx_event_get_peer_pt            get;
    ngx_event_free_peer_pt           free;
    ngx_event_notify_peer_pt         notify;
#if (NGX_HTTP_SSL)
    ngx_event_set_peer_session_pt    set_session;
    ngx_event_save_peer_session_pt   save_session;
#endif

    ngx_event_t                     *cut;
    ngx_http_fermata_hold_t         *hold;      /* waits at the gate */
    ngx_str_t                        page;

    union {
        uint32_t                     flags;

        struct {
            unsigned                 counted:1;
            unsigned                 upgraded:1;
            unsigned                 exempt:1;
            unsigned                 bypassed:1;
            unsigned                 blocked:1;
            unsigned                 json:1;    /* in place of the page */
            unsigned                 replacing:1;
            unsigned                 replaced:1;
            unsigned                 direct:1;
            unsigned                 direct_done:1;
            unsigned                 asset:1;
            unsigned                 foreign:1; /* of another's gate */
        };
    };
} ngx_http_fermata_ctx_t;


/* ngx_http_fermata_conf.c, ngx_http_fermata_variables.c */

char *ngx_http_fermata_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_fermata_check_zone(ngx_shm_zone_t *shm_zone);
char *ngx_http_fermata_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_fermata_coordinator(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_fermata_coordinator_init(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);
char *ngx_http_fermata_init_main_conf(ngx_conf_t *cf, void *conf);
ngx_int_t ngx_http_fermata_add_variables(ngx_conf_t *cf);


/* shared memory: ngx_http_fermata_shm.c, ngx_http_fermata_slot.c */

ngx_int_t ngx_http_fermata_init_zone(ngx_shm_zone_t *shm_zone, void *data);
ngx_http_fermata_slot_t *ngx_http_fermata_claim(
    ngx_http_fermata_main_conf_t *mcf);
ngx_uint_t ngx_http_fermata_is_alive(ngx_http_fermata_slot_t *slot);
ngx_uint_t ngx_http_fermata_is_in_force(ngx_http_fermata_shctx_t *sh);
void ngx_http_fermata_store(ngx_http_fermata_main_conf_t *mcf,
    const struct fm_gate_ask *ask);
void ngx_http_fermata_reckon(ngx_http_fermata_shctx_t *sh);
void ngx_http_fermata_prove(ngx_http_fermata_main_conf_t *mcf);
ngx_atomic_uint_t ngx_http_fermata_read(ngx_http_fermata_shctx_t *sh,
    struct fm_gate_ask *ask, ngx_uint_t proved);
ngx_int_t ngx_http_fermata_find_node(ngx_http_fermata_shctx_t *sh,
    const char *name);


void ngx_http_fermata_sum(ngx_http_fermata_shctx_t *sh,
    ngx_http_fermata_sum_t *sum);


/* the decision, carried out: ngx_http_fermata_handler.c */

ngx_int_t ngx_http_fermata_handler(ngx_http_request_t *r);


/* waiting at the gate: ngx_http_fermata_hold.c */

void ngx_http_fermata_hold_facts(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, struct fm_gate_facts *facts);
ngx_int_t ngx_http_fermata_hold(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, ngx_msec_t left);
void ngx_http_fermata_unhold(ngx_http_fermata_ctx_t *ctx);
ngx_int_t ngx_http_fermata_hold_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_hold_look(ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_hold_create(ngx_http_fermata_loc_conf_t *lcf);
void ngx_http_fermata_hold_merge(ngx_http_fermata_loc_conf_t *conf,
    ngx_http_fermata_loc_conf_t *prev);
char *ngx_http_fermata_hold_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_fermata_hold_methods(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* operators: ngx_http_fermata_bypass.c, ngx_http_fermata_link.c */

#define ngx_http_fermata_is_link(r)                                           \
    ((r)->uri.len >= sizeof(FM_BYPASS_PATH) - 1                               \
     && ngx_memcmp((r)->uri.data, FM_BYPASS_PATH, sizeof(FM_BYPASS_PATH) - 1) \
        == 0)

ngx_int_t ngx_http_fermata_test_bypass(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf, uint64_t word);
void ngx_http_fermata_bypass_create(ngx_http_fermata_loc_conf_t *lcf);
void ngx_http_fermata_bypass_merge(ngx_http_fermata_loc_conf_t *conf,
    ngx_http_fermata_loc_conf_t *prev);
ngx_table_elt_t *ngx_http_fermata_find_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_table_elt_t *after);
enum fm_bypass_verdict ngx_http_fermata_token(ngx_http_fermata_shctx_t *sh,
    const u_char *token, size_t size, int64_t *expires);
ngx_int_t ngx_http_fermata_open_link(ngx_http_request_t *r);
char *ngx_http_fermata_bypass_address(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_fermata_bypass_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* parts of the client: ngx_http_fermata_assets.c */

ngx_uint_t ngx_http_fermata_is_asset(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf);
ngx_int_t ngx_http_fermata_asset_send(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf);
char *ngx_http_fermata_assets(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_fermata_assets_merge(ngx_http_fermata_loc_conf_t *conf,
    ngx_http_fermata_loc_conf_t *prev);


#include "ngx_http_fermata_page.h"
#include "ngx_http_fermata_cluster.h"
#include "ngx_http_fermata_upstream.h"


/* rides: ngx_http_fermata_ride.c */

ngx_http_fermata_ctx_t *ngx_http_fermata_get_ctx(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf);
NGX_HTTP_FERMATA_SLOW ngx_http_fermata_ctx_t *ngx_http_fermata_find_ctx(
    ngx_http_request_t *r);
NGX_HTTP_FERMATA_SLOW ngx_int_t ngx_http_fermata_admit(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf, ngx_uint_t bypassed);
ngx_int_t ngx_http_fermata_board(ngx_http_request_t *r,
    ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_upgraded(ngx_http_fermata_ctx_t *ctx);
void ngx_http_fermata_settle(ngx_http_fermata_ctx_t *ctx);


/* each worker: ngx_http_fermata_worker.c */

/* requests of this process, of whatever cluster, that the page replaces */
extern ngx_uint_t  ngx_http_fermata_replacing;

ngx_int_t ngx_http_fermata_init_process(ngx_cycle_t *cycle);
void ngx_http_fermata_sweep_soon(ngx_http_fermata_main_conf_t *mcf);


/* ngx_http_fermata_uris.c; post of the directive: what they are */
char *ngx_http_fermata_set_uris_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* open tabs: ngx_http_fermata_upgrade.c, ngx_http_fermata_websocket.c */

/* not among nginx's own */
#define NGX_HTTP_FERMATA_UPGRADE_REQUIRED  426

ngx_int_t ngx_http_fermata_websocket_merge(ngx_conf_t *cf,
    ngx_http_fermata_loc_conf_t *prev, ngx_http_fermata_loc_conf_t *conf);
ngx_int_t ngx_http_fermata_upgrade(ngx_http_request_t *r,
    ngx_http_fermata_loc_conf_t *lcf);
ngx_int_t ngx_http_fermata_tabs_init(ngx_cycle_t *cycle,
    ngx_http_fermata_main_conf_t *mcf);
void ngx_http_fermata_tabs_look(ngx_http_fermata_main_conf_t *mcf);


/* idle connections to nodes: ngx_http_fermata_idle.c */

void ngx_http_fermata_look_idle(ngx_http_fermata_main_conf_t *mcf,
    ngx_uint_t changed);
ngx_uint_t ngx_http_fermata_may_keep(ngx_peer_connection_t *pc,
    ngx_http_fermata_ctx_t *ctx, uint64_t word);


/* the coordinator's line: ngx_http_fermata_client.c */

ngx_int_t ngx_http_fermata_client_start(ngx_http_fermata_main_conf_t *mcf);


/* TLS of that line: ngx_http_fermata_ssl.c */

char *ngx_http_fermata_ssl_init(ngx_conf_t *cf,
    ngx_http_fermata_main_conf_t *mcf);


/* the state file: ngx_http_fermata_state.c */

ngx_int_t ngx_http_fermata_state_read(ngx_str_t *dir, const char *file,
    struct fm_gate_ask *ask, ngx_log_t *log);
ngx_int_t ngx_http_fermata_state_write(ngx_str_t *dir,
    const struct fm_gate_ask *ask, ngx_log_t *log, const char **why);
ngx_int_t ngx_http_fermata_state_save(ngx_str_t *dir, const char *file,
    const struct fm_gate_ask *ask, ngx_log_t *log);
ngx_int_t ngx_http_fermata_state_remove(ngx_str_t *dir, const char *file,
    ngx_log_t *log);


/* between a start and the first word: ngx_http_fermata_wait.c */

/* in place of a time */
#define NGX_HTTP_FERMATA_FOREVER    (NGX_CONF_UNSET_MSEC - 1)

char *ngx_http_fermata_start_wait(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_fermata_begin_wait(ngx_http_fermata_main_conf_t *mcf,
    const struct fm_gate_ask *ask, ngx_log_t *log);
void ngx_http_fermata_told(ngx_http_fermata_main_conf_t *mcf);


/* clusters that a reload takes away: ngx_http_fermata_removed.c */

ngx_int_t ngx_http_fermata_init_module(ngx_cycle_t *cycle);


/* by hand on this host: ngx_http_fermata_override.c */

void ngx_http_fermata_set_override(ngx_http_fermata_main_conf_t *mcf,
    const ngx_http_fermata_override_t *override);

ngx_int_t ngx_http_fermata_override_read(ngx_str_t *dir,
    ngx_http_fermata_override_t *override, ngx_log_t *log);


/* the status location: ngx_http_fermata_status.c */

char *ngx_http_fermata_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


extern ngx_module_t  ngx_http_fermata_module;


#pragma GCC visibility pop


#endif /* _NGX_HTTP_FERMATA_MODULE_H_INCLUDED_ */
