/* SPDX-License-Identifier: MIT */
/*
 * What the conformance table runs on: 64 KiB of memory, byte i holding i / 16, with one hole,
 * behind some connector. Each subject knows its own map, so one table of cases asks all of them alike.
 */
#ifndef TESTS_CONFORMANCE_SUBJECT_H
#define TESTS_CONFORMANCE_SUBJECT_H

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>
#include <stdint.h>

#define SUBJECT_SIZE UINT64_C(0x10000)
#define HOLE_ADDR UINT64_C(0x3000)
#define HOLE_LEN UINT64_C(0x1000)

struct gdb_stub;

struct subject {
	const char *name;
	const char *plugin; /* file that must be there: "ram.so"                           */
	const char *also;   /* and this one, or NULL                                       */
	int (*open)(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err);
	const char *target; /* what open makes of it: a target's name, with %s for path    */
	int read_only;      /* opened so: what is there answers READ_ONLY to writes        */
	int no_hole;        /* the format cannot have one                                  */

	/* Made by open. */
	struct sonde_space *space;
	struct sonde_target *opened;
	uint64_t base;  /* address of the first byte                                   */
	uint8_t *model; /* [SUBJECT_SIZE] what its bytes are, kept up by the cases     */
	char path[64];
	void *memory; /* process subjects: the region, and a guard on either side    */
	int child;
	struct gdb_stub *stub; /* gdb subjects: what is at the other end */
};

extern struct subject subjects[];
extern const unsigned n_subjects;

/* NULL: every plugin it needs is there; else the name of one that is not. */
const char *subject_missing(const struct subject *subject);
/* Open, or say why not in err; 0 or an error code. */
int subject_open(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err);
void subject_close(struct subject *subject);

/* Does the byte at off (from base) exist? off may be anything. */
int subject_has(const struct subject *subject, uint64_t off);

#endif
