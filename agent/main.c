/* fermata-agent - runs one node's NocoBase as the coordinator asks. */
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/caps.h"
#include "agent/first.h"
#include "agent/runtimes/runtime.h"
#include "agent/work/work.h"
#include "base/log.h"
#include "base/options.h"

#define DEFAULT_CONFIG "/etc/fermata/agent.ini"
#define EXIT_USAGE 2

static const char help_text[] =
	"Usage: fermata-agent [--config FILE] [--check | --let-go]\n"
	"Runs one node's NocoBase as the coordinator asks; in the foreground, logging to standard\n"
	"error. At its end the application lives on.\n"
	"\n"
	"  --config FILE  settings; default " DEFAULT_CONFIG "\n"
	"  --check        read the settings, say all that is wrong, exit 0 or 2\n"
	"  --let-go       give systemd's unit back: from now on anybody may start it\n"
	"  --options      say what can be set, as a manual\n"
	"  --version\n"
	"  --help\n";

enum { OPT_CONFIG = 1, OPT_CHECK, OPT_LET_GO, OPT_OPTIONS, OPT_WORK, OPT_VERSION, OPT_HELP };

struct command {
	const char *config;
	bool check, let_go, work;
};

static void
say_fault(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", line);
}

/* -1: go on; else the exit status. */
static int
read_command(int argc, char **argv, struct command *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, OPT_CONFIG },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "let-go", no_argument, NULL, OPT_LET_GO },
		{ "options", no_argument, NULL, OPT_OPTIONS },
		{ "work", no_argument, NULL, OPT_WORK }, /* agent/work/work.h */
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*ret = (struct command){ .config = DEFAULT_CONFIG };
	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (opt) {
		case OPT_CONFIG:
			ret->config = optarg;
			break;
		case OPT_CHECK:
			ret->check = true;
			break;
		case OPT_LET_GO:
			ret->let_go = true;
			break;
		case OPT_OPTIONS:
			fm_options_document(ag_options, stdout);
			return EXIT_SUCCESS;
		case OPT_WORK:
			ret->work = true;
			break;
		case OPT_VERSION:
			(void)puts("fermata-agent " FM_VERSION);
			return EXIT_SUCCESS;
		case OPT_HELP:
			(void)fputs(help_text, stdout);
			return EXIT_SUCCESS;
		default:
			(void)fputs("Type fermata-agent --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc || ret->work) return -1;
	(void)fprintf(stderr, "fermata-agent: what is \"%s\"?\n", argv[optind]);
	return EXIT_USAGE;
}

static void
on_end(evutil_socket_t signal, short what, void *arg)
{
	(void)what;
	fm_log(FM_LOG_NOTICE, "agent ends, the application lives on", "signal=%d", (int)signal);
	(void)event_base_loopbreak(arg);
}

static void
on_nothing(evutil_socket_t signal, short what, void *arg)
{
	(void)signal;
	(void)what;
	(void)arg;
}

static int
run(const struct ag_settings *settings)
{
	struct event_base *base = event_base_new();
	struct event *term = evsignal_new(base, SIGTERM, on_end, base);
	struct event *interrupt = evsignal_new(base, SIGINT, on_end, base);
	struct event *hangup = evsignal_new(base, SIGHUP, on_nothing, base);
	struct ag_agent *agent = NULL;
	struct fm_err err;
	int status = EXIT_SUCCESS;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)event_add(term, NULL);
	(void)event_add(interrupt, NULL);
	(void)event_add(hangup, NULL);
	if (ag_caps_drop(settings, &err) == 0) agent = ag_agent_new(base, settings, &err);
	if (agent) {
		fm_log(FM_LOG_NOTICE, "agent begins", "version=%s node=%s", FM_VERSION,
		       settings->node);
		(void)event_base_dispatch(base);
		ag_agent_free(agent);
		/* What was retired in its last tick goes now. */
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	} else {
		fm_log(FM_LOG_ERROR, "agent cannot begin", "why=\"%s\"", err.text);
		status = EXIT_FAILURE;
	}
	event_free(term);
	event_free(interrupt);
	event_free(hangup);
	event_base_free(base);
	return status;
}

static int
check(const struct ag_settings *settings, const char *config)
{
	const struct ag_runtime *runtime = ag_runtime_of(settings);
	struct fm_err err;

	if (runtime->inspect && runtime->inspect(settings, &err) < 0) {
		(void)fprintf(stderr, "%s: %s\n", config, err.text);
		return EXIT_USAGE;
	}
	(void)printf("%s is in order\n", config);
	return EXIT_SUCCESS;
}

static int
let_go(const struct ag_settings *settings)
{
	const struct ag_runtime *runtime = ag_runtime_of(settings);
	char held[AG_PATH_SIZE];
	struct fm_err err;

	if (!runtime->let_go) {
		(void)printf("nothing is held: runtime is %s\n", runtime->name);
		return EXIT_SUCCESS;
	}
	if (runtime->let_go(settings, held, sizeof(held), &err) < 0) {
		(void)fprintf(stderr, "fermata-agent: %s\n", err.text);
		return EXIT_FAILURE;
	}
	(void)printf("%s is not held any more; what runs goes on. An agent that starts takes it "
		     "again.\n",
		     held);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static struct ag_settings settings;
	struct command command;
	struct fm_err err;
	int status = read_command(argc, argv, &command);

	if (status >= 0) return status;
	fm_log_set_program("fermata-agent");
	if (ag_settings_read(&settings, command.config, say_fault, NULL, &err) < 0)
		return EXIT_USAGE;
	if (command.check) return check(&settings, command.config);
	if (command.let_go) return let_go(&settings);
	(void)fm_log_set_level(fm_log_level_from(settings.log_level));
	if (command.work) return ag_work_main(&settings, argc - optind, argv + optind);
	ag_first_split();
	return run(&settings);
}
