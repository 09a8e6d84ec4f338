/* SPDX-License-Identifier: MIT */
/*
 * DWARF to BTF records, as far as somebody asks.
 *
 *	name asked for ─▶ index of names ─▶ its DIE ─▶ records: the type, all it holds by value
 *	                   ▲ filled unit by unit
 *	                   └ until the name turns up: a kernel has 3000 units, and nearly all that
 *	                     matters is described in the first few
 *
 * What is only pointed to becomes a forward declaration: layouts do not need more, and following
 * pointers would drag in the whole kernel. libdw reads the file; it is the user's own, not a
 * target's, yet nesting and the number of records made at once are bounded.
 *
 * Source: DWARF 5 sections 5 and 7.5; elfutils libdw.h.
 */
#include "sym/dwarf.h"

#include "sym/btf_build.h"
#include "sym/name_hash.h"
#include "sym/types.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64u        /* types inside one another                     */
#define MAX_MEMBERS 65535u   /* BTF counts them in 16 bits                   */
#define MAX_RECORDS 4000000u /* of all that was ever asked for               */
#define CHAR_BITS 8u

/* A growing hash table from a key to a DIE or record; key 0 is a free slot. */
struct slot {
	uint64_t key;
	uint64_t value;
};

struct table {
	struct slot *slots;
	uint32_t mask, n;
};

struct dwarf_source {
	Dwarf *dwarf;
	Dwarf_CU *unit; /* the last one whose names are in the index */
	int all_units;  /* there is no further one                   */
	uint32_t pointer_size;
	struct table names; /* hash of kind and name: offset of the DIE  */
	struct table made;  /* offset of the DIE and how: record id      */
	struct btf_build build;
};

/* --- tables --------------------------------------------------------------------------------- */

static struct slot *table_slot(const struct table *t, uint64_t key)
{
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15 >> 32) & t->mask;

	while (t->slots[at].key && t->slots[at].key != key)
		at = (at + 1) & t->mask;
	return &t->slots[at];
}

static int table_get(const struct table *t, uint64_t key, uint64_t *ret)
{
	const struct slot *slot = t->slots ? table_slot(t, key) : NULL;

	if (!slot || !slot->key)
		return 0;
	*ret = slot->value;
	return 1;
}

static int table_grow(struct table *t)
{
	struct table grown = { .mask = name_slots(t->n + 1) * 2 - 1 };

	grown.slots = calloc((size_t)grown.mask + 1, sizeof(*grown.slots));
	if (!grown.slots)
		return 0;
	for (uint32_t i = 0; t->slots && i <= t->mask; i++) {
		if (t->slots[i].key)
			*table_slot(&grown, t->slots[i].key) = t->slots[i];
	}
	grown.n = t->n;
	free(t->slots);
	*t = grown;
	return 1;
}

/* The first value stays. Without memory the entry is lost, and with it a name. */
static void table_put(struct table *t, uint64_t key, uint64_t value)
{
	if ((!t->slots || t->n >= t->mask / 2) && !table_grow(t))
		return;
	struct slot *slot = table_slot(t, key);
	if (slot->key)
		return;
	*slot = (struct slot){ key, value };
	t->n++;
}

/* --- attributes ----------------------------------------------------------------------------- */

static const char *die_name(Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	return name ? name : "";
}

static int die_number(Dwarf_Die *die, unsigned what, uint64_t *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Word word;

	if (!dwarf_attr_integrate(die, what, &attr) || dwarf_formudata(&attr, &word) != 0)
		return 0;
	*ret = word;
	return 1;
}

static int die_type(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, DW_AT_type, &attr) && dwarf_formref_die(&attr, ret);
}

static int die_flag(Dwarf_Die *die, unsigned what)
{
	Dwarf_Attribute attr;
	bool flag = false;

	return dwarf_attr_integrate(die, what, &attr) && dwarf_formflag(&attr, &flag) == 0 && flag;
}

static int die_first_child(Dwarf_Die *die, Dwarf_Die *ret)
{
	return dwarf_child(die, ret) == 0;
}

static int die_next(Dwarf_Die *die)
{
	return dwarf_siblingof(die, die) == 0;
}

/* --- the index of names --------------------------------------------------------------------- */

/* DW_TAG_* are the kinds; enumerators stand for the anonymous enum that begins with them. */
static uint64_t name_key(unsigned tag, const char *name)
{
	const uint64_t prime = 0x100000001b3; /* 64-bit FNV-1a */
	uint64_t h = 0xcbf29ce484222325 ^ tag;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * prime;
	return h ? h : 1;
}

