/* glass.c - break-glass: `fermata gate close|open|resume|status --local`. Speaks with the nginx of this
 * host by files in the folder of its state (ngx_module/ngx_http_fermata_local.c): a request is an empty
 * file whose name says all, so it can be made on a full disk, by root and by nginx's user only. */
#include "coordinator/cli/glass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/cli/message.h"
#include "coordinator/cli/words.h"

#define STATE "/var/lib/nginx/fermata" /* as in the example of nginx.conf */
#define ANSWER_MAX 8192
#define WAIT_MS 5000 /* the gate looks every 250 ms, and a worker may be busy */
#define LOOK_MS 10

struct glass {
	const struct co_parsed *parsed;
	const char *verb, *state;
	int dir;
	char id[17], request[64], answer[64];
	char text[ANSWER_MAX + 1]; /* "key=value\n"... */
};

static int
fail(const char *what, const char *now, const char *next)
{
	fprintf(stderr, "fermata: %s\nnow:  %s\nnext: %s\n", what, now, next);
	return 1;
}

/* What is not printable ASCII, lines aside: the answer is written by nginx's user. */
static void
clean(char *text)
{
	for (; *text != '\0'; text++)
		if (*text != '\n' && (*text < 0x20 || *text > 0x7e)) *text = '?';
}

static int
open_state(struct glass *g)
{
	struct stat sb;
	char what[600];

	g->dir = open(g->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir < 0) {
		FM_FORMAT(what, "open %s: %s", g->state, strerror(errno));
		return fail(what, "nothing was done",
			    errno == EACCES ? "the same as root"
					    : "nginx -T | grep fermata_state, then --state FILE");
	}
	if (fstat(g->dir, &sb) == 0 && (sb.st_mode & (S_IWGRP | S_IWOTH)) == 0) return 0;
	FM_FORMAT(what, "%s may be written by others than its owner", g->state);
	return fail(what, "nothing was done", "chmod go-w on it, then the same again");
}

static int
ask(struct glass *g)
{
	unsigned char bytes[8];
	char what[700];
	bool is_read_only = false;
	int fd = -1;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return fail("no random number", "nothing was done", "the same again");
	for (unsigned i = 0; i < sizeof(bytes); i++) snprintf(g->id + i * 2, 3, "%02x", bytes[i]);
	FM_FORMAT(g->request, "request.%s%s.%s", g->verb,
		  co_parsed_has(g->parsed, "force") ? ".force" : "", g->id);
	FM_FORMAT(g->answer, "answer.%s", g->id);
	fd = openat(g->dir, g->request, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0) return close(fd);
	is_read_only = errno == EROFS;
	FM_FORMAT(what, "make %s in %s: %s", g->request, g->state, strerror(errno));
	return fail(what, "nothing was done",
		    is_read_only ? "mount -o remount,rw on it, or nginx -s stop to serve nobody"
				 : "the same as root");
}

/* 1: there; 0: not yet; -1: there, and empty: the disk is full. */
static int
read_answer(struct glass *g)
{
	_cleanup_close_ int fd = openat(g->dir, g->answer, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, g->text, ANSWER_MAX);

	if (n < 0) return 0;
	g->text[n] = '\0';
	clean(g->text);
	(void)unlinkat(g->dir, g->answer, 0);
	return n == 0 ? -1 : 1;
}

static int
wait_answer(struct glass *g)
{
	struct fm_mono until = fm_mono_after(fm_mono_now(), WAIT_MS);
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	char what[700];
	int got = 0;

	while ((got = read_answer(g)) == 0 && fm_mono_since(until, fm_mono_now()) > 0)
		nanosleep(&pause, NULL);
	if (got != 0) return got;
	FM_FORMAT(what, "no answer from the gate of %s within 5 s", g->state);
	/* Taken back, so that it is not carried out when nobody expects it any more. */
	if (unlinkat(g->dir, g->request, 0) == 0)
		(void)fail(what,
			   "nothing was done: nginx does not run, or has another fermata_state",
			   "systemctl status nginx; nginx -T | grep fermata_state");
	else
		(void)fail(what,
			   "the gate has the request; not every worker may have obeyed it yet",
			   "fermata gate status --local");
	return 0;
}

/* The value of a key in the answer into dst; empty when it is not there. Returns dst. */
static const char *
value(const struct glass *g, const char *key, char *dst, size_t size)
{
	size_t length = strlen(key);

	dst[0] = '\0';
	for (const char *at = g->text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, length) != 0 || at[length] != '=') continue;
		fm_format(dst, size, "%.*s", (int)strcspn(at + length + 1, "\n"), at + length + 1);
		break;
	}
	return dst;
}

/* One line of an answer to a list in JSON. */
#define ADD(list, text) FM_APPEND(list, "%s\"%s\"", *(list) ? ", " : "", text)

static void
print_json(const struct glass *g)
{
	const char *comma = "", *line = g->text;
	char nodes[ANSWER_MAX] = "", others[ANSWER_MAX] = "";

	putchar('{');
	while (*line != '\0') {
		size_t n = strcspn(line, "\n"), k = strcspn(line, "=\n");
		char key[64], text[FM_TEXT_SIZE];

		FM_FORMAT(key, "%.*s", (int)k, line);
		FM_FORMAT(text, "%.*s", n > k ? (int)(n - k - 1) : 0, line + k + (n > k));
		line += n + (line[n] == '\n');
		if (fm_is_equal(key, "node")) {
			ADD(nodes, text);
			continue;
		}
		if (fm_is_equal(key, "other")) {
			ADD(others, text);
			continue;
		}
		fputs(comma, stdout);
		co_json_text(stdout, key);
		fputs(": ", stdout);
		co_json_text(stdout, text);
		comma = ", ";
	}
	printf("%s\"nodes\": [%s], \"others\": [%s]}\n", comma, nodes, others);
}

