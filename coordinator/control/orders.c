/* orders.c - what a person typed, as the core understands it. */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "coordinator/control/control.h"

/* Commands whose procedure has another name; the rest are called alike. */
static const struct {
	const char *command, *procedure;
} names[] = {
	{ "maintenance begin", "maintenance" },
};

static const char *
procedure_of(const struct co_command *command)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fm_is_equal(names[i].command, command->name)) return names[i].procedure;
	return command->name;
}

unsigned
co_without_of(const struct co_parsed *parsed, char ret[][FM_NAME_SIZE])
{
	const char *name = NULL;
	unsigned count = 0;

	while (count < CO_WITHOUT_MOST && (name = co_parsed_nth(parsed, "without", count)) != NULL)
		fm_copy(ret[count++], FM_NAME_SIZE, name);
	return count;
}

bool
co_order_of(const struct co_parsed *parsed, const char *who, struct co_order *ret)
{
	const struct co_command *command = parsed->planned != NULL ? parsed->planned
								   : parsed->command;

	memset(ret, 0, sizeof(*ret));
	if (command->kind != CO_KIND_BEGINS || co_procedure_find(procedure_of(command)) == NULL)
		return false;
	FM_COPY(ret->procedure, procedure_of(command));
	FM_COPY(ret->to, co_parsed_value(parsed, "to"));
	FM_COPY(ret->keep, co_parsed_value(parsed, "keep"));
	FM_COPY(ret->message, co_parsed_value(parsed, "message"));
	FM_COPY(ret->who, who);
	ret->yes = co_parsed_has(parsed, "yes");
	ret->no_backup = co_parsed_has(parsed, "no-backup");
	ret->page = co_parsed_has(parsed, "page");
	ret->back_at = co_parsed_time(parsed, "until", (int64_t)time(NULL));
	ret->max_downtime_ms = co_parsed_duration(parsed, "max-downtime", 0);
	ret->without_count = co_without_of(parsed, ret->without);
	co_parsed_typed(parsed, ret->args, sizeof(ret->args));
	return true;
}
