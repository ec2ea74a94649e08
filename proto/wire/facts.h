/* facts.h - what must be alike on all nodes of a cluster, as the cores see it; the meaning of each field
 * is written in proto/schema/agent.proto. */
#ifndef FM_WIRE_FACTS_H
#define FM_WIRE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/ask.h"

#define FM_SALT_SIZE 33	   /* hexadecimal */
#define FM_ROWS_SIZE 12288 /* nocobase: 95 packages of plugins are 3.3 KiB */

struct fm_node_facts {
	bool known;
	char salt[FM_SALT_SIZE];
	char environment[FM_ROWS_SIZE], plugins[FM_ROWS_SIZE];
	char storage[FM_NAME_SIZE], storage_on[FM_TEXT_SIZE], worker_mode[FM_NAME_SIZE];
	uint64_t storage_inode;
	uint64_t disk_free, disk_size;
	int64_t clock_ms;
	char fault[FM_TEXT_SIZE];
	char hooks[FM_TEXT_SIZE];
	bool hooks_break;
};

#endif
