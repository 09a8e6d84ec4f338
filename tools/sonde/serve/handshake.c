/* SPDX-License-Identifier: MIT */
/* Source: NetworkBlockDevice/nbd doc/proto.md, "Fixed newstyle negotiation", "Option types", "Metadata querying". */
#include "handshake.h"

#include "proto.h"

#include <string.h>

/* What is left of an option's data. */
struct reader {
	const uint8_t *at;
	size_t left;
};

/* ---- answers ------------------------------------------------------------------------------------ */

/* What does not fit is not sent; nothing that is answered comes near. */
static void put(struct handshake *h, const void *bytes, size_t len)
{
	if (len > sizeof(h->answer) - h->n_answer)
		return;
	memcpy(h->answer + h->n_answer, bytes, len);
	h->n_answer += len;
}

static void put_number(struct handshake *h, uint32_t size, uint64_t value)
{
	uint8_t bytes[8];

	nbd_put(bytes, size, value);
	put(h, bytes, size);
}

static void reply_head(struct handshake *h, uint32_t type, uint32_t len)
{
	put_number(h, 8, NBD_REP_MAGIC);
	put_number(h, 4, h->option);
	put_number(h, 4, type);
	put_number(h, 4, len);
}

static enum handshake_step ack(struct handshake *h)
{
	reply_head(h, NBD_REP_ACK, 0);
	return HANDSHAKE_MORE;
}

static enum handshake_step refuse(struct handshake *h, uint32_t type, const char *text)
{
	reply_head(h, type, (uint32_t)strlen(text));
	put(h, text, strlen(text));
	return HANDSHAKE_MORE;
}

/* ---- data of options ---------------------------------------------------------------------------- */

static bool take_number(struct reader *reader, uint32_t size, uint32_t *ret)
{
	if (size > reader->left)
		return false;
	*ret = (uint32_t)nbd_take(&reader->at, size);
	reader->left -= size;
	return true;
}

/* A string behind its length; of bytes that are not terminated. */
static bool take_string(struct reader *reader, struct reader *ret)
{
	uint32_t len;

	if (!take_number(reader, 4, &len) || len > NBD_STRING_MAX || len > reader->left)
		return false;
	*ret = (struct reader){ reader->at, len };
	reader->at += len;
	reader->left -= len;
	return true;
}

static bool is_text(const struct reader *name, const char *text)
{
	return name->left == strlen(text) && memcmp(name->at, text, name->left) == 0;
}

static bool is_export(const struct handshake *h, const struct reader *name)
{
	return name->left == 0 || is_text(name, h->export->name);
}

/* ---- options ------------------------------------------------------------------------------------- */

static uint16_t transmission_flags(const struct handshake *h)
{
	uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_CAN_MULTI_CONN | NBD_FLAG_SEND_CACHE;

	if (h->structured)
		flags |= NBD_FLAG_SEND_DF;
	return flags | (h->export->writable ? NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_WRITE_ZEROES
					    : NBD_FLAG_READ_ONLY);
}

/* It cannot be refused but by hanging up. */
static enum handshake_step export_name(struct handshake *h, struct reader data)
{
	static const uint8_t zeroes[124];

	if (!is_export(h, &data) || h->is_full)
		return HANDSHAKE_BROKEN;
	put_number(h, 8, h->export->size);
	put_number(h, 2, transmission_flags(h));
	if (!h->no_zeroes)
		put(h, zeroes, sizeof(zeroes));
	return HANDSHAKE_GO;
}

static enum handshake_step list(struct handshake *h, struct reader data)
{
	size_t name = strlen(h->export->name), text = strlen(h->export->description);

	if (data.left)
		return refuse(h, NBD_REP_ERR_INVALID, "NBD_OPT_LIST has no data");
	reply_head(h, NBD_REP_SERVER, (uint32_t)(4 + name + text));
	put_number(h, 4, name);
	put(h, h->export->name, name);
	put(h, h->export->description, text);
	return ack(h);
}

static void info_export(struct handshake *h)
{
	reply_head(h, NBD_REP_INFO, 12);
	put_number(h, 2, NBD_INFO_EXPORT);
	put_number(h, 8, h->export->size);
	put_number(h, 2, transmission_flags(h));
}

