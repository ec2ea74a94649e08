/* output.c - where what we hear goes. */
#include "coordinator/cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/cli/live.h"
#include "coordinator/cli/message.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/render.h"
#include "coordinator/cli/screen.h"
#include "wire/ask.h"

#define HELD_MAX 16
#define WAITING_MS 5000

struct co_output {
	enum co_way way;
	bool json, draws, colors[3];
	struct co_screen screen;
	Fermata__ControlEvent *held[HELD_MAX]; /* an answer, until its End */
	unsigned held_count;
	Fermata__ControlEvent *status, *run; /* the last of each */
	char notice[FM_TEXT_SIZE];
	char state[32];			 /* of the run, as last told in lines */
	bool untold;			 /* what it waits for; said with the next tick */
	char waiting_step[FM_NAME_SIZE]; /* the last "waiting" that was told in lines */
	int64_t waiting_ms;
	char *printed; /* what a watch printed last */
};

struct co_output *
co_output_new(enum co_way way, bool json, bool no_color)
{
	struct co_output *output = fm_new(struct co_output, 1);
	int fd = way == CO_WAY_WATCH ? STDOUT_FILENO : STDERR_FILENO;

	output->way = way;
	output->json = json;
	output->draws = !json && way != CO_WAY_ANSWER && co_screen_is_able(fd);
	output->screen.out = way == CO_WAY_WATCH ? stdout : stderr;
	output->colors[STDOUT_FILENO] = co_screen_wants_color(STDOUT_FILENO, no_color);
	output->colors[STDERR_FILENO] = co_screen_wants_color(STDERR_FILENO, no_color);
	return output;
}

void
co_output_freep(struct co_output **output)
{
	struct co_output *o = *output;

	if (!o) return;
	for (unsigned i = 0; i < o->held_count; i++) co_event_free(o->held[i]);
	co_event_free(o->status);
	co_event_free(o->run);
	co_screen_leave(&o->screen);
	free(o->printed);
	free(o);
	*output = NULL;
}

static struct co_look
look_at(const struct co_output *o, int fd)
{
	struct co_look look = { .color = o->colors[fd], .now_ms = fm_wall_now_ms() };

	if (isatty(fd)) co_screen_size(fd, &look.columns, &look.rows);
	return look;
}

/* --- drawn -------------------------------------------------------------------------------- */

static void
draw(struct co_output *o)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct co_look look = look_at(o, o->way == CO_WAY_WATCH ? STDOUT_FILENO : STDERR_FILENO);

	if (!out) return;
	if (o->way == CO_WAY_WATCH) {
		if (o->status) co_render_status(out, &look, o->status->status);
		if (*o->notice) fprintf(out, "%s\n", o->notice);
	} else {
		struct co_live live = {
			.status = o->status ? o->status->status : NULL,
			.run = o->run ? o->run->run : NULL,
			.notice = o->notice,
			.hint = "Ctrl-C leaves; the run goes on",
		};
		if (live.run && live.run->ended_ms) live.hint = NULL;
		co_live_render(out, &look, &live);
	}
	(void)fclose(out);
	co_screen_draw(&o->screen, text, look.columns, look.rows);
}

/* --- lines -------------------------------------------------------------------------------- */

/* A run that waits for a person says so once; not here, if the End that comes with it does. */
static void
tell_state(struct co_output *o, const struct co_look *look)
{
	Fermata__End words = FERMATA__END__INIT;

	if (!o->untold) return;
	o->untold = false;
	words.code = FERMATA__EXIT_CODE__EXIT_CODE_DETACHED; /* colour of waiting */
	words.text = o->run->run->text;
	words.next = o->run->run->next;
	co_render_end(stderr, look, &words);
}

static void
note_state(struct co_output *o, const Fermata__RunStatus *run)
{
	if (fm_is_equal(o->state, run->state)) return;
	FM_COPY(o->state, run->state);
	o->untold = strcmp(run->state, "running") != 0 && strcmp(run->state, "ended") != 0;
}

/* What a step waits for may change many times a second; a line now and then is enough for a log. */
static bool
is_chatter(struct co_output *o, const Fermata__ControlEvent *event)
{
	if (event->what_case != FERMATA__CONTROL_EVENT__WHAT_EVENT) return false;
	if (strcmp(event->event->kind, "waiting") != 0) return false;
	bool is_new = !fm_is_equal(o->waiting_step, event->event->step);
	if (!is_new && event->event->at_ms - o->waiting_ms < WAITING_MS) return true;
	FM_COPY(o->waiting_step, event->event->step);
	o->waiting_ms = event->event->at_ms;
	return false;
}

static void
tell(struct co_output *o, const Fermata__ControlEvent *event)
{
	struct co_look look = look_at(o, STDERR_FILENO);

	if (is_chatter(o, event)) return;
	if (event->what_case != FERMATA__CONTROL_EVENT__WHAT_STATUS) tell_state(o, &look);
	switch ((int)event->what_case) {
	case FERMATA__CONTROL_EVENT__WHAT_EVENT:
	case FERMATA__CONTROL_EVENT__WHAT_EVENTS:
		look.columns = 0;
		co_render(stderr, &look, event);
		break;
	case FERMATA__CONTROL_EVENT__WHAT_RUN:
		note_state(o, event->run);
		break;
	case FERMATA__CONTROL_EVENT__WHAT_STATUS:
		break;
	default: /* an answer inside a run: refusals of a plan, findings */
		co_render(stderr, &look, event);
	}
}

