/* metrics.c - the table's rows as text of version 0.0.4 of Prometheus's format. */
#include "coordinator/http/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/fleet/drift.h"
#include "wire/field.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NUMBER_SIZE 32

enum of { ONE, NODE, HEARD_NODE, LIVE_NODE, GATE, HEARD_GATE, LIVE_GATE };

struct scrape;

struct metric {
	const char *name, *type;
	enum of of;
	const char *labels; /* names, separated by a blank */
	void (*put)(struct scrape *s);
	const char *help;
};

/* What the table's values are got from. node, gate: the one that the sample is of. */
struct scrape {
	const struct co_picture *p;
	const struct co_run *run;
	const struct co_node *node;
	const struct co_gate *gate;
	const char *name; /* of that node or gate */
	unsigned i;
	const struct metric *m;
	FILE *out;
};

#define X(name, text) (text),
static const char *const app_states[] = { FM_APP_STATES(X) };
static const char *const app_goals[] = { FM_APP_GOALS(X) };
static const char *const gate_modes[] = { FM_GATE_MODES(X) };
static const char *const run_states[] = { CO_RUN_STATES(X) };
#undef X

/* ---- one sample ---- */

static void
put_label(FILE *out, const char *text)
{
	char clean[FM_TEXT_SIZE];

	FM_COPY(clean, text);
	for (const char *c = fm_field_clean(clean); *c; c++) {
		if (*c == '\n')
			fputs("\\n", out);
		else if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else
			fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, out);
	}
}

#define TEXTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* texts: of the row's labels, behind the name of the node or gate; ends with NULL. */
static void
put(struct scrape *s, const char *number, const char *const *texts)
{
	const char *label = s->m->labels;
	unsigned count = 0;

	fprintf(s->out, "fermata_%s", s->m->name);
	while (!fm_is_empty(label)) {
		size_t length = strcspn(label, " ");

		fprintf(s->out, "%c%.*s=\"", count == 0 ? '{' : ',', (int)length, label);
		put_label(s->out, count == 0 && s->name ? s->name : *texts ? *texts++ : "");
		fputc('"', s->out);
		label += length + strspn(label + length, " ");
		count++;
	}
	fprintf(s->out, "%s %s\n", count > 0 ? "}" : "", number);
}

static void
put_count(struct scrape *s, uint64_t number, const char *const *texts)
{
	char text[NUMBER_SIZE];

	FM_FORMAT(text, "%" PRIu64, number);
	put(s, text, texts);
}

static void
whole(struct scrape *s, int64_t number)
{
	put_count(s, number < 0 ? 0 : (uint64_t)number, TEXTS(NULL));
}

/* A clock that was set back makes nothing negative. */
static void
milli(struct scrape *s, int64_t number)
{
	uint64_t n = number < 0 ? 0 : (uint64_t)number;
	char text[NUMBER_SIZE];

	FM_FORMAT(text, "%" PRIu64 ".%03" PRIu64, n / 1000, n % 1000);
	put(s, text, TEXTS(NULL));
}

#define info(s, ...) put(s, "1", TEXTS(__VA_ARGS__))

static void
states(struct scrape *s, const char *const *names, unsigned names_count, unsigned current)
{
	for (unsigned i = 0; i < names_count; i++) put_count(s, i == current, TEXTS(names[i]));
}

/* ---- what more than a field is ---- */

static bool
is_under_way(const struct scrape *s)
{
	return s->run->state != CO_RUN_NONE && s->run->state != CO_RUN_ENDED;
}

static int64_t
under_way_ms(const struct scrape *s, int64_t since_ms)
{
	return is_under_way(s) ? s->p->wall_ms - since_ms : 0;
}

static int64_t
shut_out_ms(const struct scrape *s)
{
	int64_t since_ms = s->p->tally->closed_ms;

	return since_ms == 0 ? 0 : s->p->wall_ms - since_ms;
}

static bool
waits_for_person(const struct scrape *s)
{
	switch (s->run->state) {
	case CO_RUN_HELD:
	case CO_RUN_PAUSED:
	case CO_RUN_HALTED:
		return true;
	case CO_RUN_ENDED:
		return s->run->end == CO_END_NEEDS_OPERATOR;
	case CO_RUN_NONE:
	case CO_RUN_RUNNING:
		break;
	}
	return false;
}

static void
run_info(struct scrape *s)
{
	if (s->run->number == 0) return;
	info(s, s->run->procedure, s->run->step, s->run->recovering ? "yes" : "no",
	     co_end_name(s->run->end));
}

static void
runs_ended(struct scrape *s)
{
	for (unsigned i = 0; co_procedures[i] != NULL && i < CO_TALLY_PROCEDURES; i++)
		for (unsigned end = CO_END_DONE; end < CO_TALLY_ENDS; end++)
			put_count(s, s->p->tally->ended[i][end],
				  TEXTS(co_procedures[i]->name, co_end_name((enum co_end)end)));
}

static bool
is_left_out(const struct scrape *s)
{
	return is_under_way(s) && co_is_without(s->run, s->name);
}

