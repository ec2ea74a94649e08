/* procedures.c - the list of them, and the rules that every table keeps. */
#include "coordinator/procedures/procedures.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

const struct co_procedure *const co_procedures[] = {
	&co_startup, &co_upgrade,  &co_rollback, &co_maintenance, &co_restart, &co_stop,
	&co_page_on, &co_page_off, NULL,
};

const struct co_procedure *
co_procedure_find(const char *name)
{
	for (unsigned i = 0; co_procedures[i] != NULL; i++)
		if (fm_is_equal(co_procedures[i]->name, name)) return co_procedures[i];
	return NULL;
}

const struct co_step *
co_step_find(const struct co_step *table, const char *name)
{
	for (; table != NULL && table->name != NULL; table++)
		if (fm_is_equal(table->name, name)) return table;
	return NULL;
}

static const struct {
	const char *name;
	bool progress, asks;
} limits[CO_LIMITS] = {
#define CO_LIMIT(name, key, fallback, counts, asks, help) \
	[CO_LIMIT_##name] = { #key, counts, asks },
#include "coordinator/run/limits.def"
#undef CO_LIMIT
};

const char *
co_limit_name(enum co_limit limit)
{
	return limits[limit].name;
}

bool
co_limit_counts_from_progress(enum co_limit limit)
{
	return limits[limit].progress;
}

bool
co_limit_asks(enum co_limit limit)
{
	return limits[limit].asks;
}

const char *
co_policy_name(enum co_policy policy)
{
	static const char *const names[] = {
		[CO_REFUSE] = "refused, nothing touched",
		[CO_BACK] = "taken back",
		[CO_ROLLBACK] = "rolled back",
		[CO_HALT] = "halts for a person",
		[CO_CARRY_ON] = "said, and gone on",
	};

	return names[policy];
}

/* A recovery may be a procedure of its own as well: rows before the first that is gone back to are
 * that procedure's alone. */
static bool
is_gone_back_to(const struct co_procedure *p, const char *name)
{
	for (const struct co_step *row = p->steps; row->name != NULL; row++) {
		const struct co_step *back = co_step_find(p->recovery, row->back);

		for (; back != NULL && back->name != NULL; back++)
			if (fm_is_equal(back->name, name)) return true;
	}
	return false;
}

/* What is wrong with one row; NULL: nothing. */
static const char *
row_fault(const struct co_procedure *p, const struct co_step *table, const struct co_step *row)
{
	bool takes_back = row->fails == CO_BACK || row->fails == CO_ROLLBACK;

	if (strlen(row->name) >= CO_STEP_SIZE) return "its name is too long for the journal";
	if (co_step_find(table, row->name) != row) return "its name is not unique";
	if (fm_is_empty(row->says)) return "it says nothing to people";
	if (row->scope == 0) return "it is about nobody";
	if (row->done == NULL && row->scope != CO_STORE) return "nothing proves it";
	if (((row->scope & CO_STORE) != 0) != (row->job != CO_JOB_NONE))
		return "a job and the scope STORE go together";
	if (row->limit >= CO_LIMITS) return "it has no limit";
	if (row->back != NULL && !takes_back)
		return "it names a way back that its policy never goes";
	if (row->back != NULL && co_step_find(p->recovery, row->back) == NULL)
		return "the row it goes back to is not in the recovery table";
	if (table == p->recovery && row->fails != CO_HALT && is_gone_back_to(p, row->name))
		return "a row that others go back to may only halt when it fails";
	return NULL;
}

/* Once visitors are let in there is no silent way back. */
static const char *
order_fault(const struct co_step *table)
{
	bool opened = false;

	for (const struct co_step *row = table; row->name != NULL; row++) {
		if (opened && row->when == NULL &&
		    (row->fails == CO_BACK || row->fails == CO_ROLLBACK))
			return row->name;
		if (row->note != NULL && row->fails == CO_HALT && row->limit == CO_LIMIT_OPEN)
			opened = true;
	}
	return NULL;
}

static bool
table_check(const struct co_procedure *p, const struct co_step *table, char *why, size_t size)
{
	const char *late = order_fault(table);

	for (const struct co_step *row = table; row->name != NULL; row++) {
		const char *fault = row_fault(p, table, row);

		if (fault == NULL) continue;
		fm_format(why, size, "%s, row \"%s\": %s", p->name, row->name, fault);
		return false;
	}
	if (late == NULL) return true;
	fm_format(why, size, "%s, row \"%s\": goes back after visitors were let in", p->name, late);
	return false;
}

bool
co_procedure_check(const struct co_procedure *procedure, char *why, size_t size)
{
	if (!table_check(procedure, procedure->steps, why, size)) return false;
	return procedure->recovery == NULL ||
	       table_check(procedure, procedure->recovery, why, size);
}
