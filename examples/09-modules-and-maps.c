/* SPDX-License-Identifier: MIT */
/*
 * What a guest's kernel has loaded, and what its first process has mapped. A list that is
 * damaged still gives what could be reached, and says what could not.
 *
 *	09-modules-and-maps TARGET
 */
#include <sonde/sonde.h>

#include <stdio.h>

static int show_modules(struct sonde_os *os, struct sonde_error *err)
{
	struct sonde_modules *list;

	if (sonde_os_modules(os, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < sonde_modules_count(list); i++) {
		const struct sonde_module *m = sonde_modules_at(list, i);

		printf("%-24s %8llu bytes at 0x%llx\n", m->name, (unsigned long long)m->size,
		       (unsigned long long)m->base);
	}
	if (sonde_modules_damage(list))
		printf("damaged: %s\n", sonde_modules_damage(list));
	sonde_modules_destroy(list);
	return 0;
}

static int show_maps(struct sonde_os *os, int32_t pid, struct sonde_error *err)
{
	struct sonde_mappings *list;

	if (sonde_os_mappings(os, pid, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < sonde_mappings_count(list); i++) {
		const struct sonde_mapping *m = sonde_mappings_at(list, i);

		printf("%llx-%llx %s\n", (unsigned long long)m->start, (unsigned long long)m->end,
		       m->path);
	}
	if (sonde_mappings_damage(list))
		printf("damaged: %s\n", sonde_mappings_damage(list));
	sonde_mappings_destroy(list);
	return 0;
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_os *os = NULL;
	struct sonde_error err = { 0 };

	if (argc != 2) {
		fprintf(stderr, "usage: %s TARGET\n", argv[0]);
		return 2;
	}
	int failed = sonde_loop_create(NULL, &loop, &err) < 0 ||
		     sonde_target_open(loop, argv[1], NULL, &target, &err) < 0 ||
		     sonde_os_attach(target, NULL, &os, &err) < 0 || show_modules(os, &err) < 0 ||
		     show_maps(os, 1, &err) < 0;
	if (failed)
		fprintf(stderr, "%s\n", err.text);
	sonde_os_detach(os);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
