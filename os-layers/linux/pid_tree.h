/* SPDX-License-Identifier: MIT */
/*
 * The tasks there are: every struct pid of the initial namespace, by its tree (an IDR on an
 * xarray), breadth-first, one trip a level; where the tree is damaged or
 * missing, the list that starts at init_task as well.
 */
#ifndef SONDE_LINUX_PID_TREE_H
#define SONDE_LINUX_PID_TREE_H

#include "linux/linux.h"

#define TASKS_MAX (1u << 22) /* PID_MAX_LIMIT, linux v6.6 include/linux/threads.h */

struct task_addrs {
	uint64_t *at; /* [n] task_structs; heap */
	size_t n, cap;
};

/*
 * All thread-group leaders, or all threads, in no order. Returns 0; SONDE_E_NO_MEMORY; the error of the
 * tree's root when nothing at all could be read. list takes the note of damage.
 */
int pid_tree_tasks(struct linux_os *lx, enum os_tasks what, struct task_addrs *ret,
		   struct sonde_processes *list, struct sonde_error *err);
/* The task of one pid, by descent: a trip a level. Returns 0; SONDE_E_NOT_FOUND; what reading said. */
int pid_tree_find(struct linux_os *lx, int32_t pid, uint64_t *ret_task);
void task_addrs_finish(struct task_addrs *addrs);

#endif
