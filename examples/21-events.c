/* SPDX-License-Identifier: MIT */
/*
 * Events: who opens the next few files in a guest, told as it happens.
 *
 *	21-events TARGET        a stub of GDB's protocol: gdb:qemu:NAME, gdb:HOST:PORT
 *
 * The guest stands still from an event to the next wait, and goes on, without breakpoints, when the target is closed.
 */
#include <sonde/sonde.h>

#include <stdio.h>

enum { N_EVENTS = 5 };

struct guest {
	struct sonde_target *target;
	struct sonde_os *os;
};

/* A task: others of its loop run while it waits for the guest. */
static int watch(struct sonde_task *task, void *arg)
{
	const struct guest *guest = arg;
	(void)task;

	for (int i = 0; i < N_EVENTS; i++) {
		struct sonde_event event;
		struct sonde_current caller;
		int r = sonde_event_wait(guest->target, SONDE_EVENT_NEXT, 0, &event, sizeof(event));
		if (r == 0)
			r = sonde_os_current(guest->os, &event, &caller, NULL);
		if (r < 0)
			return r;
		printf("processor %u, process %d: %s\n", event.cpu, caller.tgid, caller.name);
	}
	return 0;
}

static int run(struct sonde_loop *loop, struct guest *guest, struct sonde_error *err)
{
	struct sonde_symbol function;
	struct sonde_task *task;

	if (!sonde_symbol_find(sonde_os_symbols(guest->os), "do_sys_openat2", &function))
		return SONDE_E_NOT_FOUND;
	struct sonde_breakpoint at = { .addr = function.addr };
	int r = sonde_breakpoint_set(guest->target, &at, err);
	if (r == 0)
		r = sonde_task_spawn(loop, watch, guest, &task);
	return r < 0 ? r : sonde_task_join(NULL, task);
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	struct guest guest = { 0 };
	struct sonde_error err = { 0 };

	if (argc != 2)
		return fprintf(stderr, "usage: 21-events TARGET\n"), 1;
	int r = sonde_loop_create(NULL, &loop, &err);
	if (r == 0)
		r = sonde_target_open(loop, argv[1], NULL, &guest.target, &err);
	if (r == 0)
		r = sonde_os_attach(guest.target, NULL, &guest.os, &err);
	if (r == 0)
		r = run(loop, &guest, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text[0] ? err.text : sonde_strerror(r));
	sonde_os_detach(guest.os);
	sonde_target_close(guest.target);
	sonde_loop_destroy(loop);
	return r < 0;
}
