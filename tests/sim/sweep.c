/* sweep.c - fm-sim: all single faults at every effect of every procedure, all pairs for the upgrade, then
 * seeds. Exit 0: no violation, nothing stuck. Every failure is printed as the arguments that
 * repeat it. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "tests/sim/world.h"

#define SHOWN_MOST 12
#define WORKERS_MOST 8
#define QUICK_PAIRS 32 /* of the pairs, --quick runs one in so many; of the rest all */

/* Every way a procedure is begun that makes its rows differ. */
static const struct variant {
	const char *name;
	struct sim_plan plan;
} variants[] = {
	{ "startup", { .procedure = "startup", .empty = true } },
	{ "upgrade", { .procedure = "upgrade" } },
	/* The first of the list is a worker: another one goes first. */
	{ "startup-workers", { .procedure = "startup", .empty = true, .workers = 1 } },
	{ "upgrade-workers", { .procedure = "upgrade", .open_first = true, .workers = 1 } },
	{ "maintenance-workers", { .procedure = "maintenance", .workers = 5 } },
	{ "restart-workers", { .procedure = "restart", .workers = 2 } },
	{ "upgrade-first", { .procedure = "upgrade", .open_first = true } },
	{ "upgrade-approve", { .procedure = "upgrade", .approve = true } },
	{ "upgrade-no-backup", { .procedure = "upgrade", .no_backup = true } },
	{ "upgrade-without", { .procedure = "upgrade", .without = true } },
	{ "upgrade-without-node", { .procedure = "upgrade", .without_node = true } },
	{ "upgrade-hooks", { .procedure = "upgrade", .hooks = true } },
	{ "rollback", { .procedure = "rollback" } },
	{ "rollback-without-node", { .procedure = "rollback", .without_node = true } },
	{ "maintenance", { .procedure = "maintenance" } },
	{ "maintenance-page", { .procedure = "maintenance", .page = true } },
	{ "restart", { .procedure = "restart" } },
	{ "restart-without-node", { .procedure = "restart", .without_node = true } },
	{ "restart-hooks", { .procedure = "restart", .hooks = true } },
	{ "stop", { .procedure = "stop" } },
	{ "stop-without", { .procedure = "stop", .without = true } },
	{ "page-on", { .procedure = "page on" } },
	{ "page-off", { .procedure = "page off" } },
};
#define VARIANTS (sizeof(variants) / sizeof(variants[0]))
#define UPGRADE 1 /* among them */

struct sweep {
	struct sim_world *world;
	unsigned worker, workers;
	uint64_t count; /* plans made; every worker makes all and runs its share */
	uint64_t shown;
	unsigned thin; /* run one plan of so many */
	bool first;    /* end with the first failure */
	struct sim_tally tally[VARIANTS];
};

struct settings {
	uint64_t runs, seed;
	unsigned thin, workers;
	bool first, quick;
	const char *variant;
	unsigned fault_count;
	struct sim_fault faults[SIM_FAULTS];
};

static void
print_plan(const char *variant, const struct sim_plan *plan)
{
	printf("  --plan %s --seed %llu", variant, (unsigned long long)plan->seed);
	for (unsigned i = 0; i < plan->fault_count; i++) {
		const struct sim_fault *f = &plan->faults[i];

		printf(" --fault %s:%u@%c%u", sim_fault_name(f->kind), f->target,
		       f->effect != 0 ? 'e' : 's', f->effect != 0 ? f->effect : f->step);
	}
	printf("\n");
}

static void
try_plan(struct sweep *s, unsigned v, const struct sim_plan *plan)
{
	s->count++;
	if (s->count % s->workers != s->worker) return;
	if (s->thin > 1 && s->count / s->workers % s->thin != 0) return;
	if (sim_run(s->world, plan, &s->tally[v]) == 0) return;
	if (s->shown++ >= SHOWN_MOST) return;
	printf("%s\n", s->world->violation);
	print_plan(variants[v].name, plan);
	fflush(stdout);
	if (s->first) _exit(1);
}

