/* tls.h - who the ends of a TCP connection are: mutual TLS 1.3, every certificate issued by the
 * cluster's own authority (`fermata cert`).
 *
 * A certificate names its owner as NAME.ROLE.fermata, a DNS name among its subjectAltNames: "app1.node.
 * fermata". A coordinator's has "coordinator.fermata" too: whoever dials cannot know which of several
 * answers, and an address proves nothing. No part of the name is taken from a subject. */
#ifndef FM_LOOP_TLS_H
#define FM_LOOP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "schema/common.pb-c.h"

struct bufferevent;
struct event_base;
struct fm_tls;

#define FM_TLS_COORDINATOR "coordinator.fermata"
#define FM_TLS_NAME_SIZE 96

struct fm_tls_files {
	const char *ca, *certificate, *key; /* PEM; all, or none */
};

/* Our own certificate and the authority, read from files. NULL without err when no file is named:
 * plain TCP. A key that others may read is refused. Owned by the caller, outlives its peers. */
int fm_tls_new(const struct fm_tls_files *files, struct fm_tls **ret, struct fm_err *err);
void fm_tls_freep(struct fm_tls **tls);

/* The word for a role in certificates and at the command line ("node" is an agent); NULL: it has no
 * certificate. */
const char *fm_tls_role(Fermata__Role role);
/* NAME.ROLE.fermata. false: too long. */
bool fm_tls_name(char *dst, size_t size, const char *role, const char *name);

/* When the (first) certificate in this PEM file ends, unix s; 0: it cannot be read. */
int64_t fm_tls_file_until(const char *path);

/* Internal to loop/. The handshake begins at once; accepted: we are the server. Takes fd. */
struct bufferevent *fm_tls_wrap(struct fm_tls *tls, struct event_base *base, int fd, bool accepted);
/* The peer's certificate is that of this role and name. */
bool fm_tls_is(struct bufferevent *bev, Fermata__Role role, const char *name);
/* When the peer's certificate ends, unix s; 0: it has none. */
int64_t fm_tls_until(struct bufferevent *bev);
/* What is wrong, for people; "" when TLS knows of nothing. */
void fm_tls_why(struct bufferevent *bev, char *dst, size_t size);
/* As much of the output as the socket takes at once. */
void fm_tls_push(struct bufferevent *bev);

#endif
