/* SPDX-License-Identifier: MIT */
/*
 * Recordings (records.h says how the input is one), asked for pieces, as they were and otherwise.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../connectors/replay/recording.h"
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	uint32_t next, n;
};

/* Every byte once, in whatever order: here always from front to back. */
static void tell(void *user, uint32_t off, uint32_t len, int32_t err)
{
	struct told *told = user;

	if (off != told->next || len == 0 || err > 0)
		abort();
	told->next += len;
	told->n++;
}

static void ask(struct recording *recording, uint64_t addr, uint32_t len)
{
	static uint8_t buf[20000];
	struct told told = { 0, 0 };

	len = len < sizeof(buf) ? len : sizeof(buf);
	recording_piece(recording, addr, buf, len, tell, &told);
	if (told.next != len)
		abort();
}

static void ask_around(struct recording *recording)
{
	for (size_t i = 0; i < recording->n_pieces && i < 64; i++) {
		struct piece piece = recording->pieces[i];
		ask(recording, piece.addr, piece.len);
		ask(recording, piece.addr, piece.len);
		ask(recording, piece.addr - 3, piece.len < 5000 ? piece.len + 7 : piece.len);
		ask(recording, piece.addr + 1, 1);
	}
	ask(recording, UINT64_MAX - 2, 8);
	ask(recording, 0, 9000);
	for (uint32_t type = RECORDING_REGIONS; type <= RECORDING_NOTE; type++)
		for (uint64_t nth = 0; nth < 3; nth++)
			recording_answer(recording, type, 0, nth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int fd = records_file(RECFILE_RECORDING, data, size);
	uint64_t off;

	if (!recording || fd < 0 || size < 1)
		goto out;
	if (recfile_open_fd(fd, RECFILE_RECORDING, &recording->file) < 0)
		goto out;
	fd = -1;
	if (recording_read(recording, &off) == 0)
		ask_around(recording);
	recording_finish(recording);
out:
	if (fd >= 0)
		close(fd);
	free(recording);
	return 0;
}
