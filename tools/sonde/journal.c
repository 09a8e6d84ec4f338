/* SPDX-License-Identifier: MIT */
/* Journals of writes, as files of checked records; see journal.h, and plugins/common/recfile.h for the records. */
#include "journal.h"

#include "../../plugins/common/recfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_TARGET = 1, RECORD_WRITE = 2, RECORD_UNDONE = 3 };
enum { TARGET_HEAD = 8, WRITE_HEAD = 24, UNDONE_LEN = 16 };

struct journal_file {
	const char *path;
	int fd;
	bool writable; /* writer is there */
	struct recfile_reader reader;
	struct recfile_writer writer;
};

/* ---- reading ---------------------------------------------------------------------------------- */

/*
 * Each parser: 0; SONDE_E_CORRUPT: the record is not what its type demands, and so the file is damaged from there on;
 * SONDE_E_NO_MEMORY.
 */

static int parse_target(struct journal *journal, const struct recfile_record *record)
{
	const struct recfile_reader *reader = &journal->file->reader;
	uint8_t head[TARGET_HEAD];

	if (record->len < sizeof(head) || recfile_get(reader, record->off, head, sizeof(head)) < 0)
		return SONDE_E_CORRUPT;
	uint32_t name = recfile_u32(head), identity = recfile_u32(head + 4);
	if (name >= JOURNAL_TEXT_MAX || identity >= JOURNAL_TEXT_MAX ||
	    record->len != sizeof(head) + name + identity)
		return SONDE_E_CORRUPT;
	uint64_t off = record->off + sizeof(head);
	if (recfile_get(reader, off, journal->target, name) < 0 ||
	    recfile_get(reader, off + name, journal->identity, identity) < 0)
		return SONDE_E_CORRUPT;
	journal->target[name] = journal->identity[identity] = '\0';
	return 0;
}

static struct journal_write *new_write(struct journal *journal)
{
	if (journal->n == journal->room) {
		size_t room = journal->room ? 2 * journal->room : 64;
		void *more = realloc(journal->writes, room * sizeof(*journal->writes));
		if (!more)
			return NULL;
		journal->writes = more;
		journal->room = room;
	}
	return &journal->writes[journal->n++];
}

static int parse_write(struct journal *journal, const struct recfile_record *record)
{
	uint8_t head[WRITE_HEAD];

	if (record->len < sizeof(head) ||
	    recfile_get(&journal->file->reader, record->off, head, sizeof(head)) < 0)
		return SONDE_E_CORRUPT;
	struct journal_write w = {
		.time_ns = recfile_u64(head),
		.addr = recfile_u64(head + 8),
		.pid = (int32_t)recfile_u32(head + 16),
		.len = recfile_u32(head + 20),
		.at = record->off,
	};
	if (w.len == 0 || w.len > JOURNAL_BYTES_MAX || w.len - 1 > UINT64_MAX - w.addr ||
	    w.pid < -1 || record->len != sizeof(head) + 2 * (uint64_t)w.len)
		return SONDE_E_CORRUPT;
	struct journal_write *to = new_write(journal);
	if (!to)
		return SONDE_E_NO_MEMORY;
	*to = w;
	return 0;
}

static int by_place(const void *key, const void *element)
{
	uint64_t at = *(const uint64_t *)key, other = ((const struct journal_write *)element)->at;

	return at < other ? -1 : at > other;
}

static int parse_undone(struct journal *journal, const struct recfile_record *record)
{
	uint8_t body[UNDONE_LEN];

	if (record->len != sizeof(body) ||
	    recfile_get(&journal->file->reader, record->off, body, sizeof(body)) < 0)
		return SONDE_E_CORRUPT;
	uint64_t at = recfile_u64(body);
	struct journal_write *w = journal->n ? bsearch(&at, journal->writes, journal->n,
						       sizeof(*journal->writes), by_place)
					     : NULL;
	if (!w)
		return SONDE_E_CORRUPT;
	w->undone = true;
	return 0;
}

