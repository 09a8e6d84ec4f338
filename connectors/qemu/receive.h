/* SPDX-License-Identifier: MIT */
/* The RAM of a migration stream that QEMU wrote, put where a machine's map has it. */
#ifndef QEMU_RECEIVE_H
#define QEMU_RECEIVE_H

#include "../common/machine.h"

/*
 * Read the stream in the file from, and write each page into the file to; what was read of from is given back. at[i] becomes
 * where range i of map begins there, none where the stream has nothing of it, or where the file would grow beyond room bytes.
 *
 * Returns   0; as ram_stream_read; SONDE_E_IO, SONDE_E_NO_MEMORY.
 */
int receive_ram(const struct machine *machine, int from, int to, uint64_t *at, uint64_t none,
		uint64_t room, struct sonde_error *err);

#endif
