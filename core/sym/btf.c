/* SPDX-License-Identifier: MIT */
/*
 * BTF: header, one pass that finds where each record begins, and accessors.
 *
 * The pass is what hostile input meets: after it every record of btf->offsets lies wholly inside
 * the type section and every name inside the strings, so the accessors need no checks but on ids.
 *
 * Source: linux v6.6 include/uapi/linux/btf.h (struct btf_header, struct btf_type and what
 * follows it).
 */
#include "sym/btf.h"

#include "base/arena.h"
#include <string.h>

#define BTF_VERSION 1
#define RECORD_SIZE 12u /* struct btf_type: name_off, info, size or type */

/* Bytes of struct btf_array, btf_member, btf_enum, btf_param, btf_var_secinfo, btf_enum64. */
#define ARRAY_SIZE 12u
#define MEMBER_SIZE 12u
#define ENUM_SIZE 8u
#define PARAM_SIZE 8u
#define SECINFO_SIZE 12u
#define ENUM64_SIZE 12u

static uint32_t load32(const uint8_t *p, uint32_t swap)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return swap ? __builtin_bswap32(value) : value;
}

/* BTF_INFO_*: bits 0-15 vlen, 24-28 kind, 31 kflag. */
static uint32_t info_kind(uint32_t info)
{
	return info >> 24 & 0x1f;
}

static uint32_t info_vlen(uint32_t info)
{
	return info & 0xffff;
}

/* Bytes behind a record; -1 for a kind that is not known, whose length nobody can tell. */
static int32_t extra_size(uint32_t info)
{
	static const struct {
		uint8_t known, fixed, each;
	} kinds[32] = {
		[BTF_INT] = { 1, 4, 0 },
		[BTF_PTR] = { 1, 0, 0 },
		[BTF_ARRAY] = { 1, ARRAY_SIZE, 0 },
		[BTF_STRUCT] = { 1, 0, MEMBER_SIZE },
		[BTF_UNION] = { 1, 0, MEMBER_SIZE },
		[BTF_ENUM] = { 1, 0, ENUM_SIZE },
		[BTF_FWD] = { 1, 0, 0 },
		[BTF_TYPEDEF] = { 1, 0, 0 },
		[BTF_VOLATILE] = { 1, 0, 0 },
		[BTF_CONST] = { 1, 0, 0 },
		[BTF_RESTRICT] = { 1, 0, 0 },
		[BTF_FUNC] = { 1, 0, 0 }, /* its vlen is the linkage */
		[BTF_FUNC_PROTO] = { 1, 0, PARAM_SIZE },
		[BTF_VAR] = { 1, 4, 0 },
		[BTF_DATASEC] = { 1, 0, SECINFO_SIZE },
		[BTF_FLOAT] = { 1, 0, 0 },
		[BTF_DECL_TAG] = { 1, 4, 0 },
		[BTF_TYPE_TAG] = { 1, 0, 0 },
		[BTF_ENUM64] = { 1, 0, ENUM64_SIZE },
	};
	uint32_t kind = info_kind(info);

	if (!kinds[kind].known)
		return -1;
	return (int32_t)(kinds[kind].fixed + info_vlen(info) * kinds[kind].each);
}

struct header {
	uint32_t swap;
	uint32_t version;
	uint32_t hdr_len, type_off, type_len, str_off, str_len;
};

static int header_get(const uint8_t *bytes, struct header *ret)
{
	uint16_t magic;

	memcpy(&magic, bytes, sizeof(magic));
	if (magic != BTF_MAGIC && magic != __builtin_bswap16(BTF_MAGIC))
		return 0;
	uint32_t swap = magic != BTF_MAGIC;
	*ret = (struct header){
		.swap = swap,
		.version = bytes[2],
		.hdr_len = load32(bytes + 4, swap),
		.type_off = load32(bytes + 8, swap),
		.type_len = load32(bytes + 12, swap),
		.str_off = load32(bytes + 16, swap),
		.str_len = load32(bytes + 20, swap),
	};
	return 1;
}

uint64_t btf_total_size(const uint8_t bytes[BTF_HEADER_SIZE])
{
	struct header h;

	if (!header_get(bytes, &h) || h.version != BTF_VERSION || h.hdr_len < BTF_HEADER_SIZE)
		return 0;
	uint64_t types_end = (uint64_t)h.type_off + h.type_len;
	uint64_t strings_end = (uint64_t)h.str_off + h.str_len;
	return h.hdr_len + (types_end > strings_end ? types_end : strings_end);
}

