/* SPDX-License-Identifier: MIT */
/*
 * Builds migration streams of QEMU in memory, call by call as QEMU writes them: qemu 7.2 migration/savevm.c, migration/ram.c,
 * migration/vmstate.c. Nothing is checked: each number can lie.
 */
#ifndef SYNTH_STREAM_H
#define SYNTH_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	SYNTH_FILL_FLAG = 0x2,
	SYNTH_BLOCKS_FLAG = 0x4,
	SYNTH_PAGE_FLAG = 0x8,
	SYNTH_EOS_FLAG = 0x10,
	SYNTH_SAME_FLAG = 0x20,
	SYNTH_XBZRLE_FLAG = 0x40,
	SYNTH_ZLIB_FLAG = 0x100,
	SYNTH_RAM_SECTION = 2,
};

struct synth_stream {
	uint8_t bytes[160 << 10];
	size_t len;
	char json[4096]; /* of the devices so far */
	uint32_t section;
};

static inline void synth_number(struct synth_stream *s, size_t len, uint64_t value)
{
	for (size_t i = len; i-- > 0;)
		s->bytes[s->len++] = (uint8_t)(value >> 8 * i);
}

static inline void synth_bytes(struct synth_stream *s, const void *bytes, size_t len)
{
	memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
}

/* Counted in so many bytes. */
static inline void synth_text(struct synth_stream *s, const char *text, size_t count_len)
{
	synth_number(s, count_len, strlen(text));
	synth_bytes(s, text, strlen(text));
}

static inline void synth_head(struct synth_stream *s, const char *machine, uint32_t page_bits)
{
	synth_number(s, 4, 0x5145564d);
	synth_number(s, 4, 3);
	synth_number(s, 1, 7);
	synth_text(s, machine, 4);
	synth_number(s, 1, 5);
	synth_text(s, "configuration/target-page-bits", 1);
	synth_number(s, 4, 1);
	synth_number(s, 4, page_bits);
}

static inline void synth_start(struct synth_stream *s, int type, uint32_t id, const char *name,
			       uint32_t version)
{
	synth_number(s, 1, (uint64_t)type);
	synth_number(s, 4, id);
	synth_text(s, name, 1);
	synth_number(s, 4, 0); /* instance */
	synth_number(s, 4, version);
}

static inline void synth_block(struct synth_stream *s, const char *id, uint64_t len)
{
	synth_text(s, id, 1);
	synth_number(s, 8, len);
}

static inline void synth_footer(struct synth_stream *s, uint32_t id)
{
	synth_number(s, 1, 0x7e);
	synth_number(s, 4, id);
}

static inline void synth_end(struct synth_stream *s)
{
	synth_number(s, 8, SYNTH_EOS_FLAG);
	synth_footer(s, SYNTH_RAM_SECTION);
}

/* More of the RAM: type 2, the last of it: 3. */
static inline void synth_next(struct synth_stream *s, int type)
{
	synth_number(s, 1, (uint64_t)type);
	synth_number(s, 4, SYNTH_RAM_SECTION);
}

/* block NULL: that of the page before. */
static inline void synth_page_head(struct synth_stream *s, uint64_t off, const char *block,
				   uint64_t flag)
{
	synth_number(s, 8, off | flag | (block ? 0 : SYNTH_SAME_FLAG));
	if (block)
		synth_text(s, block, 1);
}

static inline void synth_fill(struct synth_stream *s, uint64_t off, const char *block, uint8_t byte)
{
	synth_page_head(s, off, block, SYNTH_FILL_FLAG);
	synth_number(s, 1, byte);
}

/* ---- devices, and what describes them ---------------------------------------------------------------- */

static inline void synth_say(struct synth_stream *s, const char *text)
{
	size_t len = strlen(s->json);

	snprintf(s->json + len, sizeof(s->json) - len, "%s", text);
}

static inline void synth_device(struct synth_stream *s, const char *name)
{
	char text[128];

	synth_start(s, 4, ++s->section + 10, name, 1);
	snprintf(text, sizeof(text),
		 "%s{\"name\": \"%s\", \"instance_id\": 0, \"vmsd_name\": \"%s\", \"version\": 1, "
		 "\"fields\": [",
		 *s->json ? ", " : "", name, name);
	synth_say(s, text);
}

static inline void synth_between(struct synth_stream *s)
{
	if (s->json[strlen(s->json) - 1] != '[')
		synth_say(s, ", ");
}

/* n numbers of size bytes; n 1: no array. */
static inline void synth_field(struct synth_stream *s, const char *name, size_t size, size_t n,
			       const uint64_t *values)
{
	char text[160], array[32] = "";

	for (size_t i = 0; i < n; i++)
		synth_number(s, size, values[i]);
	if (n > 1)
		snprintf(array, sizeof(array), "\"array_len\": %zu, ", n);
	snprintf(text, sizeof(text), "{\"name\": \"%s\", %s\"type\": \"uint\", \"size\": %zu}",
		 name, array, size);
	synth_between(s);
	synth_say(s, text);
}

