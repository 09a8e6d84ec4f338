/* SPDX-License-Identifier: MIT */
/*
 * Write a raw memory image as a hibernation file of Windows: pack_hiberfil RAW OUT KIND PROCESSOR RANGE..., KIND 7 or 10,
 * PROCESSOR a file with the page that tells of it, a range being two numbers, its first page and how many.
 */
#include "synth/hiberfil.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t *map(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return MAP_FAILED;
	return mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
}

int main(int argc, char **argv)
{
	struct synth_hiber_run runs[8] = { { 0 } };
	struct synth_hiber spec = { .runs = runs };

	if (argc < 7 || argc % 2 == 0 || argc > 20)
		return fprintf(stderr, "usage: %s RAW OUT 7|10 PROCESSOR FIRST N ...\n", argv[0]),
		       2;
	const uint8_t *raw = map(argv[1]);
	FILE *out = fopen(argv[2], "wb");
	spec.length = strcmp(argv[3], "7") == 0 ? SYNTH_WINDOWS_7 : SYNTH_WINDOWS_10;
	spec.processor = map(argv[4]);
	if (raw == MAP_FAILED || spec.processor == MAP_FAILED || !out)
		return perror("pack_hiberfil"), 1;
	for (int i = 5; i < argc; i += 2) {
		uint64_t page = strtoull(argv[i], NULL, 0);
		runs[spec.n_runs++] =
			(struct synth_hiber_run){ page, strtoull(argv[i + 1], NULL, 0),
						  raw + page * 4096 };
	}
	synth_hiber(&spec, out);
	return fclose(out) == 0 ? 0 : 1;
}
