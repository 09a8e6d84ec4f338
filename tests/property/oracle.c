/* SPDX-License-Identifier: MIT */
/* One function a kind of space. Slow and plain: this is what the library is compared with. */
#include "oracle.h"

#include <string.h>

static void may_fail(struct spot *spot, int32_t err, enum sureness sure)
{
	for (unsigned i = 0; i < 3; i++) {
		if (spot->may[i] == 0) {
			spot->may[i] = err;
			break;
		}
	}
	spot->sure = spot->sure > sure ? spot->sure : sure;
}

/* ---- bases ---------------------------------------------------------------------------------- */

/* The end of a file, where it is now and where it was when this request began. */
static void cut_by_end(const struct world *world, struct store *store, bool second,
		       struct spot *spot)
{
	uint64_t sure = store->now_len, maybe = store->was_len;

	if (store->bytes || second)
		return;
	if (world_maps(world) && maybe < store->file_len)
		maybe = (maybe + PAGE - 1) / PAGE * PAGE;
	if (world_maps(world) && sure < store->file_len && maybe < (sure + PAGE - 1) / PAGE * PAGE)
		maybe = (sure + PAGE - 1) / PAGE * PAGE;
	uint64_t left = spot->off < sure    ? sure - spot->off
			: spot->off < maybe ? maybe - spot->off
					    : spot->len;
	if (spot->off >= sure && spot->off < maybe)
		may_fail(spot, SONDE_E_TRUNCATED, MAYBE_CUT);
	spot->err = spot->off >= maybe && spot->off >= sure ? SONDE_E_TRUNCATED : 0;
	spot->len = left < spot->len ? (uint32_t)left : spot->len;
	if (spot->err)
		spot->store = NULL;
}

/* A walk has read these bytes: they stay as they are. False: they are being written. */
static bool mark_table(struct spot *spot)
{
	bool fine = !store_is_marked(spot->store, spot->off, spot->len, MARK_WRITE);

	store_mark_table(spot->store, spot->off, spot->len);
	return fine;
}

static bool at_base(struct world *world, unsigned node, uint64_t addr, bool write,
		    struct spot *spot)
{
	struct base *base = world->bases[node];
	const struct told *told = base_at(base, addr, spot->len, &spot->len);

	/* A walk may bring what lies around an entry, as far as a page. */
	uint64_t around = !world->walking ? 0 : addr < PAGE ? addr : PAGE;
	spot->lied = base_lies(base, addr - around, spot->len + 2 * (uint32_t)around);
	if (!told)
		spot->err = SONDE_E_NOT_MAPPED;
	else if (told->kind == SONDE_EXTENT_ABSENT)
		spot->err = told->err;
	else if (write && (told->kind == SONDE_EXTENT_ZERO || !(told->flags & SONDE_REGION_WRITE)))
		spot->err = SONDE_E_READ_ONLY;
	if (spot->err || told->kind == SONDE_EXTENT_ZERO)
		return true;
	spot->store = &base->store;
	spot->off = told->off + (addr - told->addr);
	spot->right = base->store.model + spot->off;
	cut_by_end(world, &base->store, base->store.size < STORE_BIG && told->off >= STORE_FIRST,
		   spot);
	return !world->walking || !spot->store || mark_table(spot);
}

/* ---- page tables ------------------------------------------------------------------------------- */

struct walk {
	struct world *world;
	unsigned node;
	unsigned levels;
	bool meets;  /* an entry is being written                                  */
	bool unsure; /* nobody says what an entry is, or whether it is known already */
};

/* One entry as a walk reads it; a hole in it fails with the code of its first byte that is none. */
static int32_t read_entry(struct walk *walk, uint64_t addr, uint64_t *ret)
{
	bool walking = walk->world->walking;
	uint8_t bytes[8] = { 0 };
	int32_t err = 0;

	walk->world->walking = true;
	for (uint32_t off = 0; off < 8 && !err;) {
		struct spot spot;
		walk->meets |= !oracle_piece(walk->world, walk->node, addr, 8, off, false, &spot);
		walk->unsure |= spot.sure != SURE || spot.lied || spot.err == SONDE_E_TRUNCATED;
		/* Of several that fail in a trip only the first has its own code for sure. */
		walk->unsure |= spot.err && addr >= TABLES_END;
		err = spot.err;
		for (uint32_t i = 0; i < spot.len; i++)
			bytes[off + i] = spot.right ? spot.right[i] : 0;
		off += spot.len;
	}
	walk->world->walking = walking;
	memcpy(ret, bytes, 8);
	return err;
}

