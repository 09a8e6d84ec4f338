/* SPDX-License-Identifier: MIT */
/* The header, and what all kinds of dumps share. */
#include "crash_file.h"

#include "../common/win_context.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <string.h>

int crash_probe(const uint8_t *head, size_t len)
{
	return len >= 8 &&
	       (memcmp(head, CRASH_MAGIC_64, 8) == 0 || memcmp(head, CRASH_MAGIC_32, 8) == 0);
}

int crash_add_pages(struct crash_file *crash, uint64_t first, uint64_t n, uint64_t *off)
{
	const uint64_t most = UINT64_MAX / CRASH_PAGE;

	if (first > most || n > most - first || n > (UINT64_MAX - *off) / CRASH_PAGE)
		return SONDE_E_CORRUPT;
	int r = dump_add_run(&crash->dump, first * CRASH_PAGE, n * CRASH_PAGE, *off);
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
	int r = dump_get(&crash->dump, "the header", 0, head, sizeof(head));

	if (r < 0 || !crash_probe(head, sizeof(head)))
		return dump_fail(&crash->dump, SONDE_E_BAD_FORMAT, "the header", "Signature", 0,
				 "neither PAGEDU64 nor PAGEDUMP");
	crash->layout = memcmp(head, CRASH_MAGIC_64, 8) == 0 ? &crash_layout_64 : &crash_layout_32;
	r = dump_get(&crash->dump, crash->layout->name, 0, crash->header, crash->layout->size);
	if (r < 0)
		return r;
	crash->type = crash_u32(crash, crash->layout->type);
	crash->dump.is_virtual = crash->type == CRASH_TRIAGE;
	crash->dump.arch = win_machine_arch(crash_u32(crash, crash->layout->machine));
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

int crash_file_read(struct crash_file *ret, dump_read_fn *read, void *user, uint64_t file_size)
{
	*ret = (struct crash_file){ .dump = {
					    .file_size = file_size, .read = read, .user = user } };
	int r = read_header(ret);

	return r < 0 ? r : read_memory(ret);
}

void crash_file_finish(struct crash_file *crash)
{
	dump_finish(&crash->dump);
}
