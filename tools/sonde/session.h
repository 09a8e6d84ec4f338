/* SPDX-License-Identifier: MIT */
/*
 * The target a command works on: its loop, its operating system, the space an address
 * belongs to. Every call here tells of its errors on stderr and returns an exit code.
 */
#ifndef SONDE_TOOL_SESSION_H
#define SONDE_TOOL_SESSION_H

#include "cmd.h"

/* Make a loop. */
int session_loop(struct ctx *ctx);
/* session_loop, then open the target named by the first operand. */
int session_open(struct ctx *ctx);
/*
 * From here on a live target stands still, if --pause asks for it; does nothing the second time. What may be found
 * while it runs is found before: session_attach and session_place end with this.
 */
int session_hold(struct ctx *ctx);
/* ... and goes on from here. */
int session_release(struct ctx *ctx);
/* Find the operating system in it; does nothing the second time. */
int session_attach(struct ctx *ctx);
/* session_open, then session_attach. */
int session_start(struct ctx *ctx);
/*
 * session_start for a guest whose events are wanted, and what lets it go on should the tool vanish. The name says the rest: of
 * gdb:... the stub is the target itself, of qemu:NAME memory is read as ever and the stub is opened beside it.
 */
int session_start_traced(struct ctx *ctx);
/* Before the guest is touched beside the session: see to it, should the tool vanish. */
int session_watched(struct ctx *ctx);
/* Open that stub: ctx->events. From here on the guest may stand still. */
int session_events(struct ctx *ctx);
/* Detach, close and destroy what there is. */
void session_close(struct ctx *ctx);
/* --stats: what the work has cost, on stderr. */
void session_stats(struct ctx *ctx);
/* What the target says it is (SONDE_NOTE_IDENTITY), "" where it cannot tell. */
void session_identity(struct ctx *ctx, char *text, size_t cap);
/* Tell what became of a live target while it was looked at, if anything did. */
void session_gone(struct ctx *ctx);

/* An address, and the space it is meant in. */
struct place {
	struct sonde_space *space;
	const char *name; /* "physical memory", for messages          */
	uint64_t addr;
	int64_t pid; /* PID, 0 the kernel, -1 the target's own memory */
};

/*
 * Read an operand that is an address: 0x hex, decimal, SYMBOL, SYMBOL+OFFSET. The space is the one
 * that --pid, --kernel or --phys names; without them the kernel's for symbols and for numbers in
 * the upper half of a physical target's 64 bits (no machine has memory there), else the target's
 * own, which has the symbols of a process as well.
 */
int session_place(struct ctx *ctx, const char *text, struct place *ret);
/* The space of the process pid, 0 the kernel's, -1 the target's own; that of another process is closed. */
int session_place_of(struct ctx *ctx, int32_t pid, struct place *ret);
/* As session_place without a space: for commands that only speak of the kernel's addresses. */
int session_address(struct ctx *ctx, const char *text, uint64_t *ret);

/*
 * The symbol that covers addr. Returns 1, or 0 where none does: what lies far behind a symbol
 * is behind the last one, or in a gap, and has nothing to do with it.
 */
int session_symbol_at(const struct ctx *ctx, uint64_t addr, struct sonde_symbol *ret);
/* "name+0x12" of the symbol at addr into buf, or "" without an OS or symbol. */
void session_symbol(const struct ctx *ctx, uint64_t addr, char *buf, size_t cap);

#endif
