/* SPDX-License-Identifier: MIT */
/* Ranges of a map have the names of their blocks; a block's own may have where its device is in front: "0000:00:01.0/vga.vram". */
#include "receive.h"

#include "../common/ram_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELEASE ((uint64_t)16 << 20)
#define NO_BLOCK UINT64_MAX

struct receive {
	const struct machine *machine;
	struct sonde_error *err;
	int from, to;
	uint64_t at_byte, released; /* of from: read up to here, given back up to here */
	uint64_t *at, room;
	uint64_t bases[RAM_STREAM_BLOCKS_MAX]; /* of each block, in the file; NO_BLOCK: dropped */
	uint8_t page[RAM_STREAM_PAGE_MAX];
};

/* ---- from the stream ------------------------------------------------------------------------------------ */

/* What has been read makes room for what it becomes. */
static void release(struct receive *receive, uint64_t end)
{
	if (end - receive->released < RELEASE)
		return;
	fallocate(receive->from, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  (off_t)receive->released, (off_t)(end - receive->released));
	receive->released = end;
}

static size_t read_stream(void *user, void *buf, size_t len)
{
	struct receive *receive = user;
	ssize_t n;

	release(receive, receive->at_byte);
	do
		n = pread(receive->from, buf, len, (off_t)receive->at_byte);
	while (n < 0 && errno == EINTR);
	receive->at_byte += n > 0 ? (uint64_t)n : 0;
	return n > 0 ? (size_t)n : 0;
}

/* ---- into the file ---------------------------------------------------------------------------------------- */

static int is_block(const char *id, const char *range)
{
	const char *slash = strrchr(id, '/');

	return strcmp(id, range) == 0 || (slash && strcmp(slash + 1, range) == 0);
}

/* The one block of this name; n where none has it, or several. */
static size_t find_block(const struct ram_stream_block *blocks, size_t n, const char *name)
{
	size_t found = n;

	for (size_t i = 0; i < n; i++) {
		if (!is_block(blocks[i].id, name))
			continue;
		if (found < n)
			return n;
		found = i;
	}
	return found;
}

static int place_blocks(void *user, const struct ram_stream_block *blocks, size_t n)
{
	struct receive *receive = user;
	const struct memory_map *map = &receive->machine->map;
	uint64_t end = 0;

	for (size_t i = 0; i < n; i++)
		receive->bases[i] = NO_BLOCK;
	for (size_t i = 0; i < map->n; i++) {
		const struct memory_range *range = &map->ranges[i];
		size_t k = find_block(blocks, n, range->name);
		if (k == n || range->off > blocks[k].len || range->len > blocks[k].len - range->off)
			continue;
		if (receive->bases[k] == NO_BLOCK) {
			if (blocks[k].len > receive->room - end)
				continue;
			receive->bases[k] = end;
			end += blocks[k].len;
		}
		receive->at[i] = receive->bases[k] + range->off;
	}
	if (ftruncate(receive->to, (off_t)end) == 0)
		return 0;
	return receive->machine->host->error_os(receive->err, errno, "qemu: room for a snapshot");
}

/* Pages of zeros become holes, in place of what came before. */
static int write_page(void *user, const struct ram_stream_page *page)
{
	struct receive *receive = user;
	uint64_t base = receive->bases[page->block];
	const uint8_t *bytes = page->bytes;
	int failed;

	if (base == NO_BLOCK)
		return 0;
	off_t at = (off_t)(base + page->off);
	if (!bytes && page->fill) {
		memset(receive->page, (int)page->fill, page->len);
		bytes = receive->page;
	}
	if (bytes)
		failed = pwrite(receive->to, bytes, page->len, at) != (ssize_t)page->len;
	else
		failed = fallocate(receive->to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				   page->len) < 0;
	return failed ? receive->machine->host->error_os(receive->err, errno,
							 "qemu: room for a snapshot")
		      : 0;
}

static int receive_all(struct receive *receive)
{
	struct ram_stream_ends ends = {
		.read = read_stream, .begin = place_blocks, .page = write_page, .user = receive
	};
	struct ram_stream_end end;
	int r = ram_stream_read(&ends, &end);

	return end.why ? receive->machine->host->error_set(
				 receive->err, r, "qemu: '%s': what QEMU wrote of it %s%s%s",
				 receive->machine->guest.name, end.why, end.about[0] ? ": " : "",
				 end.about)
		       : r;
}

int receive_ram(const struct machine *machine, int from, int to, uint64_t *at, uint64_t none,
		uint64_t room, struct sonde_error *err)
{
	struct receive *receive = malloc(sizeof(*receive));

	if (!receive)
		return machine->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	*receive = (struct receive){
		.machine = machine,
		.err = err,
		.from = from,
		.to = to,
		.at = at,
		.room = room < INT64_MAX ? room : INT64_MAX,
	};
	for (size_t i = 0; i < machine->map.n; i++)
		at[i] = none;
	int r = receive_all(receive);
	free(receive);
	return r;
}
