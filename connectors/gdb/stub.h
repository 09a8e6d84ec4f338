/* SPDX-License-Identifier: MIT */
/*
 * Which stub is at the other end, and what it says when asked: what it can, the threads it has, their registers, files
 * and objects it lets read. Everything here waits for answers; the bytes of memory go by memory.c.
 */
#ifndef GDB_STUB_H
#define GDB_STUB_H

#include "../common/full_cpu.h"
#include "description.h"
#include "link.h"

enum {
	STUB_THREADS = 1024, /* that are remembered */
};

struct stub {
	const struct sonde_host *host;
	struct link *link;
	int qemu;           /* QEMU's of a machine: physical memory, and its monitor        */
	int process;        /* gdbserver and the like: the target is a process              */
	uint32_t depth;     /* packets on their way where it can take several               */
	int has_features;   /* qXfer:features:read                                          */
	int has_memory_map; /* qXfer:memory-map:read                                        */
	int binary_read, binary_write;  /* packets x and X                                    */
	uint64_t threads[STUB_THREADS]; /* [n_threads], as the stub has them                 */
	uint32_t n_threads;
	struct description *description; /* NULL: it has none that can be used              */
	struct reply reply; /* of the last question                                         */
};

/*
 * Say hello: what it can, no acknowledgements where it agrees, its threads and its description. *stub is zero but
 * for host, link and depth.
 *
 * Returns   0; as link_call; SONDE_E_BAD_FORMAT where what answers is no stub.
 * Owns      stub: stub_finish, also after an error.
 */
int stub_meet(struct stub *stub, struct sonde_error *err);
void stub_finish(struct stub *stub);

/* Send, and want "OK". Returns 0; as link_call; SONDE_E_UNSUPPORTED for any other answer. */
int stub_order(struct stub *stub, const char *text, struct sonde_error *err);

/* A whole object into stub->reply. Returns 0; as link_call; SONDE_E_UNSUPPORTED, _BAD_FORMAT. */
int stub_object(struct stub *stub, const char *object, const char *annex, struct sonde_error *err);

/* A whole file of the target's machine into stub->reply, LINK_CALL_MAX at most. Returns as stub_object. */
int stub_file(struct stub *stub, const char *path, struct sonde_error *err);

/* Registers of thread index. Returns 0; as link_call; SONDE_E_UNSUPPORTED, SONDE_E_NOT_FOUND. */
int stub_registers(struct stub *stub, uint32_t index, struct full_cpu *ret,
		   struct sonde_error *err);

#endif