static int parse(struct journal *journal, const struct recfile_record *record)
{
	switch (record->type) {
	case RECORD_TARGET:
		return parse_target(journal, record);
	case RECORD_WRITE:
		return parse_write(journal, record);
	case RECORD_UNDONE:
		return parse_undone(journal, record);
	default:
		return 0; /* of a later version, which has nothing to do with ours */
	}
}

static int read_records(struct journal *journal)
{
	struct recfile_reader *reader = &journal->file->reader;
	struct recfile_record record;
	int r;

	while ((r = recfile_next(reader, &record)) == 1) {
		int parsed = parse(journal, &record);
		if (parsed == SONDE_E_NO_MEMORY)
			return parsed;
		if (parsed < 0) {
			journal->end = JOURNAL_DAMAGED;
			reader->at = record.off - RECFILE_RECORD_HEAD;
			return 0;
		}
	}
	if (r < 0)
		journal->end = recfile_torn(reader) ? JOURNAL_TORN : JOURNAL_DAMAGED;
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------------- */

/* A file that was made and whose folder does not know of it yet is lost with the power. */
static int sync_folder(const char *path, struct sonde_error *err)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = fd < 0 || fsync(fd) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	/* EINVAL: a file system whose folders cannot be synchronised has nothing to lose. */
	return r && r != EINVAL ? sonde_error_os(err, r, "journal: '%.300s': its folder", path) : 0;
}

static int begin_file(struct journal *journal, const char *target, const char *identity,
		      struct sonde_error *err)
{
	struct journal_file *file = journal->file;
	uint8_t head[TARGET_HEAD];
	size_t name_len = strnlen(target, JOURNAL_TEXT_MAX - 1);
	size_t identity_len = strnlen(identity, JOURNAL_TEXT_MAX - 1);
	const struct recfile_bytes parts[] = { { head, sizeof(head) },
					       { target, name_len },
					       { identity, identity_len } };

	recfile_put_u32(head, (uint32_t)name_len);
	recfile_put_u32(head + 4, (uint32_t)identity_len);
	memcpy(journal->target, target, name_len);
	memcpy(journal->identity, identity, identity_len);
	recfile_continue(&file->writer, file->fd, RECFILE_JOURNAL, 0);
	recfile_put(&file->writer, RECORD_TARGET, parts, 3);
	file->writable = true;
	int r = journal_sync(journal, err);
	return r < 0 ? r : sync_folder(file->path, err);
}

static int continue_file(struct journal *journal, enum journal_mode mode, struct sonde_error *err)
{
	struct journal_file *file = journal->file;

	if (recfile_open_fd(file->fd, RECFILE_JOURNAL, &file->reader) < 0)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "journal: '%.300s': is no journal of version 1", file->path);
	if (read_records(journal) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY,
				       "journal: '%.300s': no memory is left for its writes",
				       file->path);
	if (mode == JOURNAL_ADD && journal->end == JOURNAL_DAMAGED)
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "journal: '%.300s': is damaged from byte %llu on, and "
				       "adding to it would cut that off: "
				       "name another file",
				       file->path, (unsigned long long)file->reader.at);
	if (mode == JOURNAL_READ || journal->end == JOURNAL_DAMAGED)
		return 0;
	recfile_continue(&file->writer, file->fd, RECFILE_JOURNAL, file->reader.at);
	file->writable = true;
	return journal_sync(journal, err);
}