static unsigned
effects_of(struct sweep *s, unsigned v, unsigned *ret_steps)
{
	struct sim_plan plan = variants[v].plan;
	struct sim_tally none = { .runs = 0 };

	plan.seed = 1;
	if (sim_run(s->world, &plan, &none) != 0)
		printf("%s: %s\n", variants[v].name, s->world->violation);
	*ret_steps = s->world->steps_entered;
	return s->world->effects;
}

static void
sweep_singles(struct sweep *s, unsigned v)
{
	unsigned steps = 0, effects = effects_of(s, v, &steps);

	for (unsigned effect = 1; effect <= effects; effect++)
		for (unsigned kind = 0; kind < SIM_FAULT_COUNT; kind++) {
			struct sim_plan plan = variants[v].plan;

			plan.seed = effect;
			plan.fault_count = 1;
			plan.faults[0] = (struct sim_fault){
				.kind = kind,
				.target = (effect + kind) % sim_fault_targets(kind),
				.effect = effect,
			};
			try_plan(s, v, &plan);
		}
}

static void
sweep_second(struct sweep *s, unsigned v, const struct sim_fault *first, unsigned steps)
{
	/* Rows of the way back come after those of the way there. */
	for (unsigned step = first->step; step <= steps + 8; step++)
		for (unsigned kind = 0; kind < SIM_FAULT_COUNT; kind++) {
			struct sim_plan plan = variants[v].plan;

			plan.seed = step * 131 + kind;
			plan.fault_count = 2;
			plan.faults[0] = *first;
			plan.faults[1] = (struct sim_fault){
				.kind = kind,
				.target = (step + kind + first->kind) % sim_fault_targets(kind),
				.step = step,
			};
			try_plan(s, v, &plan);
		}
}

static void
sweep_pairs(struct sweep *s, unsigned v)
{
	unsigned steps = 0;

	effects_of(s, v, &steps);
	for (unsigned step = 1; step <= steps; step++)
		for (unsigned kind = 0; kind < SIM_FAULT_COUNT; kind++) {
			struct sim_fault first = { .kind = kind,
						   .target = (step + kind) %
							     sim_fault_targets(kind),
						   .step = step };

			sweep_second(s, v, &first, steps);
		}
}

/* Up to SIM_FAULTS faults anywhere, from a seed. */
static void
sweep_seeds(struct sweep *s, uint64_t from, uint64_t runs)
{
	for (uint64_t seed = from; seed < from + runs; seed++) {
		uint64_t r = seed * UINT64_C(0x9e3779b97f4a7c15);
		unsigned v = (unsigned)(r >> 7) % VARIANTS;
		struct sim_plan plan = variants[v].plan;

		plan.seed = seed;
		plan.fault_count = 2 + (unsigned)(r >> 20) % 4;
		for (unsigned i = 0; i < plan.fault_count; i++) {
			uint64_t q = (r ^ (r >> 29)) * UINT64_C(0xbf58476d1ce4e5b9) + i * 7919;
			unsigned kind = (unsigned)(q >> 11) % SIM_FAULT_COUNT;

			plan.faults[i] = (struct sim_fault){
				.kind = kind,
				.target = (unsigned)(q >> 40) % sim_fault_targets(kind),
				.effect = 1 + (unsigned)(q >> 23) % 400,
			};
			r = q;
		}
		try_plan(s, v, &plan);
	}
}

/* What has found a fault that hardly anything else finds; all of upgrades. */
static const struct sim_plan once_broken[] = {
	/* A run that was given up, and a host that comes back with that run's leave to migrate. */
	{ .procedure = "upgrade",
	  .seed = 1449,
	  .fault_count = 2,
	  .faults = { { .kind = SIM_GATE_CUT_LONG, .step = 6 },
		      { .kind = SIM_HOST_DEAD, .step = 11 } } },
};

