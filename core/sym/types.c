/* SPDX-License-Identifier: MIT */
/*
 * Types: names to ids, sizes, members by path, enumerators, over BTF records. types_print.c
 * writes them as C.
 *
 * The records may lie: ids are checked by btf_type_get, chains and nesting are bounded, sizes are
 * computed with overflow checks, a member that sticks out of its structure is no member.
 */
#include "sym/types_internal.h"

#include "sym/name_hash.h"
#include <stdlib.h>
#include <string.h>

#define MAX_MEMBERS_SEEN 100000u /* by one lookup: anonymous structures can multiply */

/* --- handles -------------------------------------------------------------------------------- */

static struct sonde_types *types_create(const char *source)
{
	struct sonde_types *types = calloc(1, sizeof(*types));

	if (!types)
		return NULL;
	types->state = calloc(1, sizeof(*types->state));
	types->source = arena_strndup(&types->arena, source, strlen(source));
	if (!types->state || !types->source) {
		types_destroy(types);
		return NULL;
	}
	return types;
}

void types_destroy(struct sonde_types *types)
{
	if (!types)
		return;
	if (types->resolver)
		types->resolver->close(types->user);
	if (types->state)
		free(types->state->names.slots);
	free(types->state);
	arena_finish(&types->arena);
	free(types);
}

int types_from_btf(const uint8_t *bytes, size_t len, uint32_t flags, const char *source,
		   struct sonde_types **ret, struct sonde_error *err)
{
	struct sonde_types *types = types_create(source);

	if (!types)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "BTF: no memory");
	if (flags & TYPES_COPY) {
		uint8_t *copy = arena_alloc(&types->arena, len);
		if (!copy) {
			types_destroy(types);
			return sonde_error_set(err, SONDE_E_NO_MEMORY,
					       "BTF: no memory for %zu bytes", len);
		}
		memcpy(copy, bytes, len);
		bytes = copy;
	}
	int r = btf_open(bytes, len, &types->arena, &types->state->btf, err);
	if (r < 0) {
		types_destroy(types);
		return r;
	}
	*ret = types;
	return 0;
}

int types_from_resolver(const struct types_resolver *resolver, void *user, const char *source,
			struct sonde_types **ret, struct sonde_error *err)
{
	struct sonde_types *types = types_create(source);

	if (!types)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "types: no memory");
	resolver->view(user, &types->state->btf);
	types->resolver = resolver;
	types->user = user;
	*ret = types;
	return 0;
}

const char *sonde_types_source(const struct sonde_types *types)
{
	return types->source;
}

/* --- names ---------------------------------------------------------------------------------- */

/* What a bare name means first; 0 for what has no complete C name. */
static unsigned name_rank(const struct btf_type *type)
{
	if (!type->name[0])
		return 0;
	switch (type->kind) {
	case BTF_STRUCT:
		return 5;
	case BTF_UNION:
		return 4;
	case BTF_TYPEDEF:
		return 3;
	case BTF_ENUM:
	case BTF_ENUM64:
		return type->vlen ? 2 : 0; /* without enumerators it is a forward declaration */
	case BTF_INT:
	case BTF_FLOAT:
		return 1;
	default:
		return 0;
	}
}

static void insert(struct types_names *names, const char *name, uint32_t id)
{
	uint32_t at = name_hash(name, strlen(name)) & names->mask;

	while (names->slots[at])
		at = (at + 1) & names->mask;
	names->slots[at] = id;
	names->n_used++;
}

/*
 * Room for more names; those that are in stay in the order of their ids. Returns 0 without
 * memory.
 */
static int grow_names(struct types_state *state, uint32_t n)
{
	struct types_names grown = { .mask = name_slots(n) - 1 };
	struct btf_type type;

	grown.slots = calloc((size_t)grown.mask + 1, sizeof(*grown.slots));
	if (!grown.slots)
		return 0;
	grown.n_indexed = state->names.n_indexed ? state->names.n_indexed : 1;
	for (uint32_t id = 1; state->names.n_used && id < grown.n_indexed; id++) {
		btf_type_get(&state->btf, id, &type);
		if (name_rank(&type))
			insert(&grown, type.name, id);
	}
	free(state->names.slots);
	state->names = grown;
	return 1;
}

