/* SPDX-License-Identifier: MIT */
/* How the pieces of a case are asked for. */
#ifndef TESTS_CONFORMANCE_DOOR_H
#define TESTS_CONFORMANCE_DOOR_H

#include "case.h"

struct door {
	const char *name;
	/* Ask for all of run's pieces and wait; as sonde_space_read. */
	int32_t (*run)(struct subject *subject, struct run *run);
	int fragments; /* not 0: run hears of each fragment                        */
	int few;       /* not 0: costs a trip a piece, so cases of thousands are left out */
};

extern const struct door doors[];
extern const unsigned n_doors;

#endif