static void index_enum(struct dwarf_source *d, Dwarf_Die *die)
{
	Dwarf_Die first;

	if (die_first_child(die, &first) && dwarf_tag(&first) == DW_TAG_enumerator)
		table_put(&d->names, name_key(DW_TAG_enumerator, die_name(&first)),
			  dwarf_dieoffset(die));
}

static void index_die(struct dwarf_source *d, Dwarf_Die *die)
{
	unsigned tag = (unsigned)dwarf_tag(die);

	switch (tag) {
	case DW_TAG_enumeration_type:
		index_enum(d, die);
		break;
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_typedef:
	case DW_TAG_base_type:
		break;
	default:
		return;
	}
	const char *name = dwarf_diename(die);
	if (name && !dwarf_hasattr(die, DW_AT_declaration))
		table_put(&d->names, name_key(tag, name), dwarf_dieoffset(die));
}

/* Index one more unit. Returns 0 when there is none. */
static int index_unit(struct dwarf_source *d)
{
	Dwarf_Die root, die;

	if (d->all_units)
		return 0;
	if (dwarf_get_units(d->dwarf, d->unit, &d->unit, NULL, NULL, &root, NULL) != 0) {
		d->all_units = 1;
		return 0;
	}
	if (die_first_child(&root, &die)) {
		do
			index_die(d, &die);
		while (die_next(&die));
	}
	return 1;
}

static int find_name(struct dwarf_source *d, unsigned tag, const char *name, Dwarf_Die *ret)
{
	uint64_t off, key = name_key(tag, name);

	return table_get(&d->names, key, &off) && dwarf_offdie(d->dwarf, off, ret) &&
	       dwarf_tag(ret) == (int)tag && strcmp(die_name(ret), name) == 0;
}

/* --- translation ---------------------------------------------------------------------------- */

/* SHALLOW: behind a pointer, where a name is enough. */
enum how { WHOLE = 0, SHALLOW = 1 };

static uint32_t make(struct dwarf_source *d, Dwarf_Die *die, enum how how, unsigned depth);

/* The type a DIE refers to, as a record; 0 (void) when it refers to none. */
static uint32_t make_referred(struct dwarf_source *d, Dwarf_Die *die, enum how how, unsigned depth)
{
	Dwarf_Die type;

	return die_type(die, &type) ? make(d, &type, how, depth + 1) : 0;
}

static uint32_t make_base(struct dwarf_source *d, Dwarf_Die *die)
{
	uint64_t size = 0, encoding = 0;
	uint32_t bits = 0;

	die_number(die, DW_AT_byte_size, &size);
	die_number(die, DW_AT_encoding, &encoding);
	if (encoding == DW_ATE_float)
		return btf_build_type(&d->build, BTF_FLOAT, die_name(die), 0, 0, (uint32_t)size);
	/* BTF_INT_SIGNED, BTF_INT_CHAR, BTF_INT_BOOL */
	if (encoding == DW_ATE_signed || encoding == DW_ATE_signed_char)
		bits |= 1;
	if (encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char)
		bits |= 2;
	if (encoding == DW_ATE_boolean)
		bits |= 4;
	uint32_t id = btf_build_type(&d->build, BTF_INT, die_name(die), 0, 0, (uint32_t)size);
	btf_build_int(&d->build, bits, 0, size <= 16 ? (uint32_t)size * CHAR_BITS : 0);
	return id;
}

static uint32_t make_modifier(struct dwarf_source *d, Dwarf_Die *die, uint32_t kind, enum how how,
			      unsigned depth)
{
	uint32_t to = make_referred(d, die, how, depth);

	return btf_build_type(&d->build, kind, kind == BTF_TYPEDEF ? die_name(die) : "", 0, 0, to);
}

/* Elements of one dimension; 0 for a flexible one. */
static uint32_t dimension(Dwarf_Die *range)
{
	uint64_t n;

	if (die_number(range, DW_AT_count, &n))
		return n <= UINT32_MAX ? (uint32_t)n : 0;
	/* An upper bound of -1, in whatever width, is how "[0]" is told. */
	if (die_number(range, DW_AT_upper_bound, &n))
		return n < UINT32_MAX ? (uint32_t)n + 1 : 0;
	return 0;
}

/*
 * int x[2][3] is one DIE with two subranges; BTF has an array of arrays, the last dimension
 * innermost.
 */
