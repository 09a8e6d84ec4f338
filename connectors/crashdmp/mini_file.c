/* SPDX-License-Identifier: MIT */
/* The directory of a minidump, and its lists of memory, threads, modules and mappings. */
#include "mini_file.h"

#include "../common/win_context.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_SIZE = 32,
	HEADER_STREAMS = 8, /* count, where the directory is */
	HEADER_TIME = 20,
	HEADER_FLAGS = 24,
	ENTRY_SIZE = 12, /* of the directory: type, size, where */

	STREAM_THREADS = 3,
	STREAM_MODULES = 4,
	STREAM_MEMORY = 5,
	STREAM_EXCEPTION = 6,
	STREAM_SYSTEM = 7,
	STREAM_MEMORY_64 = 9,
	STREAM_MISC = 15,
	STREAM_INFO = 16,

	THREAD_SIZE = 48,
	THREAD_CONTEXT = 40, /* size, where */
	MODULE_SIZE = 108,
	MEMORY_SIZE = 16,
	INFO_SIZE_MIN = 48,
};

int mini_probe(const uint8_t *head, size_t len)
{
	/* The low half of the version is the same in all of them. */
	return len >= 8 && memcmp(head, MINI_MAGIC, 4) == 0 && sonde_le16(head + 4) == 0xa793;
}

struct stream {
	uint32_t size;
	uint64_t off;
};

/*
 * A list of a count (of 4 bytes, of Breakpad 8) and entries: as many as there are bytes for in the stream and in the file.
 */
static int read_list(struct mini_file *mini, const struct stream *stream, const char *name,
		     uint32_t entry, uint32_t most, struct mini_list *ret)
{
	struct dump *dump = &mini->dump;
	uint8_t head[4];
	int r = stream->size < 4 ? SONDE_E_CORRUPT
				 : dump_get(dump, name, stream->off, head, sizeof(head));

	if (r < 0)
		return r;
	uint32_t n = sonde_le32(head), at = 4;
	if (stream->size >= 8 && (stream->size - 8) % entry == 0 && (stream->size - 8) / entry == n)
		at = 8;
	uint64_t off = stream->off + at, left = off < dump->file_size ? dump->file_size - off : 0;
	uint64_t room = stream->size - at < left ? stream->size - at : left;
	dump->cut |= n > room / entry;
	n = n < room / entry ? n : (uint32_t)(room / entry);
	*ret = (struct mini_list){ off, n < most ? n : most, entry };
	return 0;
}

/* ---- streams. Each returns 0; SONDE_E_TRUNCATED, _CORRUPT: this one is left out; SONDE_E_LIMIT, _NO_MEMORY ---- */

static int take_threads(struct mini_file *mini, const struct stream *stream)
{
	struct mini_list list;
	uint8_t bytes[THREAD_SIZE];
	int r = read_list(mini, stream, "MINIDUMP_THREAD_LIST", THREAD_SIZE, MINI_THREADS_MAX,
			  &list);

	if (r < 0)
		return r;
	mini->threads = calloc((size_t)list.count + 1, sizeof(*mini->threads));
	if (!mini->threads)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < list.count; i++) {
		r = dump_get(&mini->dump, "MINIDUMP_THREAD", list.off + (uint64_t)i * THREAD_SIZE,
			     bytes, sizeof(bytes));
		if (r < 0)
			return r;
		mini->threads[mini->n_threads++] = (struct mini_thread){
			.tid = sonde_le32(bytes),
			.context_size = sonde_le32(bytes + THREAD_CONTEXT),
			.context_off = sonde_le32(bytes + THREAD_CONTEXT + 4),
		};
	}
	return 0;
}

static int take_modules(struct mini_file *mini, const struct stream *stream)
{
	return read_list(mini, stream, "MINIDUMP_MODULE_LIST", MODULE_SIZE, MINI_MODULES_MAX,
			 &mini->modules);
}

/* A range that wraps, or lies in the header, is left out alone. */
static int add_memory(struct mini_file *mini, uint64_t addr, uint64_t len, uint64_t off)
{
	int r = off < HEADER_SIZE ? SONDE_E_CORRUPT : dump_add_run(&mini->dump, addr, len, off);

	mini->dump.n_spoilt += r == SONDE_E_CORRUPT;
	return r == SONDE_E_CORRUPT ? 0 : r;
}

