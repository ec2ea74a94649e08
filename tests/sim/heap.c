/* heap.c - a binary heap. */
#include "tests/sim/heap.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/cleanup.h"

struct sim_heap {
	struct sim_event *events;
	size_t count, room;
	uint64_t made;
};

struct sim_heap *
sim_heap_new(void)
{
	return fm_new(struct sim_heap, 1);
}

void
sim_heap_clear(struct sim_heap *heap)
{
	for (size_t i = 0; i < heap->count; i++) free(heap->events[i].data);
	heap->count = 0;
	heap->made = 0;
}

void
sim_heap_free(struct sim_heap *heap)
{
	if (heap == NULL) return;
	sim_heap_clear(heap);
	free(heap->events);
	free(heap);
}

static bool
is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void
swap(struct sim_event *a, struct sim_event *b)
{
	struct sim_event c = *a;

	*a = *b;
	*b = c;
}

void
sim_heap_push(struct sim_heap *heap, struct sim_event event)
{
	size_t i = heap->count;

	if (heap->count == heap->room) {
		heap->room = heap->room == 0 ? 256 : heap->room * 2;
		heap->events = realloc(heap->events, heap->room * sizeof(*heap->events));
		CHECK(heap->events != NULL);
	}
	event.order = heap->made++;
	heap->events[heap->count++] = event;
	for (; i > 0 && is_before(&heap->events[i], &heap->events[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&heap->events[i], &heap->events[(i - 1) / 2]);
}

bool
sim_heap_pop(struct sim_heap *heap, struct sim_event *ret)
{
	size_t i = 0;

	if (heap->count == 0) return false;
	*ret = heap->events[0];
	heap->events[0] = heap->events[--heap->count];
	for (;;) {
		size_t least = i, left = 2 * i + 1;

		for (size_t k = left; k < left + 2 && k < heap->count; k++)
			if (is_before(&heap->events[k], &heap->events[least])) least = k;
		if (least == i) return true;
		swap(&heap->events[i], &heap->events[least]);
		i = least;
	}
}
