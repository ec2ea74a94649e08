/* heap.h - events by time, and by the order of their making within one time. */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdbool.h>

#include "tests/sim/world.h"

struct sim_heap *sim_heap_new(void);
void sim_heap_free(struct sim_heap *heap);
void sim_heap_clear(struct sim_heap *heap); /* frees the events' data */
void sim_heap_push(struct sim_heap *heap, struct sim_event event);
bool sim_heap_pop(struct sim_heap *heap, struct sim_event *ret);

#endif
