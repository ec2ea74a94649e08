#include "agent/runtimes/unit.h"

#include <ctype.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/bus.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

enum kind { TEXT, TEXTS, U32, I32, BOOL, JOB, COMMANDS };

/* clang-format off */
#define FIELD(name, kind, field) \
	{ name, kind, offsetof(struct ag_unit, field), sizeof(((struct ag_unit *)0)->field) }
static const struct property {
	const char *name;
	enum kind kind;
	size_t offset, size;
} properties[] = {
	FIELD("LoadState",        TEXT,     load_state),
	FIELD("ActiveState",      TEXT,     active_state),
	FIELD("SubState",         TEXT,     sub_state),
	FIELD("NeedDaemonReload", BOOL,     need_reload),
	FIELD("DropInPaths",      TEXTS,    drop_ins),
	FIELD("Job",              JOB,      job),
	FIELD("Type",             TEXT,     type),
	FIELD("Restart",          TEXT,     restart),
	FIELD("RemainAfterExit",  BOOL,     remain_after_exit),
	FIELD("KillMode",         TEXT,     kill_mode),
	FIELD("Result",           TEXT,     result),
	FIELD("User",             TEXT,     user),
	FIELD("WorkingDirectory", TEXT,     working_directory),
	FIELD("ControlGroup",     TEXT,     control_group),
	FIELD("ExecStart",        COMMANDS, exec_start),
	FIELD("MainPID",          U32,      main_pid),
	FIELD("ExecMainCode",     I32,      exit_code),
	FIELD("ExecMainStatus",   I32,      exit_status),
};
/* clang-format on */

#define PROPERTIES (sizeof(properties) / sizeof(*properties))

/* ---- values ---- */

static int
read_text(sd_bus_message *m, char *dst, size_t size)
{
	const char *text;
	int r = sd_bus_message_read(m, "s", &text);

	if (r >= 0) (void)fm_copy(dst, size, text);
	return r;
}

static int
append_texts(sd_bus_message *m, char *dst, size_t size)
{
	const char *text;
	int r = sd_bus_message_enter_container(m, 'a', "s");

	while (r >= 0 && (r = sd_bus_message_read(m, "s", &text)) > 0)
		(void)fm_append(dst, size, "%s%s", dst[0] ? " " : "", text);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int
read_commands(sd_bus_message *m, char *dst, size_t size)
{
	int r = sd_bus_message_enter_container(m, 'a', "(sasbttttuii)");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sasbttttuii")) > 0) {
		r = sd_bus_message_skip(m, "s");
		if (r >= 0) r = append_texts(m, dst, size);
		if (r >= 0) r = sd_bus_message_skip(m, "bttttuii");
		if (r >= 0) r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int
read_bool(sd_bus_message *m, bool *ret)
{
	int value, r = sd_bus_message_read(m, "b", &value);

	if (r >= 0) *ret = value != 0;
	return r;
}

static int
read_value(sd_bus_message *m, const struct property *property, char *at)
{
	switch (property->kind) {
	case TEXT:
		return read_text(m, at, property->size);
	case TEXTS:
		at[0] = '\0';
		return append_texts(m, at, property->size);
	case COMMANDS:
		at[0] = '\0';
		return read_commands(m, at, property->size);
	case U32:
		return sd_bus_message_read(m, "u", at);
	case I32:
		return sd_bus_message_read(m, "i", at);
	case BOOL:
		return read_bool(m, (bool *)at);
	case JOB:
		return sd_bus_message_read(m, "(uo)", at, NULL);
	}
	return 0;
}

/* ---- messages ---- */

static const struct property *
property_of(const char *name)
{
	for (size_t i = 0; i < PROPERTIES; i++)
		if (strcmp(properties[i].name, name) == 0) return &properties[i];
	return NULL;
}

static int
read_entry(sd_bus_message *m, struct ag_unit *unit)
{
	const struct property *property;
	const char *name, *contents;
	int r = sd_bus_message_read(m, "s", &name);

	if (r < 0) return r;
	property = property_of(name);
	if (!property) return sd_bus_message_skip(m, "v");
	r = sd_bus_message_peek_type(m, NULL, &contents);
	if (r >= 0) r = sd_bus_message_enter_container(m, 'v', contents);
	if (r >= 0) r = read_value(m, property, (char *)unit + property->offset);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int
read_properties(sd_bus_message *m, struct ag_unit *unit)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = read_entry(m, unit);
		if (r >= 0) r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int
read_all(sd_bus *link, const char *path, const char *interface, struct ag_unit *unit,
	 struct fm_err *err)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(link, AG_SYSTEMD, path, "org.freedesktop.DBus.Properties",
				   "GetAll", &error, &answer, "s", interface);

	if (r >= 0) r = read_properties(answer, unit);
	return r < 0 ? ag_bus_fail(err, r, &error, "ask systemd about the unit") : 0;
}

/* Part of a path and of systemd's own files: nothing in it may mean something there. */
bool
ag_unit_is_name(const char *name)
{
	size_t len = strlen(name), stem = len > 8 ? len - 8 : 0;

	if (stem == 0 || name[0] == '.' || strcmp(name + stem, ".service") != 0) return false;
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr(":_.@-", *at)) return false;
	return true;
}

bool
ag_unit_path(const char *name, char *dst, size_t size)
{
	char *path = NULL;
	bool ok = sd_bus_path_encode(AG_SYSTEMD_PATH "/unit", name, &path) >= 0 &&
		  fm_copy(dst, size, path);

	free(path);
	return ok;
}

int
ag_unit_read(sd_bus *link, const char *path, struct ag_unit *ret, struct fm_err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (read_all(link, path, AG_SYSTEMD ".Unit", ret, err) < 0) return -1;
	return read_all(link, path, AG_SYSTEMD ".Service", ret, err);
}

int
ag_unit_apply(sd_bus_message *signal, struct ag_unit *unit)
{
	int r = sd_bus_message_skip(signal, "s");

	return r < 0 ? r : read_properties(signal, unit);
}

static int
on_answer(sd_bus_message *answer, void *name, sd_bus_error *error)
{
	const sd_bus_error *why = sd_bus_message_get_error(answer);

	(void)error;
	if (why)
		fm_log(FM_LOG_WARNING, "systemd did not obey", "unit=%s why=\"%s\"",
		       (const char *)name, why->message ? why->message : why->name);
	return 0;
}

void
ag_unit_stop(sd_bus *link, const char *name)
{
	(void)sd_bus_call_method_async(link, NULL, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER,
				       "StopUnit", on_answer, (void *)(uintptr_t)name, "ss", name,
				       "replace");
}

void
ag_unit_kill(sd_bus *link, const char *name)
{
	(void)sd_bus_call_method_async(link, NULL, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER,
				       "KillUnit", on_answer, (void *)(uintptr_t)name, "ssi", name,
				       "all", (int)SIGKILL);
}

bool
ag_unit_is_down(const struct ag_unit *unit)
{
	return unit->job == 0 && (strcmp(unit->active_state, "inactive") == 0 ||
				  strcmp(unit->active_state, "failed") == 0);
}

/* ---- is it fit? ---- */

static bool
is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	while (len > 1 && folder[len - 1] == '/') len--;
	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* systemd marks a folder that may be missing. */
static const char *
plain_folder(const char *text)
{
	while (*text == '-' || *text == '!' || *text == '+') text++;
	return text;
}

static int
check_loaded(const struct ag_unit *u, const char *name, struct fm_err *err)
{
	if (strcmp(u->load_state, "loaded") == 0) return 0;
	if (strcmp(u->load_state, "not-found") == 0)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "systemd knows no unit %s on this node: write one (an example is "
			       "packaging/systemd/nocobase.service), or set unit in agent.ini",
			       name);
	if (strcmp(u->load_state, "masked") == 0)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "unit %s is masked: type 'systemctl unmask %s'", name, name);
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "systemd cannot load unit %s (%s): see 'systemctl status %s'", name,
		       u->load_state, name);
}