static bool
is_in_service(const struct scrape *s)
{
	const struct fm_gate_ask *gate = &s->p->state->gate;

	if (s->p->config->workers[s->i]) return false;
	if (gate->mode == FM_GATE_PINNED && !fm_is_equal(gate->pinned, s->name)) return false;
	for (unsigned i = 0; i < gate->drained_count; i++)
		if (fm_is_equal(gate->drained[i], s->name)) return false;
	return true;
}

static void
findings(struct scrape *s)
{
	struct co_drift found[CO_DRIFTS_MOST];
	unsigned all = co_drift_of_node(s->p->fleet, s->p->config->nodes, s->p->config->node_count,
					s->i, found);
	unsigned errors = 0;

	for (unsigned i = 0; i < all; i++) errors += found[i].breaks;
	put_count(s, errors, TEXTS("error"));
	put_count(s, all - errors, TEXTS("warning"));
}

static struct fm_node_traffic
traffic(const struct scrape *s)
{
	return co_fleet_traffic(s->p->fleet, s->p->config->gate_count, s->name);
}

/* ---- the table ---- */

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define GAUGE "gauge"
#define COUNTER "counter"

/* clang-format off */
#define CO_METRIC(name_, type_, of_, labels_, value_, help_) \
	static void PASTE(put_row_, __LINE__)(struct scrape *s) { value_; }
#include "coordinator/http/metrics.def"
#undef CO_METRIC

static const struct metric metrics[] = {
#define CO_METRIC(name_, type_, of_, labels_, value_, help_) \
	{ name_, type_, of_, labels_, PASTE(put_row_, __LINE__), help_ },
#include "coordinator/http/metrics.def"
#undef CO_METRIC
};
/* clang-format on */

static void
put_nodes(struct scrape *s)
{
	for (s->i = 0; s->i < s->p->config->node_count; s->i++) {
		s->node = &s->p->fleet->nodes[s->i];
		s->name = s->p->config->nodes[s->i];
		if (s->m->of == HEARD_NODE && !s->node->reported) continue;
		if (s->m->of == LIVE_NODE && !(s->node->reported && s->node->connected)) continue;
		s->m->put(s);
	}
}

static void
put_gates(struct scrape *s)
{
	for (s->i = 0; s->i < s->p->config->gate_count; s->i++) {
		s->gate = &s->p->fleet->gates[s->i];
		s->name = s->p->config->gates[s->i];
		if (s->m->of == HEARD_GATE && !s->gate->reported) continue;
		if (s->m->of == LIVE_GATE && !(s->gate->reported && s->gate->connected)) continue;
		s->m->put(s);
	}
}

void
co_metrics_write(const struct co_picture *picture, FILE *out)
{
	for (size_t i = 0; i < COUNT(metrics); i++) {
		const struct metric *m = &metrics[i];
		struct scrape s = { .p = picture, .run = &picture->state->run, .m = m, .out = out };

		fprintf(out, "# HELP fermata_%s %s\n# TYPE fermata_%s %s\n", m->name, m->help,
			m->name, m->type);
		if (m->of == ONE)
			m->put(&s);
		else if (m->of < GATE)
			put_nodes(&s);
		else
			put_gates(&s);
	}
}

void
co_metrics_document(FILE *out)
{
	for (size_t i = 0; i < COUNT(metrics); i++) {
		const struct metric *m = &metrics[i];

		fprintf(out, "*fermata_%s* (%s", m->name, m->type);
		for (const char *at = m->labels; !fm_is_empty(at);) {
			size_t length = strcspn(at, " ");

			fprintf(out, "%s_%.*s_", at == m->labels ? "; by " : ", ", (int)length, at);
			at += length + strspn(at + length, " ");
		}
		fprintf(out, ")\n\t%s\n\n", m->help);
	}
}

/* ---- the tally ---- */

void
co_tally_ended(struct co_tally *tally, const char *procedure, const char *end, uint64_t number,
	       uint64_t run)
{
	if (run > tally->last_ended) tally->last_ended = run;
	for (unsigned i = 0; co_procedures[i] != NULL && i < CO_TALLY_PROCEDURES; i++)
		for (unsigned e = CO_END_DONE; e < CO_TALLY_ENDS; e++)
			if (fm_is_equal(co_procedures[i]->name, procedure) &&
			    fm_is_equal(co_end_name((enum co_end)e), end))
				tally->ended[i][e] += number;
}

void
co_tally_commit(struct co_tally *tally, const struct co_state *state, const struct co_run_row *run,
		int64_t wall_ms)
{
	tally->refused = false;
	tally->commits++;
	if (state->gate.mode != FM_GATE_CLOSED)
		tally->closed_ms = 0;
	else if (tally->closed_ms == 0)
		tally->closed_ms = wall_ms;
	if (run != NULL && !fm_is_empty(run->end) && run->run > tally->last_ended)
		co_tally_ended(tally, run->procedure, run->end, 1, run->run);
}

void
co_tally_refusal(struct co_tally *tally)
{
	tally->refused = true;
	tally->refusals++;
}
