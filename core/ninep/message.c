/* SPDX-License-Identifier: MIT */
/* Each message is a row of fields in the order they have on the wire; one reader, one writer for all. */
#include "ninep/message.h"

#include <sonde/types.h>
#include <string.h>

enum kind { END = 0, U8, U16, U32, U64, TEXT, QID, DATA, NAMES, QIDS };

struct field {
	uint8_t kind; /* enum kind */
	uint16_t at;  /* in struct ninep_msg */
};

#define FIELD(kind, name)                                                                          \
	{                                                                                          \
		kind, offsetof(struct ninep_msg, name)                                             \
	}
#define FID FIELD(U32, fid)
#define OTHER_FID FIELD(U32, other_fid)
#define NAME FIELD(TEXT, name)
#define OTHER_NAME FIELD(TEXT, other_name)
#define LOCK FIELD(U64, lock_start), FIELD(U64, lock_length), FIELD(U32, lock_process), OTHER_NAME
#define TIMES                                                                                      \
	FIELD(U64, attr.accessed_s), FIELD(U64, attr.accessed_ns), FIELD(U64, attr.modified_s),    \
		FIELD(U64, attr.modified_ns)
#define R(type) ((type) + 1)
#define EMPTY                                                                                      \
	{                                                                                          \
		{                                                                                  \
			END, 0                                                                     \
		}                                                                                  \
	}

enum { FIELDS_MAX = 22 };

/* A row begins with END where a message has no fields; is_known tells it from one that is none. */
static const struct {
	bool is_known;
	struct field fields[FIELDS_MAX];
} rows[NINEP_TYPES] = {
	[NINEP_RLERROR] = { 1, { FIELD(U32, code) } },
	[NINEP_TSTATFS] = { 1, { FID } },
	[R(NINEP_TSTATFS)] = { 1,
			       { FIELD(U32, statfs.type), FIELD(U32, statfs.block),
				 FIELD(U64, statfs.blocks), FIELD(U64, statfs.free),
				 FIELD(U64, statfs.available), FIELD(U64, statfs.files),
				 FIELD(U64, statfs.files_free), FIELD(U64, statfs.id),
				 FIELD(U32, statfs.name_max) } },
	[NINEP_TLOPEN] = { 1, { FID, FIELD(U32, flags) } },
	[R(NINEP_TLOPEN)] = { 1, { FIELD(QID, qid), FIELD(U32, io_unit) } },
	[NINEP_TLCREATE] = { 1,
			     { FID, NAME, FIELD(U32, flags), FIELD(U32, mode), FIELD(U32, gid) } },
	[R(NINEP_TLCREATE)] = { 1, { FIELD(QID, qid), FIELD(U32, io_unit) } },
	[NINEP_TSYMLINK] = { 1, { FID, NAME, OTHER_NAME, FIELD(U32, gid) } },
	[R(NINEP_TSYMLINK)] = { 1, { FIELD(QID, qid) } },
	[NINEP_TRENAME] = { 1, { FID, OTHER_FID, NAME } },
	[R(NINEP_TRENAME)] = { 1, EMPTY },
	[NINEP_TREADLINK] = { 1, { FID } },
	[R(NINEP_TREADLINK)] = { 1, { NAME } },
	[NINEP_TGETATTR] = { 1, { FID, FIELD(U64, mask) } },
	[R(NINEP_TGETATTR)] = { 1,
				{ FIELD(U64, attr.valid), FIELD(QID, qid), FIELD(U32, attr.mode),
				  FIELD(U32, attr.uid), FIELD(U32, attr.gid),
				  FIELD(U64, attr.n_links), FIELD(U64, attr.rdev),
				  FIELD(U64, attr.size), FIELD(U64, attr.block),
				  FIELD(U64, attr.blocks), TIMES, FIELD(U64, attr.changed_s),
				  FIELD(U64, attr.changed_ns), FIELD(U64, attr.created_s),
				  FIELD(U64, attr.created_ns), FIELD(U64, attr.generation),
				  FIELD(U64, attr.data_version) } },
	/* Which of them are meant: 32 bits here, in flags. */
	[NINEP_TSETATTR] = { 1,
			     { FID, FIELD(U32, flags), FIELD(U32, attr.mode), FIELD(U32, attr.uid),
			       FIELD(U32, attr.gid), FIELD(U64, attr.size), TIMES } },
	[R(NINEP_TSETATTR)] = { 1, EMPTY },
	[NINEP_TXATTRWALK] = { 1, { FID, OTHER_FID, NAME } },
	[R(NINEP_TXATTRWALK)] = { 1, { FIELD(U64, mask) } },
	[NINEP_TREADDIR] = { 1, { FID, FIELD(U64, off), FIELD(U32, count) } },
	[R(NINEP_TREADDIR)] = { 1, { FIELD(DATA, data) } },
	[NINEP_TFSYNC] = { 1, { FID, FIELD(U32, flags) } },
	[R(NINEP_TFSYNC)] = { 1, EMPTY },
	[NINEP_TLOCK] = { 1, { FID, FIELD(U8, lock_type), FIELD(U32, flags), LOCK } },
	[R(NINEP_TLOCK)] = { 1, { FIELD(U8, lock_status) } },
	[NINEP_TGETLOCK] = { 1, { FID, FIELD(U8, lock_type), LOCK } },
	[R(NINEP_TGETLOCK)] = { 1, { FIELD(U8, lock_type), LOCK } },
	[NINEP_TLINK] = { 1, { FID, OTHER_FID, NAME } },
	[R(NINEP_TLINK)] = { 1, EMPTY },
	[NINEP_TMKDIR] = { 1, { FID, NAME, FIELD(U32, mode), FIELD(U32, gid) } },
	[R(NINEP_TMKDIR)] = { 1, { FIELD(QID, qid) } },
	[NINEP_TRENAMEAT] = { 1, { FID, NAME, OTHER_FID, OTHER_NAME } },
	[R(NINEP_TRENAMEAT)] = { 1, EMPTY },
	[NINEP_TUNLINKAT] = { 1, { FID, NAME, FIELD(U32, flags) } },
	[R(NINEP_TUNLINKAT)] = { 1, EMPTY },
	[NINEP_TVERSION] = { 1, { FIELD(U32, msize), NAME } },
	[R(NINEP_TVERSION)] = { 1, { FIELD(U32, msize), NAME } },
	[NINEP_TAUTH] = { 1, { OTHER_FID, NAME, OTHER_NAME, FIELD(U32, uid) } },
	[R(NINEP_TAUTH)] = { 1, { FIELD(QID, qid) } },
	[NINEP_TATTACH] = { 1, { FID, OTHER_FID, NAME, OTHER_NAME, FIELD(U32, uid) } },
	[R(NINEP_TATTACH)] = { 1, { FIELD(QID, qid) } },
	[NINEP_TFLUSH] = { 1, { FIELD(U16, old_tag) } },
	[R(NINEP_TFLUSH)] = { 1, EMPTY },
	[NINEP_TWALK] = { 1, { FID, OTHER_FID, FIELD(NAMES, names) } },
	[R(NINEP_TWALK)] = { 1, { FIELD(QIDS, qids) } },
	[NINEP_TREAD] = { 1, { FID, FIELD(U64, off), FIELD(U32, count) } },
	[R(NINEP_TREAD)] = { 1, { FIELD(DATA, data) } },
	[NINEP_TWRITE] = { 1, { FID, FIELD(U64, off), FIELD(DATA, data) } },
	[R(NINEP_TWRITE)] = { 1, { FIELD(U32, count) } },
	[NINEP_TCLUNK] = { 1, { FID } },
	[R(NINEP_TCLUNK)] = { 1, EMPTY },
	[NINEP_TREMOVE] = { 1, { FID } },
	[R(NINEP_TREMOVE)] = { 1, EMPTY },
};

