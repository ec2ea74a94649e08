/* main.c - `fermata`: what a person types to conduct a cluster. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/cli/local.h"
#include "coordinator/cli/manual.h"
#include "coordinator/cli/session.h"
#include "coordinator/control/commands.h"

#define SOCKET "/run/fermata/coordinator.sock"

static int
usage_error(const struct co_parsed *parsed, const struct fm_err *err)
{
	const struct co_command *row = parsed->planned ? parsed->planned : parsed->command;

	fprintf(stderr, "fermata: %s\n", err->text);
	if (row) co_manual_usage(stderr, row);
	fprintf(stderr, "next: fermata help%s%s\n", row ? " " : "", row ? row->name : "");
	return 2;
}

static const char *
socket_of(const struct co_parsed *parsed)
{
	const char *set = getenv("FERMATA_SOCKET");

	if (*parsed->global.socket) return parsed->global.socket;
	return set && *set ? set : SOCKET;
}

int
main(int argc, char **argv)
{
	struct co_parsed parsed;
	struct fm_err err = { 0 };

	(void)setlocale(LC_ALL, "");
	/* For the build of the manual; not a command, because people have no use for it. */
	if (argc == 2 && strcmp(argv[1], "--print-commands") == 0) {
		co_manual_scdoc(stdout);
		return 0;
	}
	if (co_command_parse(argc, argv, &parsed, &err) < 0) {
		return usage_error(&parsed, &err);
	}
	if (parsed.global.version) {
		puts("fermata " FM_VERSION);
		return 0;
	}
	if (parsed.global.help) {
		if (parsed.planned)
			co_manual_command(stdout, parsed.planned);
		else if (parsed.command)
			co_manual_command(stdout, parsed.command);
		else
			co_manual_all(stdout);
		return 0;
	}
	if (!parsed.command) {
		co_manual_all(stderr);
		return 2;
	}
	if (parsed.command->right == CO_RIGHT_LOCAL) return co_local_run(&parsed);
	return co_session_run(&parsed, socket_of(&parsed));
}