static uint32_t make_array(struct dwarf_source *d, Dwarf_Die *die, enum how how, unsigned depth)
{
	uint32_t dims[16], n = 0;
	uint32_t id = make_referred(d, die, how, depth);
	Dwarf_Die child;

	if (die_first_child(die, &child)) {
		do {
			if (dwarf_tag(&child) == DW_TAG_subrange_type && n < 16)
				dims[n++] = dimension(&child);
		} while (die_next(&child));
	}
	while (n) {
		uint32_t array = btf_build_type(&d->build, BTF_ARRAY, "", 0, 0, 0);
		btf_build_array(&d->build, id, 0, dims[--n]);
		id = array;
	}
	return id;
}

struct member {
	const char *name;
	uint32_t type;
	uint32_t bit_off, bit_width;
};

/* Where a member begins; DWARF 2 wrote an expression where later versions write a number. */
static uint64_t member_offset(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Op *ops;
	size_t n;
	uint64_t off = 0;

	if (die_number(die, DW_AT_data_member_location, &off) ||
	    !dwarf_attr_integrate(die, DW_AT_data_member_location, &attr))
		return off;
	if (dwarf_getlocation(&attr, &ops, &n) == 0 && n == 1 && ops[0].atom == DW_OP_plus_uconst)
		return ops[0].number;
	return 0;
}

/*
 * Before DWARF 4 a bitfield's place counts from the high end of a storage unit. Little-endian
 * targets only.
 */
static uint64_t old_bit_offset(Dwarf_Die *die, uint64_t from_high, uint64_t width)
{
	uint64_t unit = 0;
	Dwarf_Die type;

	if (!die_number(die, DW_AT_byte_size, &unit) && die_type(die, &type)) {
		Dwarf_Die real;
		if (dwarf_peel_type(&type, &real) == 0)
			die_number(&real, DW_AT_byte_size, &unit);
	}
	return member_offset(die) * CHAR_BITS + unit * CHAR_BITS - from_high - width;
}

static void read_member(struct dwarf_source *d, Dwarf_Die *die, unsigned depth, struct member *ret)
{
	uint64_t off, width = 0, from_high;

	die_number(die, DW_AT_bit_size, &width);
	if (!die_number(die, DW_AT_data_bit_offset, &off)) {
		off = member_offset(die) * CHAR_BITS;
		if (width && die_number(die, DW_AT_bit_offset, &from_high))
			off = old_bit_offset(die, from_high, width);
	}
	*ret = (struct member){
		.name = die_name(die),
		.type = make_referred(d, die, WHOLE, depth),
		.bit_off = off <= UINT32_MAX ? (uint32_t)off : UINT32_MAX,
		.bit_width = width <= 255 ? (uint32_t)width : 0,
	};
}

/* The members first, since what they hold by value are records of their own, then the structure. */
static uint32_t make_struct(struct dwarf_source *d, Dwarf_Die *die, uint32_t kind, unsigned depth)
{
	struct member *members = NULL;
	size_t n = 0, cap = 0;
	uint32_t kflag = 0;
	uint64_t size = 0;
	Dwarf_Die child;

	for (int more = die_first_child(die, &child); more; more = die_next(&child)) {
		if (dwarf_tag(&child) != DW_TAG_member || n >= MAX_MEMBERS ||
		    die_flag(&child, DW_AT_external))
			continue;
		if (n == cap) {
			struct member *grown = realloc(members, (cap * 2 + 16) * sizeof(*grown));
			if (!grown)
				break;
			members = grown;
			cap = cap * 2 + 16;
		}
		read_member(d, &child, depth, &members[n]);
		kflag |= members[n++].bit_width != 0;
	}
	die_number(die, DW_AT_byte_size, &size);
	uint32_t id = btf_build_type(&d->build, kind, die_name(die), (uint32_t)n, kflag,
				     size <= UINT32_MAX ? (uint32_t)size : 0);
	for (size_t i = 0; i < n; i++) {
		uint32_t off = members[i].bit_off;
		/*
		 * With kflag 24 bits are left for the offset; no structure with bitfields is that
		 * large.
		 */
		if (kflag)
			off = members[i].bit_width << 24 | (off & 0xffffff);
		btf_build_member(&d->build, members[i].name, members[i].type, off);
	}
	free(members);
	return id;
}

struct enumerator {
	const char *name;
	int64_t value;
};

