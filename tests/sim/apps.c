/* apps.c - the application's measured habits (nocobase: phases of a start, silent downgrade, a process
 * that lives on after a failed migration, one that ends its migration after TERM). */
#include <string.h>

#include "base/text.h"
#include "tests/sim/world.h"

#define BOOT_MS 2000
#define MIGRATE_MS 2500
#define LOAD_MS 500
#define STOP_MS 800

bool
sim_app_is_alive(const struct sim_app *app)
{
	return app->phase != SIM_DEAD;
}

static void
step_later(struct sim_world *w, unsigned i, int64_t in)
{
	sim_later(w, in,
		  (struct sim_event){ .kind = SIM_EV_APP, .who = i, .life = w->nodes[i].app.life });
}

void
sim_app_spawn(struct sim_world *w, unsigned i, const char *release, enum fm_start_mode mode)
{
	struct sim_node *n = &w->nodes[i];

	if (sim_app_is_alive(&n->app))
		sim_violate(w, "a second copy of the application is started on app%u", i + 1);
	n->app = (struct sim_app){ .phase = SIM_BOOTS,
				   .mode = mode,
				   .life = n->app.life + 1,
				   .wont_stop = n->app.wont_stop,
				   .wont_die = n->app.wont_die,
				   .will_fail = n->start_fails };
	n->start_fails = false;
	FM_COPY(n->app.release, release);
	w->touched_anything = true;
	step_later(w, i, BOOT_MS);
}

void
sim_app_kill(struct sim_world *w, unsigned i)
{
	struct sim_node *n = &w->nodes[i];

	if (!sim_app_is_alive(&n->app)) return;
	n->app.phase = SIM_DEAD;
	n->app.terming = n->app.wont_stop = n->app.wont_die = false;
	n->app.life++;
	w->touched_anything = true;
	if (n->core == NULL || n->dead) return;
	sim_node_processes(w, i);
	if (n->dead) return;
	/* The core's timers follow from what it was told. */
	sim_later(w, 1,
		  (struct sim_event){ .kind = SIM_EV_NODE_TICK,
				      .who = i,
				      .life = n->life,
				      .value = (uint64_t)n->tick_at });
}

void
sim_app_signal(struct sim_world *w, unsigned i, enum ag_signal signal)
{
	struct sim_app *app = &w->nodes[i].app;
	struct sim_event end = { .kind = SIM_EV_APP, .who = i, .life = app->life, .value = 1 };

	if (!sim_app_is_alive(app) || app->wont_die) return;
	sim_check_signal(w, i);
	if (signal == AG_KILL) {
		sim_later(w, 5, end);
		return;
	}
	if (app->wont_stop || app->terming) return;
	app->terming = true;
	if (app->phase != SIM_MIGRATES && app->phase != SIM_INSTALLS) sim_later(w, STOP_MS, end);
}

static void
break_app(struct sim_app *app, const char *why)
{
	app->phase = SIM_BROKEN;
	FM_COPY(app->failure, why);
}

/* The database is there: what this start does to it. */
static void
meet_database(struct sim_world *w, unsigned i)
{
	struct sim_app *app = &w->nodes[i].app;
	struct sim_db *db = &w->db;

	if (db->away || db->fenced) {
		app->phase = SIM_WAITS_FOR_DB;
		step_later(w, i, 1000);
		return;
	}
	if (app->mode == FM_START_PLAIN) {
		app->phase = SIM_LOADS;
		if (!db->installed)
			break_app(app, "APP_NOT_INSTALLED_ERROR");
		else if (strcmp(app->release, db->version) > 0)
			break_app(app, "column does not exist");
		else
			step_later(w, i, LOAD_MS);
		return;
	}
	sim_check_migration(w, i);
	app->phase = db->installed ? SIM_MIGRATES : SIM_INSTALLS;
	db->schema++;
	if (!w->migration_hangs)
		step_later(w, i,
			   w->migration_slow ? sim_fault_lasts(SIM_MIGRATION_SLOW) : MIGRATE_MS);
	w->migration_slow = w->migration_hangs = false;
}

static void
end_migration(struct sim_world *w, unsigned i)
{
	struct sim_app *app = &w->nodes[i].app;

	if (w->migration_fails) {
		w->migration_fails = false;
		break_app(app, "Migration failed");
	} else {
		w->db.installed = true;
		FM_COPY(w->db.version, app->release);
		app->phase = SIM_LOADS;
		step_later(w, i, LOAD_MS);
	}
	if (app->terming)
		sim_later(w, 5,
			  (struct sim_event){
				  .kind = SIM_EV_APP, .who = i, .life = app->life, .value = 1 });
}

void
sim_app_event(struct sim_world *w, const struct sim_event *event)
{
	struct sim_app *app = &w->nodes[event->who].app;

	if (event->life != app->life && event->value != 2) return;
	if (event->value != 0) {
		if (event->value == 2) app->wont_die = false;
		sim_app_kill(w, event->who);
		return;
	}
	switch (app->phase) {
	case SIM_BOOTS:
	case SIM_WAITS_FOR_DB:
		/* nocobase: "Port 13000 already in use", and it ends. */
		if (w->nodes[event->who].is_port_taken)
			sim_app_kill(w, event->who);
		else if (app->will_fail)
			break_app(app, "LOAD_ERROR");
		else
			meet_database(w, event->who);
		return;
	case SIM_INSTALLS:
	case SIM_MIGRATES:
		end_migration(w, event->who);
		return;
	case SIM_LOADS:
		app->phase = SIM_READY;
		return;
	case SIM_DEAD:
	case SIM_READY:
	case SIM_SICK:
	case SIM_BROKEN:
		return;
	}
}