/* Intel SDM 3A 4.5; what is not present as Linux marks it. */
static int32_t translate(struct walk *walk, uint64_t va, uint64_t *ret_pa)
{
	const uint64_t frame = UINT64_C(0x000ffffffffff000);
	uint64_t table = store_root(walk->levels), entry;

	for (unsigned level = walk->levels; level-- > 0;) {
		unsigned shift = 12 + 9 * level;
		int32_t err = read_entry(walk, table + 8 * (va >> shift & 511), &entry);
		bool large = level > 0 && entry >> 7 & 1;
		if (err)
			return err;
		if (large && level > 2 && entry & 1)
			return SONDE_E_NOT_MAPPED;
		bool leaf = level == 0 || (large && level <= 2);
		if (!(entry & 1) && !(leaf && entry >> 8 & 1))
			return level <= 1 && entry ? SONDE_E_PAGED_OUT : SONDE_E_NOT_MAPPED;
		uint64_t at = (entry & 1 ? entry : ~entry) & frame;
		if (leaf) {
			uint64_t size = UINT64_C(1) << shift;
			/* Below the frame of a large page there is the PAT bit, and the rest is reserved. */
			if (entry & 1 && at % size & ~UINT64_C(0x1000))
				return SONDE_E_NOT_MAPPED;
			*ret_pa = at / size * size + va % size;
			return 0;
		}
		table = at;
	}
	return SONDE_E_NOT_MAPPED;
}

static bool at_paging(struct world *world, unsigned i, uint64_t addr, bool write, struct spot *spot)
{
	const struct plan_node *node = &world->plan->nodes[i];
	struct walk walk = { .world = world, .node = node->below, .levels = 4 + node->variant % 2 };
	unsigned low = walk.levels == 4 ? 16 : 7;
	uint64_t to_end = PAGE - addr % PAGE, pa = 0;

	spot->len = to_end < spot->len ? (uint32_t)to_end : spot->len;
	if ((uint64_t)((int64_t)(addr << low) >> low) != addr)
		spot->err = SONDE_E_NOT_MAPPED;
	else
		spot->err = translate(&walk, addr, &pa);
	if (!spot->err)
		walk.meets |= !oracle_at(world, node->below, pa, spot->len, write, spot);
	if (walk.unsure)
		spot->sure = ANYTHING;
	return !walk.meets;
}

/* ---- the rest ------------------------------------------------------------------------------------ */

static bool at_remap(struct world *world, unsigned i, uint64_t addr, bool write, struct spot *spot)
{
	const struct plan_node *node = &world->plan->nodes[i];

	for (unsigned k = 0; k < node->n_stretches; k++) {
		const struct plan_stretch *s = &node->stretches[k];
		if (addr - s->addr < s->len) {
			uint64_t left = s->len - (addr - s->addr);
			uint32_t len = left < spot->len ? (uint32_t)left : spot->len;
			return oracle_at(world, s->node, s->at + (addr - s->addr), len, write,
					 spot);
		}
	}
	for (unsigned k = 0; k < node->n_stretches; k++) {
		const struct plan_stretch *s = &node->stretches[k];
		if (s->addr > addr && s->addr - addr < spot->len)
			spot->len = (uint32_t)(s->addr - addr);
	}
	spot->err = SONDE_E_NOT_MAPPED;
	return true;
}

static bool at_overlay(struct world *world, unsigned i, uint64_t addr, bool write,
		       struct spot *spot)
{
	const struct plan_node *node = &world->plan->nodes[i];
	struct layer *layer = &world->layers[i];
	const uint8_t *bytes = NULL;
	bool fine = true;
	enum kept_how how = kept_at(layer->kept, addr, spot->len, &spot->len, &bytes);

