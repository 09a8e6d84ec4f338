/* SPDX-License-Identifier: MIT */
/*
 * Which physical addresses the blocks of RAM of a stream are at. The stream does not say; the kind of machine does, and of
 * a PC its CMOS, where the firmware reads how much RAM is below and above 4 GiB.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "../common/memory_map.h"
#include "../common/ram_stream.h"

struct layout_facts {
	const char *machine;         /* "pc-q35-7.2"; "" not told                   */
	uint32_t arch;               /* enum sonde_arch; NONE where not known       */
	uint64_t below_4g, above_4g; /* bytes, of a PC; both 0: not told    */
};

/*
 * off of a range counts from the first byte of the first block on, all of them one after the other.
 *
 * Returns   0; SONDE_E_UNSUPPORTED (no known machine, or no block that is its RAM), _NO_MEMORY.
 * Owns      *ret: memory_map_finish, also after an error.
 */
int layout_make(struct memory_map *ret, const struct layout_facts *facts,
		const struct ram_stream_block *blocks, size_t n);

#endif
