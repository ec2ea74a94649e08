/* commands.h - the table of commands (commands.def) and its parser. Pure: words in, a checked
 * command out. Linked by `fermata`, which parses what a person types, and by the coordinator, which
 * checks the same rows again for what comes over the wire. */
#ifndef CO_CONTROL_COMMANDS_H
#define CO_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/ask.h"

enum co_right { CO_RIGHT_READ, CO_RIGHT_OPERATE, CO_RIGHT_LOCAL };
enum co_kind { CO_KIND_ANSWER, CO_KIND_BEGINS, CO_KIND_FOLLOWS, CO_KIND_LOCAL };

/* The words that may stand for a value in a usage line. The name of an argument is its option
 * without the dashes, or for one without an option the word in small letters ("run"). */
#define CO_TYPES(X)                                                     \
	X(FLAG, "", "no value")                                         \
	X(VERSION, "VERSION", "a version such as 2.2.16")               \
	X(NODE, "NODE", "the name of a node")                           \
	X(GATE, "GATE", "the name of a gate")                           \
	X(NAME, "NAME", "a name")                                       \
	X(DURATION, "DURATION", "a duration such as 90s or 10m")        \
	X(NUMBER, "NUMBER", "a number from 0 on")                       \
	X(RUN, "RUN", "the number of a run")                            \
	X(TIME, "TIME", "a time of day such as 14:30")                  \
	X(TEXT, "TEXT", "one line of text of at most 479 bytes")        \
	X(FILE, "FILE", "a file")                                       \
	X(DIR, "DIR", "a folder")                                       \
	X(ROLE, "ROLE", "a role such as node or gate")                  \
	X(URL, "URL", "an address such as https://intranet.example")    \
	X(PROCEDURE, "PROCEDURE", "a command that changes the cluster") \
	X(COMMAND, "COMMAND", "a command")

enum co_type {
#define X(name, word, what) CO_TYPE_##name,
	CO_TYPES(X)
#undef X
};

struct co_command {
	const char *name;  /* one or two words */
	const char *usage; /* what may follow; is the parser */
	enum co_right right;
	enum co_kind kind;
	const char *exits; /* digits of the exit codes */
	const char *brief; /* one line */
	const char *help;  /* is the manual */
};

struct co_word_help {
	const char *command, *word, *help;
};

/* Both end with a row whose first field is NULL. */
extern const struct co_command co_commands[];
extern const struct co_word_help co_word_helps[];
extern const struct co_word_help co_globals[]; /* command: the type's word */

#define CO_EXITS 6
extern const char *const co_exits[CO_EXITS];

/* One word of a usage line. */
struct co_token {
	char name[32];	/* "to", "run" */
	char shown[32]; /* "--to", "RUN" */
	enum co_type type;
	bool required, option, rest;
	bool repeats; /* [--word TYPE]...: may be given more than once */
};

/* The next word of a usage line, *at moving over it; false at its end. An ill-formed line is our
 * own fault and ends the program (tests walk them all). */
bool co_usage_next(const char **at, struct co_token *ret);

const struct co_command *co_command_find(const char *name); /* NULL: no such row */
const char *co_type_word(enum co_type type);
const char *co_type_what(enum co_type type);
/* Help of a word of this command's usage line: its own, else what is said for all commands; "" when
 * it has none. */
const char *co_word_help(const struct co_command *command, const char *shown);

#define CO_ARGS_MAX 16

struct co_arg {
	char name[32];
	char value[FM_TEXT_SIZE]; /* a switch has "yes" */
};

struct co_global {
	char socket[FM_TEXT_SIZE]; /* empty: not given */
	long long timeout_ms;	   /* 0: not given */
	bool json, no_color, help, version;
};

struct co_parsed {
	const struct co_command *command; /* NULL: only global options were typed */
	const struct co_command *planned; /* the command after `plan`, whose arguments args are */
	unsigned count;
	struct co_arg args[CO_ARGS_MAX];
	struct co_global global;
};

/* What a person typed (argv[0] is the program). -1 with err, of kind CONFIG: for people, with the
 * nearest word when one is near. With --help or --version nothing needs to be complete. */
int co_command_parse(int argc, char *const *argv, struct co_parsed *ret, struct fm_err *err);

/* What came over the wire: begin with its command, add each argument, finish; each tests what the
 * table says. For `plan` the first argument is "command", the name of the planned row. */
int co_parsed_begin(struct co_parsed *parsed, const char *command, struct fm_err *err);
int co_parsed_add(struct co_parsed *parsed, const char *name, const char *value,
		  struct fm_err *err);
int co_parsed_finish(struct co_parsed *parsed, struct fm_err *err);

/* The value of an argument, NULL when it was not given. */
const char *co_parsed_value(const struct co_parsed *parsed, const char *name);
/* The nth value, from 0, of an argument that may be repeated; NULL: there are not so many. */
const char *co_parsed_nth(const struct co_parsed *parsed, const char *name, unsigned n);
bool co_parsed_has(const struct co_parsed *parsed, const char *name);
/* RUN and NUMBER: the value or fallback. DURATION in ms: the value or fallback. */
uint64_t co_parsed_number(const struct co_parsed *parsed, const char *name, uint64_t fallback);
long long co_parsed_duration(const struct co_parsed *parsed, const char *name, long long fallback);
/* TIME as the next such time of day after now, unix seconds, local time; 0 when not given. */
int64_t co_parsed_time(const struct co_parsed *parsed, const char *name, int64_t now_s);

/* The command as it would be typed again ("upgrade --to 2.2.16 --yes"), for the journal. With
 * `plan`, the planned command. --detach, which is not about the run, is left out. Returns dst. */
char *co_parsed_typed(const struct co_parsed *parsed, char *dst, size_t size);

#endif
