/* procs.h - finds processes and listeners in /proc. Blocking in principle, fast in fact: files of
 * the kernel's memory. Zombies are not processes: they hold nothing and do nothing. */
#ifndef AG_WORLD_PROCS_H
#define AG_WORLD_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AG_PIDS_MAX 256

struct ag_pids {
	unsigned count;
	pid_t pids[AG_PIDS_MAX];
};

/* Each once; what is too much is dropped. */
void ag_pids_add(struct ag_pids *pids, pid_t pid);

/* Who else is to be found: asked about each that is found by nothing else. */
struct ag_procs_also {
	bool (*is)(void *arg, pid_t pid, pid_t parent, uint64_t born);
	void *arg;
};

/* Whose environment has both entries ("NAME=value"), whose session is this one (0: none), those of `also`
 * (NULL: nobody), and all that descend from these. We are never among them. More than AG_PIDS_MAX are cut:
 * they are ended in turns. */
void ag_procs_find(const char *const marks[2], pid_t session, const struct ag_procs_also *also,
		   struct ag_pids *ret);
bool ag_pids_has(const struct ag_pids *pids, pid_t pid);
/* Those whose parent it is. */
void ag_procs_children(pid_t parent, struct ag_pids *ret);

/* The start time of a live process in ticks since boot; 0: there is none. */
uint64_t ag_procs_born(pid_t pid);
/* Of all of them: memory of their own, and processor time since they began. */
void ag_procs_use(const struct ag_pids *pids, uint64_t *ret_memory_bytes, uint64_t *ret_cpu_us);
/* The kernel's name for this boot. */
void ag_procs_boot(char *dst, size_t size);

/* 0: there is none. */
pid_t ag_procs_parent(pid_t pid);
/* Does it carry the mark of an agent, this or another? */
bool ag_procs_has_agent(pid_t pid);
/* Is there an entry in its environment that begins so? */
bool ag_procs_has_entry(pid_t pid, const char *begin);
/* Its command line with blanks between the words; false: it has none. May hold secrets. */
bool ag_procs_title(pid_t pid, char *dst, size_t size);
/* "process 123 (node index.js, user www)": what tells it to people. Of its arguments only the first
 * that is no option, for others may be secrets. Returns dst. */
char *ag_procs_describe(pid_t pid, char *dst, size_t size);

#endif
