/* SPDX-License-Identifier: MIT */
/*
 * Run a fuzz target over files: every argument is an input, or a folder of inputs. What the
 * fuzzers once found stays found, in every build. No input at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;

	if (!file || fstat(fileno(file), &st) < 0) {
		perror(path);
		exit(1);
	}
	/* Exactly as long as the input, so that a sanitizer sees one byte too far. */
	size_t len = (size_t)st.st_size;
	uint8_t *bytes = malloc(len ? len : 1);
	if (!bytes || fread(bytes, 1, len, file) != len) {
		fprintf(stderr, "%s: cannot be read whole\n", path);
		exit(1);
	}
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
	fclose(file);
	return 1;
}

static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return replay_file(path);
	while ((entry = readdir(dir))) {
		char inner[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		n += replay_file(inner);
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	printf("%d inputs\n", n);
	return n ? 0 : 1;
}
