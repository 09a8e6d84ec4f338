/* SPDX-License-Identifier: MIT */
/*
 * The shortest useful program: open a target, find the system in it, list its processes.
 *
 *	01-hello guest.elf        a dump
 *	01-hello qemu:vm          a running guest
 */
#include <sonde/sonde.h>

#include <stdio.h>

static int list(struct sonde_os *os, struct sonde_error *err)
{
	struct sonde_processes *all;

	if (sonde_os_processes(os, SONDE_PROCESS_IDENTITY, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < sonde_processes_count(all); i++) {
		const struct sonde_process *p = sonde_processes_at(all, i);

		printf("%7d %c %s\n", p->pid, p->state, p->name);
	}
	sonde_processes_destroy(all);
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
		     sonde_os_attach(target, NULL, &os, &err) < 0 || list(os, &err) < 0;
	if (failed)
		fprintf(stderr, "%s\n", err.text);

	/* The reverse of the order they were made in; each takes NULL. */
	sonde_os_detach(os);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