static void info_text(struct handshake *h, uint32_t type, const char *text)
{
	reply_head(h, NBD_REP_INFO, (uint32_t)(2 + strlen(text)));
	put_number(h, 2, type);
	put(h, text, strlen(text));
}

static void info_block_size(struct handshake *h)
{
	reply_head(h, NBD_REP_INFO, 14);
	put_number(h, 2, NBD_INFO_BLOCK_SIZE);
	put_number(h, 4, 1);
	put_number(h, 4, SONDE_PAGE_SIZE);
	put_number(h, 4, EXPORT_PAYLOAD_MAX);
}

/* Each once, however often it was asked for. */
static bool take_infos(struct reader *data, uint32_t *ret_asked)
{
	uint32_t n, type;

	if (!take_number(data, 2, &n) || data->left != 2 * (size_t)n)
		return false;
	for (*ret_asked = 0; n > 0 && take_number(data, 2, &type); n--)
		*ret_asked |= type < 32 ? 1u << type : 0;
	return true;
}

static enum handshake_step info_or_go(struct handshake *h, struct reader data)
{
	struct reader name;
	uint32_t asked;

	if (!take_string(&data, &name) || !take_infos(&data, &asked))
		return refuse(h, NBD_REP_ERR_INVALID, "lengths do not fit the option's");
	if (!is_export(h, &name))
		return refuse(h, NBD_REP_ERR_UNKNOWN,
			      "no export of this name; NBD_OPT_LIST has it");
	if (h->is_full && h->option == NBD_OPT_GO)
		return refuse(h, NBD_REP_ERR_POLICY,
			      "as many clients as are allowed are connected; come back later");
	info_export(h);
	if (asked & 1u << NBD_INFO_NAME)
		info_text(h, NBD_INFO_NAME, h->export->name);
	if (asked & 1u << NBD_INFO_DESCRIPTION)
		info_text(h, NBD_INFO_DESCRIPTION, h->export->description);
	if (asked & 1u << NBD_INFO_BLOCK_SIZE)
		info_block_size(h);
	ack(h);
	return h->option == NBD_OPT_GO ? HANDSHAKE_GO : HANDSHAKE_MORE;
}

static enum handshake_step structured_reply(struct handshake *h, struct reader data)
{
	if (data.left)
		return refuse(h, NBD_REP_ERR_INVALID, "NBD_OPT_STRUCTURED_REPLY has no data");
	h->structured = true;
	return ack(h);
}

/* "base:" asks for all of a name space, when they are listed. */
static bool is_asked(const struct reader *query, const char *name, bool lists)
{
	size_t space = strcspn(name, ":") + 1;

	return is_text(query, name) ||
	       (lists && query->left == space && memcmp(query->at, name, space) == 0);
}

static uint32_t contexts_of(const struct reader *query, bool lists)
{
	uint32_t asked = 0;

	for (int i = 0; i < EXPORT_CONTEXTS; i++)
		asked |= is_asked(query, export_context_name(i), lists) ? 1u << i : 0;
	return asked;
}

static void put_contexts(struct handshake *h, uint32_t contexts)
{
	for (int i = 0; i < EXPORT_CONTEXTS; i++) {
		const char *name = export_context_name(i);
		if (!(contexts >> i & 1))
			continue;
		reply_head(h, NBD_REP_META_CONTEXT, (uint32_t)(4 + strlen(name)));
		put_number(h, 4, 1u << i);
		put(h, name, strlen(name));
	}
}

static enum handshake_step meta_context(struct handshake *h, struct reader data)
{
	bool lists = h->option == NBD_OPT_LIST_META_CONTEXT;
	struct reader name, query;
	uint32_t n, asked = 0;

	if (!lists)
		h->contexts = 0;
	if (!h->structured)
		return refuse(h, NBD_REP_ERR_INVALID, "NBD_OPT_STRUCTURED_REPLY comes first");
	if (!take_string(&data, &name) || !take_number(&data, 4, &n))
		return refuse(h, NBD_REP_ERR_INVALID, "lengths do not fit the option's");
	if (!is_export(h, &name))
		return refuse(h, NBD_REP_ERR_UNKNOWN,
			      "no export of this name; NBD_OPT_LIST has it");
	if (lists && n == 0)
		asked = EXPORT_ALLOCATION | EXPORT_REGIONS;
	for (; n > 0; n--) {
		if (!take_string(&data, &query))
			return refuse(h, NBD_REP_ERR_INVALID, "lengths do not fit the option's");
		asked |= contexts_of(&query, lists);
	}
	if (data.left)
		return refuse(h, NBD_REP_ERR_INVALID, "more data than queries");
	if (!lists)
		h->contexts = asked;
	put_contexts(h, asked);
	return ack(h);
}

