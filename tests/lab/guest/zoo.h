/* SPDX-License-Identifier: MIT */
/* The zoo: processes with all that the tests want to find, and what is shared with them. */
#ifndef GUEST_ZOO_H
#define GUEST_ZOO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LABPROC "/bin/labproc" /* the zoo's exec'ed program: this one */
#define MAX_ROLES 64
#define MAX_AREAS 8

/* One stretch of memory with known content, told to init through a shared page. */
struct area {
	uint64_t va;
	uint64_t len; /* bytes, a multiple of PAGE */
	char kind[16];
};

/* Shared between init and the zoo: counters and the pattern process's report. */
struct board {
	unsigned n_spawned; /* atomic; extra processes that are about to rest */
	unsigned load_on;   /* atomic; what "load" has started goes on */
	unsigned n_areas;
	struct area areas[MAX_AREAS];
};

struct role {
	char name[24];
	pid_t pid; /* 0: the role could not be set up */
};

extern struct role roles[MAX_ROLES];
extern unsigned n_roles;
extern struct board *board;

bool zoo_make_board(void);
void make_zoo(void);
/* As LABPROC --role ROLE [ARGUMENT...]; returns never. */
int run_role(char **argv);

void set_name(const char *name);
/* Wait for ever, quietly: this is what every member of the zoo ends in. */
__attribute__((noreturn)) void rest(void);

#endif