/* The other clusters of this nginx, as what to type for each. */
static void
print_others(const struct glass *g, FILE *out)
{
	char name[80], folder[600];

	for (const char *at = strstr(g->text, "\nother="); at != NULL;
	     at = strstr(at + 1, "\nother="))
		if (sscanf(at + 7, "%79s %599[^\n]", name, folder) == 2)
			fprintf(out, "cluster %s: fermata gate %s --local --state %s\n", name,
				g->verb, folder);
}

static void
print_status(const struct glass *g)
{
	char a[80], b[80], c[80], d[80];

	if (strstr(g->text, "\nother=") != NULL)
		printf("cluster %s: ", value(g, "cluster", a, sizeof(a)));
	printf("%s, in %s workers of %s generations\n", value(g, "mode", a, sizeof(a)),
	       value(g, "workers", b, sizeof(b)), value(g, "generations", c, sizeof(c)));
	if (!fm_is_equal(value(g, "override", a, sizeof(a)), "none"))
		printf("by hand of %s; the coordinator wants it %s\n",
		       value(g, "override_by", b, sizeof(b)), value(g, "asked", c, sizeof(c)));
	if (fm_is_equal(value(g, "waiting", a, sizeof(a)), "1"))
		puts("just started: waits for the coordinator to say the newest");
	printf("coordinator: %s, last ask %s\n",
	       fm_is_equal(value(g, "connected", a, sizeof(a)), "1") ? "connected"
								     : "not connected",
	       value(g, "voice", b, sizeof(b)));
	printf("%s requests, %s websockets, %s kept connections\n",
	       value(g, "in_flight", a, sizeof(a)), value(g, "websockets", b, sizeof(b)),
	       value(g, "idle", c, sizeof(c)));
	for (const char *at = strstr(g->text, "\nnode="); at != NULL;
	     at = strstr(at + 1, "\nnode="))
		if (sscanf(at + 6, "%79s %79s %79s %79s", a, b, c, d) == 4)
			printf("  %s: %s requests, %s websockets, %s kept connections\n", a, b, c,
			       d);
	if (fm_is_equal(g->verb, "status")) print_others(g, stdout);
}

static int
tell(const struct glass *g)
{
	char result[80], mode[80], workers[80], what[700];

	value(g, "result", result, sizeof(result));
	value(g, "mode", mode, sizeof(mode));
	if (fm_is_equal(result, "connected")) {
		FM_FORMAT(what, "fermata page %s; or, for this gate alone, the same with --force",
			  fm_is_equal(g->verb, "close") ? "on" : "off");
		(void)fail("the coordinator is connected to this gate, and is to be asked",
			   "nothing was done", what);
		return 3;
	}
	if (fm_is_equal(result, "unwritten")) {
		FM_FORMAT(what, "the folder %s cannot be written", g->state);
		return fail(what, "the gate is as it was",
			    "make room on its disk, then the same again");
	}
	if (g->parsed->global.json)
		print_json(g);
	else
		print_status(g);
	if (fm_is_equal(g->verb, "status")) return 0;
	fprintf(stderr, "now:  the gate is %s, in force in %s workers%s\n", mode,
		value(g, "workers", workers, sizeof(workers)),
		fm_is_equal(result, "loose")
			? "; its disk cannot be written, so a restart of nginx ends that"
			: "");
	if (!fm_is_equal(g->verb, "resume"))
		fprintf(stderr,
			"next: to let the coordinator rule again, fermata gate resume --local%s%s\n",
			fm_is_equal(g->state, STATE) ? "" : " --state ",
			fm_is_equal(g->state, STATE) ? "" : g->state);
	return 0;
}

/* Whether it is certain which cluster is meant: by --state, or it is the only one of its nginx. 0: it is. */
static int
choose(struct glass *g)
{
	const char *verb = g->verb;
	char name[80];
	int got = 0;

	if (co_parsed_value(g->parsed, "state") != NULL || fm_is_equal(verb, "status")) return 0;
	g->verb = "status";
	if (ask(g) == 0) got = wait_answer(g);
	g->verb = verb;
	if (got == 0) return 1;
	if (got < 0 || strstr(g->text, "\nother=") == NULL) return 0;
	(void)fail("this nginx is the gate of several clusters", "nothing was done",
		   "the line of the one that is meant:");
	fprintf(stderr, "cluster %s: fermata gate %s --local --state %s\n",
		value(g, "cluster", name, sizeof(name)), verb, g->state);
	print_others(g, stderr);
	return 2;
}

int
co_glass_run(const struct co_parsed *parsed)
{
	_cleanup_free_ struct glass *g = fm_new(struct glass, 1);
	const char *state = co_parsed_value(parsed, "state");
	int got = 0, rc = 1;

	g->parsed = parsed;
	g->verb = strchr(parsed->command->name, ' ') + 1;
	g->state = state == NULL ? STATE : state;
	if (!co_parsed_has(parsed, "local")) {
		fprintf(stderr,
			"fermata: this is about one gate, on its own host, without the coordinator\n"
			"now:  nothing was done\n"
			"next: fermata %s --local; or for the whole cluster: fermata page on, page off, "
			"status\n",
			parsed->command->name);
		return 2;
	}
	if (open_state(g) != 0) return 1;
	rc = choose(g);
	if (rc != 0) {
		(void)close(g->dir);
		return rc;
	}
	rc = 1;
	if (ask(g) == 0) got = wait_answer(g);
	if (got == 1) rc = tell(g);
	if (got == -1) {
		fprintf(stderr, "now:  done, in every worker; the gate's disk is full\n");
		rc = 0;
	}
	(void)close(g->dir);
	return rc;
}
