/* manual.c - help, the manual and the golden table, from the table of commands. */
#include "coordinator/cli/manual.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define HELP_COLUMNS 78

/* Text folded at spaces, each line after so many blanks. The first line's are there already. */
static void
fold(FILE *out, const char *text, int indent)
{
	int at = indent;

	for (;;) {
		int n = (int)strcspn(text, " ");
		if (at > indent && at + 1 + n > HELP_COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		}
		fprintf(out, "%s%.*s", at > indent ? " " : "", n, text);
		at += n + (at > indent ? 1 : 0);
		if (!text[n]) break;
		text += n + 1;
	}
	fputc('\n', out);
}

static void
entry(FILE *out, const char *word, const char *type, const char *help)
{
	char left[80];

	FM_FORMAT(left, "%s%s%s", word, *type ? " " : "", type);
	fprintf(out, "  %-24s%s", left, strlen(left) > 23 ? "\n                          " : "");
	fold(out, help, 26);
}

static void
globals(FILE *out)
{
	for (const struct co_word_help *g = co_globals; g->word; g++) {
		entry(out, g->word, g->command, g->help);
	}
}

void
co_manual_all(FILE *out)
{
	fputs("fermata conducts the maintenance of a NocoBase cluster.\n\n"
	      "usage: fermata [OPTIONS] COMMAND ...\n\n",
	      out);
	for (const struct co_command *c = co_commands; c->name; c++) {
		fprintf(out, "  %-18s%s\n", c->name, c->brief);
	}
	fputs("\noptions of every command:\n", out);
	globals(out);
	fputs("\nexit codes:\n", out);
	for (int i = 0; i < CO_EXITS; i++) fprintf(out, "  %d  %s\n", i, co_exits[i]);
	fputs("\nfermata help COMMAND explains one.\n", out);
}

void
co_manual_usage(FILE *out, const struct co_command *command)
{
	fprintf(out, "usage: fermata %s%s%s\n", command->name, *command->usage ? " " : "",
		command->usage);
}

void
co_manual_command(FILE *out, const struct co_command *command)
{
	const char *at = command->usage;
	struct co_token token;

	fprintf(out, "fermata %s - %s\n\n", command->name, command->brief);
	co_manual_usage(out, command);
	fputc('\n', out);
	fold(out, command->help, 0);
	if (*at) fputc('\n', out);
	while (co_usage_next(&at, &token)) {
		entry(out, token.shown, token.option ? co_type_word(token.type) : "",
		      co_word_help(command, token.shown));
	}
	fputs("\noptions of every command:\n", out);
	globals(out);
	fputs("\nexit codes:\n", out);
	for (const char *e = command->exits; *e; e++) {
		fprintf(out, "  %c  %s\n", *e, co_exits[*e - '0']);
	}
}

bool
co_manual_words(FILE *out, const char *words)
{
	size_t n = strlen(words);
	bool found = false;

	for (const struct co_command *c = co_commands; c->name; c++) {
		bool fits = strncmp(c->name, words, n) == 0 && (!c->name[n] || c->name[n] == ' ');
		if (!fits) continue;
		if (found) fputc('\n', out);
		co_manual_command(out, c);
		found = true;
	}
	return found;
}

/* --- scdoc -------------------------------------------------------------------------------- */

/* Text with what scdoc would take for markup escaped; between back quotes it is shown bold. */
static void
prose(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '`') {
			fputc('*', out);
			continue;
		}
		if (strchr("*_\\#~", *text)) fputc('\\', out);
		fputc(*text, out);
	}
}

/* "--to VERSION" in bold and underlined, as manuals do. */
static void
word(FILE *out, const char *shown, const char *type)
{
	bool is_value = isupper((unsigned char)shown[0]);

	fprintf(out, "%c%s%c", is_value ? '_' : '*', shown, is_value ? '_' : '*');
	if (*type) fprintf(out, " _%s_", type);
}

static void
scdoc_command(FILE *out, const struct co_command *command)
{
	const char *at = command->usage;
	struct co_token token;

	fprintf(out, "## %s\n\n*fermata %s*", command->name, command->name);
	while (co_usage_next(&at, &token)) {
		fputs(token.required ? " " : " [", out);
		word(out, token.shown, token.option ? co_type_word(token.type) : "");
		fprintf(out, "%s%s", token.rest ? "..." : "", token.required ? "" : "]");
	}
	fputs("\n\n", out);
	prose(out, command->help);
	fputs("\n\n", out);
	for (at = command->usage; co_usage_next(&at, &token);) {
		word(out, token.shown, token.option ? co_type_word(token.type) : "");
		fputs("\n\t", out);
		prose(out, co_word_help(command, token.shown));
		fputs("\n\n", out);
	}
	fputs("Exit codes: ", out);
	for (const char *e = command->exits; *e; e++) {
		fprintf(out, "%s%c", e == command->exits ? "" : ", ", *e);
	}
	fputs(".\n\n", out);
}

void
co_manual_scdoc(FILE *out)
{
	fputs("# COMMANDS\n\n", out);
	for (const struct co_command *c = co_commands; c->name; c++) scdoc_command(out, c);
	fputs("# OPTIONS\n\nThese go with every command, before or after it.\n\n", out);
	for (const struct co_word_help *g = co_globals; g->word; g++) {
		word(out, g->word, g->command);
		fputs("\n\t", out);
		prose(out, g->help);
		fputs("\n\n", out);
	}
	fputs("# EXIT STATUS\n\n", out);
	for (int i = 0; i < CO_EXITS; i++) fprintf(out, "*%d*\n\t%s\n\n", i, co_exits[i]);
}

void
co_manual_table(FILE *out)
{
	static const char *const rights[] = { "read", "operate", "local" };
	static const char *const kinds[] = { "answer", "begins", "follows", "local" };

	for (const struct co_command *c = co_commands; c->name; c++) {
		fprintf(out, "%-18s %-8s %-8s ", c->name, rights[c->right], kinds[c->kind]);
		if (*c->usage)
			fprintf(out, "%-7s %s\n", c->exits, c->usage);
		else
			fprintf(out, "%s\n", c->exits);
	}
}
