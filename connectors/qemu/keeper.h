/* SPDX-License-Identifier: MIT */
/*
 * A process of its own that changes a guest for the time of a snapshot, and puts it back: also when whoever asked for the
 * snapshot is killed meanwhile, of which it hears by the end of their socket. Should the keeper itself be killed, the
 * other one does what is left: what has to be put back is written in memory that both share, before it is done.
 */
#ifndef QEMU_KEEPER_H
#define QEMU_KEEPER_H

#include "../common/machine.h"
#include "../common/standstill.h"

enum keeper_way {
	KEEPER_STREAM, /* have QEMU write its RAM, as it is now, into a file; the guest goes on */
	KEEPER_STOP,   /* stop the guest until keeper_end                                       */
};

struct keeper_shared;

struct keeper {
	const struct sonde_host *host;
	const struct machine *machine;
	const char *qmp_path;
	enum keeper_way way;
	pid_t pid; /* 0: there is none */
	int fd;
	int has_ended;           /* it has told all, and put back what it changed */
	struct standstill still; /* the keeper's part in it */
	struct keeper_shared *shared;
	size_t shared_len;
};

/*
 * Start the work. file: STREAM: where QEMU shall write, from its beginning. machine and qmp_path are kept until keeper_end.
 *
 * Returns   0; SONDE_E_NO_MEMORY, SONDE_E_EXHAUSTED or what fork says.
 * Owns      *ret: keeper_end, then keeper_forget, after 0.
 */
int keeper_start(struct keeper *ret, const struct machine *machine, const char *qmp_path,
		 enum keeper_way way, int file, struct sonde_error *err);

/*
 * Wait: STREAM: until QEMU has written all; STOP: until the guest stands still. A minute, and more for large guests.
 *
 * Returns   0; SONDE_E_UNSUPPORTED (STREAM: this guest or QEMU cannot), SONDE_E_BUSY (it migrates already), _GONE, _TIMED_OUT, what the
 *           monitor returned. After an error all is as it was, or err says what is not.
 */
int keeper_wait(struct keeper *keeper, struct sonde_error *err);

/*
 * End it: a guest that it stopped goes on. A snapshot that QEMU still writes is left to the keeper, which puts back what was changed
 * when it ends. Does nothing the second time.
 *
 * Returns   0; SONDE_E_BUSY: the guest stood still already and somebody else let it go on meanwhile; what the monitor returned:
 *           err says what may not be as it was.
 */
int keeper_end(struct keeper *keeper, struct sonde_error *err);

/* After keeper_wait: registers of processor index as they were; STREAM: shortly before. 1, or 0 where they are not known. */
int keeper_cpu(const struct keeper *keeper, uint32_t index, struct full_cpu *ret);

/* After keeper_end (STOP) or keeper_wait (STREAM): for how long the guest stood still because of it. */
uint64_t keeper_stopped_ns(const struct keeper *keeper);

/* Give back the memory that both shared: no answer after this. */
void keeper_forget(struct keeper *keeper);

#endif