static bool
has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += len)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

int
ag_unit_check_hold(const struct ag_unit *u, const struct ag_settings *s, const char *drop_in,
		   struct fm_err *err)
{
	const char *name = s->unit;

	if (!has_word(u->drop_ins, drop_in))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "unit %s is not held: %s is not in force; type 'systemctl "
			       "daemon-reload'",
			       name, drop_in);
	if (strcmp(u->restart, "no") == 0 && !u->remain_after_exit) return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "unit %s has %s in spite of %s: remove it from the drop-in that comes later "
		       "('systemctl cat %s')",
		       name, u->remain_after_exit ? "RemainAfterExit=yes" : "a Restart=", drop_in,
		       name);
}

int
ag_unit_check(const struct ag_unit *u, const struct ag_settings *s, struct fm_err *err)
{
	const char *name = s->unit;
	char current[AG_PATH_SIZE + 16];

	if (check_loaded(u, name, err) < 0) return -1;
	if (strcmp(u->type, "simple") != 0 && strcmp(u->type, "exec") != 0)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "unit %s has Type=%s, and NocoBase runs in the foreground: set "
			       "Type=exec",
			       name, u->type);
	if (strcmp(u->kill_mode, "control-group") != 0 && strcmp(u->kill_mode, "mixed") != 0)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "unit %s has KillMode=%s, so a stop would leave processes behind: "
			       "set KillMode=control-group",
			       name, u->kill_mode);
	(void)FM_FORMAT(current, "%s/current", s->root);
	if (!is_below(plain_folder(u->working_directory), current))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "unit %s works in %s, and releases are switched at %s: set "
			       "WorkingDirectory=%s",
			       name, u->working_directory[0] ? u->working_directory : "/", current,
			       current);
	return 0;
}

bool
ag_unit_can_migrate(const struct ag_unit *u)
{
	return strstr(u->exec_start, "--quickstart") || strstr(u->exec_start, "FERMATA_START");
}
