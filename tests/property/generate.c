/* SPDX-License-Identifier: MIT */
/*
 * A plan from a seed. Places where something begins or ends are likelier than others, and so are pieces
 * that lie close to each other.
 */
#include <string.h>

#include "world.h"

struct maker {
	struct numbers numbers;
	struct plan *plan;
	bool stops; /* requests may be cancelled, time out, depend on each other */
};

static uint32_t below(struct maker *m, uint32_t n)
{
	return numbers_below(&m->numbers, n);
}

/* In so many of a hundred. */
static bool percent(struct maker *m, uint32_t n)
{
	return below(m, 100) < n;
}

static unsigned weighted(struct maker *m, const uint8_t *weights, unsigned n)
{
	unsigned sum = 0, i = 0;

	for (unsigned k = 0; k < n; k++)
		sum += weights[k];
	for (unsigned at = below(m, sum); at >= weights[i]; i++)
		at -= weights[i];
	return i;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* A little before or behind. */
static uint64_t near(struct maker *m, uint64_t at)
{
	switch (below(m, 4)) {
	case 0:
		return at;
	case 1:
		return at - below(m, 20);
	case 2:
		return at + below(m, 20);
	default:
		return at + below(m, 0x1800) - 0xc00;
	}
}

static uint64_t place_in_store(struct maker *m)
{
	static const uint32_t edges[] = {
		0,       0x1003,  0x1004,  TABLES_END,     0x10000, 0x10000 + 2400, 0x10f80,
		0x11000, 0x12000, 0x12ee0, 0x13000,        0x13100, 0x14000,        0x15800,
		0x16801, 0x18801, 0x1af00, LAYOUT_END_LEN, 0x1ffff, 0x20000,        0x23000
	};

	if (percent(m, 50))
		return near(m, edges[below(m, sizeof(edges) / sizeof(edges[0]))]);
	return percent(m, 85) ? 0x10000 + below(m, 0x10100) : below(m, 0x20100);
}

static uint64_t place_in_base(struct maker *m, const struct plan_node *node)
{
	if (node->n_bad && percent(m, 40)) {
		const struct plan_bad *bad = &node->bad[below(m, node->n_bad)];
		return near(m, bad->addr + (percent(m, 50) ? bad->len : 0));
	}
	if (percent(m, 1))
		return UINT64_MAX - below(m, 100);
	if (node->kind <= NODE_MEMORY && node->variant % LAYOUTS == 6)
		return LAYOUT_HIGH_AT + place_in_store(m);
	if (node->kind == NODE_FILE && node->variant % LAYOUTS == LAYOUT_BIG)
		return below(m, STORE_BIG);
	return place_in_store(m);
}

static uint64_t place_in_tables(struct maker *m)
{
	switch (below(m, 10)) {
	case 0:
		return VA_LARGE + place_in_store(m);
	case 1:
		return VA_HUGE + place_in_store(m);
	case 2:
		return VA_ODD + below(m, 4) * UINT64_C(0x200000) + below(m, 16) * PAGE +
		       below(m, 0x1000);
	case 3:
		return near(m, VA_HIGH + below(m, 5) * PAGE);
	case 4:
		return near(m, VA_PAGES + VA_N_PAGES * PAGE);
	case 5:
		return percent(m, 50) ? numbers_next(&m->numbers)
				      : UINT64_C(0x7fffffffff00) + below(m, 0x200);
	default:
		return near(m, VA_PAGES + below(m, VA_N_PAGES) * PAGE);
	}
}

static uint64_t place(struct maker *m, unsigned i)
{
	const struct plan_node *node = &m->plan->nodes[i];

	switch (node->kind) {
	case NODE_PAGING:
		return place_in_tables(m);
	case NODE_LAYER:
		return place(m, node->below);
	case NODE_REMAP: {
		if (!node->n_stretches)
			return place_in_store(m);
		const struct plan_stretch *s = &node->stretches[below(m, node->n_stretches)];
		if (percent(m, 40))
			return near(m, s->addr + (percent(m, 50) ? s->len : 0));
		return s->addr +
		       (s->len < UINT32_MAX ? below(m, (uint32_t)s->len) : below(m, 0x20000));
	}
	default:
		return place_in_base(m, node);
	}
}

/* ---- the tree ---------------------------------------------------------------------------------- */

static void make_bad(struct maker *m, struct plan_node *node)
{
	static const int32_t codes[] = { SONDE_E_IO,        SONDE_E_NOT_SAVED, SONDE_E_PAGED_OUT,
					 SONDE_E_NO_ACCESS, SONDE_E_GONE,      SONDE_E_TRUNCATED,
					 SONDE_E_CORRUPT,   SONDE_E_NOT_MAPPED };
	static const uint32_t lens[] = { 1, 1, 3, 16, 100, 0x300, 0x1000, 0x1234 };
	struct plan_bad *bad = &node->bad[node->n_bad++];

	*bad = (struct plan_bad){ .addr = place_in_store(m),
				  .len = lens[below(m, 8)],
				  .err = codes[below(m, 8)] };
	if (node->kind > NODE_MEMORY && percent(m, 20))
		bad->kind = (uint8_t)(1 + below(m, BAD_KINDS - 1));
	/* Tables are missing by the page: a walk reads several entries at once, and all that lie behind one that
	 * fails in the same trip fail with it. */
	if (bad->addr < TABLES_END && bad->addr + bad->len > TABLES_AT) {
		bad->addr = bad->kind == BAD_ERROR ? bad->addr / PAGE * PAGE : 0x10000 + bad->addr;
		bad->len = bad->kind == BAD_ERROR ? PAGE : bad->len;
	}
}

static void make_base(struct maker *m, struct plan_node *node)
{
	static const uint8_t kinds[] = { 45, 20, 12, 23 }, manners[MANNERS] = { 30, 20, 25, 20, 5 };

	node->kind = (uint8_t)weighted(m, kinds, 4);
	if (node->kind == NODE_FILE)
		node->variant = (uint8_t)(percent(m, 1) && percent(m, 25) ? LAYOUT_BIG
									  : below(m, LAYOUT_BIG));
	else if (node->kind == NODE_SUBMIT)
		node->variant = (uint8_t)(weighted(m, manners, MANNERS) + MANNERS * below(m, 2));
	else
		node->variant = (uint8_t)below(m, LAYOUT_BIG);
	while (node->kind != NODE_FILE && node->n_bad < BAD_MAX && percent(m, 30))
		make_bad(m, node);
}

static void add_stretch(struct maker *m, unsigned i, uint64_t *at)
{
	static const uint32_t lens[] = { 1, 16, 0x300, 0xfff, 0x1001, 0x3000, 0x5000, 0x8000 };
	static const uint32_t gaps[] = { 0, 0, 0, 1, 0x40, 0x800 };
	struct plan_node *node = &m->plan->nodes[i];
	uint8_t to = (uint8_t)(percent(m, 60) ? node->below : below(m, i));

	*at += gaps[below(m, 6)];
	struct plan_stretch s = { *at, lens[below(m, 8)], place(m, to), to };
	if (s.at + (s.len - 1) < s.at)
		s.at -= s.len;
	*at += s.len;
	node->stretches[node->n_stretches++] = s;
}

static void make_remap(struct maker *m, unsigned i)
{
	struct plan_node *node = &m->plan->nodes[i];
	uint64_t at = percent(m, 80) ? 0x10000 : UINT64_MAX - 0x18000;
	unsigned n = 1 + below(m, STRETCHES_MAX);

	if (percent(m, 60)) {
		bool all = percent(m, 30);
		node->stretches[node->n_stretches++] =
			(struct plan_stretch){ .len = all ? STORE_FIRST : TABLES_END,
					       .node = node->below };
		at = all && at == 0x10000 ? STORE_FIRST : at;
	}
	while (node->n_stretches < n)
		add_stretch(m, i, &at);
}

static void make_over(struct maker *m, unsigned i)
{
	static const uint8_t kinds[] = { 35, 30, 35 };
	struct plan_node *node = &m->plan->nodes[i];

	node->kind = (uint8_t)(NODE_PAGING + weighted(m, kinds, 3));
	node->below = (uint8_t)(percent(m, 70) ? i - 1 : below(m, i));
	if (node->kind == NODE_REMAP)
		make_remap(m, i);
	else if (node->kind == NODE_PAGING)
		node->variant = (uint8_t)below(m, 2);
	else
		node->variant =
			(uint8_t)below(m, n_layer_kinds - (percent(m, 70) ? LAYERS_COSTLY : 0));
}

static void make_tree(struct maker *m)
{
	static const uint8_t bases[] = { 70, 25, 5 }, overs[] = { 30, 30, 20, 15, 5 };
	struct plan *plan = m->plan;
	unsigned n_bases = 1 + weighted(m, bases, 3), n_overs = weighted(m, overs, 5);

	for (unsigned i = 0; i < n_bases; i++)
		make_base(m, &plan->nodes[plan->n_nodes++]);
	for (unsigned i = 0; i < n_overs && plan->n_nodes < NODES_MAX; i++, plan->n_nodes++)
		make_over(m, plan->n_nodes);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static uint32_t length(struct maker *m)
{
	static const uint8_t weights[] = { 15, 30, 25, 15, 8, 3, 4 };

	switch (weighted(m, weights, 7)) {
	case 0:
		return 1;
	case 1:
		return 2 + below(m, 15);
	case 2:
		return 17 + below(m, 284);
	case 3:
		return 301 + below(m, 3796);
	case 4:
		return 4097 + below(m, 4904);
	case 5:
		return 8191 + below(m, 4);
	default:
		return 9000 + below(m, 14000);
	}
}

/* Where a piece goes that has something to do with the one before. */
static uint64_t beside(struct maker *m, const struct plan_piece *before, uint32_t len)
{
	switch (below(m, 6)) {
	case 0:
		return before->addr;
	case 1:
		return before->addr - len;
	case 2:
		return before->addr + before->len / 2;
	case 3:
		return before->addr + before->len + below(m, 2000);
	case 4:
		return before->addr / PAGE * PAGE + below(m, 0x1000);
	default:
		return before->addr + before->len;
	}
}

static void repeat(struct maker *m, struct plan_piece *piece)
{
	int32_t len = (int32_t)piece->len;
	const int32_t strides[] = { len, len, len + 1, len - 1, 0,    8,
				    64,  512, 1100,    4096,    -len, len + 900 };

	piece->stride = strides[below(m, 12)];
	if (below(m, 1200) == 0) {
		piece->repeat = (uint16_t)(1000 + below(m, 4500));
		piece->len = 1 + below(m, 16);
		piece->stride = (int32_t[]){ (int32_t)piece->len, 8, 25, 1 }[below(m, 4)];
	} else if (percent(m, 10)) {
		piece->repeat = (uint16_t)(2 + below(m, len < 300 ? 40 : 4));
	}
}

static void make_piece(struct maker *m, struct plan_request *r, unsigned i)
{
	struct plan_piece *piece = &r->pieces[i];
	const struct plan_node *node;

	piece->node = (uint8_t)(percent(m, 50) ? r->node : below(m, m->plan->n_nodes));
	unsigned in = door_is_batch(r->door) ? piece->node : r->node;
	node = &m->plan->nodes[in];
	piece->len = length(m);
	piece->repeat = 1;
	if (node->kind == NODE_FILE && node->variant == LAYOUT_BIG && percent(m, 20))
		piece->len = 1 + below(m, 2500000);
	else
		repeat(m, piece);
	piece->addr = i && percent(m, 60) ? beside(m, &r->pieces[i - 1], piece->len) : place(m, in);
	r->n_pieces++;
}

static void make_stops(struct maker *m, struct plan_request *r, unsigned i)
{
	if (percent(m, 15))
		r->deadline = (uint8_t)(LIMIT_PAST + below(m, 2));
	if (percent(m, 12))
		r->cancels = (uint8_t)below(m, REQUESTS_MAX);
	if (percent(m, 12))
		r->submits = (uint8_t)(i + 1 + below(m, 2));
	r->stop_early = (r->door == DOOR_FRAGMENTS || door_is_stream(r->door)) && percent(m, 15);
	r->child = r->door == DOOR_TASK && percent(m, 30);
}

static void make_request(struct maker *m, unsigned i)
{
	static const uint8_t doors[DOORS] = { 34, 24, 9, 13, 5, 4, 4, 4, 3 };
	static const uint8_t n_pieces[] = { 3, 45, 17, 13, 9, 7, 6 };
	struct plan *plan = m->plan;
	struct plan_request *r = &plan->requests[i];

	r->door = (uint8_t)weighted(m, doors, DOORS);
	r->node = (uint8_t)(percent(m, 60) ? plan->n_nodes - 1u : below(m, plan->n_nodes));
	r->write = !door_is_batch(r->door) && percent(m, 30);
	r->cancels = r->submits = NOBODY;
	r->yields = percent(m, 20) ? (uint8_t)(1 + below(m, 3)) : 0;
	unsigned n = weighted(m, n_pieces, 7);
	while (r->n_pieces < n)
		make_piece(m, r, r->n_pieces);
	if (m->stops)
		make_stops(m, r, i);
}

static void add_step(struct plan *plan, enum step_kind kind, uint32_t arg, uint32_t value)
{
	if (plan->n_steps < STEPS_MAX)
		plan->steps[plan->n_steps++] =
			(struct plan_step){ (uint8_t)kind, (uint8_t)arg, value };
}

static void make_steps(struct maker *m)
{
	struct plan *plan = m->plan;
	unsigned n = plan->n_requests;

	for (unsigned i = 0; i < n; i++) {
		if (percent(m, 4))
			add_step(plan, STEP_BORROW, i, 1 + below(m, 5000));
		if (percent(m, 2))
			add_step(plan, STEP_TRIM, below(m, plan->n_nodes), 0);
		if (percent(m, 3))
			add_step(plan, STEP_INVALIDATE, below(m, plan->n_nodes), 0);
		add_step(plan, STEP_SUBMIT, i, 0);
		if (m->stops && percent(m, 12))
			add_step(plan, STEP_CUT, 0, 0x10000 + below(m, 0x10000));
		if (m->stops && percent(m, 25))
			add_step(plan, STEP_CANCEL, below(m, i + 1), 0);
		if (percent(m, 20))
			add_step(plan, STEP_TURN, 0, 0);
		if (m->stops && percent(m, 15))
			add_step(plan, STEP_CANCEL, below(m, i + 1), 0);
		if (percent(m, 5))
			add_step(plan, STEP_BARRIER, 0, 0);
	}
}

static uint8_t choose_loop(struct maker *m)
{
	uint8_t weights[64];

	for (unsigned i = 0; i < n_loop_kinds; i++)
		weights[i] = (uint8_t)loop_kinds[i].weight;
	return (uint8_t)weighted(m, weights, n_loop_kinds);
}

void plan_generate(struct plan *plan, uint64_t seed)
{
	static const uint8_t requests[] = { 35, 25, 15, 10, 5, 3, 2, 2, 2, 1 };
	struct maker m = { .numbers = { seed }, .plan = plan };

	memset(plan, 0, sizeof(*plan));
	plan->seed = seed;
	plan->loop = choose_loop(&m);
	plan->fresh = below(&m, 500) == 0;
	m.stops = percent(&m, 40);
	make_tree(&m);
	plan->n_requests = (uint8_t)(1 + weighted(&m, requests, REQUESTS_MAX));
	for (unsigned i = 0; i < plan->n_requests; i++)
		make_request(&m, i);
	make_steps(&m);
}