static int read_enumerator(Dwarf_Die *die, struct enumerator *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Sword value;
	Dwarf_Word word;

	if (dwarf_tag(die) != DW_TAG_enumerator || !dwarf_attr(die, DW_AT_const_value, &attr))
		return 0;
	/*
	 * Fixed-width forms do not tell signed from unsigned: both readings agree in 64 bits
	 * below 2^31.
	 */
	if (dwarf_formsdata(&attr, &value) == 0)
		ret->value = value;
	else if (dwarf_formudata(&attr, &word) == 0)
		ret->value = (int64_t)word;
	else
		return 0;
	ret->name = die_name(die);
	return 1;
}

static uint32_t make_enum(struct dwarf_source *d, Dwarf_Die *die)
{
	struct enumerator e;
	uint64_t size = 4;
	uint32_t n = 0;
	int wide = 0;
	Dwarf_Die child;

	for (int more = die_first_child(die, &child); more; more = die_next(&child)) {
		if (n < MAX_MEMBERS && read_enumerator(&child, &e)) {
			wide |= e.value < INT32_MIN || e.value > INT32_MAX;
			n++;
		}
	}
	die_number(die, DW_AT_byte_size, &size);
	uint32_t id = btf_build_type(&d->build, wide ? BTF_ENUM64 : BTF_ENUM, die_name(die), n, 0,
				     (uint32_t)size);
	for (int more = die_first_child(die, &child); more && n; more = die_next(&child)) {
		if (!read_enumerator(&child, &e))
			continue;
		if (wide)
			btf_build_enumerator64(&d->build, e.name, (uint64_t)e.value);
		else
			btf_build_enumerator(&d->build, e.name, (uint32_t)e.value);
		n--;
	}
	return id;
}

static uint32_t make_function(struct dwarf_source *d, Dwarf_Die *die, unsigned depth)
{
	uint32_t params[64], n = 0;
	uint32_t returns = make_referred(d, die, SHALLOW, depth);
	Dwarf_Die child;

	for (int more = die_first_child(die, &child); more && n < 64; more = die_next(&child)) {
		if (dwarf_tag(&child) == DW_TAG_formal_parameter)
			params[n++] = make_referred(d, &child, SHALLOW, depth);
		else if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
			params[n++] = 0;
	}
	uint32_t id = btf_build_type(&d->build, BTF_FUNC_PROTO, "", n, 0, returns);
	for (uint32_t i = 0; i < n; i++)
		btf_build_param(&d->build, "", params[i]);
	return id;
}

static uint32_t make_composite(struct dwarf_source *d, Dwarf_Die *die, uint32_t kind, enum how how,
			       unsigned depth)
{
	const char *name = die_name(die);

	if (name[0] && (how == SHALLOW || dwarf_hasattr(die, DW_AT_declaration)))
		return btf_build_type(&d->build, BTF_FWD, name, 0, kind == BTF_UNION, 0);
	return make_struct(d, die, kind, depth);
}

/*
 * Behind a pointer a typedef of a named structure is left out: its record would be a complete
 * name for an incomplete type, and hide the real one from who asks for that name later.
 */
static uint32_t make_typedef(struct dwarf_source *d, Dwarf_Die *die, enum how how, unsigned depth)
{
	Dwarf_Die real;

	if (how == SHALLOW && dwarf_peel_type(die, &real) == 0 && die_name(&real)[0]) {
		int tag = dwarf_tag(&real);
		if (tag == DW_TAG_structure_type || tag == DW_TAG_union_type)
			return make(d, &real, SHALLOW, depth + 1);
	}
	return make_modifier(d, die, BTF_TYPEDEF, WHOLE, depth);
}

static uint32_t make_any(struct dwarf_source *d, Dwarf_Die *die, enum how how, unsigned depth)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_base_type:
		return make_base(d, die);
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		return make_modifier(d, die, BTF_PTR, SHALLOW, depth);
	case DW_TAG_typedef:
		return make_typedef(d, die, how, depth);
	case DW_TAG_const_type:
		return make_modifier(d, die, BTF_CONST, how, depth);
	case DW_TAG_volatile_type:
		return make_modifier(d, die, BTF_VOLATILE, how, depth);
	case DW_TAG_restrict_type:
		return make_modifier(d, die, BTF_RESTRICT, how, depth);
	case DW_TAG_atomic_type:
		return make_referred(d, die, how, depth);
	case DW_TAG_array_type:
		return make_array(d, die, how, depth);
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return make_composite(d, die, BTF_STRUCT, how, depth);
	case DW_TAG_union_type:
		return make_composite(d, die, BTF_UNION, how, depth);
	case DW_TAG_enumeration_type:
		return make_enum(d, die);
	case DW_TAG_subroutine_type:
		return make_function(d, die, depth);
	default:
		return 0;
	}
}

