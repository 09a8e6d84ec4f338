/* SPDX-License-Identifier: MIT */
/*
 * Packs as Microsoft's Xpress does, by [MS-XCA] 2.1 and 2.3, for tests: matches are found by the last place that began with the
 * same three bytes, and Huffman codes are as short as their number allows, whatever the bytes.
 */
#ifndef SYNTH_XPRESS_H
#define SYNTH_XPRESS_H

#include <stddef.h>
#include <stdint.h>

/* Room that is enough for len bytes. */
#define SYNTH_XPRESS_ROOM(len) ((len) + (len) / 4 + 1024)

/* Each returns how many bytes it wrote to to; len is up to 65536. */
size_t synth_xpress_plain(const uint8_t *from, size_t len, uint8_t *to);
size_t synth_xpress_huffman(const uint8_t *from, size_t len, uint8_t *to);

#endif