/*
 * Index the records from n_indexed on. Of a kernel's records one in seven has a name that counts.
 */
static void index_names(struct types_state *state)
{
	struct types_names *names = &state->names;
	const struct btf *btf = &state->btf;
	struct btf_type type;

	if (names->n_indexed >= btf->n_types ||
	    (!names->slots && !grow_names(state, btf->n_types / 6)))
		return;
	for (uint32_t id = names->n_indexed; id < btf->n_types; id++) {
		btf_type_get(btf, id, &type);
		names->n_indexed = id;
		if (!name_rank(&type))
			continue;
		if (names->n_used >= names->mask / 3 * 2 && !grow_names(state, names->n_used * 2))
			return;
		insert(names, type.name, id);
	}
	names->n_indexed = btf->n_types;
}

/*
 * The best type of that name: by rank (all of them, or the one asked for), then the first in the
 * records.
 */
static uint32_t find_indexed(const struct types_state *state, const char *name, unsigned rank)
{
	const struct types_names *names = &state->names;
	uint32_t best = 0;
	unsigned best_rank = 0;
	struct btf_type type;

	if (!names->slots)
		return 0;
	uint32_t at = name_hash(name, strlen(name)) & names->mask;
	for (; names->slots[at]; at = (at + 1) & names->mask) {
		uint32_t id = names->slots[at];
		btf_type_get(&state->btf, id, &type);
		unsigned r = name_rank(&type);
		if ((rank && r != rank) || r <= best_rank || strcmp(type.name, name) != 0)
			continue;
		best = id;
		best_rank = r;
	}
	return best;
}

/* "struct x" to "x" and the rank asked for; 0 for a bare name. */
static const char *split_name(const char *name, unsigned *ret_rank)
{
	static const struct {
		const char *prefix;
		unsigned rank;
	} prefixes[] = { { "struct ", 5 }, { "union ", 4 }, { "enum ", 2 } };

	*ret_rank = 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i].prefix);
		if (strncmp(name, prefixes[i].prefix, len) == 0) {
			*ret_rank = prefixes[i].rank;
			name += len;
			break;
		}
	}
	return name + strspn(name, " ");
}

int sonde_type_find(const struct sonde_types *types, const char *name, uint32_t *ret_type)
{
	struct types_state *state = types->state;
	unsigned rank;
	const char *bare = split_name(name, &rank);

	index_names(state);
	uint32_t id = find_indexed(state, bare, rank);
	if (!id && types->resolver && types->resolver->find(types->user, name)) {
		types->resolver->view(types->user, &state->btf);
		index_names(state);
		id = find_indexed(state, bare, rank);
	}
	if (!id)
		return 0;
	*ret_type = id;
	return 1;
}

static int find_enumerator(const struct btf *btf, const char *name, int64_t *ret)
{
	struct btf_type type;
	struct btf_enumerator e;

	for (uint32_t id = 1; id < btf->n_types; id++) {
		btf_type_get(btf, id, &type);
		if (type.kind != BTF_ENUM && type.kind != BTF_ENUM64)
			continue;
		for (uint32_t i = 0; i < type.vlen; i++) {
			btf_enumerator_get(btf, &type, i, &e);
			if (strcmp(e.name, name) == 0) {
				*ret = e.value;
				return 1;
			}
		}
	}
	return 0;
}

int sonde_type_enumerator(const struct sonde_types *types, const char *name, int64_t *ret)
{
	struct types_state *state = types->state;

	if (!name[0])
		return 0;
	if (find_enumerator(&state->btf, name, ret))
		return 1;
	if (!types->resolver || !types->resolver->find_enumerator(types->user, name))
		return 0;
	types->resolver->view(types->user, &state->btf);
	return find_enumerator(&state->btf, name, ret);
}

