/* SPDX-License-Identifier: MIT */
/*
 * Symbols: an array of 16-byte entries by rising address, one blob of names, a hash of
 * names built at the first question by name. Who adds them is kallsyms.c, vmlinux.c and others.
 */
#include "sym/symbols.h"

#include "sym/name_hash.h"
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t addr;
	uint32_t name;   /* offset into names            */
	uint16_t module; /* 0: the kernel                */
	char type;
	uint8_t pad;
};

/* Apart from the handle, because asking is const and builds it. */
struct name_index {
	uint32_t *slots; /* entry number + 1, 0 is free   */
	uint32_t mask;
};

struct sonde_symbols {
	struct entry *entries;
	char *names;
	char **modules; /* [n_modules]; [0] is NULL      */
	struct name_index *index;
	size_t n, cap;
	size_t names_len, names_cap;
	uint32_t n_modules;
};

struct sonde_symbols *symbols_create(size_t n_hint, size_t names_hint)
{
	struct sonde_symbols *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->index = calloc(1, sizeof(*s->index));
	s->modules = calloc(1, sizeof(*s->modules));
	s->n_modules = 1;
	if (n_hint && n_hint <= SYMBOLS_MAX) {
		s->entries = malloc(n_hint * sizeof(*s->entries));
		s->cap = s->entries ? n_hint : 0;
	}
	if (names_hint && names_hint <= SYMBOLS_MAX_NAMES) {
		s->names = malloc(names_hint);
		s->names_cap = s->names ? names_hint : 0;
	}
	if (!s->index || !s->modules) {
		symbols_destroy(s);
		return NULL;
	}
	return s;
}

void symbols_destroy(struct sonde_symbols *s)
{
	if (!s)
		return;
	for (uint32_t i = 1; s->modules && i < s->n_modules; i++)
		free(s->modules[i]);
	if (s->index)
		free(s->index->slots);
	free(s->index);
	free(s->modules);
	free(s->names);
	free(s->entries);
	free(s);
}

int symbols_add_module(struct sonde_symbols *s, const char *name)
{
	if (s->n_modules > SYMBOLS_MAX_MODULES)
		return SONDE_E_LIMIT;
	char **grown = realloc(s->modules, (s->n_modules + 1) * sizeof(*grown));
	if (!grown)
		return SONDE_E_NO_MEMORY;
	s->modules = grown;
	char *copy = strdup(name);
	if (!copy)
		return SONDE_E_NO_MEMORY;
	s->modules[s->n_modules] = copy;
	return (int)s->n_modules++;
}

static int grow_entries(struct sonde_symbols *s)
{
	size_t cap = s->cap ? s->cap * 2 : 1024;
	struct entry *grown = realloc(s->entries, cap * sizeof(*grown));

	if (!grown)
		return SONDE_E_NO_MEMORY;
	s->entries = grown;
	s->cap = cap;
	return 0;
}

static int grow_names(struct sonde_symbols *s, size_t need)
{
	size_t cap = s->names_cap * 2 > need ? s->names_cap * 2 : need + 4096;
	char *grown = realloc(s->names, cap);

	if (!grown)
		return SONDE_E_NO_MEMORY;
	s->names = grown;
	s->names_cap = cap;
	return 0;
}

int symbols_add(struct sonde_symbols *s, uint64_t addr, char type, const char *name, size_t len,
		uint32_t module)
{
	if (module >= s->n_modules)
		return SONDE_E_BAD_ARG;
	if (s->n >= SYMBOLS_MAX || len >= SYMBOLS_MAX_NAMES ||
	    s->names_len > SYMBOLS_MAX_NAMES - len - 1)
		return SONDE_E_LIMIT;
	if (s->n == s->cap && grow_entries(s) < 0)
		return SONDE_E_NO_MEMORY;
	if (len >= s->names_cap - s->names_len && grow_names(s, s->names_len + len + 1) < 0)
		return SONDE_E_NO_MEMORY;

	s->entries[s->n++] = (struct entry){
		.addr = addr,
		.name = (uint32_t)s->names_len,
		.module = (uint16_t)module,
		.type = type,
	};
	memcpy(s->names + s->names_len, name, len);
	s->names[s->names_len + len] = '\0';
	s->names_len += len + 1;
	return 0;
}

static int is_sorted(const struct sonde_symbols *s)
{
	for (size_t i = 1; i < s->n; i++) {
		if (s->entries[i].addr < s->entries[i - 1].addr)
			return 0;
	}
	return 1;
}

/* One stable pass over one byte of the address; 0 when all agree in it and nothing moved. */
static int radix_pass(const struct entry *from, struct entry *to, size_t n, unsigned shift)
{
	size_t at[256] = { 0 }, sum = 0;

	for (size_t i = 0; i < n; i++)
		at[from[i].addr >> shift & 0xff]++;
	if (at[from[0].addr >> shift & 0xff] == n)
		return 0;
	for (unsigned b = 0; b < 256; b++) {
		size_t count = at[b];
		at[b] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i].addr >> shift & 0xff]++] = from[i];
	return 1;
}

int symbols_seal(struct sonde_symbols *s)
{
	if (is_sorted(s))
		return 0;
	struct entry *other = malloc(s->n * sizeof(*other));
	if (!other)
		return SONDE_E_NO_MEMORY;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if (!radix_pass(s->entries, other, s->n, shift))
			continue;
		struct entry *sorted = other;
		other = s->entries;
		s->entries = sorted;
	}
	free(other);
	s->cap = s->n;
	return 0;
}

