/* completion.c - the completion script for bash, from the table of commands. */
#include <string.h>

#include "base/text.h"
#include "coordinator/cli/manual.h"

/* The words that may follow these ones, once each: of all commands, or of those that `plan` takes. */
static void
next_words(FILE *out, const char *before, bool plans)
{
	char seen[512] = " ", next[40], key[48];
	size_t n = strlen(before);

	for (const struct co_command *c = co_commands; c->name; c++) {
		if (strncmp(c->name, before, n) != 0) continue;
		if (plans && c->kind != CO_KIND_BEGINS) continue;
		const char *at = c->name + n;
		if (n && *at++ != ' ') continue;
		FM_FORMAT(next, "%.*s", (int)strcspn(at, " "), at);
		FM_FORMAT(key, " %s ", next);
		if (strstr(seen, key)) continue;
		FM_APPEND(seen, "%s ", next);
		fprintf(out, " %s", next);
	}
}

static void
options(FILE *out, const struct co_command *command)
{
	const char *at = command->usage;
	struct co_token token;

	while (co_usage_next(&at, &token)) {
		if (token.option) fprintf(out, " %s", token.shown);
	}
}

/* Options that take a value, of which nothing can be proposed (but files are). */
static void
with_values(FILE *out)
{
	char seen[512] = " ", key[48];
	const char *bar = "";

	for (const struct co_command *c = co_commands; c->name; c++) {
		const char *at = c->usage;
		struct co_token token;
		while (co_usage_next(&at, &token)) {
			if (!token.option || token.type == CO_TYPE_FLAG) continue;
			FM_FORMAT(key, " %s ", token.shown);
			if (strstr(seen, key)) continue;
			FM_APPEND(seen, "%s ", token.shown);
			fprintf(out, "%s%s", bar, token.shown);
			bar = "|";
		}
	}
	for (const struct co_word_help *g = co_globals; g->word; g++) {
		if (*g->command && strcmp(g->command, "FILE") != 0) fprintf(out, "|%s", g->word);
	}
}

/* The first words of commands of two. */
static void
groups(FILE *out)
{
	for (const struct co_command *c = co_commands; c->name; c++) {
		size_t n = strcspn(c->name, " ");
		bool again = c > co_commands && strncmp(c[-1].name, c->name, n + 1) == 0;
		if (c->name[n] && !again) fprintf(out, "|%.*s", (int)n, c->name);
	}
}

/* One branch of the case on the words typed so far. */
static void
branch(FILE *out, const struct co_command *command)
{
	fprintf(out, "\t\"%s\") words=\"", command->name);
	options(out, command);
	if (strstr(command->usage, "PROCEDURE")) next_words(out, "", true);
	if (strstr(command->usage, "COMMAND")) next_words(out, "", false);
	fputs("\" ;;\n", out);
}

void
co_manual_bash(FILE *out)
{
	fputs("# Completion of fermata for bash; made by `fermata completion`.\n"
	      "_fermata()\n{\n"
	      "\tlocal word words typed=\"\" current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
	      "\tlocal before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n\tCOMPREPLY=()\n"
	      "\tcase \"$before\" in\n\t--socket)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n\t\treturn ;;\n\t",
	      out);
	with_values(out);
	fputs(") return ;;\n\tesac\n"
	      "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	      "\t\tcase \"$typed\" in \"\"|plan|help",
	      out);
	groups(out);
	fputs(") [[ $word == -* ]] || typed=\"${typed:+$typed }$word\" ;;\n\t\tesac\n"
	      "\t\ttyped=\"${typed#plan }\"\n\t\ttyped=\"${typed#help }\"\n\tdone\n"
	      "\tcase \"$typed\" in\n\t\"\") words=\"",
	      out);
	next_words(out, "", false);
	fputs("\" ;;\n", out);
	for (const struct co_command *c = co_commands; c->name; c++) {
		const char *space = strchr(c->name, ' ');
		char first[40];
		if (space) {
			FM_FORMAT(first, "%.*s", (int)(space - c->name), c->name);
			bool again = c > co_commands &&
				     strncmp(c[-1].name, first, strlen(first)) == 0;
			if (!again) {
				fprintf(out, "\t\"%s\") words=\"", first);
				next_words(out, first, false);
				fputs("\" ;;\n", out);
			}
		}
		branch(out, c);
	}
	fputs("\tesac\n\tif [[ $typed == \"config check\" && $current != -* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n\t\treturn\n\tfi\n"
	      "\twords+=\"",
	      out);
	for (const struct co_word_help *g = co_globals; g->word; g++) fprintf(out, " %s", g->word);
	fputs("\"\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
	      "complete -F _fermata fermata\n",
	      out);
}
