/* SPDX-License-Identifier: MIT */
/*
 * Files of checked records: what the layers record and overlay write, the connector replay reads and the tool keeps as
 * a journal.
 * docs/record-format.md is the format; everything is little-endian:
 *
 *	file    "SONDEREC"  u32 version 1  u32 kind
 *	record  u64 length of payload  u32 type  u32 CRC-32 of the 12 bytes before
 *	        payload, zeros up to a multiple of 8
 *	        u32 CRC-32 of the payload  u32 0
 *
 * A file that was cut off, or damaged, is good up to the first record that is not whole.
 */
#ifndef PLUGINS_COMMON_RECFILE_H
#define PLUGINS_COMMON_RECFILE_H

#include <sonde/plugin.h>
#include <stddef.h>
#include <stdint.h>

enum recfile_kind { RECFILE_RECORDING = 1, RECFILE_OVERLAY = 2, RECFILE_JOURNAL = 3 };

enum { RECFILE_HEAD = 16, RECFILE_RECORD_HEAD = 16, RECFILE_RECORD_TAIL = 8 };

/* CRC-32 of IEEE 802.3 (polynomial 0xedb88320, reflected), going on from crc; 0 to begin with. */
uint32_t recfile_crc(uint32_t crc, const void *bytes, size_t len);

static inline void recfile_put_u32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static inline void recfile_put_u64(uint8_t *to, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* ---- writing ---------------------------------------------------------------------------------- */

enum { RECFILE_BUFFER = 65536 };

struct recfile_writer {
	int fd;
	int failed; /* errno of the first write that did; nothing is written after it */
	size_t used;
	uint8_t buffer[RECFILE_BUFFER];
};

/* A part of a payload. */
struct recfile_bytes {
	const void *at;
	size_t len;
};

/*
 * Make a file that is not there yet. who: the plugin, for the message.
 * Returns 0; the code that err has been filled with. Owns: recfile_writer_close.
 */
int recfile_create(const struct sonde_host *host, const char *who, const char *path, uint32_t kind,
		   struct recfile_writer *ret, struct sonde_error *err);

/* Go on at the byte end of a file that is open for writing, taking fd. end 0: an empty one, begun here. */
void recfile_continue(struct recfile_writer *ret, int fd, uint32_t kind, uint64_t end);

/* One record; its payload in n parts. Returns 0 or an errno. */
int recfile_put(struct recfile_writer *writer, uint32_t type, const struct recfile_bytes *parts,
		size_t n);
/* Hand what is buffered to the system. Returns 0 or an errno. */
int recfile_flush(struct recfile_writer *writer);
void recfile_writer_close(struct recfile_writer *writer);

/* ---- reading ---------------------------------------------------------------------------------- */

struct recfile_reader {
	int fd;
	uint64_t size; /* of the file, when it was opened                            */
	uint64_t at;   /* where the next record begins: the file is good up to here  */
	uint8_t buffer[RECFILE_BUFFER];
};

struct recfile_record {
	uint64_t off, len; /* of the payload in the file */
	uint32_t type;
};

/* Open and check the head. Returns 0; the code that err has been filled with. */
int recfile_open(const struct sonde_host *host, const char *who, const char *path, uint32_t kind,
		 struct recfile_reader *ret, struct sonde_error *err);
/* As recfile_open, of a descriptor, which is taken on success. Returns 0 or -1: no such file. */
int recfile_open_fd(int fd, uint32_t kind, struct recfile_reader *ret);

/* The next record, checked whole. Returns 1, 0 at the end, -1: what follows is not one. */
int recfile_next(struct recfile_reader *reader, struct recfile_record *ret);

/*
 * Behind a recfile_next that returned -1: is what follows a record that was begun and never finished, cut off or
 * zeros in place of its end? No: it is damaged, and what was in it and behind it is not known.
 */
int recfile_torn(const struct recfile_reader *reader);

/* len bytes at off of the file. Returns 0, -1: they are not there. */
int recfile_get(const struct recfile_reader *reader, uint64_t off, void *buf, size_t len);
void recfile_reader_close(struct recfile_reader *reader);

static inline uint32_t recfile_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static inline uint64_t recfile_u64(const uint8_t *at)
{
	return recfile_u32(at) | (uint64_t)recfile_u32(at + 4) << 32;
}

#endif