/* A watch without a terminal: the whole table again whenever it changed. */
static void
print_status(struct co_output *o)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct co_look look = look_at(o, STDOUT_FILENO);
	char clock[16];

	if (!out) return;
	co_render_status(out, &look, o->status->status);
	(void)fclose(out);
	if (o->printed && strcmp(o->printed, text) == 0) return;
	printf("%s%s\n%s", o->printed ? "\n" : "", co_clock(clock, sizeof(clock), look.now_ms),
	       text);
	(void)fflush(stdout);
	free(o->printed);
	o->printed = TAKE(text);
}

/* --- JSON --------------------------------------------------------------------------------- */

static void
json_line(const char *name, const ProtobufCMessage *body)
{
	printf("{\"%s\": ", name);
	co_json_message(stdout, body);
	puts("}");
	(void)fflush(stdout);
}

/* One object of all that the answer was made of. */
static void
json_answer(const struct co_output *o, const Fermata__End *end)
{
	putchar('{');
	for (unsigned i = 0; i < o->held_count; i++) {
		printf("\"%s\": ", co_event_name(o->held[i]));
		co_json_message(stdout, co_event_body(o->held[i]));
		printf(", ");
	}
	printf("\"end\": ");
	co_json_message(stdout, &end->base);
	puts("}");
}

/* --- what is heard ------------------------------------------------------------------------ */

/* Keeps the event, in the place of an older one of its kind when there is one. */
static void
hold(struct co_output *o, Fermata__ControlEvent *event)
{
	for (unsigned i = 0; i < o->held_count; i++) {
		if (o->held[i]->what_case != event->what_case) continue;
		co_event_free(o->held[i]);
		o->held[i] = event;
		return;
	}
	if (o->held_count < HELD_MAX)
		o->held[o->held_count++] = event;
	else
		co_event_free(event);
}

/* Keeps what the view is made of; frees the rest. */
static void
remember(struct co_output *o, Fermata__ControlEvent *event)
{
	Fermata__ControlEvent **place = NULL;

	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_STATUS) place = &o->status;
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_RUN) place = &o->run;
	if (!place) {
		bool is_event = event->what_case == FERMATA__CONTROL_EVENT__WHAT_EVENT;
		if (is_event && o->run && event->event->run == o->run->run->run) {
			co_progress(o->run->run, event->event);
		}
		co_event_free(event);
		return;
	}
	co_event_free(*place);
	*place = event;
}

/* Pieces are shown as they come; who reads slowly is waited for, by the coordinator too. */
static void
stream(struct co_output *o, Fermata__ControlEvent *event)
{
	if (o->json) {
		json_line(co_event_name(event), co_event_body(event));
	} else {
		struct co_look look = look_at(o, STDOUT_FILENO);

		co_render(stdout, &look, event);
		(void)fflush(stdout);
	}
	co_event_free(event);
}

void
co_output_event(struct co_output *o, Fermata__ControlEvent *event)
{
	if (!co_event_name(event)) {
		co_event_free(event);
		return;
	}
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_LOG) {
		stream(o, event);
		return;
	}
	if (o->way == CO_WAY_ANSWER) {
		hold(o, event);
		return;
	}
	if (o->json)
		json_line(co_event_name(event), co_event_body(event));
	else if (!o->draws && o->way == CO_WAY_FOLLOW)
		tell(o, event);
	bool is_status = event->what_case == FERMATA__CONTROL_EVENT__WHAT_STATUS;
	remember(o, event);
	if (!o->json && !o->draws && o->way == CO_WAY_WATCH && is_status) print_status(o);
}

void
co_output_notice(struct co_output *o, const char *notice)
{
	if (fm_is_equal(o->notice, notice)) return;
	FM_COPY(o->notice, notice);
	if (o->draws)
		draw(o);
	else if (notice && !o->json)
		fprintf(stderr, "fermata: %s\n", notice);
}

void
co_output_tick(struct co_output *o)
{
	struct co_look look = look_at(o, STDERR_FILENO);

	if (o->draws && (o->run || o->status || *o->notice)) draw(o);
	tell_state(o, &look);
}

bool
co_output_end(struct co_output *o, const Fermata__End *end)
{
	bool good = end->code == FERMATA__EXIT_CODE__EXIT_CODE_DONE;
	struct co_look look = look_at(o, STDOUT_FILENO), end_look;

	FM_COPY(o->notice, "");
	if (o->untold && fm_is_equal(o->run->run->next, end->next)) o->untold = false;
	co_output_tick(o);
	co_screen_leave(&o->screen);
	if (o->json) {
		if (o->way == CO_WAY_ANSWER)
			json_answer(o, end);
		else
			json_line("end", &end->base);
		return fflush(stdout) == 0 && !ferror(stdout);
	}
	for (unsigned i = 0; i < o->held_count; i++) co_render(stdout, &look, o->held[i]);
	bool flushed = fflush(stdout) == 0;
	end_look = look_at(o, good ? STDOUT_FILENO : STDERR_FILENO);
	co_render_end(good ? stdout : stderr, &end_look, end);
	return fflush(stdout) == 0 && flushed && !ferror(stdout);
}
