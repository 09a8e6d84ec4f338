/* SPDX-License-Identifier: MIT */
/*
 * Several programs of ours may want one guest to stand still at the same time, and who leaves first must not let it go
 * on under the others. They know of each other by locks on files of the guest's own folder in /proc, which need no
 * right but to read them and are gone with whoever held them, however it ended.
 *
 *     enter ─▶ ask, stop ─▶ stay        leave ─▶ continue, unless others stay ─▶ left
 *
 * Between enter and stay, and between leave and left, nobody else comes or goes.
 */
#ifndef STANDSTILL_H
#define STANDSTILL_H

#include <sys/types.h>

struct standstill {
	int gate; /* locked while somebody comes or goes; -1 */
	int seat; /* locked, shared, by all who stay; -1     */
};

void standstill_init(struct standstill *ret);

/* Returns 1 where others hold the process still, 0 where nobody does or none can be asked. */
int standstill_enter(struct standstill *still, pid_t pid);
/* The outcome of enter: with is_held, count among those who hold it. */
void standstill_stay(struct standstill *still, int is_held);

/* Returns 1 where others still hold the process: it is theirs to continue. */
int standstill_leave(struct standstill *still, pid_t pid);
void standstill_left(struct standstill *still);

#endif
