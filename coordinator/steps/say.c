/* say.c - what the proofs say: what is waited for, or what failed, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "coordinator/steps/steps.h"

enum co_verdict
co_say(const struct co_turn *t, enum co_verdict verdict, const char *fmt, ...)
{
	char text[FM_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fm_copy(t->why, FM_TEXT_SIZE, text);
	return verdict;
}

const char *
co_node_name(const struct co_turn *t, unsigned node)
{
	return t->state->node_names[node];
}

enum co_verdict
co_say_gate_away(const struct co_turn *t, unsigned gate, const char *command)
{
	const char *name = t->config->gates[gate];

	return co_say(
		t, CO_WAIT,
		"gate %s, which is not connected and may be serving visitors. Bring it back (on "
		"its host: systemctl status nginx); or, if no visitor can come through it, type: "
		"fermata %s --without %s",
		name, command, name);
}

enum co_verdict
co_say_node_away(const struct co_turn *t, unsigned node, const char *command)
{
	const char *name = co_node_name(t, node);

	if (fm_is_equal(command, "retry") && node == t->state->run.first)
		return co_say(t, CO_WAIT,
			      "%s, which is not connected. Bring it back (on its host: systemctl "
			      "status fermata-agent); it goes first and cannot be left out",
			      name);
	return co_say(t, CO_WAIT,
		      "%s, which is not connected. Bring it back (on its host: systemctl status "
		      "fermata-agent); or, if nothing of the application runs there, type: fermata "
		      "%s --without %s",
		      name, command, name);
}
