/* SPDX-License-Identifier: MIT */
/*
 * Memory of another process on Linux, moved in batches. Shared by the connectors whose
 * bytes live in one: process (its own addresses) and qemu (the guest's RAM inside it).
 */
#ifndef PROCMEM_H
#define PROCMEM_H

#include <sonde/plugin.h>
#include <sys/types.h>

/* Pieces in one call. More than 16 gain nothing by themselves; 64 leaves room to merge neighbours.
 */
#define PROCMEM_BATCH 64
#define PROCMEM_PAGE 4096

/* A stretch of a request and where in the process it lies. */
struct procmem_piece {
	struct sonde_io *io;
	uint32_t i, off, len;
	uint64_t addr;
};

struct procmem {
	const struct sonde_host *host;
	pid_t pid;
	int pidfd;   /* tells this process from a later one of the same number; -1 none */
	int proc_fd; /* the folder /proc/PID, which answers for this process only       */
	int mem_fd;  /* /proc/PID/mem; -1 not needed so far                             */
	int by_file; /* process_vm_readv is refused here: everything goes through mem_fd */
	int writable;
	int gone; /* seen to have ended */

	struct procmem_piece pieces[PROCMEM_BATCH]; /* [n], waiting for flush */
	size_t n;
	uint8_t bounce[PROCMEM_BATCH / 2][PROCMEM_PAGE]; /* pages that several pieces share */
};

/* Nothing is held: what procmem_close may be given before procmem_open. */
void procmem_init(struct procmem *pm);

/*
 * Take hold of a process. who names the connector in messages.
 *
 * Returns   0; SONDE_E_NOT_FOUND, _NO_ACCESS (err names what would allow it), _UNSUPPORTED (it has
 * no memory: a kernel thread or a zombie). Owns      *ret: procmem_close, also after an error.
 */
int procmem_open(struct procmem *ret, const struct sonde_host *host, const char *who, pid_t pid,
		 int write, struct sonde_error *err);
void procmem_close(struct procmem *pm);

/* 1 while the process lives and is not on its way out, when it has no memory any more. */
int procmem_alive(struct procmem *pm);

/*
 * Open one of its files in /proc (e.g. "maps"), of this process even where its number has another owner by now.
 * Returns a descriptor to close; -errno, ESRCH or ENOENT when the process has ended.
 */
int procmem_open_proc(const struct procmem *pm, const char *name);

/*
 * Queue a stretch; a full batch leaves at once. The outcome of every stretch is told through
 * sonde_progress no later than in procmem_flush. A range that wraps past 2^64 ends there.
 */
void procmem_add(struct procmem *pm, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
		 uint64_t addr);
void procmem_flush(struct procmem *pm);

/* When it was started, in clock ticks after boot. Returns 0; SONDE_E_GONE. */
int procmem_start(const struct procmem *pm, uint64_t *ret);
/* Its SONDE_NOTE_IDENTITY: number, start and boot, which no other process has. Returns as the slot note. */
int64_t procmem_identity(const struct procmem *pm, void *buf, size_t cap);

/* Read len bytes, all or nothing. Returns 0; SONDE_E_NOT_MAPPED, SONDE_E_GONE. */
int procmem_get(struct procmem *pm, uint64_t addr, void *buf, size_t len);

#endif
