/* SPDX-License-Identifier: MIT */
/*
 * file=FILE: each write is a record, added when it is made, so that a failure can be told to who
 * writes. Reading them in order gives the overlay again. A torn end, of a program that was killed, is cut off;
 * what is damaged is left as it is.
 */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../common/recfile.h"

enum { RECORD_WRITE = 1, RECORD_TARGET = 2, STEP = 65536 };

/* A record's payload: the address, then the bytes. */
static int restore_write(struct overlay *overlay, const struct recfile_reader *reader,
			 const struct recfile_record *record, struct sonde_error *err)
{
	uint8_t head[8], bytes[STEP / 16];
	uint64_t off = sizeof(head), addr;

	if (record->type != RECORD_WRITE || record->len <= sizeof(head) ||
	    recfile_get(reader, record->off, head, sizeof(head)) < 0)
		return overlay->host->error_set(err, SONDE_E_BAD_FORMAT,
						"overlay: record at 0x%llx is no write",
						(unsigned long long)record->off);
	addr = recfile_u64(head);
	if (record->len - sizeof(head) - 1 > UINT64_MAX - addr)
		return overlay->host->error_set(err, SONDE_E_BAD_FORMAT,
						"overlay: record at 0x%llx wraps",
						(unsigned long long)record->off);
	while (off < record->len) {
		uint64_t left = record->len - off;
		uint32_t len = left < sizeof(bytes) ? (uint32_t)left : (uint32_t)sizeof(bytes);
		uint32_t stored;
		if (recfile_get(reader, record->off + off, bytes, len) < 0)
			return overlay->host->error_set(err, SONDE_E_TRUNCATED,
							"overlay: shrinks while it is read");
		if (overlay_store(overlay, addr, bytes, len, &stored) < 0)
			return overlay->host->error_set(
				err, SONDE_E_NO_MEMORY,
				"overlay: holds more than mb= allows: raise it");
		addr += len;
		off += len;
	}
	return 0;
}

/* What lies below, in words of its connector; "" where it cannot tell. */
static void identify(const struct overlay *overlay, char text[KEEP_IDENTITY_MAX])
{
	int64_t len = overlay->host->note(overlay->below, SONDE_NOTE_IDENTITY, text,
					  KEEP_IDENTITY_MAX - 1);

	text[len < 0 ? 0 : len < KEEP_IDENTITY_MAX ? len : KEEP_IDENTITY_MAX - 1] = '\0';
}

/* Bytes of another target make no sense here, unless the user says so. */
static int check_target(const struct overlay *overlay, const struct recfile_reader *reader,
			const struct recfile_record *record, struct sonde_error *err)
{
	char of[KEEP_IDENTITY_MAX] = "", here[KEEP_IDENTITY_MAX];

	if (record->len >= sizeof(of) || recfile_get(reader, record->off, of, record->len) < 0)
		return overlay->host->error_set(err, SONDE_E_BAD_FORMAT,
						"overlay: record at 0x%llx names no target",
						(unsigned long long)record->off);
	identify(overlay, here);
	if (overlay->other || of[0] == '\0' || here[0] == '\0' || strcmp(of, here) == 0)
		return 0;
	return overlay->host->error_set(err, SONDE_E_BAD_ARG,
					"overlay: made over '%.150s', and this is '%.150s': name "
					"another file, or say other=yes",
					of, here);
}

static int restore_record(struct overlay *overlay, const struct recfile_reader *reader,
			  const struct recfile_record *record, struct sonde_error *err)
{
	if (record->type == RECORD_TARGET)
		return check_target(overlay, reader, record, err);
	return restore_write(overlay, reader, record, err);
}

static int restore(struct overlay *overlay, int fd, const char *path, uint64_t *ret_end,
		   struct sonde_error *err)
{
	struct recfile_reader *reader = malloc(sizeof(*reader));
	struct recfile_record record;
	int r = 0, next = 0;

	if (!reader)
		return overlay->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (recfile_open_fd(fd, RECFILE_OVERLAY, reader) < 0)
		r = overlay->host->error_set(err, SONDE_E_BAD_FORMAT, "overlay: '%s' is no overlay",
					     path);
	while (r == 0 && (next = recfile_next(reader, &record)) == 1)
		r = restore_record(overlay, reader, &record, err);
	if (r == 0 && next < 0 && overlay->write && !recfile_torn(reader))
		r = overlay->host->error_set(err, SONDE_E_CORRUPT,
					     "overlay: '%s': is damaged from byte %llu on, and "
					     "writing to it would cut that off: name another file",
					     path, (unsigned long long)reader->at);
	*ret_end = reader->at;
	free(reader);
	overlay->n_restored = overlay->pages.n_bytes;
	return r;
}

/* The first record of a file, where it is known what lies below. */
static void name_target(struct overlay *overlay)
{
	char identity[KEEP_IDENTITY_MAX];

	identify(overlay, identity);
	const struct recfile_bytes part = { identity, strlen(identity) };
	if (part.len)
		recfile_put(overlay->file, RECORD_TARGET, &part, 1);
}

static int begin(struct overlay *overlay, int fd, const char *path, struct sonde_error *err)
{
	const struct sonde_host *host = overlay->host;
	struct stat st;
	uint64_t end = 0;
	int r;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return host->error_set(err, SONDE_E_BAD_ARG, "overlay: '%s' is no file", path);
	if (overlay->write && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return host->error_set(err, SONDE_E_BUSY,
				       "overlay: '%s': another overlay writes to it", path);
	if (st.st_size && (r = restore(overlay, fd, path, &end, err)) < 0)
		return r;
	if (!overlay->write)
		return 0;
	overlay->file = malloc(sizeof(*overlay->file));
	if (!overlay->file)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	recfile_continue(overlay->file, fd, RECFILE_OVERLAY, end);
	if (end == 0)
		name_target(overlay);
	if (recfile_flush(overlay->file))
		r = host->error_os(err, overlay->file->failed, "overlay: '%s'", path);
	else
		return 0;
	free(overlay->file);
	overlay->file = NULL;
	return r;
}

int keep_open(struct overlay *overlay, const char *path, struct sonde_error *err)
{
	int flags = overlay->write ? O_RDWR | O_CREAT : O_RDONLY;
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return overlay->host->error_os(err, errno, "overlay: '%s'", path);
	int r = begin(overlay, fd, path, err);
	if (!overlay->file)
		close(fd);
	return r;
}

int32_t keep_write(struct overlay *overlay, uint64_t addr, const uint8_t *bytes, uint32_t len)
{
	uint8_t head[8];
	const struct recfile_bytes parts[] = { { head, sizeof(head) }, { bytes, len } };

	if (!overlay->file)
		return 0;
	recfile_put_u64(head, addr);
	if (recfile_put(overlay->file, RECORD_WRITE, parts, 2) || recfile_flush(overlay->file))
		return SONDE_E_IO;
	return 0;
}

void keep_close(struct overlay *overlay)
{
	if (overlay->file)
		recfile_writer_close(overlay->file);
	free(overlay->file);
}
