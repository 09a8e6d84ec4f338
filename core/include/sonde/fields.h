/* SPDX-License-Identifier: MIT */
/*
 * Structures of a target as structures of the host: a table says which fields lie where on either
 * side, one call reads one structure, or any number of them, in one trip.
 *
 *	struct point { int32_t x, y; char label[17]; };
 *	const struct sonde_field table[] = {
 *		SONDE_FIELD(struct point, x, 8, 2, SONDE_FIELD_SIGNED, SONDE_BIG),
 *		SONDE_FIELD(struct point, label, 24, 16, SONDE_FIELD_TEXT, 0),
 *	};
 *	const struct sonde_fields fields = { table, 2, sizeof(struct point) };
 *	struct point point;
 *	int r = sonde_struct_read(space, &fields, addr, &point, NULL);
 */
#ifndef SONDE_FIELDS_H
#define SONDE_FIELDS_H

#include <sonde/space.h>
#include <sonde/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_field_kind {
	SONDE_FIELD_UNSIGNED = 0, /* 1..8 bytes to 1, 2, 4 or 8, not fewer; zeros above           */
	SONDE_FIELD_SIGNED = 1,   /* likewise; the sign is extended                               */
	SONDE_FIELD_BYTES = 2,    /* as they are, into as much room or more; zeros behind them    */
	SONDE_FIELD_TEXT = 3,     /* up to a zero byte, cut to the room, always terminated        */
};

/* One field. Where it lies in the target may come from the target: it is checked by each read. */
struct sonde_field {
	uint32_t off;       /* in the target's structure; off + size up to 2^31-1          */
	uint32_t size;      /* bytes there; 0: this target has no such field               */
	uint32_t host_off;  /* in the host's                                               */
	uint32_t host_size; /* bytes there                                                 */
	uint32_t kind;      /* enum sonde_field_kind                                       */
	uint32_t order;     /* enum sonde_order, of integers                               */
};

#define SONDE_FIELD(type, member, off, size, kind, order)                                          \
	{                                                                                          \
		(off), (size), (uint32_t)offsetof(type, member),                                   \
			(uint32_t)sizeof(((type *)0)->member), (kind), (order)                     \
	}

#define SONDE_FIELDS_MAX 64u

struct sonde_fields {
	const struct sonde_field *at; /* [n], in any order                                 */
	uint32_t n;                   /* 1 .. SONDE_FIELDS_MAX                             */
	uint32_t host_size;           /* sizeof the host's structure                       */
};

/* One structure to read. Its fields in *host are all written, and nothing else of it. */
struct sonde_struct {
	uint64_t addr;    /* in:  where it lies in the space                                    */
	void *host;       /* in:  [fields->host_size]                                           */
	uint64_t missing; /* out: bit i: field i could not be read, or this target has none;
				    it is zero in *host                                           */
	int32_t err;      /* out: 0, or why the lowest of those that could not be read could not */
	uint32_t err_field; /* out: index of that field; fields->n when err is 0                  */
};

/*
 * Read n structures of one shape in one trip. A hole costs the fields that touch it and no others:
 * where some of a structure cannot be read, its fields are asked for once more, each by itself, in
 * a second trip. Structures may overlap, repeat and come in any order. Very many go in several trips
 * of 16 MiB each.
 *
 * Returns   how many came without an error, 0..n (a field that the target does not have is none);
 *           SONDE_E_BAD_ARG where the table or a structure is not as described above (nothing was
 *           tried, no out field set); SONDE_E_NO_MEMORY, and what sonde_space_read refuses: what
 *           was not read then has that err, every bit in missing, and zeros.
 * Context   as sonde_space_read. Allocates for more than a few fields, once, and frees it.
 */
int sonde_structs_read(struct sonde_space *space, const struct sonde_fields *fields,
		       struct sonde_struct *structs, size_t n);

/*
 * Read one structure. *ret_missing (NULL allowed) is as missing above.
 *
 * Returns   0, its err, or what sonde_structs_read refuses.
 */
int sonde_struct_read(struct sonde_space *space, const struct sonde_fields *fields, uint64_t addr,
		      void *host, uint64_t *ret_missing);

/*
 * Set addr and host of n structures that lie in arrays: stride bytes apart in the target, host_stride
 * in host. Returns how many of them begin below 2^64; the rest is not set.
 */
size_t sonde_structs_array(struct sonde_struct *structs, size_t n, uint64_t addr, uint64_t stride,
			   void *host, size_t host_stride);

#ifdef __cplusplus
}
#endif
#endif
