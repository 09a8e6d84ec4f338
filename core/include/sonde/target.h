/* SPDX-License-Identifier: MIT */
/*
 * A target: an opened machine, process or file, by name.
 *
 *	./memory.dump                    sniffed; an unknown format is refused, never taken for raw
 *	https://HOST/memory.dump         likewise, read from a server as far as it is needed
 *	9p://HOST:PORT/memory.dump       the same by 9P2000.L; 9p://[unix:SOCKET]/memory.dump
 *	flat:FILE[,offset=N]             a raw image, because you say so
 *	process:PID    process:NAME      a process of this machine
 *	native                           this machine itself, asked through its system
 *	local:                           the memory of this machine's kernel
 *	qemu:NAME                        a guest
 *	qemu:NAME|delay,ms=2             with layers in front of its memory
 *	qemu:NAME|process:PID            a process in it, by number or name
 *	qemu:NAME|qemu:INNER             the guest of a QEMU that runs in it: -name or number
 *
 * CONNECTOR:FIRST[,key=value...] {| LAYER[,key=value...] or | STEP:FIRST}. A step goes into the system that is in front of it:
 * of that an OS layer is attached to, which asks it anew each time it is opened; what is behind is a target of its own. A backslash in front of ',' '|' or
 * '\' takes the character as it is. The part behind CONNECTOR: up to the first comma is the
 * connector's main argument (its file, name or pid). A name without a known CONNECTOR: is a file; where there is none of
 * that name, a connector's alone is that connector without a main argument.
 */
#ifndef SONDE_TARGET_H
#define SONDE_TARGET_H

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_target; /* handle */

enum sonde_target_flag {
	SONDE_TARGET_LIVE = 1u << 0,     /* changes between two reads                    */
	SONDE_TARGET_PHYSICAL = 1u << 1, /* memory is guest-physical: an OS layer may attach */
	SONDE_TARGET_PROCESS = 1u << 2,  /* memory is the virtual memory of one process  */
	SONDE_TARGET_WRITABLE = 1u << 3, /* opened for writing                           */
	SONDE_TARGET_HOST = 1u << 4, /* this machine, or a process of it: its system can be asked */
};

struct sonde_target_options {
	uint32_t size;     /* sizeof(struct sonde_target_options)              */
	uint32_t write;    /* not 0: open for writing where the connector can  */
	uint32_t snapshot; /* not 0: as it is at one moment: sonde_target_snapshot */
	uint32_t pad;      /* 0                                                    */
};

/*
 * Open a target by name, with its layers. options may be NULL.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no such file, guest, process or connector), _BAD_FORMAT (unknown
 *           or broken format), _NO_ACCESS, _ABI, _AMBIGUOUS, _BAD_ARG (the name itself), _GONE.
 * Context   may block. Plain code on loop's thread.
 * Owns      *ret: sonde_target_close, before its loop is destroyed.
 */
int sonde_target_open(struct sonde_loop *loop, const char *name,
		      const struct sonde_target_options *options, struct sonde_target **ret,
		      struct sonde_error *err);
void sonde_target_close(struct sonde_target *target); /* NULL is allowed */

struct sonde_loop *sonde_target_loop(const struct sonde_target *target);

/* The memory, behind all layers. Borrowed until the target is closed. */
struct sonde_space *sonde_target_memory(const struct sonde_target *target);

struct sonde_target_info {
	const char *
		name; /* as given to open, but what gives access to a server; borrowed like the rest */
	const char *connector; /* "elfcore"                                    */
	const char *detail;    /* one line for a person: "ELF64 core, QEMU"    */
	uint32_t arch;         /* enum sonde_arch; NONE where not known        */
	uint32_t flags;        /* enum sonde_target_flag                       */
	uint32_t n_cpus;       /* whose registers sonde_target_cpu can give    */
	uint32_t pad;
};
void sonde_target_info(const struct sonde_target *target, struct sonde_target_info *ret);

/* Registers of one processor. A field the source does not tell is 0 and its bit in valid is clear. */
enum sonde_cpu_valid {
	SONDE_CPU_GENERAL = 1u << 0, /* pc, sp, flags, general[]            */
	SONDE_CPU_CONTROL = 1u << 1, /* cr[]                                */
	SONDE_CPU_TABLES = 1u << 2,  /* idt_base; x86: gdt_base             */
	SONDE_CPU_GS = 1u << 3,      /* gs_base                             */
	SONDE_CPU_KERNEL_GS = 1u << 4,
	SONDE_CPU_EFER = 1u << 5,
};

/*
 * Which place of cr[] holds what, where it is not the number in the name. Source: Arm ARM DDI 0487 D17.2; RISC-V privileged
 * architecture 1.12, 4.1. Of an aarch64 kernel that runs at EL2 (VHE) they are those of EL2, which it calls EL1's.
 */
