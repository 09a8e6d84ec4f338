/* SPDX-License-Identifier: MIT */
/* Flattened dumps, as makedumpfile 1.7.2 makedumpfile.h lays them out (makedumpfile_header, makedumpfile_data_header). */
#ifndef SYNTH_FLAT_H
#define SYNTH_FLAT_H

#include <stddef.h>
#include <stdint.h>

/*
 * A dump as a flattened file of pieces of so many bytes, the last one first; before them one of nonsense over all of the
 * head, which the true one, written later, stands over. [*ret_size], to be freed.
 */
uint8_t *synth_flatten(const uint8_t *dump, size_t size, size_t piece, size_t *ret_size);

#endif
