#include "wire/ask.h"

#include <stddef.h>

#define X(name, text) text,
static const char *const app_goals[] = { FM_APP_GOALS(X) };
static const char *const start_modes[] = { FM_START_MODES(X) };
static const char *const app_states[] = { FM_APP_STATES(X) };
static const char *const gate_modes[] = { FM_GATE_MODES(X) };
#undef X

#define NAME_OF(names, value) \
	((size_t)(value) < sizeof(names) / sizeof((names)[0]) ? (names)[value] : "?")

const char *
fm_app_goal_name(enum fm_app_goal goal)
{
	return NAME_OF(app_goals, goal);
}

const char *
fm_start_mode_name(enum fm_start_mode mode)
{
	return NAME_OF(start_modes, mode);
}

const char *
fm_app_state_name(enum fm_app_state state)
{
	return NAME_OF(app_states, state);
}

const char *
fm_gate_mode_name(enum fm_gate_mode mode)
{
	return NAME_OF(gate_modes, mode);
}

int
fm_voice_compare(struct fm_voice a, struct fm_voice b)
{
	if (a.epoch != b.epoch) return a.epoch < b.epoch ? -1 : 1;
	if (a.seq != b.seq) return a.seq < b.seq ? -1 : 1;
	return 0;
}
