/* manual.h - what the table of commands says to people: help, the manual, completion. Pure. */
#ifndef CO_CLI_MANUAL_H
#define CO_CLI_MANUAL_H

#include <stdio.h>

#include "coordinator/control/commands.h"

/* `fermata --help`: every command on a line. */
void co_manual_all(FILE *out);
/* `fermata help upgrade`. */
void co_manual_command(FILE *out, const struct co_command *command);
/* Help of all commands that begin with these words; false: there are none. */
bool co_manual_words(FILE *out, const char *words);
/* Usage of one command on a line: "fermata upgrade --to VERSION ...". */
void co_manual_usage(FILE *out, const struct co_command *command);

/* The COMMANDS, OPTIONS and EXIT STATUS sections of fermata(1), in scdoc. */
void co_manual_scdoc(FILE *out);
/* The completion script for bash. */
void co_manual_bash(FILE *out);
/* One line a row, every column: what the golden file holds. */
void co_manual_table(FILE *out);

#endif