enum sonde_cpu_cr {
	SONDE_CR_SCTLR_EL1 = 0, /* aarch64 */
	SONDE_CR_TTBR0_EL1 = 1,
	SONDE_CR_TTBR1_EL1 = 2,
	SONDE_CR_TCR_EL1 = 3,
	SONDE_CR_MAIR_EL1 = 4,
	SONDE_CR_SATP = 0, /* riscv64 */
	SONDE_CR_SSTATUS = 1,
	SONDE_CR_SCAUSE = 2,
	SONDE_CR_SEPC = 3,
	SONDE_CR_STVAL = 4,
};

struct sonde_cpu {
	uint32_t arch;  /* enum sonde_arch                                                */
	uint32_t valid; /* enum sonde_cpu_valid                                           */
	uint64_t pc, sp, flags;
	uint64_t general[16]; /* x86-64: rax rbx rcx rdx rsi rdi rsp rbp r8 … r15; aarch64: x0 …;
				 riscv64: x0 …; the others: SONDE_NOTE_REGISTERS          */
	uint64_t cr[5];       /* x86: cr0 cr1 cr2 cr3 cr4; others: enum sonde_cpu_cr      */
	uint64_t gdt_base;
	uint64_t idt_base; /* where exceptions go: aarch64: VBAR_EL1, riscv64: stvec      */
	uint64_t gs_base, kernel_gs_base, efer;
};

/*
 * Registers of processor index.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no such processor), SONDE_E_UNSUPPORTED (the source has none),
 *           SONDE_E_GONE. Context: may block.
 */
int sonde_target_cpu(struct sonde_target *target, uint32_t index, struct sonde_cpu *ret);

/*
 * A named blob that came with the target ("VMCOREINFO"). Copies at most cap bytes.
 *
 * Returns   its length in bytes, which may be above cap; SONDE_E_NOT_FOUND.
 */
int64_t sonde_target_note(struct sonde_target *target, const char *name, void *buf, size_t cap);

/*
 * The note that says which target this is, in words of its connector: the same as long as it is the same machine, process
 * or file, whatever it is called, and no other's. "process 1234, started 8820411, boot 0c1f…". Not every connector can tell.
 */
#define SONDE_NOTE_IDENTITY "SONDE_IDENTITY"

/*
 * The note with what a source says of its target beyond the memory: a line "name=value" for each, names of [a-z0-9_], the most telling
 * first; in values bytes below space, backslash and DEL are octal: \ooo. "bugcheck_code=0x1e". For people and scripts.
 */
#define SONDE_NOTE_FACTS "SONDE_FACTS"
/*
 * The note of a target that is the image of a process (SONDE_TARGET_PROCESS, not live), which an OS layer attaches to. A line for
 * each thing, what is not known left out; text goes to the end of the line, and in it bytes are octal as above:
 *
 *	os NAME RELEASE                 linux, windows; what ran there
 *	process pid=N ppid=N uid=N gid=N state=C
 *	name TEXT                       as its system calls it
 *	exe TEXT                        the program's file
 *	args TEXT                       its arguments, each ended by \000
 *	thread TID NAME=HEX ...         with its registers; 0: not known which
 *	map LINE                        as in /proc/PID/maps, by rising address
 *	module BASE SIZE TEXT           a PE module and its file; hex
 */
#define SONDE_NOTE_PROCESS "SONDE_PROCESS"
/*
 * The note, its name followed by the number of a processor ("SONDE_REGISTERS:0"), with the general registers that struct
 * sonde_cpu has no place for: those from the 17th on, by the architecture's names, in hex: "x16=0 x17=ffff800080012345 …" of
 * aarch64, "a6=… a7=…" of riscv64. All of them, or there is no such note.
 */
#define SONDE_NOTE_REGISTERS "SONDE_REGISTERS:"

/* A figure that one of the target's layers kept, as a number or in words. */
struct sonde_layer_stat {
	const char *layer; /* "cache"; borrowed for the callback, like the rest */
	uint32_t index;    /* of the layer, 0 the lowest                        */
	uint32_t pad;
	const char *name; /* "hits"                                            */
	const char *text; /* NULL: the figure is value                         */
	uint64_t value;
};
typedef int sonde_layer_stat_fn(void *user, const struct sonde_layer_stat *stat);

/* Visit the figures of all layers, lowest layer first. Returns 0 or what fn returned to stop. */
int sonde_target_layer_stats(const struct sonde_target *target, sonde_layer_stat_fn *fn,
			     void *user);

/* What reading a file took that is no plain file of this machine. Strings are borrowed for the callback. */
struct sonde_image_figures {
	const char *name;  /* the file, without what gives access to it   */
	const char *how;   /* one line for a person: "HTTP ranges"        */
	uint64_t size;     /* bytes of the file                           */
	uint64_t requests; /* to a server; 0: it is of this machine       */
	uint64_t bytes;    /* that came here from one                     */
	uint64_t blocks;   /* that were unpacked; 0: it is not packed, or not read yet */
	uint64_t unpacked; /* bytes in them                               */
};
typedef int sonde_image_figures_fn(void *user, const struct sonde_image_figures *figures);

