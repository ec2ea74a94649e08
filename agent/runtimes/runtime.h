/* runtime.h - how the application is run: one table of functions for each way. Everything that knows
 * what a "process of the application" or a "release on this node" is lies behind it; nobody else
 * knows a runtime by name. */
#ifndef AG_RUNTIMES_RUNTIME_H
#define AG_RUNTIMES_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/supervise.h"
#include "agent/settings.h"
#include "agent/work/say.h"
#include "agent/world/disk.h"

#define AG_WORK_RUNTIME "runtime" /* kind of work: what the runtime orders itself */

struct event_base;
struct ag_instance;

struct ag_use {
	uint64_t memory_bytes, cpu_us;
};

struct ag_runtime {
	const char *name;
	bool writes_log; /* the application's output is appended to log_file, which is kept in size */

	/* ---- in the agent's loop: none of these may block ---- */

	/* Finds what an earlier life of the agent started. changed(): something ended by itself,
	 * appeared, or can be seen again; scan() and releases() say what. Never called inside a call. */
	struct ag_instance *(*open)(struct event_base *base, const struct ag_settings *settings,
				    void (*changed)(void *arg), void *arg);
	/* The application lives on. */
	void (*close)(struct ag_instance *instance);
	/* 0: its process is there. 1: under way, started() tells. -1 with err: nothing was started. */
	int (*start)(struct ag_instance *instance, const char *release, enum fm_start_mode mode,
		     struct fm_err *err);
	/* What became of a start that was under way, asked after each changed(): as start(). May be
	 * NULL if no start ever is. The runtime has a limit for it. */
	int (*started)(struct ag_instance *instance, struct fm_err *err);
	void (*signal)(struct ag_instance *instance, enum ag_signal signal);
	/* Everything alive, counted anew; strange: what else is in the way, or "". */
	unsigned (*scan)(struct ag_instance *instance, char *strange, size_t size);
	/* Asked after scan(): what it said means nothing, because who would have to know does not
	 * answer; why. NULL: the runtime always sees. */
	bool (*is_blind)(struct ag_instance *instance, char *why, size_t size);
	/* What the live processes use; false: none is alive, or it is not known. May be NULL. */
	bool (*use)(struct ag_instance *instance, struct ag_use *ret);
	/* Why a start would be refused by what runs it, whatever the release; or "". May be NULL. */
	void (*unfit)(struct ag_instance *instance, char *why, size_t size);
	/* The releases of this node, each with the version that its own code says it has (the guard
	 * compares it), and the one that is switched to. false: not known yet. */
	bool (*releases)(struct ag_instance *instance, struct ag_disk *ret);

	/* ---- of the settings ---- */

	/* Faults of the settings that this runtime needs; fills the defaults that are its own. */
	void (*check)(struct ag_settings *settings, ag_settings_fault *fault, void *arg);

	/* ---- for a person, with the agent at rest; may block. Each may be NULL. ---- */

	/* Is what runs the application fit for it? Changes nothing. */
	int (*inspect)(const struct ag_settings *settings, struct fm_err *err);
	/* What the agent holds is anybody's again; the application lives on. held: its name. */
	int (*let_go)(const struct ag_settings *settings, char *held, size_t size,
		      struct fm_err *err);

	/* ---- in a process of its own (agent/work/work.h); may block, killed at any moment, begun
	 * anew ---- */

	/* Before any work: what of the settings only the runtime can know. May be NULL. */
	int (*prepare)(struct ag_settings *settings, struct fm_err *err);
	/* What the runtime orders of its own children, by ag_worker or not; may be NULL. */
	int (*work)(const struct ag_settings *settings, int argc, char **argv, struct ag_done *ret,
		    struct fm_err *err);
	/* Brings a release here and proves that it is what it is called. What is here already is done
	 * at once. */
	int (*fetch)(const struct ag_settings *settings, const char *version, struct ag_done *ret,
		     struct fm_err *err);
	/* Switches to a release, durably; nothing of the application is alive. What was before stays
	 * for the way back, until it is swept. */
	int (*link)(const struct ag_settings *settings, const char *version, struct ag_done *ret,
		    struct fm_err *err);
	/* Removes releases but those kept (ends with NULL) and the one switched to. ret->text: which. */
	int (*sweep)(const struct ag_settings *settings, const char *const *keep,
		     struct ag_done *ret, struct fm_err *err);
};

extern const struct ag_runtime ag_runtime_process;
extern const struct ag_runtime ag_runtime_systemd;
extern const struct ag_runtime ag_runtime_docker;

/* By the setting, which is one of them. */
const struct ag_runtime *ag_runtime_of(const struct ag_settings *settings);

#endif