/* --- chains and sizes ----------------------------------------------------------------------- */

int types_strip(const struct btf *btf, uint32_t id, uint32_t *ret_id, struct btf_type *ret)
{
	for (unsigned hops = 0; hops < TYPES_MAX_HOPS; hops++) {
		if (!btf_type_get(btf, id, ret))
			return 0;
		switch (ret->kind) {
		case BTF_TYPEDEF:
		case BTF_CONST:
		case BTF_VOLATILE:
		case BTF_RESTRICT:
		case BTF_TYPE_TAG:
		case BTF_VAR:
			id = ret->ref;
			break;
		default:
			*ret_id = id;
			return 1;
		}
	}
	return 0;
}

int64_t types_size(const struct btf *btf, uint32_t id)
{
	int64_t total = 1;

	for (unsigned hops = 0; hops < TYPES_MAX_HOPS; hops++) {
		struct btf_type type;
		struct btf_array array;
		int64_t size;
		if (!types_strip(btf, id, &id, &type))
			return -1;
		switch (type.kind) {
		case BTF_ARRAY:
			btf_array_get(btf, &type, &array);
			if (__builtin_mul_overflow(total, (int64_t)array.n, &total))
				return -1;
			id = array.elem;
			continue;
		case BTF_PTR:
			size = btf->pointer_size;
			break;
		case BTF_INT:
		case BTF_STRUCT:
		case BTF_UNION:
		case BTF_ENUM:
		case BTF_ENUM64:
		case BTF_FLOAT:
		case BTF_DATASEC:
			size = type.size;
			break;
		default:
			return -1;
		}
		return __builtin_mul_overflow(total, size, &total) ? -1 : total;
	}
	return -1;
}

int64_t sonde_type_size(const struct sonde_types *types, uint32_t type)
{
	return types_size(&types->state->btf, type);
}

uint32_t types_kind(const struct sonde_types *types, uint32_t id)
{
	struct btf_type type;

	return types_strip(&types->state->btf, id, &id, &type) ? type.kind : BTF_VOID;
}

int types_pointee(const struct sonde_types *types, uint32_t id, uint32_t *ret)
{
	struct btf_type type;

	if (!types_strip(&types->state->btf, id, &id, &type) || type.kind != BTF_PTR)
		return 0;
	*ret = type.ref;
	return 1;
}

int types_array(const struct sonde_types *types, uint32_t id, uint32_t *ret_elem, uint32_t *ret_n)
{
	struct btf_type type;
	struct btf_array array;

	if (!types_strip(&types->state->btf, id, &id, &type) || type.kind != BTF_ARRAY)
		return 0;
	btf_array_get(&types->state->btf, &type, &array);
	*ret_elem = array.elem;
	*ret_n = array.n;
	return 1;
}

/* --- members -------------------------------------------------------------------------------- */

void types_member(const struct btf *btf, const struct btf_type *outer, uint32_t index,
		  struct btf_member *ret)
{
	struct btf_type type;
	uint32_t id, off, width;

	btf_member_get(btf, outer, index, ret);
	if (outer->kflag || !types_strip(btf, ret->type, &id, &type) || type.kind != BTF_INT)
		return;
	btf_int_bits(btf, &type, &off, &width);
	if (!width || width >= (uint64_t)type.size * 8 || ret->bit_off > UINT32_MAX - off)
		return;
	ret->bit_off += off;
	ret->bit_width = width;
}

struct lookup {
	const struct btf *btf;
	const char *name; /* not terminated */
	size_t name_len;
	uint32_t seen; /* members so far */
};

static int name_is(const struct lookup *l, const char *name)
{
	return strncmp(name, l->name, l->name_len) == 0 && !name[l->name_len];
}

