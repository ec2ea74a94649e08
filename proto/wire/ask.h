/* ask.h - asks and reports as the cores see them: plain values of bounded size, no pointers, so that
 * they can be copied, compared and made up by a simulator. proto/wire/convert.h turns them into
 * the messages of proto/schema/ and back; the meaning of each field is written there. */
#ifndef FM_WIRE_ASK_H
#define FM_WIRE_ASK_H

#include <stdbool.h>
#include <stdint.h>

#define FM_NAME_SIZE 64
#define FM_VERSION_SIZE 64
#define FM_TEXT_SIZE 480
#define FM_RELEASES_MAX 16
#define FM_NODES_MAX 32 /* NocoBase gives worker ids 0..31 */
#define FM_GATES_MAX 8
#define FM_BYPASS_KEY_SIZE 32
#define FM_SQL_SIZE 200
#define FM_HOOKS_TOLD 4
#define FM_HOOK_SIZE 24

/* Every enum that reaches a log or a screen has its names beside it. Values equal the schema's. */
#define FM_APP_GOALS(X) X(NONE, "none") X(STOPPED, "stopped") X(RUNNING, "running")
#define FM_START_MODES(X) X(PLAIN, "plain") X(MIGRATE, "migrate")
#define FM_APP_STATES(X)        \
	X(UNKNOWN, "unknown")   \
	X(STOPPED, "stopped")   \
	X(STARTING, "starting") \
	X(READY, "ready")       \
	X(FAILED, "failed")     \
	X(STOPPING, "stopping") \
	X(REFUSED, "refused")   \
	X(BACKOFF, "backoff")   \
	X(STUCK, "stuck")
#define FM_GATE_MODES(X) X(NONE, "none") X(OPEN, "open") X(CLOSED, "closed") X(PINNED, "pinned")
/* What visitors read, in their language: ngx_module/fm_gate_words.c. */
#define FM_GATE_PHASES(X)         \
	X(NONE, "none")           \
	X(PREPARING, "preparing") \
	X(STOPPING, "stopping")   \
	X(SAVING, "saving")       \
	X(UPDATING, "updating")   \
	X(STARTING, "starting")   \
	X(CHECKING, "checking")   \
	X(RESTORING, "restoring") \
	X(OPENING, "opening")     \
	X(WORKING, "working")

#define X(name, text) FM_APP_GOAL_##name,
enum fm_app_goal { FM_APP_GOALS(X) };
#undef X
#define X(name, text) FM_START_##name,
enum fm_start_mode { FM_START_MODES(X) };
#undef X
#define X(name, text) FM_APP_##name,
enum fm_app_state { FM_APP_STATES(X) };
#undef X
#define X(name, text) FM_GATE_##name,
enum fm_gate_mode { FM_GATE_MODES(X) };
#undef X
#define X(name, text) FM_PHASE_##name,
enum fm_gate_phase { FM_GATE_PHASES(X) FM_PHASE_COUNT };
#undef X

const char *fm_app_goal_name(enum fm_app_goal goal);
const char *fm_start_mode_name(enum fm_start_mode mode);
const char *fm_app_state_name(enum fm_app_state state);
const char *fm_gate_mode_name(enum fm_gate_mode mode);

/* The voice of an ask: a later one replaces, an earlier one is refused. */
struct fm_voice {
	uint64_t epoch, seq;
};

/* <0, 0, >0 as a is earlier, the same, later than b. */
int fm_voice_compare(struct fm_voice a, struct fm_voice b);

struct fm_agent_ask {
	struct fm_voice voice;
	uint64_t run;
	enum fm_app_goal app;
	enum fm_start_mode start;
	char release[FM_VERSION_SIZE];
	char fetch[FM_VERSION_SIZE];
	char snapshot[FM_NAME_SIZE];
	char restore[FM_NAME_SIZE];
	uint64_t restore_serial;
	uint64_t start_serial;
	unsigned keep_count;
	char keep[FM_RELEASES_MAX][FM_VERSION_SIZE];
};

/* How one of the operator's commands ended. */
struct fm_hook_told {
	uint64_t serial; /* 0: none */
	char hook[FM_HOOK_SIZE];
	bool ok, goes_on;
	uint64_t took_ms;
	char text[FM_TEXT_SIZE];
};

struct fm_agent_report {
	struct fm_voice voice;
	char node[FM_NAME_SIZE];
	enum fm_app_state app;
	char current[FM_VERSION_SIZE];
	unsigned release_count;
	char releases[FM_RELEASES_MAX][FM_VERSION_SIZE];
	char running[FM_VERSION_SIZE];
	uint32_t pids;
	char detail[FM_TEXT_SIZE];
	char failure[FM_TEXT_SIZE];
	char database[FM_VERSION_SIZE];
	char fetched[FM_VERSION_SIZE];
	char fetch_failure[FM_TEXT_SIZE];
	char snapshot[FM_NAME_SIZE];
	char snapshot_failure[FM_TEXT_SIZE];
	uint64_t restored_serial;
	char restore_failure[FM_TEXT_SIZE];
	char address[FM_NAME_SIZE];
	char swept[FM_TEXT_SIZE];
	uint64_t ready_ms;
	uint64_t starts;
	uint64_t snapshot_bytes;
	uint64_t swept_seq;
	uint64_t memory_bytes;
	uint32_t cpu_permille;
	char unfit[FM_TEXT_SIZE];
	char sql[FM_SQL_SIZE], sql_waits[FM_SQL_SIZE];
	uint64_t sql_age_ms, signs;
	char hook_failure[FM_TEXT_SIZE];
	struct fm_hook_told hooks[FM_HOOKS_TOLD];
};

struct fm_gate_bypass {
	uint8_t key[FM_BYPASS_KEY_SIZE]; /* zeros: none */
	char node[FM_NAME_SIZE];
	bool shut;
};

struct fm_gate_ask {
	struct fm_voice voice;
	enum fm_gate_mode mode;
	char pinned[FM_NAME_SIZE];
	unsigned drained_count;
	char drained[FM_NODES_MAX][FM_NAME_SIZE];
	uint32_t cut_after_ms;
	char message[FM_TEXT_SIZE];
	char step[FM_TEXT_SIZE];
	char command[FM_NAME_SIZE];
	int64_t back_at;
	uint64_t run;
	bool refresh;
	struct fm_gate_bypass bypass;
	enum fm_gate_phase phase;
	bool estimated;
	bool hole;
};

struct fm_node_traffic {
	char name[FM_NAME_SIZE];
	uint32_t in_flight, websockets, idle;
};

struct fm_gate_report {
	struct fm_voice voice;
	enum fm_gate_mode mode;
	char pinned[FM_NAME_SIZE];
	unsigned drained_count;
	char drained[FM_NODES_MAX][FM_NAME_SIZE];
	unsigned node_count;
	struct fm_node_traffic nodes[FM_NODES_MAX];
	uint32_t in_flight, websockets, idle, workers, generations, bypassed, tabs, held;
	uint64_t passed, refused;
	char error[FM_TEXT_SIZE];
	enum fm_gate_mode override;
	int64_t override_at;
	char override_by[FM_NAME_SIZE];
	bool waiting;
};

#endif
