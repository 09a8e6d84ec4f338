/* SPDX-License-Identifier: MIT */
/*
 * A kernel describes itself in its own memory: its symbols, and the layout of its types.
 * With both, a structure is read by name; no offset is written down anywhere.
 *
 *	08-symbols-and-types TARGET
 */
#include <sonde/sonde.h>

#include <stdio.h>

static int show(struct sonde_os *os)
{
	const struct sonde_symbols *symbols = sonde_os_symbols(os);
	const struct sonde_types *types = sonde_os_types(os);
	struct sonde_symbol init_task;
	struct sonde_member comm, pid;
	uint32_t task, value = 1;
	char name[16], decl[200];

	if (!sonde_symbol_find(symbols, "init_task", &init_task) ||
	    !sonde_type_find(types, "struct task_struct", &task) ||
	    !sonde_type_member(types, task, "comm", &comm) ||
	    !sonde_type_member(types, task, "pid", &pid))
		return 1;
	printf("types from %s\n", sonde_types_source(types));
	printf("init_task at 0x%llx, %lld bytes, comm at +%llu\n",
	       (unsigned long long)init_task.addr, (long long)sonde_type_size(types, task),
	       (unsigned long long)comm.bit_off / 8);

	struct sonde_space *memory = sonde_os_kernel_memory(os);
	int len = sonde_space_string(memory, init_task.addr + comm.bit_off / 8, name, sizeof(name));
	int r = sonde_space_u32(memory, init_task.addr + pid.bit_off / 8, &value);
	if (len < 0 || r < 0)
		return 1;
	printf("its name is '%s', its pid %u\n", name, value);
	if (sonde_type_find(types, "struct list_head", &task) &&
	    sonde_type_print(types, task, decl, sizeof(decl)) > 0)
		printf("%s", decl);
	return value == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_os *os = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: %s TARGET\n", argv[0]);
		return 2;
	}
	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, argv[1], NULL, &target, &err) < 0 ||
	    sonde_os_attach(target, NULL, &os, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = show(os);
	sonde_os_detach(os);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
