/* bypass.c - `fermata bypass`: a link that leads an operator past the page. The secret is in it and in the
 * gates' ask; it is not logged, and not in anything that is shown. */
#include <string.h>

#include "base/mono.h"
#include "base/text.h"
#include "coordinator/control/control.h"
#include "loop/peer.h"
#include "wire/bypass.h"

#define TTL_MS (30 * 60 * 1000LL)
#define TTL_LEAST_MS 1000LL
#define TTL_MOST_MS (24 * 3600 * 1000LL)

/* protobuf-c wants char *, and only reads. */
#define TEXT(s) ((char *)(uintptr_t)(s))

static void
refuse(struct co_request *r, Fermata__ExitCode code, const char *text, const char *next)
{
	co_answer_end(r->client, code, text, next, 0);
}

/* What stands against a link; NULL: nothing. */
static const char *
fault_of(const struct co_state *state)
{
	if (state->run.state == CO_RUN_NONE)
		return "there has been no run yet, so the gates are not closed by one";
	switch (state->gate.mode) {
	case FM_GATE_OPEN:
		return "the gates are open: the application is reached without a link";
	case FM_GATE_PINNED:
		return "visitors are served by one node, and so are you: no link is needed";
	case FM_GATE_NONE:
		return "this run has not closed the gates";
	case FM_GATE_CLOSED:
		break;
	}
	if (!fm_bypass_has_key(state->gate.bypass.key))
		return "this run was begun by a coordinator that knew no links; the next one will";
	return NULL;
}

/* The audit: who, when, for how long; never the token. -1: it could not be written. */
static int
note(struct co_request *r, long long ttl_ms)
{
	char text[FM_TEXT_SIZE], ttl[40];

	FM_FORMAT(text, "a link past the page for %s was made, said %s",
		  fm_format_duration(ttl, sizeof(ttl), ttl_ms), fm_peer_name(r->client->peer));
	return co_note(r->daemon->core, text, fm_mono_now());
}

/* A gate knows its links at the root of a host: a path of the site comes after, as where the link leads. */
static void
put_link(char *url, size_t size, const char *site, const char *token)
{
	const char *host = strstr(site, "//");
	size_t root = host == NULL ? 0 : strcspn(host + 2, "/") + (size_t)(host + 2 - site);
	size_t path = strlen(site + root);

	while (path > 0 && site[root + path - 1] == '/') path--;
	fm_format(url, size, "%.*s" FM_BYPASS_PATH "%s", (int)root, site, token);
	if (path > 0) fm_append(url, size, "%.*s/", (int)path, site + root);
}

static void
answer(struct co_request *r, const char *token, int64_t expires)
{
	const struct co_state *state = co_core_state(r->daemon->core);
	const struct fm_gate_bypass *bypass = &state->gate.bypass;
	const char *site = co_parsed_value(r->parsed, "url");
	Fermata__BypassLink msg = FERMATA__BYPASS_LINK__INIT;
	char url[FM_TEXT_SIZE + FM_BYPASS_TOKEN_SIZE + sizeof(FM_BYPASS_PATH)];

	if (site == NULL) site = r->daemon->settings.public_url;
	put_link(url, sizeof(url), site, token);
	msg.url = url;
	msg.whole = !fm_is_empty(site);
	msg.expires_ms = expires * 1000;
	msg.node = TEXT(bypass->node);
	msg.shut = bypass->shut;
	msg.run = state->gate.run;
	co_answer(r->client, FERMATA__CONTROL_EVENT__WHAT_BYPASS, &msg);
	co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_DONE,
		      bypass->shut ? "nobody gets past the page now: the link works as soon as the "
				     "run starts the first node"
				   : "who opens this link passes the gates",
		      msg.whole ? ""
				: "put your site's address before it, such as "
				  "https://intranet.example, or set public_url in "
				  "coordinator.ini",
		      state->run.number);
}

void
co_cmd_bypass(struct co_request *r)
{
	const struct co_state *state = co_core_state(r->daemon->core);
	long long ttl_ms = co_parsed_duration(r->parsed, "ttl", TTL_MS);
	const char *fault = fault_of(state);
	struct fm_bypass grant = { .run = state->gate.run };
	char token[FM_BYPASS_TOKEN_SIZE];

	if (ttl_ms < TTL_LEAST_MS || ttl_ms > TTL_MOST_MS) {
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_USAGE,
		       "--ttl must be at least 1s and at most 24h", "fermata help bypass");
		return;
	}
	if (fault != NULL) {
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, fault, "fermata status");
		return;
	}
	grant.expires = (fm_wall_now_ms() + ttl_ms) / 1000;
	if (!fm_bypass_make(state->gate.bypass.key, &grant, token)) {
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_FAILED,
		       "libcrypto refuses to make the link", "fermata doctor");
		return;
	}
	if (note(r, ttl_ms) != 0) {
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_FAILED,
		       "the journal cannot be written; no link was made", "fermata doctor");
		return;
	}
	answer(r, token, grant.expires);
}
