/* fuzz_commands.c - a command line (words end with a newline), typed and over the wire. What is
 * accepted is said as it would be typed again, and that is accepted, too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "coordinator/control/commands.h"

#define WORDS 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first word is the command, the others are names and values in turn. */
static void
over_the_wire(int argc, char *const *argv)
{
	struct co_parsed parsed;
	struct fm_err err;

	if (argc < 2 || co_parsed_begin(&parsed, argv[1], &err) < 0) return;
	for (int i = 2; i + 1 < argc; i += 2)
		if (co_parsed_add(&parsed, argv[i], argv[i + 1], &err) < 0) return;
	if (co_parsed_finish(&parsed, &err) < 0) return;
	CHECK(parsed.command != NULL && parsed.count <= CO_ARGS_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fm_new(char, size + 1);
	char *argv[WORDS + 1] = { (char *)(uintptr_t) "fermata" };
	struct co_parsed parsed;
	struct fm_err err;
	char typed[4000];
	int argc = 1;

	if (size) memcpy(text, data, size);
	for (char *at = text; *at && argc < WORDS; argc++) {
		argv[argc] = at;
		at += strcspn(at, "\n");
		if (*at) *at++ = '\0';
	}
	over_the_wire(argc, argv);
	if (co_command_parse(argc, argv, &parsed, &err) < 0) {
		CHECK(err.text[0]);
		return 0;
	}
	CHECK(parsed.count <= CO_ARGS_MAX);
	if (parsed.command)
		CHECK(strlen(co_parsed_typed(&parsed, typed, sizeof(typed))) < sizeof(typed));
	return 0;
}