/* Visit such files of a target. Returns 0 or what fn returned to stop. */
int sonde_target_images(const struct sonde_target *target, sonde_image_figures_fn *fn, void *user);

/*
 * Stop and continue a live target; continuing invalidates its memory (sonde_space_invalidate). What pause has
 * stopped goes on when the target is closed; where several programs of Sonde on one machine hold it, when the last of
 * them lets it go.
 *
 * Returns   0; pause: 1 when it stood still already, which stays the business of who stopped it;
 *           SONDE_E_UNSUPPORTED, _GONE, _NO_ACCESS. Context: may block.
 */
int sonde_target_pause(struct sonde_target *target, struct sonde_error *err);
int sonde_target_resume(struct sonde_target *target, struct sonde_error *err);

/* How a snapshot came to be. */
struct sonde_snapshot {
	const char *how; /* one line for a person; borrowed until the target is closed           */
	uint64_t
		stopped_ns; /* for how long the target stood still for it, at most; 0: not at all    */
	uint64_t
		expected_ns; /* ... and was expected to, before it was stopped; 0: not known before   */
};

/*
 * A target opened with the option snapshot shows one moment, that of its opening: what changes afterwards is not seen, it is
 * not SONDE_TARGET_LIVE, and it cannot be written, except in a layer that keeps what is written. Opening it took as long as the
 * bytes needed to come here; the target went on meanwhile, but for stopped_ns. Where a connector cannot, it is not
 * opened: SONDE_E_UNSUPPORTED; SONDE_E_LIMIT (too little memory here), _BUSY. A file is what it is: there the option does nothing.
 *
 * Returns   1 and *ret; 0: it is none.
 */
int sonde_target_snapshot(const struct sonde_target *target, struct sonde_snapshot *ret);

/*
 * What happened to a live target: it ended, or another one took its place, which pieces tell by SONDE_E_GONE only; or
 * it is not all of what it is now, which pieces do not tell.
 *
 * Returns   0: nothing that is known of; SONDE_E_GONE, and err says what ("libvirt: domain 'vm' was shut off");
 *           SONDE_E_CHANGED: memory was plugged in or out: what was opened is still read, and the rest is not seen;
 *           a file's server has failed: its code, and nothing more is asked of it.
 * Context   plain code on the loop's thread, with no request in flight; may block for a second.
 */
int sonde_target_gone(struct sonde_target *target, struct sonde_error *err);

/* One line a plugin file that was seen: kind, name, summary, or why it was refused. */
enum sonde_plugin_kind {
	SONDE_PLUGIN_NONE = 0,
	SONDE_PLUGIN_CONNECTOR = 1,
	SONDE_PLUGIN_LAYER = 2
};

struct sonde_plugin_info {
	const char *path;      /* file; borrowed for the callback, like the rest   */
	const char *name;      /* "" when refused before it could be asked         */
	const char *summary;   /* one line                                         */
	const char *args_help; /* lines "key=VALUE  what"                          */
	const char *refused;   /* NULL: usable; else why not, for a person         */
	uint32_t kind;         /* enum sonde_plugin_kind                           */
	uint32_t abi;          /* the number the plugin was built with, 0 unknown  */
};
typedef int sonde_plugin_fn(void *user, const struct sonde_plugin_info *info);

/* Visit every plugin file of the search path, in its order. Returns 0 or what fn returned to stop. */
int sonde_plugins(sonde_plugin_fn *fn, void *user);

/* Something that can be opened now: a guest, a domain, a process. Strings are borrowed for the callback. */
struct sonde_listed_target {
	const char *target;    /* a name for sonde_target_open; NULL: error is set          */
	const char *connector; /* "qemu"                                                    */
	const char *name;      /* what it is called, as it is                               */
	const char *state;     /* "running", "paused" and others; NULL: not known           */
	const char *detail;    /* one line for a person; NULL: nothing                      */
	const char *error;     /* not NULL: why this connector could not tell of (all) its  */
	int64_t pid;           /* its process of this machine; 0: none, or not known        */
};
typedef int sonde_listed_target_fn(void *user, const struct sonde_listed_target *target);

/*
 * Visit what a connector could open; connector NULL: what each could that can tell, but for those whose lists are long
 * (process). Nothing is opened.
 *
 * Returns   0 or what fn returned to stop; connector given: SONDE_E_NOT_FOUND (no such connector), _UNSUPPORTED (it
 *           cannot tell), and what kept it from telling, in err. Without one such failures are told to fn.
 * Context   may block, a few seconds where a guest's monitor does not answer.
 */
int sonde_targets(const char *connector, sonde_listed_target_fn *fn, void *user,
		  struct sonde_error *err);

#ifdef __cplusplus
}
#endif
#endif