	/* A write is possible where a read below is; what may not be kept comes from there. */
	if (write || how != KEPT_SURE)
		fine = oracle_at(world, node->below, addr, spot->len, false, spot);
	if (write && layer_kind_of(node)->effect == EFFECT_HOLES) { /* nobody asks */
		spot->err = 0;
		spot->lied = false;
		spot->sure = SURE;
	}
	if (!write && how != KEPT_NOT) {
		spot->right = bytes;
		spot->sure = how == KEPT_UNSURE ? ANYTHING : SURE;
	}
	if (write) {
		spot->kept = layer->kept;
		spot->kept_addr = addr;
	}
	if (world->walking)
		fine &= kept_mark_table(layer->kept, addr, spot->len);
	return fine;
}

/* Only there, and in no other way. */
static bool at_fault(struct world *world, unsigned i, uint64_t addr, bool write, struct spot *spot)
{
	const struct plan_node *node = &world->plan->nodes[i];
	const struct layer_kind *kind = layer_kind_of(node);
	uint64_t left = addr < kind->addr ? kind->addr - addr : kind->addr + kind->len - addr;

	if (addr >= kind->addr && addr - kind->addr >= kind->len)
		return oracle_at(world, node->below, addr, spot->len, write, spot);
	uint32_t len = left < spot->len ? (uint32_t)left : spot->len;
	if (addr < kind->addr)
		return oracle_at(world, node->below, addr, len, write, spot);
	*spot = (struct spot){ .len = len, .err = kind->err };
	if (kind->effect == EFFECT_DROPS)
		oracle_at(world, node->below, addr, len, write, spot);
	spot->lied |= kind->effect == EFFECT_DROPS;
	return true;
}

static bool at_cache(struct world *world, unsigned i, uint64_t addr, bool write, struct spot *spot)
{
	bool fine = oracle_at(world, world->plan->nodes[i].below, addr, spot->len, write, spot);

	/* What was kept before the file was cut may still count. */
	if (spot->sure == MAYBE_CUT || (spot->err == SONDE_E_TRUNCATED && world_is_cut(world)))
		spot->sure = ANYTHING;
	spot->caches |= 1u << i;
	return fine;
}

static bool at_layer(struct world *world, unsigned i, uint64_t addr, bool write, struct spot *spot)
{
	const struct plan_node *node = &world->plan->nodes[i];
	const struct layer_kind *kind = layer_kind_of(node);
	bool fine;

	switch (kind->effect) {
	case EFFECT_OVERLAY:
	case EFFECT_HOLES:
		return at_overlay(world, i, addr, write, spot);
	case EFFECT_FAILS:
	case EFFECT_DROPS:
		return at_fault(world, i, addr, write, spot);
	case EFFECT_KEEPS:
		return at_cache(world, i, addr, write, spot);
	default:
		fine = oracle_at(world, node->below, addr, spot->len, write, spot);
		if (kind->effect == EFFECT_MAY)
			may_fail(spot, kind->err, MAY_FAIL);
		return fine;
	}
}

bool oracle_at(struct world *world, unsigned node, uint64_t addr, uint32_t max, bool write,
	       struct spot *ret)
{
	*ret = (struct spot){ .len = max };
	if (max - 1 > UINT64_MAX - addr)
		ret->len = (uint32_t)(UINT64_MAX - addr) + 1;
	switch (world->plan->nodes[node].kind) {
	case NODE_PAGING:
		return at_paging(world, node, addr, write, ret);
	case NODE_REMAP:
		return at_remap(world, node, addr, write, ret);
	case NODE_LAYER:
		return at_layer(world, node, addr, write, ret);
	default:
		return at_base(world, node, addr, write, ret);
	}
}

bool oracle_piece(struct world *world, unsigned node, uint64_t addr, uint32_t len, uint32_t off,
		  bool write, struct spot *ret)
{
	if (addr + off >= addr)
		return oracle_at(world, node, addr + off, len - off, write, ret);
	*ret = (struct spot){ .len = len - off, .err = SONDE_E_NOT_MAPPED };
	return true;
}