/* Bits of a member; -1 when it has no size or sticks out of its structure. */
static int64_t member_bits(const struct btf *btf, const struct btf_type *outer,
			   const struct btf_member *m)
{
	int64_t bits = m->bit_width, outer_bits = (int64_t)outer->size * 8;

	if (!bits) {
		int64_t size = types_size(btf, m->type);
		if (size < 0 || size > (int64_t)outer->size)
			return -1;
		bits = size * 8;
	}
	return m->bit_off <= outer_bits && bits <= outer_bits - m->bit_off ? bits : -1;
}

/* By name in one structure, and in the anonymous ones inside. Adds its offset to ret->bit_off. */
static int find_in(struct lookup *l, const struct btf_type *outer, unsigned depth,
		   struct sonde_member *ret)
{
	struct btf_type inner;
	struct btf_member m;
	uint32_t id;

	for (uint32_t i = 0; i < outer->vlen && l->seen < MAX_MEMBERS_SEEN; i++, l->seen++) {
		types_member(l->btf, outer, i, &m);
		if (m.name[0] ? !name_is(l, m.name) : depth + 1 >= TYPES_MAX_DEPTH)
			continue;
		if (!m.name[0]) {
			if (!types_strip(l->btf, m.type, &id, &inner) ||
			    (inner.kind != BTF_STRUCT && inner.kind != BTF_UNION) ||
			    member_bits(l->btf, outer, &m) < 0 ||
			    !find_in(l, &inner, depth + 1, ret))
				continue;
			ret->bit_off += m.bit_off;
			return 1;
		}
		int64_t bits = member_bits(l->btf, outer, &m);
		if (bits < 0)
			return 0;
		ret->bit_off += m.bit_off;
		ret->bit_size = (uint64_t)bits;
		ret->type = m.type;
		return 1;
	}
	return 0;
}

/* One "[index]" of a path: go to that element. A flexible array takes any index. */
static int step_index(const struct btf *btf, const char **path, struct sonde_member *at)
{
	struct btf_type type;
	struct btf_array array;
	uint32_t id;
	uint64_t index = 0, bits;
	const char *p = *path + 1;

	if (*p == ']')
		return 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		index = index * 10 + (uint64_t)(*p - '0');
		if (index > UINT32_MAX)
			return 0;
	}
	if (*p != ']' || !types_strip(btf, at->type, &id, &type) || type.kind != BTF_ARRAY)
		return 0;
	btf_array_get(btf, &type, &array);
	int64_t size = types_size(btf, array.elem);
	if (size < 0 || (array.n && index >= array.n) ||
	    __builtin_mul_overflow((uint64_t)size, UINT64_C(8), &bits))
		return 0;
	at->bit_size = bits;
	at->type = array.elem;
	*path = p + 1;
	return !__builtin_mul_overflow(bits, index, &bits) &&
	       !__builtin_add_overflow(at->bit_off, bits, &at->bit_off);
}

static int step_name(const struct btf *btf, const char **path, struct sonde_member *at)
{
	struct lookup l = { .btf = btf, .name = *path, .name_len = strcspn(*path, ".[") };
	struct sonde_member inner = { 0 };
	struct btf_type type;
	uint32_t id;

	if (!l.name_len || !types_strip(btf, at->type, &id, &type) ||
	    (type.kind != BTF_STRUCT && type.kind != BTF_UNION) || !find_in(&l, &type, 0, &inner))
		return 0;
	*path += l.name_len;
	inner.bit_off += at->bit_off;
	*at = inner;
	return 1;
}

int sonde_type_member(const struct sonde_types *types, uint32_t type, const char *path,
		      struct sonde_member *ret)
{
	const struct btf *btf = &types->state->btf;
	struct sonde_member at = { .type = type };

	if (!step_name(btf, &path, &at))
		return 0;
	while (*path) {
		if (*path == '[') {
			if (!step_index(btf, &path, &at))
				return 0;
		} else {
			/* step_name stopped at '.', and behind ']' nothing else is allowed. */
			if (*path++ != '.' || !step_name(btf, &path, &at))
				return 0;
		}
	}
	*ret = at;
	return 1;
}
