
/*
 * The gate of Fermata: what is in the zone of a cluster.  Included by
 * ngx_http_fermata_module.h only.
 */


#ifndef _NGX_HTTP_FERMATA_SHM_H_INCLUDED_
#define _NGX_HTTP_FERMATA_SHM_H_INCLUDED_


/*
 * What one process does.  Written by its owner only, read by everybody;
 * counts of a dead process are not read, but for passed and refused.
 */

typedef struct {
    ngx_atomic_t                     pid;
    ngx_atomic_t                     started;   /* tells pids apart */
    ngx_atomic_t                     seen;      /* change obeyed */
    ngx_atomic_t                     passed;
    ngx_atomic_t                     refused;
    volatile uint32_t                in_flight;
    volatile uint32_t                nodes[NGX_HTTP_FERMATA_NODES];
    volatile uint32_t                websockets[NGX_HTTP_FERMATA_NODES];
    volatile uint32_t                bypassed;
    volatile uint32_t                bypassed_sockets;
    volatile uint32_t                tabs;      /* kept by the gate */
    volatile uint32_t                idle[NGX_HTTP_FERMATA_NODES];
    volatile uint32_t                generation;
    volatile uint32_t                held;
    ngx_atomic_t                     assets;    /* served while closed */
} ngx_http_fermata_slot_t;


/* What somebody has done by hand: see ngx_http_fermata_override.c */

typedef struct {
    enum fm_gate_mode                mode;      /* FM_GATE_NONE: nothing */
    int64_t                          at;        /* unix seconds */
    char                             by[FM_NAME_SIZE];
    ngx_uint_t                       loose;     /* could not be written */
} ngx_http_fermata_override_t;


typedef struct {
    ngx_atomic_t                     word;
    ngx_atomic_t                     change;    /* raised after each store */
    ngx_atomic_t                     closed_at; /* change that closed */
    ngx_atomic_t                     cut_at;    /* ms, 0: never */
    uint64_t                         configured;    /* nodes */
    ngx_atomic_t                     hole_at;   /* ms, 0: not known */
    ngx_atomic_t                     text;      /* odd: being written */
    ngx_atomic_t                     manager;   /* pid of the newest one */
    ngx_atomic_t                     connected;
    ngx_atomic_t                     passed;    /* of slots reused */
    ngx_atomic_t                     refused;
    ngx_atomic_t                     assets;
    ngx_atomic_t                     generation; /* of the newest workers */

    /* just started: closed until told, or until then in ms (0: not yet) */
    ngx_atomic_t                     waiting;
    ngx_atomic_t                     wait_until;

    /* no coordinator is there any more who says that there is a hole */
    ngx_atomic_t                     alone;

    /* eventfds of the master, inherited by all generations; -1: none */
    ngx_fd_t                         wake;      /* to the workers */
    ngx_fd_t                         bell;      /* to the manager */

    u_char                           instance[17];

    /* an index is never given to another name while the zone lives */
    ngx_uint_t                       nnodes;
    u_char                           nodes[NGX_HTTP_FERMATA_NODES]
                                          [FM_NAME_SIZE];

    struct fm_gate_ask               taken;     /* on disk */
    struct fm_gate_ask               proved;    /* in force everywhere */
    ngx_atomic_t                     proved_change;
    ngx_http_fermata_override_t      override;

    ngx_http_fermata_slot_t          slots[NGX_HTTP_FERMATA_SLOTS];
} ngx_http_fermata_shctx_t;


/* what all live processes do together */

typedef struct {
    ngx_uint_t                       in_flight;
    ngx_uint_t                       websockets;
    ngx_uint_t                       tabs;
    ngx_uint_t                       bypassed;
    ngx_uint_t                       bypassed_sockets;
    ngx_uint_t                       idle;
    ngx_uint_t                       workers;
    ngx_uint_t                       generations;
    ngx_uint_t                       held;
    ngx_atomic_uint_t                passed;
    ngx_atomic_uint_t                refused;
    ngx_atomic_uint_t                assets;
    ngx_uint_t                       nodes[NGX_HTTP_FERMATA_NODES];
    ngx_uint_t                       sockets[NGX_HTTP_FERMATA_NODES];
    ngx_uint_t                       kept[NGX_HTTP_FERMATA_NODES];
} ngx_http_fermata_sum_t;


#endif /* _NGX_HTTP_FERMATA_SHM_H_INCLUDED_ */
