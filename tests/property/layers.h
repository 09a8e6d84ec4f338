/* SPDX-License-Identifier: MIT */
/*
 * The layer plugins as their users load them, in a time of their own: a timer of theirs that is to fire in n ms
 * fires in the nth turn from now. And what the ones that change what is read should have done.
 */
#ifndef TESTS_PROPERTY_LAYERS_H
#define TESTS_PROPERTY_LAYERS_H

#include "base/arena.h"
#include "plan.h"
#include "plug/args.h"
#include "store.h"

struct sonde_loop;
struct sonde_space;

enum layer_effect {
	EFFECT_NONE,    /* what is below, with its outcome                                   */
	EFFECT_OVERLAY, /* writes stay in it                                                 */
	EFFECT_HOLES,   /* ... and may be where nothing is                                   */
	EFFECT_FAILS,   /* [addr, addr + len) fails with err                                 */
	EFFECT_MAY,     /* any piece may fail with err                                       */
	EFFECT_DROPS,   /* a piece that has bytes in [addr, addr + len) is not told in full  */
	EFFECT_KEEPS,   /* pages of below, until they are written through it or invalidated */
};

struct layer_kind {
	const char *text; /* as in a target's name; behind a "file=" at its end comes a new one */
	enum layer_effect effect;
	uint64_t addr, len;
	int32_t err;
};
extern const struct layer_kind layer_kinds[];
extern const unsigned n_layer_kinds;
enum { LAYERS_COSTLY = 2 };

enum { KEPT_PAGES = 24 };

enum kept_how { KEPT_NOT, KEPT_SURE, KEPT_UNSURE /* a write of it was cancelled */ };

enum kept_claim { CLAIM_NONE, CLAIM_WRITE, CLAIM_TABLE };

/* What an overlay should hold: its pages, in the order in which they were first written. */
struct kept {
	struct kept *next;          /* of those that nobody needs now    */
	uint64_t pages[KEPT_PAGES]; /* [n_pages] page numbers            */
	unsigned n_pages;
	uint8_t bytes[KEPT_PAGES * PAGE];
	uint8_t how[KEPT_PAGES * PAGE];     /* enum kept_how */
	uint8_t claimed[KEPT_PAGES * PAGE]; /* enum kept_claim */
};

static inline const struct layer_kind *layer_kind_of(const struct plan_node *node)
{
	return node->kind == NODE_LAYER ? &layer_kinds[node->variant % n_layer_kinds] : NULL;
}

/* Does any connector or layer of the plan break its contract? */
bool plan_lies(const struct plan *plan);

struct layer {
	struct arena arena;
	struct sonde_args args;
	struct sonde_space *space;
	struct kept *kept;
};

/* Load all plugins; false, and why: one cannot be. */
bool layers_load(const char **ret_why);
void layers_unload(void);
void layers_begin_case(void);
/* How many timers of theirs run: none when a case is over. */
unsigned layers_timers(void);

void layer_open(struct layer *layer, unsigned kind, struct sonde_space *below);
void layer_close(struct layer *layer);

/* How it is kept at addr, and for how many of the next max bytes; those are *ret_bytes. */
enum kept_how kept_at(const struct kept *kept, uint64_t addr, uint32_t max, uint32_t *ret_len,
		      const uint8_t **ret_bytes);
/*
 * These bytes are going to be written: their pages are made, if they are new, and hold nothing yet. False: there is no
 * room, or some are being written already.
 */
bool kept_claim(struct kept *kept, uint64_t addr, uint32_t len);
/* A walk has read them, if they are kept: they stay as they are. False: they are being written. */
bool kept_mark_table(struct kept *kept, uint64_t addr, uint32_t len);
/* Everything has ended: nobody writes. */
void kept_settle(struct kept *kept);
/* Claimed bytes are written; bytes NULL: or not, a cancel came between. */
void kept_write(struct kept *kept, uint64_t addr, const uint8_t *bytes, uint32_t len);

#endif
