/* SPDX-License-Identifier: MIT */
/*
 * A triage dump: stretches of the kernel's virtual memory that Windows thought telling, the stack of the thread that
 * crashed among them, and a list of drivers. A stretch that lies is left out, and counted.
 */
#include "crash_file.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <string.h>

/* What a triage header of one width is made of. */
struct triage {
	const char *name;
	uint32_t size, data_page, kdbg, blocks;
};

static const struct triage triage_32 = { "TRIAGE_DUMP32", TRIAGE_32_SIZE, TRIAGE_32_DATA_PAGE,
					 TRIAGE_32_KDBG, TRIAGE_32_BLOCKS };
static const struct triage triage_64 = { "TRIAGE_DUMP64", TRIAGE_64_SIZE, TRIAGE_64_DATA_PAGE,
					 TRIAGE_64_KDBG, TRIAGE_64_BLOCKS };

/* One that begins beyond the end of a file which was cut off is no lie, and is kept. */
static int add_stretch(struct crash_file *crash, uint64_t addr, uint32_t off, uint32_t size)
{
	int lies = off < crash->layout->size || (size && size - 1 > UINT64_MAX - addr);

	if (size == 0)
		return 0;
	crash->dump.n_spoilt += (uint64_t)lies;
	return lies ? 0 : dump_add_run(&crash->dump, addr, size, off);
}

static int read_blocks(struct crash_file *crash, const struct triage *triage, uint32_t off,
		       uint32_t n)
{
	uint8_t bytes[64 * TRIAGE_BLOCK_SIZE];
	uint64_t room =
		off < crash->dump.file_size ? (crash->dump.file_size - off) / TRIAGE_BLOCK_SIZE : 0;
	int r = 0;

	if (n > room) {
		crash->dump.cut = 1;
		n = (uint32_t)room;
	}
	for (uint32_t i = 0; i < n && r == 0; i++) {
		const uint8_t *at = bytes + (i % 64) * TRIAGE_BLOCK_SIZE;
		uint32_t some = n - i < 64 ? n - i : 64;
		if (i % 64 == 0)
			r = dump_get(&crash->dump, triage->name,
				     off + (uint64_t)i * TRIAGE_BLOCK_SIZE, bytes,
				     some * TRIAGE_BLOCK_SIZE);
		if (r == 0)
			r = add_stretch(crash, sonde_le64(at), sonde_le32(at + 8),
					sonde_le32(at + 12));
	}
	return r;
}

static void find_drivers(struct crash_file *crash, const uint8_t *head)
{
	uint32_t off = sonde_le32(head + TRIAGE_DRIVERS), n = sonde_le32(head + TRIAGE_DRIVERS + 4);
	uint64_t room =
		off < crash->dump.file_size ? (crash->dump.file_size - off) / DRIVER_SIZE : 0;

	if (crash->layout->word != 8)
		return;
	crash->drivers_off = off;
	crash->dump.cut |= n > room;
	n = n < room ? n : (uint32_t)room;
	crash->n_drivers = n < CRASH_DRIVERS_MAX ? n : CRASH_DRIVERS_MAX;
}

/* "TRGD" at the end says that the writer came that far; a dump that was cut off lacks it. */
static int check_valid(struct crash_file *crash, const struct triage *triage, const uint8_t *head)
{
	uint32_t valid = sonde_le32(head + TRIAGE_VALID);
	uint8_t magic[4];

	if (valid >= crash->dump.file_size || crash->dump.file_size - valid < sizeof(magic)) {
		crash->dump.cut = 1;
		return 0;
	}
	int r = dump_get(&crash->dump, triage->name, valid, magic, sizeof(magic));
	if (r == 0 && memcmp(magic, "TRGD", 4) != 0)
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, triage->name, "ValidOffset",
				 crash->layout->size + TRIAGE_VALID, "there is no TRGD");
	return r;
}

int crash_read_triage(struct crash_file *crash)
{
	const struct triage *triage = crash->layout->word == 8 ? &triage_64 : &triage_32;
	uint32_t word = crash->layout->word;
	uint8_t head[TRIAGE_64_SIZE];
	int r = dump_get(&crash->dump, triage->name, crash->layout->size, head, triage->size);

	if (r < 0 || (r = check_valid(crash, triage, head)) < 0)
		return r;
	find_drivers(crash, head);
	const struct {
		uint64_t addr;
		const uint8_t *place; /* offset and size */
	} stretches[] = {
		{ sonde_load(head + TRIAGE_TOP_OF_STACK, word, SONDE_LITTLE), head + TRIAGE_STACK },
		{ sonde_load(head + triage->data_page, word, SONDE_LITTLE),
		  head + triage->data_page + word },
		{ crash_word(crash, crash->layout->kdbg), head + triage->kdbg },
	};
	for (size_t i = 0; i < sizeof(stretches) / sizeof(stretches[0]) && r == 0; i++)
		r = add_stretch(crash, stretches[i].addr, sonde_le32(stretches[i].place),
				sonde_le32(stretches[i].place + 4));
	if (r == 0)
		r = read_blocks(crash, triage, sonde_le32(head + triage->blocks),
				sonde_le32(head + triage->blocks + 4));
	return r;
}

int crash_driver(struct crash_file *crash, uint32_t index, struct crash_driver *ret)
{
	uint64_t at = crash->drivers_off + (uint64_t)index * DRIVER_SIZE;
	uint8_t entry[DRIVER_SIZE], count[4];
	int r = dump_get(&crash->dump, "the list of drivers", at, entry, sizeof(entry));

	if (r < 0)
		return r;
	uint64_t name = sonde_le32(entry + DRIVER_NAME);
	ret->base = sonde_le64(entry + DRIVER_BASE);
	ret->size = sonde_le32(entry + DRIVER_IMAGE_SIZE);
	ret->name[0] = '\0';
	if (dump_get(&crash->dump, "the name of a driver", name, count, sizeof(count)) < 0)
		return 0;
	uint32_t n = sonde_le32(count);
	if (n > 0 && n <= DRIVER_NAME_MAX &&
	    dump_get(&crash->dump, "the name of a driver", name + 4, ret->utf16, 2 * (size_t)n) ==
		    0)
		utf16_to_utf8(ret->utf16, n, ret->name);
	return 0;
}
