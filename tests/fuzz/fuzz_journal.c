/* SPDX-License-Identifier: MIT */
/*
 * Journals of writes: the file as it is (the first byte is even), or records of which the input has the types and payloads
 * and the harness the sums, so that what is behind the sums is reached. What was read must be inside its bounds,
 * and a file that is added to must read as it did, and the new write behind it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../plugins/common/recfile.h"
#include "../../tools/sonde/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each: type, length in two bytes, payload. */
static void write_records(int fd, const uint8_t *data, size_t size)
{
	static struct recfile_writer writer;

	recfile_continue(&writer, fd, RECFILE_JOURNAL, 0);
	while (size >= 3) {
		size_t len = data[1] | (size_t)data[2] << 8;
		len = len < size - 3 ? len : size - 3;
		const struct recfile_bytes part = { data + 3, len };
		recfile_put(&writer, data[0], &part, 1);
		data += 3 + len;
		size -= 3 + len;
	}
	recfile_flush(&writer);
}

static void check(const struct journal *journal)
{
	static uint8_t old[JOURNAL_BYTES_MAX], new[JOURNAL_BYTES_MAX];

	if (strnlen(journal->target, JOURNAL_TEXT_MAX) == JOURNAL_TEXT_MAX ||
	    strnlen(journal->identity, JOURNAL_TEXT_MAX) == JOURNAL_TEXT_MAX)
		abort();
	for (size_t i = 0; i < journal->n; i++) {
		const struct journal_write *w = &journal->writes[i];
		if (w->len == 0 || w->len > JOURNAL_BYTES_MAX || w->pid < -1 ||
		    w->len - 1 > UINT64_MAX - w->addr ||
		    (i && w->at <= journal->writes[i - 1].at) ||
		    journal_bytes(journal, w, old, new) < 0)
			abort();
	}
}

static void add_and_undo(const char *path, size_t n)
{
	static const uint8_t old[2] = { 1, 2 }, new[2] = { 3, 4 };
	const struct journal_write write = { .addr = 7, .pid = -1, .len = 2 };
	struct journal journal;

	if (journal_open(&journal, path, JOURNAL_ADD, "", "", NULL) == 0 &&
	    (journal_add(&journal, &write, old, new, NULL) < 0 || journal_sync(&journal, NULL) < 0))
		abort();
	bool added = journal.file && journal.end != JOURNAL_DAMAGED;
	journal_close(&journal);
	if (!added)
		return;
	if (journal_open(&journal, path, JOURNAL_UNDO, "", "", NULL) < 0 || journal.n != n + 1 ||
	    journal.end != JOURNAL_WHOLE || journal_undone(&journal, &journal.writes[n], NULL) < 0)
		abort();
	journal_close(&journal);
	if (journal_open(&journal, path, JOURNAL_READ, "", "", NULL) < 0 || journal.n != n + 1 ||
	    !journal.writes[n].undone)
		abort();
	check(&journal);
	journal_close(&journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);
	struct journal journal;
	char path[64];

	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (size && data[0] & 1)
		write_records(fd, data + 1, size - 1);
	else if (size && write(fd, data + 1, size - 1) < 0)
		abort();
	int r = journal_open(&journal, path, JOURNAL_READ, "", "", NULL);
	size_t n = journal.n;
	if (r == 0)
		check(&journal);
	journal_close(&journal);
	if (r == 0)
		add_and_undo(path, n);
	close(fd);
	return 0;
}