static int take_memory(struct mini_file *mini, const struct stream *stream)
{
	struct mini_list list;
	uint8_t bytes[MEMORY_SIZE];
	int r = read_list(mini, stream, "MINIDUMP_MEMORY_LIST", MEMORY_SIZE, DUMP_RUNS_MAX, &list);

	for (uint32_t i = 0; r == 0 && i < list.count; i++) {
		r = dump_get(&mini->dump, "MINIDUMP_MEMORY_DESCRIPTOR",
			     list.off + (uint64_t)i * MEMORY_SIZE, bytes, sizeof(bytes));
		if (r == 0)
			r = add_memory(mini, sonde_le64(bytes), sonde_le32(bytes + 8),
				       sonde_le32(bytes + 12));
	}
	return r;
}

/* The bytes of all ranges lie behind each other, from one place on. */
static int take_memory_64(struct mini_file *mini, const struct stream *stream)
{
	static const char name[] = "MINIDUMP_MEMORY64_LIST";
	uint8_t head[16], bytes[MEMORY_SIZE];
	int r = stream->size < sizeof(head)
			? SONDE_E_CORRUPT
			: dump_get(&mini->dump, name, stream->off, head, sizeof(head));
	if (r < 0)
		return r;
	uint64_t n = sonde_le64(head), off = sonde_le64(head + 8);
	uint64_t room = (stream->size - sizeof(head)) / MEMORY_SIZE;
	mini->dump.cut |= n > room;
	for (uint64_t i = 0; i < n && i < room && i < DUMP_RUNS_MAX; i++) {
		r = dump_get(&mini->dump, name, stream->off + sizeof(head) + i * MEMORY_SIZE, bytes,
			     sizeof(bytes));
		uint64_t len = r == 0 ? sonde_le64(bytes + 8) : 0;
		if (r == 0)
			r = add_memory(mini, sonde_le64(bytes), len, off);
		if (r < 0 || len > UINT64_MAX - off)
			return r;
		off += len;
	}
	return 0;
}

