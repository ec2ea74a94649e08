/* docker_logs.h - the container's output, streamed into the agent's log file as if the application were
 * a process of ours. */
#ifndef AG_RUNTIMES_DOCKER_LOGS_H
#define AG_RUNTIMES_DOCKER_LOGS_H

#include <stdbool.h>

struct ag_docker_logs;
struct ag_engine;

struct ag_docker_logs *ag_docker_logs_new(const char *log_file);
void ag_docker_logs_free(struct ag_docker_logs *logs);

/* Follows this container from where the file ends; one that is followed already stays so. When the
 * stream ends, the next call begins it again. */
void ag_docker_logs_follow(struct ag_docker_logs *logs, struct ag_engine *engine, const char *id,
			   bool has_terminal);
/* Before the engine is freed. */
void ag_docker_logs_end(struct ag_docker_logs *logs);

#endif
