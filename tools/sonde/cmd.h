/* SPDX-License-Identifier: MIT */
/*
 * What every file of the tool shares: the exit codes, the shape of a subcommand, and the
 * context it runs in. A subcommand is one file cmd_NAME.c with one struct cmd, listed in
 * main.c; its options are bits of the one table in opts.c.
 */
#ifndef SONDE_TOOL_CMD_H
#define SONDE_TOOL_CMD_H

#include "guardian.h"
#include "opts.h"
#include "out.h"

#include <sonde/sonde.h>
#include <stdbool.h>

/* Documented in sonde(1) and in --help; scripts rely on them. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,     /* the command failed                               */
	EXIT_USAGE = 2,      /* the command line is wrong                        */
	EXIT_PARTIAL = 3,    /* a result was printed, but some of it is missing  */
	EXIT_NO_TARGET = 4,  /* the target is not there or cannot be opened      */
	EXIT_NO_OS = 5,      /* no operating system, or no types, found in it    */
	EXIT_SHOWN_ONLY = 6, /* what would change was shown, and nothing changed */
};

#define SPACES_MAX 3 /* a command reads one more than the physical and the kernel's at most */

struct ctx {
	const struct cmd *cmd;
	struct opts opts;
	char **args; /* [n_args] operands, the target first */
	int n_args;
	struct out out; /* standard output */
	uint64_t began_ns;

	struct guardian guardian; /* --pause */
	bool rehearses;           /* what it writes stays in an overlay that is kept nowhere */
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_os *os;
	struct sonde_target *events; /* trace: target, or the stub beside it */
	char *events_name;           /* ... NULL none yet                    */
	struct guardian rescuer;     /* ... sees to it, should we vanish     */
	struct probes_state *probes; /* ... --write: of this trace; else NULL */
	struct sonde_space *process; /* of one process in the target; closed with the session */
};

struct cmd {
	const char *name;
	const char *args;    /* operands as in the synopsis                       */
	const char *summary; /* half a line                                       */
	const char *help;    /* what one must know to use it, several lines       */
	const char *example; /* a command line                                    */
	uint64_t options;    /* OPT_BIT()s besides those all commands take        */
	int min_args, max_args;
	int (*run)(struct ctx *ctx); /* enum exit_code; has told of its errors    */
};

extern const struct cmd cmd_info, cmd_cpus, cmd_ps, cmd_threads, cmd_modules, cmd_maps, cmd_dmesg,
	cmd_read, cmd_dump, cmd_convert, cmd_serve, cmd_write, cmd_undo, cmd_scan, cmd_translate,
	cmd_pages, cmd_sym, cmd_type, cmd_disas, cmd_trace, cmd_targets, cmd_plugins;

/* "sonde: NAME: text" on standard error, behind what standard output has so far. */
void complain(struct ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As complain, returning code: return fail(ctx, EXIT_FAILED, ...). */
int fail(struct ctx *ctx, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As fail, EXIT_USAGE, with the way to the help behind the text. */
int usage(struct ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
