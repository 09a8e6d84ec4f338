/* SPDX-License-Identifier: MIT */
/* usage: pack_avml RAW OUT {ADDRESS LENGTH}...: ranges of raw memory as AVML writes them packed, 16 MiB at most each. */
#include "synth/avml.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGE_MAX (16u << 20)

static int pack(const uint8_t *memory, uint64_t addr, uint64_t len, FILE *out)
{
	while (len) {
		uint64_t some = len < RANGE_MAX ? len : RANGE_MAX;
		struct synth_avml image = { 0 };
		synth_avml_add(&image, addr, memory + addr, some, 0);
		size_t done = fwrite(image.bytes, 1, image.size, out);
		free(image.bytes);
		if (done < image.size)
			return -1;
		addr += some;
		len -= some;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc > 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	FILE *out = fd >= 0 ? fopen(argv[2], "wb") : NULL;
	off_t size = out ? lseek(fd, 0, SEEK_END) : 0;
	const uint8_t *memory =
		size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

	if (memory == MAP_FAILED) {
		perror("pack_avml");
		return 1;
	}
	for (int i = 3; i + 1 < argc; i += 2) {
		if (pack(memory, strtoull(argv[i], NULL, 0), strtoull(argv[i + 1], NULL, 0), out) <
		    0)
			return 1;
	}
	return fclose(out) == 0 ? 0 : 1;
}
