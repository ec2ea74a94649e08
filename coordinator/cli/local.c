/* local.c - help, completion, config check. */
#include "coordinator/cli/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/cert.h"
#include "coordinator/cli/glass.h"
#include "coordinator/cli/manual.h"

#define COORDINATOR_INI "/etc/fermata/coordinator.ini"

static int
help(const struct co_parsed *parsed)
{
	const char *words = co_parsed_value(parsed, "command");

	if (!words) {
		co_manual_all(stdout);
		return 0;
	}
	if (co_manual_words(stdout, words)) return 0;
	fprintf(stderr, "fermata: there is no command '%s'\nnext: fermata help\n", words);
	return 2;
}

/* Whether the file has a section of this name. */
static bool
has_section(FILE *file, const char *section)
{
	char line[1024];

	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		const char *at = line + strspn(line, " \t");
		if (strncmp(at, section, strlen(section)) == 0) return true;
	}
	return false;
}

/* The daemon beside us, as in an installation; where a build puts it; or the one in PATH. */
static void
become(const char *program, const char *folder, const char *file)
{
	char self[1024], path[1200];
	const char *places[] = { "", folder, "../sbin/" };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t) "--check",
			 (char *)(uintptr_t) "--config", (char *)(uintptr_t)file, NULL };

	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		if (slash) slash[1] = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			FM_FORMAT(path, "%s%s%s", self, places[i], program);
			(void)execv(path, argv);
		}
	}
	(void)execvp(program, argv);
}

static int
config_check(const struct co_parsed *parsed)
{
	const char *path = co_parsed_value(parsed, "file");
	_cleanup_fclose_ FILE *file = NULL;

	if (!path) path = COORDINATOR_INI;
	file = fopen(path, "re");
	if (!file) {
		fprintf(stderr, "fermata: open %s: %s\nnext: fermata config check FILE\n", path,
			strerror(errno));
		return 2;
	}
	bool is_agent = has_section(file, "[agent]");
	const char *program = is_agent ? "fermata-agent" : "fermata-coordinator";
	become(program, is_agent ? "../agent/" : "", path);
	fprintf(stderr,
		"fermata: cannot run %s: %s\nnow:  %s was not checked\n"
		"next: install %s on this machine, or check the file where it runs\n",
		program, strerror(errno), path, program);
	return 1;
}

int
co_local_run(const struct co_parsed *parsed)
{
	static const struct {
		const char *name;
		int (*run)(const struct co_parsed *parsed);
	} rows[] = {
		{ "help", help },
		{ "config check", config_check },
		{ "cert init", co_cert_init },
		{ "cert issue", co_cert_issue },
		{ "cert list", co_cert_list },
		{ "gate close", co_glass_run },
		{ "gate open", co_glass_run },
		{ "gate resume", co_glass_run },
		{ "gate status", co_glass_run },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, parsed->command->name) == 0) return rows[i].run(parsed);
	}
	CHECK(strcmp(parsed->command->name, "completion") == 0);
	co_manual_bash(stdout);
	return 0;
}
