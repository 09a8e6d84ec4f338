/* SPDX-License-Identifier: MIT */
/* usage: pack_image KIND IN OUT: a file as synth/packed.h packs it, in blocks of 1 MiB. */
#include "synth/packed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int write_packed(enum synth_packing packing, const uint8_t *bytes, size_t len, FILE *out)
{
	size_t n = 0;
	uint8_t *packed = synth_pack(packing, bytes, len, 1u << 20, &n);
	size_t done = fwrite(packed, 1, n, out);

	free(packed);
	return done == n ? 0 : -1;
}

int main(int argc, char **argv)
{
	int fd = argc == 4 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1, packing = 0;
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	FILE *out = size > 0 ? fopen(argv[3], "wb") : NULL;
	const uint8_t *bytes =
		out ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

	while (argc == 4 && packing < SYNTH_PACKINGS &&
	       strcmp(argv[1], synth_packing_names[packing]) != 0)
		packing++;
	if (bytes == MAP_FAILED || packing == SYNTH_PACKINGS ||
	    write_packed(packing, bytes, (size_t)size, out) < 0 || fclose(out) != 0) {
		perror("pack_image");
		return 1;
	}
	return 0;
}
