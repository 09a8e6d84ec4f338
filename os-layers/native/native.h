/* SPDX-License-Identifier: MIT */
/*
 * The system that this program runs on, asked instead of read: all of it for the target `native`, one process for
 * process:PID. native.c makes one; each other file of this folder answers one kind of question.
 *
 *   proc.h         files of /proc, and their words
 *   host_linux.c   the kernel and its boot        task_linux.c   processes and threads
 *   mm_linux.c     mappings, memory               pages_linux.c  what is known of pages
 *   module.c       modules of the kernel
 *   wine.h         programs and libraries of Windows in a process; those of Linux: common/images.h
 */
#ifndef SONDE_NATIVE_NATIVE_H
#define SONDE_NATIVE_NATIVE_H

#include <sonde/sonde.h>

#include "base/arena.h"
#include "common/lists.h"
#include "common/os.h"
#include "native/proc.h"

/* Another process's memory, opened for somebody. */
struct native_opened {
	struct sonde_target *target;
	struct native_opened *next;
};

struct native_os {
	struct sonde_os os;
	struct sonde_target *target;
	struct sonde_loop *loop;
	int proc_fd;    /* the folder /proc, or what was named instead            */
	int32_t pid;    /* the target is this process; 0: it is the whole machine */
	int process_fd; /* ... its folder, which no later owner of the number gets; -1 */
	uint64_t tick_ns;
	struct native_opened *opened;
	struct sonde_kernel kernel; /* strings in arena */
	struct arena arena;
	bool foreign; /* proc_fd was named: it need not be of this machine's kernel */
};

static inline struct native_os *native_of(struct sonde_os *os)
{
	return (struct native_os *)(void *)os;
}

/*
 * The folder of a process in /proc; pid 0 is the one that the target is.
 * Returns a descriptor to close; SONDE_E_NOT_FOUND, _NO_ACCESS, _UNSUPPORTED (pid 0 of a whole machine).
 */
int native_folder(struct native_os *native, int32_t pid, struct sonde_error *err);

/* host_linux.c: fill native->kernel. Returns 0, NO_MEMORY. */
int native_describe(struct native_os *native);
/* ... the symbols of the kernel and its modules, where they are shown to us; of a process what PE modules export. */
void native_read_symbols(struct sonde_os *os);

/* As the slots of os_layer. */
int native_tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		 struct sonde_processes *list, struct sonde_error *err);
int native_process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			  struct sonde_error *err);
int native_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
		    struct sonde_error *err);
int native_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		     struct sonde_error *err);
int native_pages(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
		 struct sonde_error *err);
int native_registers(struct sonde_os *os, int32_t tid, struct sonde_register *ret, size_t cap,
		     struct sonde_error *err);
int native_modules(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err);

#endif