/* n segments: selector, base, limit, flags. */
static inline void synth_segments(struct synth_stream *s, const char *name, size_t n,
				  const uint64_t *bases)
{
	char text[400], array[32] = "";

	for (size_t i = 0; i < n; i++) {
		synth_number(s, 4, 0x10);
		synth_number(s, 8, bases[i]);
		synth_number(s, 8, 0xffffffff);
	}
	if (n > 1)
		snprintf(array, sizeof(array), "\"array_len\": %zu, ", n);
	snprintf(text, sizeof(text),
		 "{\"name\": \"%s\", %s\"type\": \"struct\", \"struct\": {\"vmsd_name\": "
		 "\"segment\", "
		 "\"version\": 1, \"fields\": [{\"name\": \"selector\", \"type\": \"uint32\", "
		 "\"size\": "
		 "4}, {\"name\": \"base\", \"type\": \"uint64\", \"size\": 8}, {\"name\": "
		 "\"limit\", "
		 "\"type\": \"uint32\", \"size\": 4}, {\"name\": \"flags\", \"type\": \"uint32\", "
		 "\"size\": 4}]}, \"size\": 20}",
		 name, array);
	synth_between(s);
	synth_say(s, text);
}

/* sub not NULL: with a subsection of that name, of one number. */
static inline void synth_device_end(struct synth_stream *s, const char *sub)
{
	char text[200] = "]}";

	if (sub) {
		snprintf(text, sizeof(text),
			 "], \"subsections\": [{\"vmsd_name\": \"%s\", \"version\": 1, \"fields\": "
			 "[{\"name\": \"more\", \"type\": \"uint64\", \"size\": 8}]}]}",
			 sub);
		synth_number(s, 1, 5);
		synth_text(s, sub, 1);
		synth_number(s, 4, 1);
		synth_number(s, 8, 0x5);
	}
	synth_say(s, text);
	synth_footer(s, s->section + 10);
}

static inline void synth_description(struct synth_stream *s)
{
	static const char head[] = "{\"page_size\": 4096, \"devices\": [", tail[] = "]}";

	synth_number(s, 1, 0);
	synth_number(s, 1, 6);
	synth_number(s, 4, strlen(head) + strlen(s->json) + strlen(tail));
	synth_bytes(s, head, strlen(head));
	synth_bytes(s, s->json, strlen(s->json));
	synth_bytes(s, tail, strlen(tail));
}

/* ---- a qcow2 image that has a stream for the state of its only snapshot -------------------------------- */

enum {
	SYNTH_QCOW2_CLUSTER = 4096,
	SYNTH_QCOW2_FIRST = 5
}; /* FIRST: the first cluster of the state */

static inline void synth_at(uint8_t *at, size_t len, uint64_t value)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> 8 * (len - 1 - i));
}

/*
 * Clusters: head; snapshot table; L1; L2; (one that is nobody's); then the state's, the last one first. A disk of 1 KiB, so the
 * state begins with the L1 table's second entry. Returns the bytes of the image: room for (state_len / 4096 + 7) clusters.
 */
static inline size_t synth_qcow2(uint8_t *image, uint32_t version, const char *name,
				 const uint8_t *state, size_t state_len)
{
	const size_t c = SYNTH_QCOW2_CLUSTER, n = (state_len + c - 1) / c;
	uint8_t *entry = image + c, *l1 = image + 2 * c, *l2 = image + 3 * c;
	size_t size = (SYNTH_QCOW2_FIRST + n) * c;

	memset(image, 0, size);
	memcpy(image, "QFI\xfb", 4);
	synth_at(image + 4, 4, version);
	synth_at(image + 20, 4, 12);   /* cluster bits    */
	synth_at(image + 24, 8, 1024); /* bytes of disk   */
	synth_at(image + 60, 4, 1);    /* snapshots       */
	synth_at(image + 64, 8, c);    /* ... and where   */
	synth_at(image + 100, 4, version > 2 ? 104 : 0);
	synth_at(entry, 8, 2 * c); /* L1              */
	synth_at(entry + 8, 4, 2);
	synth_at(entry + 12, 2, 1); /* length of the id    */
	synth_at(entry + 14, 2, strlen(name));
	synth_at(entry + 16, 4, 1000000000); /* 2001-09-09     */
	synth_at(entry + 36, 4, 16);         /* extra data     */
	synth_at(entry + 40, 8, state_len);
	synth_at(entry + 48, 8, 1024);
	entry[56] = '1';
	memcpy(entry + 57, name, strlen(name));
	synth_at(l1 + 8, 8, 3 * c | UINT64_C(1) << 63);
	for (size_t i = 0; i < n; i++) {
		size_t at = (SYNTH_QCOW2_FIRST + n - 1 - i) * c;
		synth_at(l2 + 8 * i, 8, at | UINT64_C(1) << 63);
		memcpy(image + at, state + i * c, state_len - i * c < c ? state_len - i * c : c);
	}
	return size;
}

#endif