static int check_header(const uint8_t *bytes, size_t len, struct header *ret,
			struct sonde_error *err)
{
	if (len < BTF_HEADER_SIZE)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "BTF: header: %zu bytes are too few, %u are needed", len,
				       BTF_HEADER_SIZE);
	if (!header_get(bytes, ret))
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "BTF: header: no magic, found %02x %02x", bytes[0],
				       bytes[1]);
	if (ret->version != BTF_VERSION)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "BTF: header: version %u is not known, only %d is",
				       ret->version, BTF_VERSION);
	if (ret->hdr_len < BTF_HEADER_SIZE || ret->hdr_len > len)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "BTF: header: claims %u bytes of header in %zu bytes",
				       ret->hdr_len, len);
	return 0;
}

/* Where a section lies; its whole extent is inside len bytes, and the total bounded. */
static int check_section(const struct header *h, const char *name, uint32_t off, uint32_t size,
			 size_t len, struct sonde_error *err)
{
	size_t body = len - h->hdr_len;

	if (off > body || size > body - off)
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "BTF: %s: section at %u, %u bytes, runs past the end (%zu "
				       "bytes)",
				       name, off, size, body);
	if (size > BTF_MAX_BYTES)
		return sonde_error_set(err, SONDE_E_LIMIT,
				       "BTF: %s: %u bytes are above the bound of %u", name, size,
				       BTF_MAX_BYTES);
	return 0;
}

static int check_strings(const struct btf *btf, struct sonde_error *err)
{
	if (!btf->strings_len || btf->strings[btf->strings_len - 1] != '\0')
		return sonde_error_set(err, SONDE_E_CORRUPT, "BTF: strings: do not end with NUL");
	/*
	 * Only a module's BTF, which goes on where that of the kernel ends, lacks the empty name.
	 */
	if (btf->strings[0] != '\0')
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "BTF: split BTF (of a module) does not stand alone; "
				       "give that of the kernel");
	return 0;
}

static int bad_record(struct sonde_error *err, int code, uint32_t id, const char *why)
{
	return sonde_error_set(err, code, "BTF: type %u: %s", id, why);
}

/* Where each record begins. The one loop over all types: 130 000 in a kernel. */
static int index_types(struct btf *btf, uint32_t *offsets, struct sonde_error *err)
{
	uint32_t at = 0, id = 1;

	for (; at < btf->types_len; id++) {
		if (btf->types_len - at < RECORD_SIZE)
			return bad_record(err, SONDE_E_CORRUPT, id, "runs past the section's end");
		const uint8_t *record = btf->types + at;
		uint32_t info = load32(record + 4, btf->swap);
		int32_t extra = extra_size(info);
		if (extra < 0)
			return sonde_error_set(err, SONDE_E_BAD_FORMAT,
					       "BTF: type %u: kind %u is not known", id,
					       info_kind(info));
		if (load32(record, btf->swap) >= btf->strings_len)
			return bad_record(err, SONDE_E_CORRUPT, id,
					  "its name is out of the strings");
		if (btf->types_len - at - RECORD_SIZE < (uint32_t)extra)
			return bad_record(err, SONDE_E_CORRUPT, id,
					  "its members run past the section's end");
		offsets[id] = at;
		at += RECORD_SIZE + (uint32_t)extra;
	}
	btf->offsets = offsets;
	btf->n_types = id;
	return 0;
}

/* BTF does not say it outright; in C for Linux, long is as wide as a pointer. */
static uint32_t find_pointer_size(const struct btf *btf)
{
	struct btf_type type;

	for (uint32_t id = 1; id < btf->n_types && id < 1000; id++) {
		btf_type_get(btf, id, &type);
		if (type.kind != BTF_INT || (type.size != 4 && type.size != 8))
			continue;
		if (strcmp(type.name, "long unsigned int") == 0 ||
		    strcmp(type.name, "unsigned long") == 0 || strcmp(type.name, "long int") == 0)
			return type.size;
	}
	return 8;
}

int btf_open(const uint8_t *bytes, size_t len, struct arena *arena, struct btf *ret,
	     struct sonde_error *err)
{
	struct header h = { 0 };
	int r = check_header(bytes, len, &h, err);

	if (r < 0)
		return r;
	r = check_section(&h, "types", h.type_off, h.type_len, len, err);
	if (r < 0)
		return r;
	r = check_section(&h, "strings", h.str_off, h.str_len, len, err);
	if (r < 0)
		return r;

