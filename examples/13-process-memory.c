/* SPDX-License-Identifier: MIT */
/*
 * A space over a space: the virtual memory of a process in a guest, page tables walked
 * below. Its lowest mapping is its program, so that begins with an ELF header.
 *
 *	13-process-memory TARGET [PID]
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show(struct sonde_os *os, int32_t pid, struct sonde_error *err)
{
	struct sonde_mappings *list = NULL;
	struct sonde_space *memory = NULL;
	struct sonde_translation where;
	unsigned char head[4] = { 0 };

	if (sonde_os_mappings(os, pid, &list, err) < 0)
		return -1;
	const struct sonde_mapping *first =
		sonde_mappings_count(list) ? sonde_mappings_at(list, 0) : NULL;
	int r = first ? sonde_os_process_memory(os, pid, &memory, err) : SONDE_E_NOT_MAPPED;
	if (r == 0)
		r = sonde_space_get(memory, first->start, head, sizeof(head));
	if (r == 0)
		r = sonde_os_translate(os, pid, first->start, &where, err);
	if (r == 0)
		printf("0x%llx of process %d (%s) lies at physical 0x%llx: %02x '%.3s'\n",
		       (unsigned long long)first->start, (int)pid, first->path,
		       (unsigned long long)where.pa, head[0], (char *)head + 1);
	sonde_space_close(memory);
	sonde_mappings_destroy(list);
	return r == 0 && memcmp(head, "\177ELF", 4) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_os *os = NULL;
	struct sonde_error err = { .text = "it does not begin with an ELF header" };

	if (argc < 2) {
		fprintf(stderr, "usage: %s TARGET [PID]\n", argv[0]);
		return 2;
	}
	int32_t pid = argc > 2 ? atoi(argv[2]) : 1;
	int failed = sonde_loop_create(NULL, &loop, &err) < 0 ||
		     sonde_target_open(loop, argv[1], NULL, &target, &err) < 0 ||
		     sonde_os_attach(target, NULL, &os, &err) < 0 || show(os, pid, &err) < 0;
	if (failed)
		fprintf(stderr, "%s\n", err.text);
	sonde_os_detach(os);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
