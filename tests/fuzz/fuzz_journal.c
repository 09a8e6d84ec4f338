/* SPDX-License-Identifier: MIT */
/*
 * Journals of writes (records.h says how the input is one). What was read must be inside its bounds, and a file that
 * is added to must read as it did, and the new write behind it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/sonde/journal.h"
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	int fd = records_file(RECFILE_JOURNAL, data, size);
	struct journal journal;
	char path[64];

	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
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
