/* SPDX-License-Identifier: MIT */
/* Pages and their eviction; frames.h says by which rule. */
#include "frames.h"

#include "../common/memory.h"
#include "room.h"

static uint32_t slot_of(const struct frames *frames, uint64_t number)
{
	/* Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4. */
	return (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (frames->n_slots - 1);
}

int frames_init(struct frames *frames, uint32_t n)
{
	*frames = (struct frames){ .n = n, .n_slots = 64, .n_small_max = n / 10 + 1 };
	while (frames->n_slots < n)
		frames->n_slots *= 2;
	frames->bytes = room_map((size_t)n * CACHE_PAGE);
	frames->at = mem_alloc(n, sizeof(*frames->at));
	frames->slots = mem_alloc(frames->n_slots, sizeof(struct frame *));
	frames->ghosts = mem_alloc(frames->n_slots, sizeof(*frames->ghosts));
	if (!frames->bytes || !frames->at || !frames->slots || !frames->ghosts)
		return -1;
	for (uint32_t i = n; i-- > 0;) {
		frames->at[i].bytes = frames->bytes + (size_t)i * CACHE_PAGE;
		frames->at[i].older = frames->free;
		frames->free = &frames->at[i];
	}
	return 0;
}

void frames_finish(struct frames *frames)
{
	room_unmap(frames->bytes, (size_t)frames->n * CACHE_PAGE);
	mem_release(frames->at);
	mem_release(frames->slots);
	mem_release(frames->ghosts);
}

struct frame *frames_find(const struct frames *frames, uint64_t number)
{
	struct frame *frame = frames->slots[slot_of(frames, number)];

	while (frame && frame->number != number)
		frame = frame->chain;
	return frame;
}

/* ---- queues -------------------------------------------------------------------------------------- */

static struct frame_queue *queue_of(struct frames *frames, const struct frame *frame)
{
	return frame->place == FRAME_SMALL ? &frames->small : &frames->main;
}

static void push(struct frames *frames, struct frame *frame, enum frame_place place)
{
	frame->place = (uint8_t)place;
	struct frame_queue *queue = queue_of(frames, frame);
	frame->newer = NULL;
	frame->older = queue->newest;
	if (queue->newest)
		queue->newest->newer = frame;
	else
		queue->oldest = frame;
	queue->newest = frame;
	queue->n++;
}

static void pull(struct frames *frames, struct frame *frame)
{
	struct frame_queue *queue = queue_of(frames, frame);

	if (frame->newer)
		frame->newer->older = frame->older;
	else
		queue->newest = frame->older;
	if (frame->older)
		frame->older->newer = frame->newer;
	else
		queue->oldest = frame->newer;
	queue->n--;
}

static void set_free(struct frames *frames, struct frame *frame)
{
	struct frame **link = &frames->slots[slot_of(frames, frame->number)];

	while (*link != frame)
		link = &(*link)->chain;
	*link = frame->chain;
	frame->place = FRAME_FREE;
	frame->older = frames->free;
	frames->free = frame;
}

/* ---- ghosts ---------------------------------------------------------------------------------------- */

static void remember(struct frames *frames, uint64_t number)
{
	frames->ghosts[slot_of(frames, number)] = (struct ghost){ number, ++frames->n_left };
}

/* Did it leave not longer ago than as many others as the main queue holds? */
static int is_remembered(const struct frames *frames, uint64_t number)
{
	const struct ghost *ghost = &frames->ghosts[slot_of(frames, number)];

	return ghost->left && ghost->number == number &&
	       frames->n_left - ghost->left < frames->n - frames->n_small_max;
}

/* ---- eviction -------------------------------------------------------------------------------------- */

/* Returns 1 when one has gone: those asked for more than once go on into the main queue. */
static int evict_small(struct frames *frames)
{
	struct frame *frame;

	while ((frame = frames->small.oldest) != NULL) {
		pull(frames, frame);
		if (frame->uses > 1) {
			frame->uses = 0;
			push(frames, frame, FRAME_MAIN);
			continue;
		}
		remember(frames, frame->number);
		set_free(frames, frame);
		return 1;
	}
	return 0;
}

/* Each use is good for one more round. */
static int evict_main(struct frames *frames)
{
	struct frame *frame;

	while ((frame = frames->main.oldest) != NULL) {
		pull(frames, frame);
		if (frame->uses == 0) {
			set_free(frames, frame);
			return 1;
		}
		frame->uses--;
		push(frames, frame, FRAME_MAIN);
	}
	return 0;
}

/* What is coming counts as part of the small queue, so that a large batch cannot drain the main one. */
static int make_room(struct frames *frames)
{
	int gone;

	if (frames->small.n + frames->n_coming >= frames->n_small_max)
		gone = evict_small(frames);
	else
		gone = evict_main(frames) || evict_small(frames);
	frames->n_evicted += (uint64_t)gone;
	return gone;
}

struct frame *frames_take(struct frames *frames, uint64_t number)
{
	if (!frames->free && !make_room(frames))
		return NULL;
	struct frame *frame = frames->free, **slot = &frames->slots[slot_of(frames, number)];
	frames->free = frame->older;
	frame->number = number;
	frame->place = FRAME_COMING;
	frame->uses = 0;
	frame->err = 0;
	frame->waits = NULL;
	frame->chain = *slot;
	*slot = frame;
	frames->n_coming++;
	frames->last = frame;
	return frame;
}

void frames_arrived(struct frames *frames, struct frame *frame)
{
	frames->n_coming--;
	push(frames, frame, is_remembered(frames, frame->number) ? FRAME_MAIN : FRAME_SMALL);
}

void frames_drop(struct frames *frames, struct frame *frame)
{
	if (frame->place == FRAME_COMING) {
		frames->n_coming--;
	} else {
		if (frame->uses || frame->place == FRAME_MAIN)
			remember(frames, frame->number);
		pull(frames, frame);
	}
	set_free(frames, frame);
}

void frames_trim(struct frames *frames)
{
	for (uint32_t i = 0; i < frames->n; i++) {
		struct frame *frame = &frames->at[i];
		if (frame->place == FRAME_SMALL || frame->place == FRAME_MAIN)
			frames_drop(frames, frame);
	}
	/* Those that are coming are read into: their pages stay. */
	if (frames->n_coming == 0)
		room_trim(frames->bytes, (size_t)frames->n * CACHE_PAGE);
}
