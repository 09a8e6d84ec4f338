/* SPDX-License-Identifier: MIT */
/* Files of checked records, written through a buffer and read with pread; recfile.h has the format. */
#include "recfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1u
static const char magic[8] = "SONDEREC";

uint32_t recfile_crc(uint32_t crc, const void *bytes, size_t len)
{
	/* Of each half byte: the remainder it leaves. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *at = bytes;

	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static size_t padding(uint64_t len)
{
	return (size_t)(-len & 7);
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void write_out(struct recfile_writer *writer, const uint8_t *bytes, size_t len)
{
	while (len && !writer->failed) {
		ssize_t n = write(writer->fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			writer->failed = n < 0 ? errno : EIO;
			return;
		}
		bytes += n;
		len -= (size_t)n;
	}
}

int recfile_flush(struct recfile_writer *writer)
{
	write_out(writer, writer->buffer, writer->used);
	writer->used = 0;
	return writer->failed;
}

static void put(struct recfile_writer *writer, const void *bytes, size_t len)
{
	if (len > RECFILE_BUFFER - writer->used)
		recfile_flush(writer);
	if (len > RECFILE_BUFFER) {
		write_out(writer, bytes, len);
		return;
	}
	if (len)
		memcpy(writer->buffer + writer->used, bytes, len);
	writer->used += len;
}

int recfile_put(struct recfile_writer *writer, uint32_t type, const struct recfile_bytes *parts,
		size_t n)
{
	static const uint8_t zeros[8];
	uint8_t head[RECFILE_RECORD_HEAD], tail[RECFILE_RECORD_TAIL] = { 0 };
	uint64_t len = 0;
	uint32_t crc = 0;

	for (size_t i = 0; i < n; i++) {
		len += parts[i].len;
		crc = recfile_crc(crc, parts[i].at, parts[i].len);
	}
	recfile_put_u64(head, len);
	recfile_put_u32(head + 8, type);
	recfile_put_u32(head + 12, recfile_crc(0, head, 12));
	recfile_put_u32(tail, crc);
	put(writer, head, sizeof(head));
	for (size_t i = 0; i < n; i++)
		put(writer, parts[i].at, parts[i].len);
	put(writer, zeros, padding(len));
	put(writer, tail, sizeof(tail));
	return writer->failed;
}

void recfile_continue(struct recfile_writer *ret, int fd, uint32_t kind, uint64_t end)
{
	uint8_t head[RECFILE_HEAD];

	ret->fd = fd;
	ret->failed = 0;
	ret->used = 0;
	if (ftruncate(fd, (off_t)end) < 0 || lseek(fd, (off_t)end, SEEK_SET) < 0)
		ret->failed = errno;
	if (end)
		return;
	memcpy(head, magic, sizeof(magic));
	recfile_put_u32(head + 8, VERSION);
	recfile_put_u32(head + 12, kind);
	put(ret, head, sizeof(head));
}

int recfile_create(const struct sonde_host *host, const char *who, const char *path, uint32_t kind,
		   struct recfile_writer *ret, struct sonde_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "%s: '%s': exists; remove it, or name another file", who,
				       path);
	if (fd < 0)
		return host->error_os(err, errno, "%s: '%s'", who, path);
	recfile_continue(ret, fd, kind, 0);
	return 0;
}

void recfile_writer_close(struct recfile_writer *writer)
{
	recfile_flush(writer);
	close(writer->fd);
}

/* ---- reading ---------------------------------------------------------------------------------- */

int recfile_get(const struct recfile_reader *reader, uint64_t off, void *buf, size_t len)
{
	uint8_t *at = buf;

	if (off > reader->size || len > reader->size - off)
		return -1;
	while (len) {
		ssize_t n = pread(reader->fd, at, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int recfile_open_fd(int fd, uint32_t kind, struct recfile_reader *ret)
{
	uint8_t head[RECFILE_HEAD];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	ret->fd = fd;
	ret->size = (uint64_t)st.st_size;
	ret->at = RECFILE_HEAD;
	if (recfile_get(ret, 0, head, sizeof(head)) < 0 || memcmp(head, magic, sizeof(magic)) != 0)
		return -1;
	return recfile_u32(head + 8) == VERSION && recfile_u32(head + 12) == kind ? 0 : -1;
}

int recfile_open(const struct sonde_host *host, const char *who, const char *path, uint32_t kind,
		 struct recfile_reader *ret, struct sonde_error *err)
{
	/* Not waiting: a pipe of that name would have no end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return host->error_os(err, errno, "%s: '%s'", who, path);
	if (recfile_open_fd(fd, kind, ret) == 0)
		return 0;
	close(fd);
	return host->error_set(err, SONDE_E_BAD_FORMAT, "%s: '%s': is no %s of version %u", who,
			       path, kind == RECFILE_RECORDING ? "recording" : "overlay", VERSION);
}

/* In steps of the buffer, so that its length costs no memory. */
static int check_payload(struct recfile_reader *reader, const struct recfile_record *record,
			 uint32_t want)
{
	uint32_t crc = 0;

	for (uint64_t off = 0; off < record->len;) {
		uint64_t left = record->len - off;
		size_t len = left < RECFILE_BUFFER ? (size_t)left : RECFILE_BUFFER;
		if (recfile_get(reader, record->off + off, reader->buffer, len) < 0)
			return -1;
		crc = recfile_crc(crc, reader->buffer, len);
		off += len;
	}
	return crc == want ? 0 : -1;
}

int recfile_next(struct recfile_reader *reader, struct recfile_record *ret)
{
	uint8_t head[RECFILE_RECORD_HEAD], tail[RECFILE_RECORD_TAIL];
	uint64_t left = reader->size - reader->at, behind;

	if (left == 0)
		return 0;
	if (recfile_get(reader, reader->at, head, sizeof(head)) < 0 ||
	    recfile_u32(head + 12) != recfile_crc(0, head, 12))
		return -1;
	left -= sizeof(head);
	ret->off = reader->at + sizeof(head);
	ret->len = recfile_u64(head);
	ret->type = recfile_u32(head + 8);
	if (ret->len > left || padding(ret->len) + sizeof(tail) > left - ret->len)
		return -1;
	behind = ret->off + ret->len + padding(ret->len);
	if (recfile_get(reader, behind, tail, sizeof(tail)) < 0 ||
	    check_payload(reader, ret, recfile_u32(tail)) < 0)
		return -1;
	reader->at = behind + sizeof(tail);
	return 1;
}

#define ZEROS_MAX (UINT64_C(64) << 20) /* what is looked at: no crash leaves a hole of terabytes */

/* Zeros from there to the end are what a power cut leaves of bytes that were to be written. */
static int ends_in_zeros(const struct recfile_reader *reader, uint64_t at)
{
	uint8_t bytes[4096];

	if (reader->size - at > ZEROS_MAX)
		return 0;
	while (at < reader->size) {
		uint64_t left = reader->size - at;
		size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
		if (recfile_get(reader, at, bytes, n) < 0)
			return 0;
		for (size_t i = 0; i < n; i++) {
			if (bytes[i])
				return 0;
		}
		at += n;
	}
	return 1;
}

int recfile_torn(const struct recfile_reader *reader)
{
	uint8_t head[RECFILE_RECORD_HEAD];
	uint64_t left = reader->size - reader->at;

	if (left < sizeof(head))
		return 1;
	if (recfile_get(reader, reader->at, head, sizeof(head)) < 0)
		return 0;
	if (recfile_u32(head + 12) != recfile_crc(0, head, 12))
		return ends_in_zeros(reader, reader->at);
	uint64_t len = recfile_u64(head), room = left - sizeof(head);
	if (len > room || padding(len) + RECFILE_RECORD_TAIL > room - len)
		return 1;
	return ends_in_zeros(reader, reader->at + sizeof(head) + len + padding(len));
}

void recfile_reader_close(struct recfile_reader *reader)
{
	close(reader->fd);
}