/* ---- bytes in ------------------------------------------------------------------------------------ */

/* What is left of a message; failed: something lay beyond its end. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

/* NULL: there are no more n bytes. */
static const uint8_t *take(struct reader *in, size_t n)
{
	const uint8_t *at = in->at;

	if (in->failed || n > in->left) {
		in->failed = true;
		return NULL;
	}
	in->at += n;
	in->left -= n;
	return at;
}

static uint64_t take_number(struct reader *in, uint32_t size)
{
	const uint8_t *at = take(in, size);

	return at ? sonde_load(at, size, SONDE_LITTLE) : 0;
}

static void take_text(struct reader *in, struct ninep_text *ret)
{
	ret->len = (uint16_t)take_number(in, 2);
	ret->at = (const char *)take(in, ret->len);
}

static void take_qid(struct reader *in, struct ninep_qid *ret)
{
	ret->type = (uint8_t)take_number(in, 1);
	ret->version = (uint32_t)take_number(in, 4);
	ret->path = take_number(in, 8);
}

/* How many follow: more than a walk may have is as bad as too few bytes. */
static uint16_t take_count(struct reader *in)
{
	uint16_t n = (uint16_t)take_number(in, 2);

	if (n > NINEP_NAMES)
		in->failed = true;
	return in->failed ? 0 : n;
}

static void take_field(struct reader *in, uint32_t kind, void *to, struct ninep_msg *msg)
{
	switch (kind) {
	case U8:
		*(uint8_t *)to = (uint8_t)take_number(in, 1);
		break;
	case U16:
		*(uint16_t *)to = (uint16_t)take_number(in, 2);
		break;
	case U32:
		*(uint32_t *)to = (uint32_t)take_number(in, 4);
		break;
	case U64:
		*(uint64_t *)to = take_number(in, 8);
		break;
	case TEXT:
		take_text(in, to);
		break;
	case QID:
		take_qid(in, to);
		break;
	case DATA:
		msg->count = (uint32_t)take_number(in, 4);
		msg->data = take(in, msg->count);
		break;
	case NAMES:
		msg->n_names = take_count(in);
		for (uint16_t i = 0; i < msg->n_names; i++)
			take_text(in, &msg->names[i]);
		break;
	default:
		msg->n_qids = take_count(in);
		for (uint16_t i = 0; i < msg->n_qids; i++)
			take_qid(in, &msg->qids[i]);
	}
}

