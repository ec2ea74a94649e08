/* fake.h - a coordinator that says what a test tells it to, on a unix socket, and the real `fermata`
 * ($FERMATA_CLI) in front of it. */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include <stdbool.h>
#include <sys/types.h>

#include "loop/peer.h"
#include "schema/envelope.pb-c.h"

#define FAKE_TEXT 65536
#define FAKE_REQUESTS 8
#define FAKE_LATERS 16

struct fake;

/* What the test does about a request; fake->requests counts it already. */
typedef void fake_answer(struct fake *fake, const Fermata__ControlRequest *request);

struct fake_later {
	struct fake *fake;
	void (*how)(struct fake *fake);
};

struct fake {
	struct event_base *base;
	struct fm_listener *listener;
	struct fm_peer *peer; /* the CLI, while it is connected */
	fake_answer *answer;
	char folder[64], socket[96];
	unsigned requests;
	struct fake_later laters[FAKE_LATERS];
	unsigned later_count;
	char asked[FAKE_REQUESTS][200]; /* "upgrade to=2.2.16 yes=yes" */

	pid_t pid;
	bool on_terminal, ended;
	int terminal;				/* our end of the pseudo terminal */
	char out[FAKE_TEXT], errors[FAKE_TEXT]; /* of the CLI; a terminal's goes to out */
	int code;				/* its exit code; -1: a signal ended it */
};

/* For cmocka: *state becomes a struct fake with its listener open. */
int fake_setup(void **state);
int fake_teardown(void **state);
/* The coordinator dies (its socket file stays, nobody listens), and comes back. */
void fake_die(struct fake *fake);
void fake_come_back(struct fake *fake);
/* Calls how after some ms, once. */
void fake_later(struct fake *fake, unsigned ms, void (*how)(struct fake *fake));

/* Runs `fermata --socket ... words...` to its end, at most 20 s. */
void fake_run(struct fake *fake, const char *words);

/* Events. */
void fake_send_run(struct fake *fake, const char *state, int64_t began_ms);
void fake_send_event(struct fake *fake, uint64_t number, const char *kind, const char *text);
void fake_send_status(struct fake *fake, const char *summary);
void fake_send_end(struct fake *fake, int code, const char *text, const char *next);
void fake_signal(struct fake *fake); /* SIGINT to the CLI */

/* An answer to `status`. */
fake_answer fake_answer_status;

#define assert_says(text, part)                                                             \
	do {                                                                                \
		if (!strstr((text), (part))) fail_msg("no \"%s\" in:\n%s", (part), (text)); \
	} while (0)

/* How often part stands in text. */
unsigned count_of(const char *text, const char *part);

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

#endif