static void
sweep_once_broken(struct sweep *s)
{
	unsigned thin = s->thin;

	s->thin = 0;
	for (unsigned i = 0; i < sizeof(once_broken) / sizeof(once_broken[0]); i++)
		try_plan(s, UPGRADE, &once_broken[i]);
	s->thin = thin;
}

static void
sweep_all(struct sweep *s, const struct settings *settings)
{
	sweep_once_broken(s);
	for (unsigned v = 0; v < VARIANTS; v++) sweep_singles(s, v);
	if (settings->quick) s->thin = QUICK_PAIRS;
	sweep_pairs(s, UPGRADE);
	s->thin = 0;
	sweep_seeds(s, settings->seed, settings->runs);
}

static void
add(struct sim_tally *sum, const struct sim_tally *one)
{
	const uint64_t *from = (const uint64_t *)one;
	uint64_t *to = (uint64_t *)sum;

	for (unsigned i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) to[i] += from[i];
}

static int
print_tally(const struct sim_tally tally[VARIANTS])
{
	struct sim_tally sum = { .runs = 0 };

	printf("%-22s %8s %8s %8s %8s %8s %8s %8s %8s %8s\n", "", "runs", "done", "refused", "back",
	       "loss", "stopped", "operator", "stuck", "broken");
	for (unsigned v = 0; v <= VARIANTS; v++) {
		const struct sim_tally *t = v < VARIANTS ? &tally[v] : &sum;

		printf("%-22s %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu\n",
		       v < VARIANTS ? variants[v].name : "all", (unsigned long long)t->runs,
		       (unsigned long long)t->done, (unsigned long long)t->refused,
		       (unsigned long long)t->rolled_back, (unsigned long long)t->with_loss,
		       (unsigned long long)t->stopped, (unsigned long long)t->needs_operator,
		       (unsigned long long)t->stuck, (unsigned long long)t->violations);
		if (v < VARIANTS) add(&sum, t);
	}
	printf("sim: %llu fault runs, %llu events, %llu violations, %llu stuck\n",
	       (unsigned long long)sum.runs, (unsigned long long)sum.events,
	       (unsigned long long)sum.violations, (unsigned long long)sum.stuck);
	return sum.violations == 0 && sum.stuck == 0 && sum.runs > 0 ? 0 : 1;
}

/* Each worker is a process; its tally comes back through a pipe. */
static int
run_workers(const struct settings *settings)
{
	struct sim_tally sum[VARIANTS], one[VARIANTS];
	int pipes[WORKERS_MOST][2];
	pid_t pids[WORKERS_MOST], ended;
	int failed = 0, status = 0;

	memset(sum, 0, sizeof(sum));
	for (unsigned i = 0; i < settings->workers; i++) {
		CHECK(pipe(pipes[i]) == 0);
		pids[i] = fork();
		if (pids[i] == 0) {
			struct sweep s = { .worker = i,
					   .workers = settings->workers,
					   .thin = settings->thin,
					   .first = settings->first };

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			s.world = calloc(1, sizeof(*s.world));
			CHECK(s.world != NULL);
			sweep_all(&s, settings);
			CHECK(write(pipes[i][1], s.tally, sizeof(s.tally)) == sizeof(s.tally));
			_exit(0);
		}
		close(pipes[i][1]);
	}
	/* What they tell fits into their pipes. The first to find something is enough. */
	while ((ended = wait(&status)) > 0)
		for (unsigned i = 0; i < settings->workers; i++)
			if (pids[i] == ended)
				pids[i] = 0;
			else if (settings->first && status != 0 && pids[i] != 0)
				kill(pids[i], SIGKILL);
	for (unsigned i = 0; i < settings->workers; i++) {
		size_t got = 0;

		while (got < sizeof(one)) {
			ssize_t n = read(pipes[i][0], (char *)one + got, sizeof(one) - got);

			if (n <= 0) break;
			got += (size_t)n;
		}
		if (got != sizeof(one)) {
			printf("worker %u ended early\n", i);
			failed = 1;
			continue;
		}
		for (unsigned v = 0; v < VARIANTS; v++) add(&sum[v], &one[v]);
	}
	return print_tally(sum) | failed;
}

