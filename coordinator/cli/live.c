/* live.c - the view of a run on a terminal: title, steps, nodes, gates, what to type. */
#include "coordinator/cli/live.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/render.h"
#include "wire/ask.h"

#define LINES_MAX 160
#define LINE_SIZE 1024

/* What gives way when there is no room: blank lines, then nodes, then steps far from the current. */
enum part { HEAD, STEPS, NODES, TAIL };

struct page {
	const struct co_look *look;
	unsigned count, focus; /* focus: the line of the step that runs */
	struct {
		enum part part;
		char text[LINE_SIZE];
	} lines[LINES_MAX];
};

static void add(struct page *page, enum part part, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void
add(struct page *page, enum part part, const char *fmt, ...)
{
	va_list ap;

	if (page->count == LINES_MAX) return;
	page->lines[page->count].part = part;
	va_start(ap, fmt);
	(void)vsnprintf(page->lines[page->count].text, LINE_SIZE, fmt, ap);
	va_end(ap);
	page->count++;
}

static void
head(struct page *page, const struct co_live *live)
{
	const struct co_look *look = page->look;
	char title[FM_TEXT_SIZE], times[200];

	if (!live->run) {
		add(page, HEAD, "waiting for the run to begin");
		return;
	}
	add(page, HEAD, "%srun %" PRIu64 ": %s%s", co_color_begin(look, CO_STRONG), live->run->run,
	    co_run_title(title, sizeof(title), live->run), co_color_end(look, CO_STRONG));
	add(page, HEAD, "%s", co_run_times(times, sizeof(times), live->run, look->now_ms));
}

static void
step(struct page *page, const Fermata__StepStatus *s)
{
	const struct co_look *look = page->look;
	enum co_color color = co_color_of(s->state);
	bool runs = strcmp(s->state, "running") == 0, waits = strcmp(s->state, "pending") == 0;
	int64_t took = runs && s->began_ms ? look->now_ms - s->began_ms : s->took_ms;
	char text[32];

	if (runs || !waits || page->focus == 0) page->focus = page->count;
	add(page, STEPS, "  %s%-7s%s  %-15s %9s  %s%s%s", co_color_begin(look, color),
	    waits ? "" : s->state, co_color_end(look, color), s->name,
	    co_took(text, sizeof(text), took), waits ? co_color_begin(look, CO_DIM) : "",
	    *s->why ? s->why : s->says, waits ? co_color_end(look, CO_DIM) : "");
	if (!runs || !*s->waiting_for) return;
	page->focus = page->count;
	add(page, STEPS, "           waiting for %s", s->waiting_for);
}

static void
nodes(struct page *page, const Fermata__ClusterStatus *status)
{
	const struct co_look *look = page->look;
	char says[FM_TEXT_SIZE];

	for (size_t i = 0; i < status->n_nodes; i++) {
		const Fermata__NodeStatus *n = status->nodes[i];
		const char *state = co_node_state(n);
		enum co_color color = co_color_of(state);
		add(page, NODES, "  %-9s %s%-8s%s  %-10s %s", n->name, co_color_begin(look, color),
		    state, co_color_end(look, color), *n->running ? n->running : "-",
		    co_node_says(says, sizeof(says), n));
	}
	for (size_t i = 0; i < status->n_gates; i++) {
		const Fermata__GateStatus *g = status->gates[i];
		const char *state = g->connected ? g->mode : "away";
		enum co_color color = co_color_of(state);
		add(page, NODES,
		    "  %-9s %s%-8s%s  %" PRIu32 " requests, %" PRIu32 " websockets, %" PRIu32
		    " tabs wait%s%s",
		    g->name, co_color_begin(look, color), state, co_color_end(look, color),
		    g->in_flight, g->websockets, g->tabs, *g->error ? "; " : "", g->error);
	}
}

static bool
is_going(const Fermata__RunStatus *run)
{
	return strcmp(run->state, "running") == 0;
}

static void
tail(struct page *page, const struct co_live *live)
{
	const struct co_look *look = page->look;

	if (live->run && *live->run->why) {
		add(page, TAIL, "%sfailed first:%s %s", co_color_begin(look, CO_BAD),
		    co_color_end(look, CO_BAD), live->run->why);
	}
	if (live->run && !is_going(live->run)) {
		if (*live->run->text) add(page, TAIL, "now:  %s", live->run->text);
		if (*live->run->next) {
			add(page, TAIL, "%snext: %s%s", co_color_begin(look, CO_STRONG),
			    live->run->next, co_color_end(look, CO_STRONG));
		}
	}
	if (live->notice && *live->notice) {
		add(page, TAIL, "%s%s%s", co_color_begin(look, CO_BAD), live->notice,
		    co_color_end(look, CO_BAD));
	}
	if (live->hint && *live->hint) {
		add(page, TAIL, "%s%s%s", co_color_begin(look, CO_DIM), live->hint,
		    co_color_end(look, CO_DIM));
	}
}

static void
put(FILE *out, const struct page *page, const char *text)
{
	char clipped[LINE_SIZE + 8];
	unsigned room = page->look->columns > 1 ? page->look->columns - 1 : 1;

	co_clip(clipped, sizeof(clipped), text, room);
	for (size_t n = strlen(clipped); n > 0 && clipped[n - 1] == ' '; n--) clipped[n - 1] = '\0';
	fprintf(out, "%s%s\n", clipped, page->look->color ? "\033[0m" : "");
}

static unsigned
count_of(const struct page *page, enum part part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < page->count; i++) n += page->lines[i].part == part;
	return n;
}

