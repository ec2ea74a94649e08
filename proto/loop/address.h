/* address.h - "host:port", "[v6]:port" and "unix:/path" to socket addresses. For loop/, and for a
 * server that is not of peers. */
#ifndef FM_LOOP_ADDRESS_H
#define FM_LOOP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"

#define FM_ADDRESS_SIZE 280

struct fm_address {
	struct sockaddr_storage sa;
	socklen_t size;
};

/* The next word of a list; *list moves behind it. false at the end, or when a word is too long. */
bool fm_address_next(const char **list, char *dst, size_t size);

#define FM_ADDRESS_PASSIVE 1u  /* to listen on: port 0 will do */
#define FM_ADDRESS_ANYWHERE 2u /* what is said there is encrypted; else loopback only */

/* May ask the resolver, so may block for a host name. flags: of the above. */
int fm_address_resolve(const char *text, unsigned flags, struct fm_address *ret,
		       struct fm_err *err);

bool fm_address_is_unix(const char *text);

/* For logs. Returns dst. */
char *fm_address_format(const struct sockaddr *sa, char *dst, size_t size);

#endif