static int
run_one(const struct settings *settings)
{
	struct sweep s = { .workers = 1 };
	struct sim_plan plan;
	unsigned v = 0;
	int rc = 0;

	while (v < VARIANTS && !fm_is_equal(variants[v].name, settings->variant)) v++;
	if (v == VARIANTS) {
		fprintf(stderr, "no such plan: %s\n", settings->variant);
		return 2;
	}
	s.world = calloc(1, sizeof(*s.world));
	CHECK(s.world != NULL);
	s.world->verbose = true;
	plan = variants[v].plan;
	plan.seed = settings->seed;
	plan.fault_count = settings->fault_count;
	memcpy(plan.faults, settings->faults, sizeof(plan.faults));
	rc = sim_run(s.world, &plan, &s.tally[v]);
	printf("%s; end: %s; %u effects, %u rows\n",
	       rc == 0 ? "all invariants held" : s.world->violation,
	       co_end_name(s.world->state.run.end), s.world->effects, s.world->steps_entered);
	return rc == 0 ? 0 : 1;
}

static bool
parse_fault(const char *text, struct sim_fault *fault)
{
	char name[40], where = 0;
	unsigned target = 0, at = 0;

	if (sscanf(text, "%39[A-Z_]:%u@%c%u", name, &target, &where, &at) != 4) return false;
	for (unsigned kind = 0; kind < SIM_FAULT_COUNT; kind++) {
		if (!fm_is_equal(sim_fault_name(kind), name)) continue;
		*fault = (struct sim_fault){ .kind = kind,
					     .target = target,
					     .effect = where == 'e' ? at : 0,
					     .step = where == 's' ? at : 0 };
		return true;
	}
	return false;
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;
	unsigned long long n = 0;

	switch (key) {
	case 'r':
	case 's':
	case 't':
	case 'w':
		if (!fm_parse_u64(arg, 0, UINT64_C(1) << 40, &n))
			argp_error(state, "not a number: %s", arg);
		if (key == 'r') s->runs = n;
		if (key == 's') s->seed = n;
		if (key == 't') s->thin = (unsigned)n;
		if (key == 'w')
			s->workers = n < 1 ? 1 : n > WORKERS_MOST ? WORKERS_MOST : (unsigned)n;
		return 0;
	case '1':
		s->first = true;
		return 0;
	case 'q':
		s->quick = true;
		return 0;
	case 'p':
		s->variant = arg;
		return 0;
	case 'f':
		if (s->fault_count == SIM_FAULTS || !parse_fault(arg, &s->faults[s->fault_count++]))
			argp_error(state, "not a fault: %s", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int
main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "runs", 'r', "N", 0, "seeds after the sweeps (default 20000)", 0 },
		{ "seed", 's', "N", 0, "the first seed (default 1)", 0 },
		{ "thin", 't', "N", 0, "of the sweeps' plans run one in N (default 1: all)", 0 },
		{ "workers", 'w', "N", 0, "processes (default: one a core)", 0 },
		{ "quick", 'q', NULL, 0, "all single faults, and some of the pairs", 0 },
		{ "first", '1', NULL, 0, "end with the first failure", 0 },
		{ "plan", 'p', "NAME", 0, "one run of this plan, told in full", 0 },
		{ "fault", 'f', "KIND:TARGET@eN|sN", 0, "with --plan: at effect or row N", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, parse, NULL, "The cluster in virtual time, with everything going wrong.",
		NULL,	 NULL,	NULL
	};
	struct settings settings = { .runs = 20000, .seed = 1, .thin = 1 };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	settings.workers = cores < 1 ? 1 : cores > WORKERS_MOST ? WORKERS_MOST : (unsigned)cores;
	if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0) return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	return settings.variant != NULL ? run_one(&settings) : run_workers(&settings);
}