/* Lines of one part, in at most room lines: those around the focus, with a line that counts the
 * ones left out before and after them. room is 3 at least, or enough. */
static void
put_part(FILE *out, const struct page *page, enum part part, unsigned room)
{
	unsigned total = count_of(page, part), first = 0, from = 0, end = total;
	char more[64];

	while (first < page->count && page->lines[first].part != part) first++;
	if (total > room) {
		unsigned focus = part == STEPS ? page->focus - first : 0;
		unsigned shown = room - 2, behind = shown >= 3 ? 2 : 1;
		from = focus + behind > shown ? focus + behind - shown : 0;
		if (from <= 1)
			from = 0, end = room - 1;
		else if (from + shown + 1 >= total)
			from = total - (room - 1);
		else
			end = from + shown;
	}
	if (from) {
		FM_FORMAT(more, "  ... %u lines above", from);
		put(out, page, more);
	}
	for (unsigned i = first + from; i < first + end; i++) put(out, page, page->lines[i].text);
	if (end < total) {
		FM_FORMAT(more, "  ... %u lines below", total - end);
		put(out, page, more);
	}
}

/* How many lines the steps and the nodes get of those that are left. */
static void
share(unsigned left, unsigned steps, unsigned others, unsigned *for_steps, unsigned *for_others)
{
	*for_steps = steps;
	*for_others = others;
	if (steps + others <= left) return;
	unsigned least = others < 4 ? others : 4;
	*for_others = left > steps + least ? left - steps : least;
	if (*for_others + 5 > left) *for_others = left >= 5 + 3 ? left - 5 : 0;
	*for_steps = steps < left - *for_others ? steps : left - *for_others;
	if (*for_steps < 3 && *for_steps < steps) *for_steps = 0;
}

void
co_live_render(FILE *out, const struct co_look *look, const struct co_live *live)
{
	_cleanup_free_ struct page *page = fm_new(struct page, 1);
	unsigned room = look->rows > 8 ? look->rows - 1 : 7;

	page->look = look;
	head(page, live);
	for (size_t i = 0; live->run && i < live->run->n_steps; i++)
		step(page, live->run->steps[i]);
	if (live->status) nodes(page, live->status);
	tail(page, live);

	unsigned fixed = count_of(page, HEAD) + count_of(page, TAIL);
	unsigned steps = count_of(page, STEPS), others = count_of(page, NODES);
	unsigned for_steps, for_others;
	bool airy = fixed + steps + others + 3 <= room;
	share(room > fixed ? room - fixed : 0, steps, others, &for_steps, &for_others);

	put_part(out, page, HEAD, room);
	if (airy && steps) fputc('\n', out);
	if (for_steps) put_part(out, page, STEPS, for_steps);
	if (airy && others) fputc('\n', out);
	if (for_others) put_part(out, page, NODES, for_others);
	if (airy) fputc('\n', out);
	put_part(out, page, TAIL, room);
}