/* The first entry whose address is not below addr. */
static size_t lower_bound(const struct sonde_symbols *s, uint64_t addr)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->entries[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int is_absolute(const struct entry *e)
{
	return e->type == 'A' || e->type == 'a';
}

/*
 * Up to the next higher address; 0 for the last. Absolute symbols (offsets of per-CPU data, mostly)
 * live in an address space of their own, so the last of them does not reach up to the first real
 * one.
 */
static uint64_t size_of(const struct sonde_symbols *s, size_t i)
{
	const struct entry *e = &s->entries[i];
	size_t next = i + 1;

	if (next < s->n && s->entries[next].addr == e->addr)
		next = e->addr == UINT64_MAX ? s->n : lower_bound(s, e->addr + 1);
	if (next >= s->n || is_absolute(e) != is_absolute(&s->entries[next]))
		return 0;
	return s->entries[next].addr - e->addr;
}

static void fill(const struct sonde_symbols *s, size_t i, struct sonde_symbol *ret)
{
	const struct entry *e = &s->entries[i];

	*ret = (struct sonde_symbol){
		.addr = e->addr,
		.name = s->names + e->name,
		.module = s->modules[e->module],
		.type = e->type,
		.size = size_of(s, i),
	};
}

/*
 * Where an entry goes: a free slot, or that of a lower one of its name, which is the one to be found. Names are compared
 * only far from home, where that pays: modules of riscv64 have 138 000 symbols called .L0, each of which would
 * walk past all before it.
 */
static uint32_t free_slot(const struct sonde_symbols *s, const struct name_index *index,
			  uint32_t home, size_t entry)
{
	enum { NEAR = 8 };
	const char *name = s->names + s->entries[entry].name;
	uint32_t at = home;

	for (uint32_t steps = 0; index->slots[at]; steps++) {
		size_t there = index->slots[at] - 1;
		if (steps >= NEAR && strcmp(s->names + s->entries[there].name, name) == 0)
			break;
		at = (at + 1) & index->mask;
	}
	return at;
}

/*
 * Every insertion lands in another cache line, and whether it is free decides what comes next:
 * hashing a few ahead and asking for their lines halves the time.
 */
static void build_index(const struct sonde_symbols *s, struct name_index *index)
{
	enum { AHEAD = 16 };
	uint32_t n_slots = name_slots((uint32_t)s->n), homes[AHEAD];

	index->slots = calloc(n_slots, sizeof(*index->slots));
	if (!index->slots)
		return;
	index->mask = n_slots - 1;
	for (size_t from = 0; from < s->n; from += AHEAD) {
		size_t n = s->n - from < AHEAD ? s->n - from : AHEAD;
		for (size_t i = 0; i < n; i++) {
			const char *name = s->names + s->entries[from + i].name;
			homes[i] = name_hash(name, strlen(name)) & index->mask;
			__builtin_prefetch(&index->slots[homes[i]], 1);
		}
		for (size_t i = 0; i < n; i++) {
			uint32_t at = free_slot(s, index, homes[i], from + i);
			if (!index->slots[at])
				index->slots[at] = (uint32_t)(from + i) + 1;
		}
	}
}

/* Without memory for an index the answer is the same, only slow. */
static size_t find_slowly(const struct sonde_symbols *s, const char *name)
{
	size_t i = 0;

	while (i < s->n && strcmp(s->names + s->entries[i].name, name) != 0)
		i++;
	return i;
}

/* Entries went in by rising address, so the first that matches is the lowest. */
static size_t find_hashed(const struct sonde_symbols *s, const char *name)
{
	const struct name_index *index = s->index;
	uint32_t at = name_hash(name, strlen(name)) & index->mask;

	for (; index->slots[at]; at = (at + 1) & index->mask) {
		size_t i = index->slots[at] - 1;
		if (strcmp(s->names + s->entries[i].name, name) == 0)
			return i;
	}
	return s->n;
}

int sonde_symbol_find(const struct sonde_symbols *s, const char *name, struct sonde_symbol *ret)
{
	if (!s->index->slots)
		build_index(s, s->index);
	size_t i = s->index->slots ? find_hashed(s, name) : find_slowly(s, name);
	if (i >= s->n)
		return 0;
	fill(s, i, ret);
	return 1;
}

int sonde_symbol_at(const struct sonde_symbols *s, uint64_t addr, struct sonde_symbol *ret)
{
	size_t above = addr == UINT64_MAX ? s->n : lower_bound(s, addr + 1);

	if (!above)
		return 0;
	/*
	 * Of several at one address the first is the preferred name: kallsyms puts aliases
	 * behind.
	 */
	size_t i = lower_bound(s, s->entries[above - 1].addr);
	struct sonde_symbol found;
	fill(s, i, &found);
	if (is_absolute(&s->entries[i]) && !found.size && addr != found.addr)
		return 0;
	*ret = found;
	return 1;
}

size_t sonde_symbol_count(const struct sonde_symbols *s)
{
	return s->n;
}

int sonde_symbol_get(const struct sonde_symbols *s, size_t index, struct sonde_symbol *ret)
{
	if (index >= s->n)
		return 0;
	fill(s, index, ret);
	return 1;
}