static int open_file(struct journal *journal, enum journal_mode mode, struct sonde_error *err)
{
	static const int flags[] = {
		[JOURNAL_READ] = O_RDONLY, [JOURNAL_UNDO] = O_RDWR, [JOURNAL_ADD] = O_RDWR | O_CREAT
	};
	struct journal_file *file = journal->file;
	struct stat st;

	/* Not waiting: a pipe of that name would have no end. */
	file->fd = open(file->path, flags[mode] | O_CLOEXEC | O_NONBLOCK, 0600);
	if (file->fd < 0 || fstat(file->fd, &st) < 0)
		return sonde_error_os(err, errno, "journal: '%.300s'", file->path);
	if (!S_ISREG(st.st_mode))
		return sonde_error_set(err, SONDE_E_BAD_ARG, "journal: '%.300s': is no file",
				       file->path);
	if (mode != JOURNAL_READ && flock(file->fd, LOCK_EX | LOCK_NB) < 0)
		return sonde_error_set(err, SONDE_E_BUSY,
				       "journal: '%.300s': another program writes to it",
				       file->path);
	return st.st_size == 0;
}

int journal_open(struct journal *ret, const char *path, enum journal_mode mode, const char *target,
		 const char *identity, struct sonde_error *err)
{
	*ret = (struct journal){ .file = calloc(1, sizeof(*ret->file)) };
	if (!ret->file)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	ret->file->path = path;
	int is_new = open_file(ret, mode, err);
	if (is_new < 0)
		return is_new;
	if (is_new && mode != JOURNAL_ADD)
		return 0; /* of a program that was killed before it wrote anything anywhere */
	return is_new ? begin_file(ret, target, identity, err) : continue_file(ret, mode, err);
}

void journal_close(struct journal *journal)
{
	if (journal->file && journal->file->fd >= 0)
		close(journal->file->fd);
	free(journal->file);
	free(journal->writes);
	*journal = (struct journal){ 0 };
}

bool journal_is_of(const struct journal *journal, const char *identity)
{
	return journal->identity[0] == '\0' || identity[0] == '\0' ||
	       strcmp(journal->identity, identity) == 0;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static int put(struct journal *journal, uint32_t type, const struct recfile_bytes *parts, size_t n,
	       struct sonde_error *err)
{
	struct journal_file *file = journal->file;
	int failed = recfile_put(&file->writer, type, parts, n);

	return failed ? sonde_error_os(err, failed, "journal: '%.300s'", file->path) : 0;
}

int journal_add(struct journal *journal, const struct journal_write *write, const uint8_t *old,
		const uint8_t *new, struct sonde_error *err)
{
	uint8_t head[WRITE_HEAD];
	const struct recfile_bytes parts[] = { { head, sizeof(head) },
					       { old, write->len },
					       { new, write->len } };

	recfile_put_u64(head, write->time_ns);
	recfile_put_u64(head + 8, write->addr);
	recfile_put_u32(head + 16, (uint32_t)write->pid);
	recfile_put_u32(head + 20, write->len);
	return put(journal, RECORD_WRITE, parts, 3, err);
}

int journal_sync(struct journal *journal, struct sonde_error *err)
{
	struct journal_file *file = journal->file;
	int failed = recfile_flush(&file->writer);

	if (!failed && fdatasync(file->fd) < 0)
		failed = errno;
	return failed ? sonde_error_os(err, failed, "journal: '%.300s'", file->path) : 0;
}

int journal_bytes(const struct journal *journal, const struct journal_write *write, uint8_t *old,
		  uint8_t *new)
{
	const struct recfile_reader *reader = &journal->file->reader;
	uint64_t at = write->at + WRITE_HEAD;

	if (recfile_get(reader, at, old, write->len) < 0)
		return -1;
	return recfile_get(reader, at + write->len, new, write->len);
}

int journal_undone(struct journal *journal, struct journal_write *write, struct sonde_error *err)
{
	uint8_t body[UNDONE_LEN];
	const struct recfile_bytes part = { body, sizeof(body) };
	struct timespec now;

	write->undone = true;
	if (!journal->file->writable)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	recfile_put_u64(body, write->at);
	recfile_put_u64(body + 8,
			(uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
	int r = put(journal, RECORD_UNDONE, &part, 1, err);
	return r < 0 ? r : journal_sync(journal, err);
}
