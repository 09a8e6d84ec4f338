/* SPDX-License-Identifier: MIT */
/* The header, and what all kinds of dumps share. */
#include "crash_file.h"

#include "../common/win_context.h"

#include <inttypes.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int crash_probe(const uint8_t *head, size_t len)
{
	return len >= 8 &&
	       (memcmp(head, CRASH_MAGIC_64, 8) == 0 || memcmp(head, CRASH_MAGIC_32, 8) == 0);
}

int crash_fail(struct crash_file *crash, int code, const char *structure, const char *field,
	       uint64_t off, const char *what)
{
	snprintf(crash->why, sizeof(crash->why), "%s.%s at 0x%" PRIx64 ": %s", structure, field,
		 off, what);
	return code;
}

int crash_get(struct crash_file *crash, const char *structure, uint64_t off, void *buf, size_t len)
{
	size_t n = off < crash->file_size ? crash->read(crash->user, off, buf, len) : 0;

	if (n == len)
		return 0;
	snprintf(crash->why, sizeof(crash->why),
		 "%s at 0x%" PRIx64 ": %zu of %zu bytes are there: the file was cut off", structure,
		 off, n, len);
	return SONDE_E_TRUNCATED;
}

static int make_room(struct crash_file *crash)
{
	if (crash->n_runs < crash->cap_runs)
		return 0;
	size_t cap = crash->cap_runs ? crash->cap_runs * 2 : 64;
	struct crash_run *runs = realloc(crash->runs, cap * sizeof(*runs));
	if (!runs) {
		snprintf(crash->why, sizeof(crash->why), "out of memory");
		return SONDE_E_NO_MEMORY;
	}
	crash->runs = runs;
	crash->cap_runs = cap;
	return 0;
}

int crash_add_run(struct crash_file *crash, uint64_t addr, uint64_t len, uint64_t off)
{
	uint64_t left = off < crash->file_size ? crash->file_size - off : 0;

	if (len == 0)
		return 0;
	if (len - 1 > UINT64_MAX - addr)
		return SONDE_E_CORRUPT;
	if (crash->n_runs == CRASH_RUNS_MAX) {
		snprintf(crash->why, sizeof(crash->why), "more than %u runs of memory",
			 CRASH_RUNS_MAX);
		return SONDE_E_LIMIT;
	}
	int r = make_room(crash);
	if (r == 0)
		crash->runs[crash->n_runs++] =
			(struct crash_run){ addr, len, off, len < left ? len : left };
	crash->cut |= len > left;
	return r;
}

int crash_add_pages(struct crash_file *crash, uint64_t first, uint64_t n, uint64_t *off)
{
	const uint64_t most = UINT64_MAX / CRASH_PAGE;

	if (first > most || n > most - first || n > (UINT64_MAX - *off) / CRASH_PAGE)
		return SONDE_E_CORRUPT;
	int r = crash_add_run(crash, first * CRASH_PAGE, n * CRASH_PAGE, *off);
	*off += n * CRASH_PAGE;
	return r;
}

uint32_t crash_u32(const struct crash_file *crash, uint32_t off)
{
	return sonde_le32(crash->header + off);
}

uint64_t crash_word(const struct crash_file *crash, uint32_t off)
{
	return sonde_load(crash->header + off, crash->layout->word, SONDE_LITTLE);
}

int crash_is_set(const struct crash_file *crash, uint32_t off)
{
	return crash_u32(crash, off) != CRASH_UNSET ||
	       (crash->layout->word == 8 && crash_u32(crash, off + 4) != CRASH_UNSET);
}

const char *crash_type_text(uint32_t type)
{
	static const char *const texts[] = {
		[CRASH_FULL] = "all memory",
		[CRASH_SUMMARY] = "kernel memory",
		[CRASH_TRIAGE] = "triage (small)",
		[CRASH_BITMAP_FULL] = "all memory, as a bitmap",
		[CRASH_BITMAP_KERNEL] = "kernel or active memory, as a bitmap",
		[CRASH_RANGES_KERNEL] = "kernel memory, as ranges",
		[CRASH_RANGES_USER] = "kernel and user memory, as ranges",
		[CRASH_RANGES_ALL] = "all memory, as ranges",
	};

	return type < sizeof(texts) / sizeof(texts[0]) ? texts[type] : NULL;
}

static int read_header(struct crash_file *crash)
{
	uint8_t head[8];
	int r = crash_get(crash, "the header", 0, head, sizeof(head));

	if (r < 0 || !crash_probe(head, sizeof(head)))
		return crash_fail(crash, SONDE_E_BAD_FORMAT, "the header", "Signature", 0,
				  "neither PAGEDU64 nor PAGEDUMP");
	crash->layout = memcmp(head, CRASH_MAGIC_64, 8) == 0 ? &crash_layout_64 : &crash_layout_32;
	r = crash_get(crash, crash->layout->name, 0, crash->header, crash->layout->size);
	if (r < 0)
		return r;
	crash->type = crash_u32(crash, crash->layout->type);
	crash->arch = win_machine_arch(crash_u32(crash, crash->layout->machine));
	return 0;
}

/* Of Windows 2000's predecessors nobody wrote the type: all memory it was. */
static int read_memory(struct crash_file *crash)
{
	if (crash->type == CRASH_TRIAGE)
		return crash_read_triage(crash);
	if (crash->type == CRASH_UNSET)
		crash->type = CRASH_FULL;
	return crash_read_pages(crash);
}

int crash_file_read(struct crash_file *ret, crash_read_fn *read, void *user, uint64_t file_size)
{
	*ret = (struct crash_file){ .file_size = file_size, .read = read, .user = user };
	int r = read_header(ret);

	return r < 0 ? r : read_memory(ret);
}

void crash_file_finish(struct crash_file *crash)
{
	free(crash->runs);
	crash->runs = NULL;
	crash->n_runs = crash->cap_runs = 0;
}