static enum handshake_step start_tls(struct handshake *h, struct reader data)
{
	if (data.left || h->tls == HANDSHAKE_TLS_ON)
		return refuse(h, NBD_REP_ERR_INVALID, "NBD_OPT_STARTTLS comes once, without data");
	if (h->tls == HANDSHAKE_TLS_NONE)
		return refuse(h, NBD_REP_ERR_POLICY, "this server was started without TLS");
	ack(h);
	return HANDSHAKE_SECURE;
}

static enum handshake_step take_option(struct handshake *h, struct reader data)
{
	if (h->option == NBD_OPT_ABORT) {
		ack(h);
		return HANDSHAKE_BYE;
	}
	if (h->option == NBD_OPT_STARTTLS)
		return start_tls(h, data);
	if (h->tls == HANDSHAKE_TLS_MUST)
		return h->option == NBD_OPT_EXPORT_NAME
			       ? HANDSHAKE_BROKEN
			       : refuse(h, NBD_REP_ERR_TLS_REQD, "NBD_OPT_STARTTLS comes first");
	switch (h->option) {
	case NBD_OPT_EXPORT_NAME:
		return export_name(h, data);
	case NBD_OPT_LIST:
		return list(h, data);
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		return info_or_go(h, data);
	case NBD_OPT_STRUCTURED_REPLY:
		return structured_reply(h, data);
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		return meta_context(h, data);
	default:
		return refuse(h, NBD_REP_ERR_UNSUP, "this server does not know the option");
	}
}

/* ---- the machine ----------------------------------------------------------------------------------- */

void handshake_begin(struct handshake *ret)
{
	ret->state = HANDSHAKE_FLAGS;
	ret->no_zeroes = ret->structured = false;
	ret->contexts = ret->n_options = 0;
	ret->n_answer = 0;
	put_number(ret, 8, NBD_MAGIC);
	put_number(ret, 8, NBD_OPT_MAGIC);
	put_number(ret, 2, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
}

void handshake_secured(struct handshake *h)
{
	h->tls = HANDSHAKE_TLS_ON;
	h->structured = false;
	h->contexts = 0;
}

size_t handshake_need(const struct handshake *h)
{
	switch (h->state) {
	case HANDSHAKE_FLAGS:
		return 4;
	case HANDSHAKE_HEAD:
		return 16;
	default:
		return h->len;
	}
}

static enum handshake_step take_flags(struct handshake *h, const uint8_t *bytes)
{
	uint32_t flags = (uint32_t)nbd_take(&bytes, 4);

	if (flags & ~(uint32_t)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES))
		return HANDSHAKE_BROKEN;
	h->no_zeroes = flags & NBD_NO_ZEROES;
	h->state = HANDSHAKE_HEAD;
	return HANDSHAKE_MORE;
}

static enum handshake_step take_head(struct handshake *h, const uint8_t *bytes)
{
	if (nbd_take(&bytes, 8) != NBD_OPT_MAGIC)
		return HANDSHAKE_BROKEN;
	h->option = (uint32_t)nbd_take(&bytes, 4);
	h->len = (uint32_t)nbd_take(&bytes, 4);
	if (h->len > HANDSHAKE_OPTION_MAX || ++h->n_options > HANDSHAKE_OPTIONS_MAX)
		return HANDSHAKE_BROKEN;
	h->state = HANDSHAKE_DATA;
	return HANDSHAKE_MORE;
}

enum handshake_step handshake_take(struct handshake *h, const uint8_t *bytes)
{
	h->n_answer = 0;
	switch (h->state) {
	case HANDSHAKE_FLAGS:
		return take_flags(h, bytes);
	case HANDSHAKE_HEAD:
		return take_head(h, bytes);
	default:
		h->state = HANDSHAKE_HEAD;
		return take_option(h, (struct reader){ bytes, h->len });
	}
}
