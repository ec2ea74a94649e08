/* points.c - restore points: database by a job of the store, storage by the first node's agent. */
#include <string.h>

#include "base/text.h"
#include "coordinator/steps/steps.h"

bool
co_wants_backup(const struct co_turn *t)
{
	return !t->state->run.no_backup;
}

/* Nothing to restore where nothing could have been changed. */
bool
co_was_touched(const struct co_turn *t)
{
	return t->state->run.touched;
}

/* A restore point of another try has another name: a bad one is never taken for a good one. */
void
co_ask_restore_point(struct co_turn *t, struct co_who who)
{
	struct co_run *run = &t->state->run;

	if (who.kind == CO_STORE) {
		FM_FORMAT(run->restore_point, "rp-%llu-%llu", (unsigned long long)run->number,
			  (unsigned long long)run->serial);
		FM_COPY(run->storage_node, co_node_name(t, run->first));
		run->verified = false;
		return;
	}
	FM_COPY(t->state->nodes[who.i].snapshot, run->restore_point);
}

enum co_verdict
co_has_restore_point(const struct co_turn *t, struct co_who who)
{
	const struct co_node *node = &t->fleet->nodes[who.i];

	if (who.kind == CO_STORE) return CO_DONE;
	if (!node->connected || !co_node_obeys(node, t->state->nodes[who.i].voice))
		return co_say(t, CO_WAIT, "%s to take the order", co_node_name(t, who.i));
	if (!fm_is_empty(node->report.snapshot_failure))
		return co_say(t, CO_FAILED, "%s could not copy the storage: %s",
			      co_node_name(t, who.i), node->report.snapshot_failure);
	if (fm_is_equal(node->report.snapshot, t->state->run.restore_point)) return CO_DONE;
	return co_say(t, CO_WAIT, "%s to copy the storage", co_node_name(t, who.i));
}

void
co_note_verified(struct co_turn *t)
{
	t->state->run.verified = true;
}

void
co_ask_restore(struct co_turn *t, struct co_who who)
{
	struct co_run *run = &t->state->run;
	struct fm_agent_ask *want = &t->state->nodes[who.i];

	if (who.kind == CO_STORE) return;
	FM_COPY(want->restore, run->restore_point);
	want->restore_serial = co_serial_of(run);
	want->snapshot[0] = '\0';
}

enum co_verdict
co_has_restored(const struct co_turn *t, struct co_who who)
{
	const struct co_node *node = &t->fleet->nodes[who.i];
	const struct fm_agent_ask *want = &t->state->nodes[who.i];

	if (!t->state->run.verified)
		return co_say(t, CO_FAILED, "there is no verified restore point to go back to");
	if (who.kind == CO_STORE) return CO_DONE;
	if (!node->connected || !co_node_obeys(node, want->voice))
		return co_say(t, CO_WAIT, "%s to take the order", co_node_name(t, who.i));
	if (!fm_is_empty(node->report.restore_failure))
		return co_say(t, CO_FAILED, "%s could not restore the storage: %s",
			      co_node_name(t, who.i), node->report.restore_failure);
	if (node->report.restored_serial == want->restore_serial) return CO_DONE;
	return co_say(t, CO_WAIT, "%s to restore the storage", co_node_name(t, who.i));
}

void
co_note_restored(struct co_turn *t)
{
	t->state->run.touched = false;
}
