/* main.c - fermata-coordinator: reads its settings, coordinates until it is told to stop. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "coordinator/coordinator.h"
#include "coordinator/http/metrics.h"
#include "coordinator/notify.h"

const char *argp_program_version = "fermata-coordinator " FM_VERSION;

#define DEFAULT_CONFIG "/etc/fermata/coordinator.ini"

struct arguments {
	const char *config;
	bool check, try_notify, print_options, print_procedures, print_metrics;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "settings (default " DEFAULT_CONFIG ")", 0 },
	{ "check", 'k', NULL, 0, "read the settings, name every fault, and end", 0 },
	{ "try-notify", 'N', NULL, 0, "run [notify] command once, say what came of it, and end",
	  0 },
	{ "print-options", 'O', NULL, 0, "the table of settings for the manual", 1 },
	{ "print-procedures", 'P', NULL, 0, "the tables of the procedures for the manual", 1 },
	{ "print-metrics", 'M', NULL, 0, "the table of metrics for the manual", 1 },
	{ 0 },
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->config = arg;
		return 0;
	case 'k':
		a->check = true;
		return 0;
	case 'N':
		a->try_notify = true;
		return 0;
	case 'O':
		a->print_options = true;
		return 0;
	case 'P':
		a->print_procedures = true;
		return 0;
	case 'M':
		a->print_metrics = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void
say(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

static void
print_table(const char *title, const struct co_step *table)
{
	printf("%s\n\n", title);
	for (; table != NULL && table->name != NULL; table++)
		printf("*%s* (limit: _%s_; if it fails: %s%s%s)\n\t%s\n\n", table->name,
		       co_limit_name(table->limit), co_policy_name(table->fails),
		       table->back == NULL ? "" : ", from ", table->back == NULL ? "" : table->back,
		       table->says);
}

static void
print_procedures(void)
{
	for (unsigned i = 0; co_procedures[i] != NULL; i++) {
		const struct co_procedure *p = co_procedures[i];

		printf("## %s\n\n%s.\n\n", p->name, p->says);
		print_table("Steps:", p->steps);
		if (p->recovery != NULL) print_table("Taken back by:", p->recovery);
	}
}

/* Every table keeps the rules, or nothing runs. */
static int
check_procedures(struct fm_err *err)
{
	char why[FM_TEXT_SIZE];

	for (unsigned i = 0; co_procedures[i] != NULL; i++)
		if (!co_procedure_check(co_procedures[i], why, sizeof(why)))
			return fm_fail(err, FM_ERR_CONFIG, 0, "%s", why);
	return 0;
}

static int
try_notify(const struct co_daemon *daemon)
{
	struct fm_err err;

	if (co_notify_try(&daemon->settings, stdout, &err) == 0) {
		printf("told\n");
		return 0;
	}
	fprintf(stderr, "not told: %s\n", err.text);
	return 1;
}

static int
run(struct co_daemon *daemon, const struct arguments *a)
{
	struct fm_err err;
	int rc = 0;

	daemon->config_path = a->config;
	if (fm_options_read(co_options, &daemon->settings, a->config, &daemon->origins, say, NULL,
			    &err) != 0)
		return 2;
	if (co_settings_config(&daemon->settings, &daemon->config, &err) != 0 ||
	    check_procedures(&err) != 0) {
		fprintf(stderr, "%s: %s\n", a->config, err.text);
		return 2;
	}
	if (a->check) {
		printf("%s: good\n", a->config);
		return 0;
	}
	if (a->try_notify) return try_notify(daemon);
	fm_log_set_level((enum fm_log_level)fm_log_level_from(daemon->settings.log_level));
	rc = co_daemon_run(daemon, &err);
	if (rc != 0) fm_log(FM_LOG_ERROR, "cannot run", "error=\"%s\"", err.text);
	return rc == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, "Conducts the maintenance of a NocoBase cluster.",
		NULL,	 NULL,	NULL
	};
	_cleanup_free_ struct co_daemon *daemon = fm_new(struct co_daemon, 1);
	struct arguments a = { .config = DEFAULT_CONFIG };

	if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) return 2;
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	if (a.print_options) {
		fm_options_document(co_options, stdout);
		return 0;
	}
	if (a.print_procedures) {
		print_procedures();
		return 0;
	}
	if (a.print_metrics) {
		co_metrics_document(stdout);
		return 0;
	}
	return run(daemon, &a);
}
