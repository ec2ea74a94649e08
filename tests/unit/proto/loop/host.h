/* host.h - a listener, a loop and what its callbacks saw: shared by the tests of peers. */
#ifndef FM_TEST_HOST_H
#define FM_TEST_HOST_H

#include <stdbool.h>

#include "base/err.h"
#include "loop/peer_internal.h"

struct event_base;

struct host {
	struct event_base *base;
	struct fm_listener *listener;
	char address[FM_ADDRESS_SIZE];
	char dir[32];

	struct fm_peer *peer; /* the last that came up and is not down */
	unsigned ups, downs, messages;
	int last_body;
	char name[64], why[300];
	Fermata__Role role;
	uint64_t hello_epoch, welcome_epoch;
	bool refuses, refuses_messages, answers, frees_when_up, frees_when_down;
};

/* is_unix: in a folder of its own. */
void host_open(struct host *host, bool is_unix);
void host_open_tls(struct host *host, bool is_unix, struct fm_tls *tls);
void host_close(struct host *host);

extern const struct fm_peer_calls host_calls;

/* Turns the loop until *what reaches at_least; fails the test after some seconds. */
void host_wait(struct host *host, const unsigned *what, unsigned at_least);
/* Turns the loop for so long. */
void host_turn(struct host *host, unsigned ms);

/* A raw connection to the listener, for bytes that no peer of ours would send. */
int host_connect(const struct host *host);
/* Hello of this role as a frame, sent on fd. */
void host_hello(int fd, unsigned major, Fermata__Role role, const char *name);
/* Turns the loop until the other side has closed fd; false when it did not within ms. What came is
 * searched for a Goodbye, whose reason is put into reason. */
bool host_is_closed(struct host *host, int fd, unsigned ms, char *reason, size_t size);

#endif
