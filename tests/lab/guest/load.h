/* SPDX-License-Identifier: MIT */
/* Work that never rests: processes that are born, change what they are, and end, all the time. */
#ifndef GUEST_LOAD_H
#define GUEST_LOAD_H

/* "load N": as many parents of such processes; 0 ends them all. */
void command_load(const char *arg);
/* As LABPROC --role brief PID: what some of the children become. */
void role_brief(char **argv);

#endif