	struct btf btf = {
		.types = bytes + h.hdr_len + h.type_off,
		.strings = (const char *)bytes + h.hdr_len + h.str_off,
		.types_len = h.type_len,
		.strings_len = h.str_len,
		.swap = h.swap,
	};
	r = check_strings(&btf, err);
	if (r < 0)
		return r;
	/* No record is shorter than 12 bytes, which bounds their number before they are counted. */
	uint32_t *offsets =
		arena_array(arena, (size_t)h.type_len / RECORD_SIZE + 2, sizeof(*offsets));
	if (!offsets)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "BTF: no memory for the index");
	r = index_types(&btf, offsets, err);
	if (r < 0)
		return r;
	btf.pointer_size = find_pointer_size(&btf);
	*ret = btf;
	return 0;
}

/* A name of a member, enumerator: checked here, since the index pass looks at records only. */
static const char *name_at(const struct btf *btf, uint32_t off)
{
	return off < btf->strings_len ? btf->strings + off : "";
}

static int has_size(uint32_t kind)
{
	switch (kind) {
	case BTF_INT:
	case BTF_STRUCT:
	case BTF_UNION:
	case BTF_ENUM:
	case BTF_ENUM64:
	case BTF_FLOAT:
	case BTF_DATASEC:
		return 1;
	default:
		return 0;
	}
}

int btf_type_get(const struct btf *btf, uint32_t id, struct btf_type *ret)
{
	if (id >= btf->n_types)
		return 0;
	if (id == 0) {
		*ret = (struct btf_type){ .name = "", .kind = BTF_VOID };
		return 1;
	}
	const uint8_t *record = btf->types + btf->offsets[id];
	uint32_t info = load32(record + 4, btf->swap);
	uint32_t value = load32(record + 8, btf->swap);
	uint32_t kind = info_kind(info);
	*ret = (struct btf_type){
		.name = name_at(btf, load32(record, btf->swap)),
		.extra = record + RECORD_SIZE,
		.kind = kind,
		.vlen = info_vlen(info),
		.kflag = info >> 31,
		.ref = has_size(kind) ? 0 : value,
		.size = has_size(kind) ? value : 0,
	};
	return 1;
}

void btf_member_get(const struct btf *btf, const struct btf_type *type, uint32_t index,
		    struct btf_member *ret)
{
	const uint8_t *p = type->extra + (size_t)index * MEMBER_SIZE;
	uint32_t offset = load32(p + 8, btf->swap);

	*ret = (struct btf_member){
		.name = name_at(btf, load32(p, btf->swap)),
		.type = load32(p + 4, btf->swap),
		.bit_off = type->kflag ? offset & 0xffffff : offset,
		.bit_width = type->kflag ? offset >> 24 : 0,
	};
}

void btf_enumerator_get(const struct btf *btf, const struct btf_type *type, uint32_t index,
			struct btf_enumerator *ret)
{
	uint32_t each = type->kind == BTF_ENUM64 ? ENUM64_SIZE : ENUM_SIZE;
	const uint8_t *p = type->extra + (size_t)index * each;
	uint32_t low = load32(p + 4, btf->swap);

	ret->name = name_at(btf, load32(p, btf->swap));
	if (type->kind == BTF_ENUM64)
		ret->value = (int64_t)((uint64_t)load32(p + 8, btf->swap) << 32 | low);
	else
		ret->value = (int32_t)low; /* kernels before 6.0 do not tell signed from unsigned */
}

uint32_t btf_param_type(const struct btf *btf, const struct btf_type *type, uint32_t index)
{
	return load32(type->extra + (size_t)index * PARAM_SIZE + 4, btf->swap);
}

const char *btf_param_name(const struct btf *btf, const struct btf_type *type, uint32_t index)
{
	return name_at(btf, load32(type->extra + (size_t)index * PARAM_SIZE, btf->swap));
}

void btf_array_get(const struct btf *btf, const struct btf_type *type, struct btf_array *ret)
{
	*ret = (struct btf_array){
		.elem = load32(type->extra, btf->swap),
		.index = load32(type->extra + 4, btf->swap),
		.n = load32(type->extra + 8, btf->swap),
	};
}

uint32_t btf_int_encoding(const struct btf *btf, const struct btf_type *type)
{
	return load32(type->extra, btf->swap) >> 24 & 0xf; /* BTF_INT_ENCODING */
}

void btf_int_bits(const struct btf *btf, const struct btf_type *type, uint32_t *ret_off,
		  uint32_t *ret_width)
{
	/* BTF_INT_OFFSET: bits 16-23, BTF_INT_BITS: bits 0-7 */
	uint32_t data = load32(type->extra, btf->swap);

	*ret_off = data >> 16 & 0xff;
	*ret_width = data & 0xff;
}