static int take_exception(struct mini_file *mini, const struct stream *stream)
{
	uint8_t bytes[168];
	int r = stream->size < sizeof(bytes) ? SONDE_E_CORRUPT
					     : dump_get(&mini->dump, "MINIDUMP_EXCEPTION_STREAM",
							stream->off, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	mini->exception_tid = sonde_le32(bytes);
	mini->exception_code = sonde_le32(bytes + 8);
	mini->exception_address = sonde_le64(bytes + 24);
	return 0;
}

/* PROCESSOR_ARCHITECTURE_*, winnt.h */
static uint32_t arch_of(uint16_t processor)
{
	return processor == 9    ? SONDE_ARCH_X86_64
	       : processor == 12 ? SONDE_ARCH_AARCH64
	       : processor == 0  ? SONDE_ARCH_I386
				 : SONDE_ARCH_NONE;
}

static int take_system(struct mini_file *mini, const struct stream *stream)
{
	uint8_t bytes[32];
	int r = stream->size < sizeof(bytes) ? SONDE_E_CORRUPT
					     : dump_get(&mini->dump, "MINIDUMP_SYSTEM_INFO",
							stream->off, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	mini->dump.arch = arch_of(sonde_le16(bytes));
	mini->n_cpus = bytes[6];
	mini->major = sonde_le32(bytes + 8);
	mini->minor = sonde_le32(bytes + 12);
	mini->build = sonde_le32(bytes + 16);
	return 0;
}

static int take_misc(struct mini_file *mini, const struct stream *stream)
{
	uint8_t bytes[24];
	int r = stream->size < sizeof(bytes) ? SONDE_E_CORRUPT
					     : dump_get(&mini->dump, "MINIDUMP_MISC_INFO",
							stream->off, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	uint32_t known = sonde_le32(bytes + 4);
	mini->pid = known & 1 ? sonde_le32(bytes + 8) : 0;
	mini->created = known & 2 ? sonde_le32(bytes + 12) : 0;
	return 0;
}

/* Sizes of head and entry are told. */
static int take_infos(struct mini_file *mini, const struct stream *stream)
{
	static const char name[] = "MINIDUMP_MEMORY_INFO_LIST";
	uint8_t head[16];
	int r = stream->size < sizeof(head)
			? SONDE_E_CORRUPT
			: dump_get(&mini->dump, name, stream->off, head, sizeof(head));
	if (r < 0)
		return r;
	uint32_t at = sonde_le32(head), size = sonde_le32(head + 4);
	uint64_t n = sonde_le64(head + 8), off = stream->off + at;
	if (at < sizeof(head) || at > stream->size || size < INFO_SIZE_MIN)
		return SONDE_E_CORRUPT;
	uint64_t left = off < mini->dump.file_size ? mini->dump.file_size - off : 0;
	uint64_t room = stream->size - at < left ? stream->size - at : left;
	mini->dump.cut |= n > room / size;
	n = n < room / size ? n : room / size;
	mini->infos =
		(struct mini_list){ off, n < MINI_INFOS_MAX ? (uint32_t)n : MINI_INFOS_MAX, size };
	return 0;
}

static const struct {
	uint32_t type;
	int (*take)(struct mini_file *mini, const struct stream *stream);
} known[] = {
	{ STREAM_THREADS, take_threads },     { STREAM_MODULES, take_modules },
	{ STREAM_MEMORY, take_memory },       { STREAM_MEMORY_64, take_memory_64 },
	{ STREAM_EXCEPTION, take_exception }, { STREAM_SYSTEM, take_system },
	{ STREAM_MISC, take_misc },           { STREAM_INFO, take_infos },
};

static int take_stream(struct mini_file *mini, const uint8_t *entry)
{
	const struct stream stream = { sonde_le32(entry + 4), sonde_le32(entry + 8) };
	uint32_t type = sonde_le32(entry);
	int r = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].type != type || mini->seen >> i & 1)
			continue;
		mini->seen |= 1u << i;
		r = known[i].take(mini, &stream);
	}
	mini->dump.cut |= r == SONDE_E_TRUNCATED;
	mini->dump.n_spoilt += r == SONDE_E_CORRUPT;
	return r == SONDE_E_TRUNCATED || r == SONDE_E_CORRUPT ? 0 : r;
}

int mini_file_read(struct mini_file *ret, dump_read_fn *read, void *user, uint64_t file_size)
{
	uint8_t head[HEADER_SIZE], entry[ENTRY_SIZE];
	struct dump *dump = &ret->dump;

	*ret = (struct mini_file){
		.dump = { .file_size = file_size, .read = read, .user = user, .is_virtual = 1 }
	};
	int r = dump_get(dump, "MINIDUMP_HEADER", 0, head, sizeof(head));
	if (r < 0)
		return r;
	if (!mini_probe(head, sizeof(head)))
		return dump_fail(dump, SONDE_E_BAD_FORMAT, "MINIDUMP_HEADER", "Signature", 0,
				 "no MDMP of version 0xa793");
	uint32_t n = sonde_le32(head + HEADER_STREAMS), at = sonde_le32(head + HEADER_STREAMS + 4);
	ret->n_streams = n;
	ret->time = sonde_le32(head + HEADER_TIME);
	ret->flags = sonde_le64(head + HEADER_FLAGS);
	if (n > MINI_STREAMS_MAX)
		return dump_fail(dump, SONDE_E_CORRUPT, "MINIDUMP_HEADER", "NumberOfStreams",
				 HEADER_STREAMS, "more than 4096");
	for (uint32_t i = 0; i < n && r == 0; i++) {
		r = dump_get(dump, "MINIDUMP_DIRECTORY", at + (uint64_t)i * ENTRY_SIZE, entry,
			     sizeof(entry));
		if (r == SONDE_E_TRUNCATED && i > 0) {
			dump->cut = 1;
			return 0;
		}
		if (r == 0)
			r = take_stream(ret, entry);
	}
	return r;
}

void mini_file_finish(struct mini_file *mini)
{
	free(mini->threads);
	mini->threads = NULL;
	mini->n_threads = 0;
	dump_finish(&mini->dump);
}