uint32_t ninep_size(const uint8_t *bytes)
{
	return sonde_le32(bytes);
}

bool ninep_decode(const uint8_t *bytes, size_t len, struct ninep_msg *ret)
{
	struct reader in = { .at = bytes, .left = len };

	memset(ret, 0, sizeof(*ret));
	uint64_t size = take_number(&in, 4);
	ret->type = (uint8_t)take_number(&in, 1);
	ret->tag = (uint16_t)take_number(&in, 2);
	if (in.failed || size != len || ret->type >= NINEP_TYPES || !rows[ret->type].is_known)
		return false;
	for (const struct field *field = rows[ret->type].fields; field->kind != END; field++)
		take_field(&in, field->kind, (char *)ret + field->at, ret);
	return !in.failed && in.left == 0;
}

/* ---- bytes out ----------------------------------------------------------------------------------- */

struct writer {
	uint8_t *at;
	size_t left;
	bool failed;
};

static uint8_t *room(struct writer *out, size_t n)
{
	uint8_t *at = out->at;

	if (out->failed || n > out->left) {
		out->failed = true;
		return NULL;
	}
	out->at += n;
	out->left -= n;
	return at;
}

static void put_number(struct writer *out, uint32_t size, uint64_t value)
{
	uint8_t *at = room(out, size);

	for (uint32_t i = 0; at && i < size; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* data NULL: the bytes are there already, where they belong. */
static void put_bytes(struct writer *out, const void *data, size_t len)
{
	uint8_t *at = room(out, len);

	if (at && len && data)
		memcpy(at, data, len);
}

static void put_text(struct writer *out, const struct ninep_text *text)
{
	put_number(out, 2, text->len);
	put_bytes(out, text->at, text->len);
}

static void put_qid(struct writer *out, const struct ninep_qid *qid)
{
	put_number(out, 1, qid->type);
	put_number(out, 4, qid->version);
	put_number(out, 8, qid->path);
}

static void put_field(struct writer *out, uint32_t kind, const void *from,
		      const struct ninep_msg *msg)
{
	switch (kind) {
	case U8:
		put_number(out, 1, *(const uint8_t *)from);
		break;
	case U16:
		put_number(out, 2, *(const uint16_t *)from);
		break;
	case U32:
		put_number(out, 4, *(const uint32_t *)from);
		break;
	case U64:
		put_number(out, 8, *(const uint64_t *)from);
		break;
	case TEXT:
		put_text(out, from);
		break;
	case QID:
		put_qid(out, from);
		break;
	case DATA:
		put_number(out, 4, msg->count);
		put_bytes(out, msg->data, msg->count);
		break;
	case NAMES:
		put_number(out, 2, msg->n_names);
		for (uint16_t i = 0; i < msg->n_names && i < NINEP_NAMES; i++)
			put_text(out, &msg->names[i]);
		break;
	default:
		put_number(out, 2, msg->n_qids);
		for (uint16_t i = 0; i < msg->n_qids && i < NINEP_NAMES; i++)
			put_qid(out, &msg->qids[i]);
	}
}

size_t ninep_encode(const struct ninep_msg *msg, uint8_t *bytes, size_t cap)
{
	struct writer out = { .at = bytes, .left = cap };
	struct writer size = { .at = bytes, .left = 4 };

	if (msg->type >= NINEP_TYPES || !rows[msg->type].is_known)
		return 0;
	put_number(&out, 4, 0);
	put_number(&out, 1, msg->type);
	put_number(&out, 2, msg->tag);
	for (const struct field *field = rows[msg->type].fields; field->kind != END; field++)
		put_field(&out, field->kind, (const char *)msg + field->at, msg);
	if (out.failed)
		return 0;
	put_number(&size, 4, (uint64_t)(out.at - bytes));
	return (size_t)(out.at - bytes);
}

/* ---- entries of directories ---------------------------------------------------------------------- */

size_t ninep_decode_entry(const uint8_t *bytes, size_t len, struct ninep_entry *ret)
{
	struct reader in = { .at = bytes, .left = len };

	take_qid(&in, &ret->qid);
	ret->next = take_number(&in, 8);
	ret->type = (uint8_t)take_number(&in, 1);
	take_text(&in, &ret->name);
	return in.failed ? 0 : len - in.left;
}

size_t ninep_encode_entry(const struct ninep_entry *entry, uint8_t *bytes, size_t cap)
{
	struct writer out = { .at = bytes, .left = cap };

	put_qid(&out, &entry->qid);
	put_number(&out, 8, entry->next);
	put_number(&out, 1, entry->type);
	put_text(&out, &entry->name);
	return out.failed ? 0 : cap - out.left;
}
