/* SPDX-License-Identifier: MIT */
/* Builds packed images of AVML in memory, a range at a time, as avml src/image.rs and snappy's framing_format.txt lay them out. */
#ifndef SYNTH_AVML_H
#define SYNTH_AVML_H

#include <stddef.h>
#include <stdint.h>

struct synth_avml {
	uint8_t *bytes; /* [size], to be freed */
	size_t size;
};

/* One more range of len bytes at addr, chunks of 64 KiB; of these each plain-th is not packed (0: none). */
void synth_avml_add(struct synth_avml *image, uint64_t addr, const void *memory, size_t len,
		    unsigned plain);

#endif
