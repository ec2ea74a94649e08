/* docker_facts.c - what the engine's answers say of the application's container. Pure. */
#include <string.h>

#include "agent/runtimes/docker_spec.h"
#include "agent/runtimes/docker_watch.h"
#include "base/text.h"

void
ag_docker_facts_read(struct ag_docker_facts *f, const json_t *c)
{
	const json_t *labels = ag_docker_at(c, "Config.Labels");
	const char *error = ag_docker_text_at(c, "State.Error");

	FM_COPY(f->id, ag_docker_text_at(c, "Id"));
	FM_COPY(f->image, ag_docker_text_at(c, "Image"));
	f->pid = (pid_t)json_integer_value(ag_docker_at(c, "State.Pid"));
	f->is_running = json_is_true(ag_docker_at(c, "State.Running")) || f->pid > 0;
	f->has_terminal = json_is_true(ag_docker_at(c, "Config.Tty"));
	FM_COPY(f->node, json_string_value(json_object_get(labels, AG_LABEL_NODE)));
	FM_COPY(f->mode, json_string_value(json_object_get(labels, AG_LABEL_MODE)));
	f->ended[0] = '\0';
	if (f->is_running) return;
	FM_FORMAT(f->ended, "exit code %d%s%s%s",
		  (int)json_integer_value(ag_docker_at(c, "State.ExitCode")),
		  json_is_true(ag_docker_at(c, "State.OOMKilled")) ? ", out of memory" : "",
		  error[0] ? ", " : "", error);
}

void
ag_docker_facts_strange(struct ag_docker_facts *f, const json_t *list)
{
	char stem[AG_CONTAINER_NAME + 16];
	json_t *row;
	size_t i;

	f->strange[0] = '\0';
	(void)FM_FORMAT(stem, "%s" AG_KEPT, f->name);
	json_array_foreach(list, i, row)
	{
		const char *name = ag_docker_row_name(row);

		if (strncmp(name, stem, strlen(stem)) == 0 &&
		    strcmp(ag_docker_text_at(row, "State"), "running") == 0)
			FM_FORMAT(f->strange,
				  "container %s runs, which is kept for the way back only: type "
				  "'docker stop %s'",
				  name, name);
	}
}
