#include "coordinator/cli/cert.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/cli/authority.h"
#include "coordinator/cli/screen.h"
#include "coordinator/cli/table.h"
#include "loop/tls.h"

#define DIR_DEFAULT "/etc/fermata/tls"
#define DAY_MS (86400LL * 1000)
#define SOON_DAYS 30

static const char *
dir_of(const struct co_parsed *parsed)
{
	const char *dir = co_parsed_value(parsed, "dir");

	return dir ? dir : DIR_DEFAULT;
}

static int
failed(const struct fm_err *err, const char *next)
{
	fprintf(stderr, "fermata: %s\n", err->text);
	if (next) fprintf(stderr, "next: %s\n", next);
	return err->kind == FM_ERR_CONFIG ? 2 : 1;
}

/* --dir as it would have to be typed again, or "". */
static char *
dir_words(const struct co_parsed *parsed, char *dst, size_t size)
{
	const char *dir = co_parsed_value(parsed, "dir");

	(void)fm_format(dst, size, "%s%s", dir ? " --dir " : "", dir ? dir : "");
	return dst;
}

int
co_cert_init(const struct co_parsed *parsed)
{
	char words[FM_TEXT_SIZE + 8];
	struct co_cert made;
	struct fm_err err;

	dir_words(parsed, words, sizeof(words));
	if (co_authority_init(dir_of(parsed), &made, &err) < 0) return failed(&err, NULL);
	printf("%s\n%s\n", made.path, made.key);
	fprintf(stderr,
		"now:  this is the cluster's authority; whoever has its key can make a node, so it "
		"stays here\nnext: fermata cert issue coordinator NAME%s\n",
		words);
	return 0;
}

/* --- issue -------------------------------------------------------------------------------- */

/* What to do with it: nginx has directives, our daemons a section. */
static void
explain(const char *dir, const char *role, const char *name, const struct co_cert *made)
{
	bool is_gate = fm_is_equal(role, fm_tls_role(FERMATA__ROLE__ROLE_GATE));

	fprintf(stderr,
		"now:  %s %s proves itself with it\n"
		"next: copy both files and %s/ca.crt there, the key for its own user alone, and "
		"write into its %s:\n",
		role, name, dir, is_gate ? "nginx.conf" : "configuration");
	if (is_gate)
		fprintf(stderr,
			"    fermata_ssl_trusted_certificate %s/ca.crt;\n"
			"    fermata_ssl_certificate %s;\n"
			"    fermata_ssl_certificate_key %s;\n",
			dir, made->path, made->key);
	else
		fprintf(stderr,
			"    [tls]\n    ca = %s/ca.crt\n    certificate = %s\n    key = %s\n", dir,
			made->path, made->key);
}

/* A word that fm_tls_role() gives for some role. */
static bool
is_role(const char *role, char *list, size_t size)
{
	bool is_found = false;

	list[0] = '\0';
	for (int i = 0; i <= FERMATA__ROLE__ROLE_COORDINATOR; i++) {
		const char *word = fm_tls_role((Fermata__Role)i);

		if (!word) continue;
		is_found = is_found || fm_is_equal(word, role);
		(void)fm_append(list, size, "%s%s", list[0] ? ", " : "", word);
	}
	return is_found;
}

int
co_cert_issue(const struct co_parsed *parsed)
{
	const char *role = co_parsed_value(parsed, "role"), *name = co_parsed_value(parsed, "name");
	uint64_t days = co_parsed_number(parsed, "days", CO_CERT_DAYS);
	char list[80], words[FM_TEXT_SIZE + 8], next[FM_TEXT_SIZE + 32];
	struct co_cert made;
	struct fm_err err;

	if (!is_role(role, list, sizeof(list))) {
		(void)fm_fail(&err, FM_ERR_CONFIG, 0, "there is no role '%.60s'; there are %s",
			      role, list);
		return failed(&err, "fermata help cert issue");
	}
	if (days < 1 || days > CO_AUTHORITY_DAYS) {
		(void)fm_fail(&err, FM_ERR_CONFIG, 0, "--days is from 1 to %d", CO_AUTHORITY_DAYS);
		return failed(&err, "fermata help cert issue");
	}
	if (co_authority_issue(dir_of(parsed), role, name, (long)days, &made, &err) < 0) {
		(void)FM_FORMAT(next, "fermata cert init%s",
				dir_words(parsed, words, sizeof(words)));
		return failed(&err, err.kind == FM_ERR_CONFIG ? next : NULL);
	}
	printf("%s\n%s\n", made.path, made.key);
	explain(dir_of(parsed), role, name, &made);
	return 0;
}

/* --- list --------------------------------------------------------------------------------- */

struct listing {
	struct co_table *table; /* or */
	json_t *json;
	int64_t now_ms;
};

static const char *
state_of(const struct co_cert *cert, int64_t days)
{
	if (!cert->is_ours) return "not ours";
	if (days < 0) return "expired";
	return days < SOON_DAYS ? "ends soon" : "good";
}

static void
add(void *arg, const struct co_cert *cert)
{
	struct listing *l = arg;
	int64_t days = (cert->until * 1000 - l->now_ms) / DAY_MS;
	const char *state = state_of(cert, days);
	bool is_good = strcmp(state, "good") == 0;
	char until[32], left[24];
	const char *cells[] = { cert->name, co_date(until, sizeof(until), cert->until * 1000), left,
				state, cert->path };

	(void)FM_FORMAT(left, "%lld", (long long)days);
	if (l->json)
		(void)json_array_append_new(
			l->json, json_pack("{s:s, s:I, s:I, s:s, s:s}", "name", cert->name, "until",
					   (json_int_t)cert->until, "days", (json_int_t)days,
					   "state", state, "file", cert->path));
	else
		co_table_add(l->table, cells, 3, is_good ? CO_GOOD : CO_BAD);
}

static struct co_look
look_at_stdout(const struct co_parsed *parsed)
{
	struct co_look look = { .now_ms = fm_wall_now_ms() };

	look.color = co_screen_wants_color(STDOUT_FILENO, parsed->global.no_color);
	if (isatty(STDOUT_FILENO)) co_screen_size(STDOUT_FILENO, &look.columns, &look.rows);
	return look;
}

int
co_cert_list(const struct co_parsed *parsed)
{
	static const struct co_column columns[] = {
		{ "NAME", CO_LEFT },  { "UNTIL", CO_LEFT }, { "DAYS", CO_RIGHT },
		{ "STATE", CO_LEFT }, { "FILE", CO_CUT },   { NULL, CO_LEFT },
	};
	struct co_look look = look_at_stdout(parsed);
	_cleanup_(co_table_freep) struct co_table *table = co_table_new(&look, columns);
	struct listing l = { .table = table, .now_ms = look.now_ms };
	char words[FM_TEXT_SIZE + 8], next[FM_TEXT_SIZE + 32];
	struct fm_err err;

	if (parsed->global.json) l.json = json_array();
	if (co_authority_list(dir_of(parsed), add, &l, &err) < 0) {
		json_decref(l.json);
		(void)FM_FORMAT(next, "fermata cert init%s",
				dir_words(parsed, words, sizeof(words)));
		return failed(&err, err.kind == FM_ERR_CONFIG ? next : NULL);
	}
	if (l.json) {
		_cleanup_(json_decrefp) json_t *all = json_pack("{s:o}", "certificates", l.json);

		(void)json_dumpf(all, stdout, 0);
		(void)putchar('\n');
	} else {
		co_table_print(table, stdout);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
