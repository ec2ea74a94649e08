#include "base/options.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/options_value.h"
#include "base/text.h"

#define LINE_SIZE 4096
#define FAULT_SIZE 400

struct reading {
	const struct fm_opt *table;
	void *settings;
	const char *path;
	FILE *file;
	struct fm_opt_origins *origins;
	void (*say)(void *arg, const char *line);
	void *arg;
	struct fm_err *err;
	unsigned faults;
	int line;
	bool wants_pair; /* the line under way should reach take_pair() */
	bool is_known;	 /* so is the section we are in */
};

__attribute__((format(printf, 3, 4))) static void
fault(struct reading *r, int line, const char *fmt, ...)
{
	char text[FAULT_SIZE], full[FAULT_SIZE + 100];
	va_list args;

	va_start(args, fmt);
	(void)fm_format_args(text, sizeof text, fmt, args);
	va_end(args);
	if (line > 0)
		(void)FM_FORMAT(full, "%s:%d: %s", r->path, line, text);
	else
		(void)FM_FORMAT(full, "%s: %s", r->path, text);
	if (r->say) r->say(r->arg, full);
	if (r->faults++ == 0) (void)fm_fail(r->err, FM_ERR_CONFIG, 0, "%s", full);
}

/* " (did you mean x?)" or "", from the keys of a section, or the sections when section is NULL. */
static const char *
hint(const struct reading *r, const char *section, const char *word, char *dst, size_t size)
{
	const char *names[FM_OPTS_MAX + 1];
	const char *near;
	unsigned count = 0;

	for (const struct fm_opt *o = r->table; o->section; o++)
		if (!section || fm_is_equal(o->section, section))
			names[count++] = section ? o->key : o->section;
	names[count] = NULL;
	near = fm_nearest(word, names);
	dst[0] = '\0';
	if (near) (void)fm_format(dst, size, " (did you mean %s?)", near);
	return dst;
}

static void
enter_section(struct reading *r, const char *line)
{
	char name[64], near[100];
	const char *end = strchr(line, ']');
	size_t size = end ? (size_t)(end - line - 1) : 0;

	r->is_known = false;
	if (!end) {
		fault(r, r->line, "a section is written [name]");
		return;
	}
	if (size >= sizeof name) size = sizeof name - 1;
	memcpy(name, line + 1, size);
	name[size] = '\0';
	for (const struct fm_opt *o = r->table; o->section && !r->is_known; o++)
		r->is_known = fm_is_equal(o->section, name);
	if (!r->is_known)
		fault(r, r->line, "there is no section [%s]%s", name,
		      hint(r, NULL, name, near, sizeof near));
}

/* The line before this one was no key = value, but should have been. */
static void
close_line(struct reading *r)
{
	if (r->wants_pair) fault(r, r->line, "this is neither [section] nor key = value");
	r->wants_pair = false;
}

/* ini_reader: one line at a time, counted. */
static char *
read_line(char *dst, int size, void *stream)
{
	struct reading *r = stream;
	const char *text;
	size_t got;

	close_line(r);
	if (!fgets(dst, size, r->file)) return NULL;
	r->line++;
	got = strlen(dst);
	if (got + 1 == (size_t)size && dst[got - 1] != '\n') {
		int c;

		while ((c = fgetc(r->file)) != EOF && c != '\n') continue;
		fault(r, r->line, "a line may have %d bytes", size - 2);
		dst[0] = '\0';
	}
	text = dst + (r->line == 1 && strncmp(dst, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
	text += strspn(text, " \t\r\n");
	if (*text == '[')
		enter_section(r, text);
	else
		r->wants_pair = *text && *text != '#' && *text != ';';
	return dst;
}

/* ini_handler */
static int
take_pair(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	char why[200], near[100];
	const struct fm_opt *o = r->table;

	r->wants_pair = false;
	if (!*section) fault(r, r->line, "%s stands before the first [section]", key);
	if (!r->is_known) return 1;
	while (o->section && !(fm_is_equal(o->section, section) && fm_is_equal(o->key, key))) o++;
	if (!o->section) {
		fault(r, r->line, "[%s] has no %s%s", section, key,
		      hint(r, section, key, near, sizeof near));
		return 1;
	}
	if (r->origins->line[o - r->table]) {
		fault(r, r->line, "%s is set twice, first in line %d", key,
		      r->origins->line[o - r->table]);
		return 1;
	}
	r->origins->line[o - r->table] = r->line;
	if (!fm_option_set(o, r->settings, value, why, sizeof why))
		fault(r, r->line, "%s = %s %s", key, o->secret ? "***" : value, why);
	return 1;
}

static void
set_defaults(const struct fm_opt *table, void *settings)
{
	char why[200];

	for (const struct fm_opt *o = table; o->section; o++) {
		CHECK(o - table < FM_OPTS_MAX);
		if (o->fallback)
			CHECK(fm_option_set(o, settings, o->fallback, why, sizeof why));
		else
			memset((char *)settings + o->offset, 0, o->size);
	}
}

static int
parse(struct reading *r)
{
	/* As built by Debian, inih takes these at run time: lines of a useful length, and no
	 * continuation lines, whose line numbers nobody could tell. */
	ini_use_stack = false;
	ini_max_line = LINE_SIZE;
	ini_initial_alloc = LINE_SIZE;
	ini_allow_multiline = false;
	return ini_parse_stream(read_line, r, take_pair, r);
}

int
fm_options_read(const struct fm_opt *table, void *settings, const char *path,
		struct fm_opt_origins *origins, void (*say)(void *arg, const char *line), void *arg,
		struct fm_err *err)
{
	struct fm_opt_origins own;
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	struct reading r = { .table = table,
			     .settings = settings,
			     .path = path,
			     .file = file,
			     .origins = origins ? origins : &own,
			     .say = say,
			     .arg = arg,
			     .err = err };

	memset(r.origins, 0, sizeof *r.origins);
	set_defaults(table, settings);
	if (!file) {
		struct fm_err why;

		(void)fm_fail(&why, FM_ERR_CONFIG, errno, "open %s", path);
		if (say) say(arg, why.text);
		return err ? (*err = why, -1) : -1;
	}
	if (parse(&r) < 0) fault(&r, 0, "out of memory");
	if (ferror(file)) fault(&r, 0, "cannot be read");
	for (const struct fm_opt *o = table; o->section; o++)
		if (!o->fallback && !r.origins->line[o - table])
			fault(&r, 0, "[%s] %s must be set: %s", o->section, o->key, o->help);
	return r.faults ? -1 : 0;
}

/* Text with what scdoc would take as markup escaped. */
static void
put_scdoc(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("_*\\", *text)) (void)fputc('\\', out);
		(void)fputc(*text, out);
	}
}

void
fm_options_document(const struct fm_opt *table, FILE *out)
{
	const char *section = "";

	for (const struct fm_opt *o = table; o->section; o++) {
		char range[160];

		if (!fm_is_equal(section, o->section)) fprintf(out, "## [%s]\n\n", o->section);
		section = o->section;
		fprintf(out, "*%s* = ", o->key);
		put_scdoc(out, fm_option_range(o, range, sizeof range));
		fprintf(out, "\n\t");
		put_scdoc(out, o->help);
		if (!o->fallback)
			fprintf(out, " Must be set.");
		else if (*o->fallback) {
			fprintf(out, " Default: ");
			put_scdoc(out, o->fallback);
			fprintf(out, ".");
		}
		if (o->reloadable) fprintf(out, " Taken over at a reload.");
		fprintf(out, "\n\n");
	}
}
