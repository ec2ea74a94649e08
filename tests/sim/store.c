/* store.c - the database and the jobs that are done in it. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/sim/world.h"

struct job_payload {
	struct co_job_order order;
	uint64_t serial;
};

struct sim_point *
sim_point_find(struct sim_world *w, const char *id)
{
	for (unsigned i = 0; i < SIM_POINTS; i++)
		if (w->points[i].used && fm_is_equal(w->points[i].id, id)) return &w->points[i];
	return NULL;
}

static struct sim_point *
point_make(struct sim_world *w, const char *id)
{
	struct sim_point *point = sim_point_find(w, id);

	for (unsigned i = 0; point == NULL && i < SIM_POINTS; i++)
		if (!w->points[i].used) point = &w->points[i];
	if (point == NULL) point = &w->points[0];
	*point = (struct sim_point){ .used = true };
	FM_COPY(point->id, id);
	return point;
}

/* Rows and schema, without who may connect. */
static bool
same_content(const struct sim_db *a, const struct sim_db *b)
{
	return a->installed == b->installed && a->data == b->data && a->schema == b->schema &&
	       fm_is_equal(a->version, b->version);
}

static bool
dump(struct sim_world *w, const struct co_job_order *order, struct co_job_result *result)
{
	struct sim_point *point = sim_point_find(w, order->restore_point);

	(void)result;
	if (point != NULL) return true;
	point = point_make(w, order->restore_point);
	point->content = w->db;
	point->bad = w->dump_is_bad;
	w->dump_is_bad = false;
	return true;
}

static bool
verify(struct sim_world *w, const struct co_job_order *order, struct co_job_result *result)
{
	struct sim_point *point = sim_point_find(w, order->restore_point);

	if (point == NULL || point->bad || !same_content(&point->content, &w->db)) {
		FM_COPY(result->text, "the restored copy differs from the original");
		return false;
	}
	point->verified = true;
	return true;
}

static bool
restore(struct sim_world *w, const struct co_job_order *order, struct co_job_result *result)
{
	struct sim_point *point = sim_point_find(w, order->restore_point);
	uint64_t epoch = w->db.epoch;
	bool fenced = w->db.fenced;

	if (point == NULL || !point->verified) {
		FM_COPY(result->text, "no such verified restore point");
		return false;
	}
	for (unsigned i = 0; i < SIM_NODES; i++)
		if (sim_app_is_alive(&w->nodes[i].app))
			sim_violate(w, "I1: the database is restored under a live process of app%u",
				    i + 1);
	w->db = point->content;
	w->db.epoch = epoch;
	w->db.fenced = fenced;
	return true;
}

/* The act itself. */
static bool
carry_out(struct sim_world *w, const struct co_job_order *order, struct co_job_result *result)
{
	if (order->epoch < w->db.epoch) {
		FM_COPY(result->text, "a lower epoch");
		return false;
	}
	w->db.epoch = order->epoch;
	result->installed = w->db.installed;
	FM_COPY(result->version, w->db.version);
	switch (order->kind) {
	case CO_JOB_FENCE:
		w->db.fenced = true;
		return true;
	case CO_JOB_UNFENCE:
		w->db.fenced = false;
		return true;
	case CO_JOB_DUMP:
		return dump(w, order, result);
	case CO_JOB_VERIFY:
		return verify(w, order, result);
	case CO_JOB_RESTORE:
		return restore(w, order, result);
	case CO_JOB_SWEEP:
	case CO_JOB_PREFLIGHT:
	case CO_JOB_NONE:
		break;
	}
	return true;
}

void
sim_job(struct sim_world *w, const struct co_job_order *order)
{
	struct job_payload *payload = fm_new(struct job_payload, 1);

	payload->order = *order;
	payload->serial = ++w->job_serial;
	if (w->job_hangs) {
		w->job_hangs = false;
		fm_freep(&payload);
		return;
	}
	sim_later(w, 40 + (int64_t)sim_random(w, 200),
		  (struct sim_event){ .kind = SIM_EV_JOB, .life = w->co_life, .data = payload });
}

void
sim_job_event(struct sim_world *w, const struct sim_event *event)
{
	const struct job_payload *payload = event->data;
	struct co_job_result result = { .ok = false };
	bool stopped = payload->serial != w->job_serial || event->life != w->co_life;

	/* A child that was killed with its coordinator may have done its work just before. */
	if (stopped && sim_random(w, 2) == 0) return;
	if (w->db.away) {
		FM_COPY(result.text, "the database is away");
	} else if (w->job_fails) {
		w->job_fails = false;
		FM_COPY(result.text, "the job failed");
	} else {
		result.ok = carry_out(w, &payload->order, &result);
	}
	if (w->job_fails_after) {
		w->job_fails_after = false;
		result.ok = false;
		FM_COPY(result.text, "the job said that it failed");
	}
	if (!stopped && w->core != NULL) co_on_job(w->core, &result, (struct fm_mono){ w->now });
}
