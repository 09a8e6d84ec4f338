/* SPDX-License-Identifier: MIT */
/*
 * A stub of GDB's remote protocol, on a socket of its own, with memory whose byte i holds i / 16 and a page missing. It can
 * be any of the stubs there are, and do to its client whatever a broken line or a liar would. Its framing is written anew,
 * from the protocol's description: what both sides got wrong alike would not be seen.
 */
#ifndef TESTS_SYNTH_GDB_STUB_H
#define TESTS_SYNTH_GDB_STUB_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { STUB_SIZE = 0x10000, STUB_HOLE = 0x3000, STUB_HOLE_LEN = 0x1000 };

/* What happens to answers to packets of memory (m, x, M, X), from number `from` on, counted from 0. */
enum stub_fault {
	STUB_SOUND,
	STUB_REFUSES_CHECKSUM, /* answers '-' instead          */
	STUB_DAMAGES,          /* sends a wrong checksum       */
	STUB_HANGS_UP,
	STUB_STALLS,        /* takes all, says nothing      */
	STUB_SAYS_TOO_MUCH, /* more bytes than asked for    */
	STUB_SAYS_NO_HEX,
	STUB_SAYS_ODD,
	STUB_SAYS_LITTLE,  /* half of what was asked for   */
	STUB_SAYS_NOTHING, /* the empty packet             */
	STUB_DRIPS,        /* noise without end            */
	STUB_CUTS_OFF,     /* half a packet, then a whole  */
};

/* What a machine of the stub's comes by: a processor and the instruction it is about to run. */
struct stub_call {
	unsigned thread;
	uint64_t pc;
};

enum { STUB_BREAKPOINTS = 16, STUB_REGISTERS = 18 /* rax .. r15, rip, eflags, 8 bytes each */ };

struct gdb_stub {
	/* Set before start. */
	int qemu, no_ack, binary_read, binary_write, nonstop;
	int runs;                /* of bytes are sent as such            */
	int slowly;              /* seven bytes a send                   */
	int mute;                /* from the first byte on               */
	const char *greeting;    /* sent before anything is asked; NULL nothing   */
	const char *description; /* target.xml; NULL: none                        */
	const char *included;    /* any other file                                */
	const char *memory_map;  /* NULL: none                                    */
	const char *maps;        /* what vFile reads; NULL: none                  */
	const char *threads;     /* answer to qfThreadInfo; NULL "m1,a"           */
	const char *registers;   /* answer to g                                   */
	const char *const *
		apart; /* [n_apart] answers to p, of registers from number first_apart on; NULL: refused */
	unsigned first_apart, n_apart;
	const char *monitor_mtree, *monitor_registers; /* NULL: no monitor        */
	const char *detach; /* answer to D; NULL "OK"                        */
	const struct stub_call
		*calls; /* [n_calls], behind them nothing happens any more; NULL: no such machine */
	unsigned n_calls;
	const char *const *
		stops; /* what is sent when it is to run, one each time, NULL nothing; before calls */
	unsigned n_stops;
	unsigned flood;             /* so many stops more are told of each             */
	const char *no_breakpoints; /* answer to Z; NULL: they are set                  */
	const char *choose;         /* answer to Hg; NULL: the thread is chosen        */
	int no_steps;               /* vCont is not known                               */
	unsigned lame_steps;        /* so many move nothing, before the first that does */
	unsigned packet_size;       /* 0: not told                                   */
	enum stub_fault fault;
	unsigned from, times; /* times 0: for ever                             */

	/* What it saw; to be read after stop. */
	unsigned n_apart_asked; /* packets p                                        */
	unsigned n_memory;      /* packets of memory that were answered             */
	unsigned n_hole;        /* of these, that touched the hole                  */
	unsigned most_together; /* packets in one read of the socket                */
	unsigned longest;       /* bytes asked for at once                          */
	unsigned n_bad;         /* packets with a wrong checksum                    */
	unsigned n_unsound;     /* asked or acknowledged what it must not have been */
	int running, detached, physical;
	unsigned n_continued, n_interrupted;
	unsigned n_stepped, n_breakpoints, most_breakpoints;
	uint8_t memory[STUB_SIZE];

	/* Its own. */
	char path[64], target[80]; /* target: "gdb:unix:PATH" */
	int listener, client;
	pthread_t thread;
	uint8_t last[1 << 16]; /* as sent */
	size_t last_len;
	int of_memory; /* last is an answer to m or x */
	int acks;
	uint64_t breakpoints[STUB_BREAKPOINTS];
	unsigned at_call, at_stop;
	int passed; /* the breakpoint at calls[at_call] */
};

/* Listens when this returns; one client after another. Returns 0, -1. */
int gdb_stub_start(struct gdb_stub *stub);
/* Once its clients have left. */
void gdb_stub_stop(struct gdb_stub *stub);

#endif