static uint32_t make(struct dwarf_source *d, Dwarf_Die *die, enum how how, unsigned depth)
{
	uint64_t key = ((uint64_t)dwarf_dieoffset(die) << 1 | how) + 1, id;

	if (table_get(&d->made, key, &id))
		return (uint32_t)id;
	if (depth >= MAX_DEPTH || d->build.n_types >= MAX_RECORDS)
		return 0;
	id = make_any(d, die, how, depth);
	table_put(&d->made, key, id);
	return (uint32_t)id;
}

/* --- what types.c asks ---------------------------------------------------------------------- */

/* In the order in which a bare name is looked for. */
static const struct {
	const char *prefix;
	unsigned tag;
} kinds[] = {
	{ "struct ", DW_TAG_structure_type },
	{ "union ", DW_TAG_union_type },
	{ "", DW_TAG_typedef },
	{ "enum ", DW_TAG_enumeration_type },
	{ "", DW_TAG_base_type },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int find_die(struct dwarf_source *d, const char *name, Dwarf_Die *ret)
{
	size_t only = N_KINDS;

	for (size_t i = 0; i < N_KINDS; i++) {
		size_t len = strlen(kinds[i].prefix);
		if (len && strncmp(name, kinds[i].prefix, len) == 0) {
			only = i;
			name += len + strspn(name + len, " ");
			break;
		}
	}
	do {
		for (size_t i = 0; i < N_KINDS; i++) {
			if ((only == N_KINDS || only == i) && find_name(d, kinds[i].tag, name, ret))
				return 1;
		}
	} while (index_unit(d));
	return 0;
}

static int dwarf_find(void *user, const char *name)
{
	struct dwarf_source *d = user;
	Dwarf_Die die;

	return find_die(d, name, &die) && make(d, &die, WHOLE, 0) != 0;
}

static int holds_enumerator(Dwarf_Die *die, const char *name)
{
	Dwarf_Die child;

	for (int more = die_first_child(die, &child); more; more = die_next(&child)) {
		if (strcmp(die_name(&child), name) == 0)
			return 1;
	}
	return 0;
}

/*
 * Among the enums indexed so far: each is in the index once, by its name or its first enumerator.
 */
static int find_indexed_enumerator(struct dwarf_source *d, const char *name, Dwarf_Die *ret)
{
	for (uint32_t i = 0; d->names.slots && i <= d->names.mask; i++) {
		const struct slot *slot = &d->names.slots[i];
		if (slot->key && dwarf_offdie(d->dwarf, slot->value, ret) &&
		    dwarf_tag(ret) == DW_TAG_enumeration_type && holds_enumerator(ret, name))
			return 1;
	}
	return 0;
}

/*
 * A whole pass over the index is worth a look only after many units, so those come in growing
 * helpings.
 */
static int dwarf_find_enumerator(void *user, const char *name)
{
	struct dwarf_source *d = user;
	unsigned helping = 8;
	Dwarf_Die die;

	for (;;) {
		unsigned n = 0;
		if (find_indexed_enumerator(d, name, &die))
			return make(d, &die, WHOLE, 0) != 0;
		while (n < helping && index_unit(d))
			n++;
		if (!n)
			return 0;
		helping *= 4;
	}
}

static void dwarf_view(void *user, struct btf *ret)
{
	const struct dwarf_source *d = user;

	btf_build_view(&d->build, d->pointer_size, ret);
}

static void dwarf_close(void *user)
{
	struct dwarf_source *d = user;

	if (d->dwarf)
		dwarf_end(d->dwarf);
	btf_build_finish(&d->build);
	free(d->names.slots);
	free(d->made.slots);
	free(d);
}

static const struct types_resolver dwarf_resolver = {
	.find = dwarf_find,
	.find_enumerator = dwarf_find_enumerator,
	.view = dwarf_view,
	.close = dwarf_close,
};

int dwarf_types(int fd, uint32_t pointer_size, const char *source, struct sonde_types **ret,
		struct sonde_error *err)
{
	struct dwarf_source *d = calloc(1, sizeof(*d));

	if (!d)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "DWARF: no memory");
	d->pointer_size = pointer_size;
	d->dwarf = dwarf_begin(fd, DWARF_C_READ);
	if (!d->dwarf) {
		dwarf_close(d);
		return sonde_error_set(err, SONDE_E_BAD_FORMAT, "DWARF: %s", dwarf_errmsg(-1));
	}
	int r = types_from_resolver(&dwarf_resolver, d, source, ret, err);
	if (r < 0)
		dwarf_close(d);
	return r;
}
