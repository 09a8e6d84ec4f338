/* SPDX-License-Identifier: MIT */
/*
 * The auto engine's choice for mapped files: copy while nearly all of them is in memory, send to the loop's
 * engine while it is not. Begun with a sample of pages; while copying, page faults that waited for a device ask for
 * another one, while sending, every so many operations do.
 */
#include <stdio.h>

#include "space/connector_space.h"

#define COPIES_A_LOOK 4096u /* pieces between two looks at the faults                      */
#define FAULTS_MAX 64u      /* ... of which that many may wait before a sample is taken    */
#define MOVES_A_LOOK 1024u  /* operations between two samples: they cost a few of them     */

/* Different on the way down and up, so that a file on the border does not go to and fro. */
#define STAY_PERCENT 85u
#define RETURN_PERCENT 95u

static bool has_share(struct residency seen, uint32_t percent)
{
	return (uint64_t)seen.resident * 100 >= (uint64_t)seen.sampled * percent;
}

static void look(struct connector_space *cs, uint32_t percent)
{
	struct by_auto *choice = &cs->choice;

	choice->seen = residency_sample(&cs->maps, &choice->seed);
	bool copy = has_share(choice->seen, percent);
	/* Without memory for sending, copying goes on: slower, never wrong. */
	if (!copy && by_engine_open(cs) < 0)
		copy = true;
	if (choice->copies != copy)
		cs->space.at_once = 0; /* of the other way */
	choice->copies = copy;
	choice->faults = residency_faults();
	choice->pieces = cs->space.stats.pieces;
	choice->moves = cs->space.stats.moves;
}

static void look_at_faults(struct connector_space *cs)
{
	struct by_auto *choice = &cs->choice;
	uint64_t faults = residency_faults();

	choice->pieces = cs->space.stats.pieces;
	if (faults - choice->faults > FAULTS_MAX)
		look(cs, STAY_PERCENT);
	choice->faults = faults;
}

/* Which way the next batch goes. */
static void choose(struct connector_space *cs)
{
	const struct by_auto *choice = &cs->choice;
	const struct sonde_space_stats *stats = &cs->space.stats;

	if (choice->copies && stats->pieces - choice->pieces >= COPIES_A_LOOK)
		look_at_faults(cs);
	else if (!choice->copies && stats->moves - choice->moves >= MOVES_A_LOOK)
		look(cs, RETURN_PERCENT);
}

void by_auto_submit(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);
	bool in_call = space->loop->in_call; /* what may wait would be answered too late */

	if (!in_call)
		choose(cs);
	if (cs->choice.copies || in_call)
		by_extents_inline(space, list);
	else
		by_engine_submit(space, list);
}

int by_auto_submit_at_once(struct sonde_space *space, struct sonde_io *io)
{
	return of_space(space)->choice.copies ? by_extents_submit_at_once(space, io)
					      : by_engine_submit_at_once(space, io);
}

/* What is kept lies in maps, but now they may not be the way any more. */
void by_auto_submit_kept(struct sonde_space *space)
{
	struct connector_space *cs = of_space(space);

	choose(cs);
	if (cs->choice.copies) {
		by_extents_submit_kept(space);
		return;
	}
	struct sonde_io *list = by_extents_take_kept(cs);
	if (list)
		by_engine_submit(space, list);
}

void by_auto_open(struct connector_space *cs)
{
	look(cs, STAY_PERCENT);
}

/* What another has seen of the same files not long ago. */
void by_auto_open_like(struct connector_space *cs, const struct connector_space *from)
{
	struct by_auto *choice = &cs->choice;

	*choice = from->choice;
	choice->faults = residency_faults();
	choice->pieces = choice->moves = 0;
	if (!choice->copies && by_engine_open(cs) < 0)
		choice->copies = true;
}

size_t by_auto_how(const struct connector_space *cs, char *text, size_t cap)
{
	const struct by_auto *choice = &cs->choice;
	const struct sonde_loop *loop = cs->space.loop;
	const char *way = choice->copies ? "copied from maps" : loop->engine_ops->name;
	int n;

	if (!choice->seen.sampled)
		n = snprintf(text, cap, "%s: its files live in memory", way);
	else
		n = snprintf(text, cap, "%s: %u of %u sampled pages are in memory", way,
			     choice->seen.resident, choice->seen.sampled);
	return n < 0 ? 0 : (size_t)n;
}
