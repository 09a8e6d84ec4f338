/* SPDX-License-Identifier: MIT */
/*
 * sonde: the command-line tool. This file has the list of subcommands, the help made from
 * it, and what surrounds every command: descriptors, errors, the end of standard output.
 */
#include "cmd.h"
#include "session.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct cmd *const cmds[] = {
	&cmd_info,  &cmd_cpus,  &cmd_ps,        &cmd_threads, &cmd_modules, &cmd_maps,
	&cmd_dmesg, &cmd_read,  &cmd_dump,      &cmd_convert, &cmd_serve,   &cmd_write,
	&cmd_undo,  &cmd_scan,  &cmd_translate, &cmd_pages,   &cmd_sym,     &cmd_type,
	&cmd_disas, &cmd_trace, &cmd_targets,   &cmd_plugins,
};
enum { N_CMDS = sizeof(cmds) / sizeof(cmds[0]) };

static const char exit_codes[] = "Exit codes:\n"
				 "  0  all went well\n"
				 "  1  the command failed; the reason is on stderr\n"
				 "  2  the command line is wrong\n"
				 "  3  something was printed, and something is missing from it\n"
				 "  4  the target is not there or cannot be opened\n"
				 "  5  no operating system, or no types, found in the target\n"
				 "  6  what would change was shown, and nothing was changed\n";

/* Guests and files have their say in messages, so those are escaped like everything else. */
static void complain_v(struct ctx *ctx, const char *fmt, va_list args, const char *behind)
{
	struct buf line = { 0 };
	char text[2048];

	out_flush(&ctx->out);
	vsnprintf(text, sizeof(text), fmt, args);
	buf_str(&line, "sonde: ");
	if (ctx->cmd) {
		buf_str(&line, ctx->cmd->name);
		buf_str(&line, ": ");
	}
	text_put(&line, TEXT_TERMINAL, text, strlen(text));
	buf_str(&line, behind);
	buf_char(&line, '\n');
	ssize_t ignored = write(STDERR_FILENO, line.bytes, line.len);
	(void)ignored;
	buf_finish(&line);
}

void complain(struct ctx *ctx, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain_v(ctx, fmt, args, "");
	va_end(args);
}

int fail(struct ctx *ctx, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain_v(ctx, fmt, args, "");
	va_end(args);
	return code;
}

int usage(struct ctx *ctx, const char *fmt, ...)
{
	char behind[64];
	va_list args;

	snprintf(behind, sizeof(behind), "; see 'sonde %s%s--help'", ctx->cmd ? ctx->cmd->name : "",
		 ctx->cmd ? " " : "");
	va_start(args, fmt);
	complain_v(ctx, fmt, args, behind);
	va_end(args);
	return EXIT_USAGE;
}

static void help_all(struct out *out)
{
	out_str(out, "Usage: sonde COMMAND [OPTION]... TARGET [ARGUMENT]...\n"
		     "Look into the memory of processes, guests and dumps.\n\n"
		     "Commands:\n");
	for (int i = 0; i < N_CMDS; i++)
		out_printf(out, "  %-10s %s\n", cmds[i]->name, cmds[i]->summary);
	out_str(out,
		"\nTargets:\n"
		"  ./memory.dump         a file whose format is recognised\n"
		"  flat:FILE             a raw image of physical memory\n"
		"  process:PID           a process of this machine, also by name\n"
		"  native                this machine itself\n"
		"  local:                the memory of this machine's kernel\n"
		"  qemu:NAME             a running guest, by name, pid or QMP socket\n"
		"  gdb:HOST:PORT         what a stub of GDB's protocol reaches\n"
		"  nbd:HOST:PORT         what sonde serve, or another server of NBD, exports\n"
		"  libvirt:[URI!]NAME    a running domain of libvirt\n"
		"  TARGET|LAYER,key=...  with a layer in front: 'qemu:vm|delay,ms=2'\n"
		"'sonde targets' lists guests that run here, 'sonde plugins' what is installed.\n\n"
		"Options of every command:\n");
	opts_help(out, OPTS_COMMON | OPT_BIT(VERSION));
	out_str(out, "\n");
	out_str(out, exit_codes);
	out_str(out, "\nExample: sonde ps guest.elf\n"
		     "'sonde COMMAND --help' and sonde(1) tell more.\n");
}

static void help_one(struct out *out, const struct cmd *cmd)
{
	out_printf(out, "Usage: sonde %s [OPTION]... %s\n", cmd->name, cmd->args);
	out_str(out, cmd->help);
	out_str(out, "\nOptions:\n");
	opts_help(out, cmd->options | OPTS_COMMON);
	out_str(out, "\n");
	out_str(out, exit_codes);
	out_printf(out, "\nExample: %s\n", cmd->example);
}

static const struct cmd *find_cmd(const char *name)
{
	for (int i = 0; i < N_CMDS; i++)
		if (strcmp(cmds[i]->name, name) == 0)
			return cmds[i];
	return NULL;
}

static int run_cmd(struct ctx *ctx, int argc, char **argv)
{
	const struct cmd *cmd = ctx->cmd;
	char why[256];

	int first = opts_parse(&ctx->opts, cmd->options | OPTS_COMMON, false, argc, argv, why);
	if (first < 0)
		return usage(ctx, "%s", why);
	if (ctx->opts.help) {
		help_one(&ctx->out, cmd);
		return 0;
	}
	ctx->args = argv + first;
	ctx->n_args = argc - first;
	if (ctx->n_args < cmd->min_args)
		return usage(ctx, "too few arguments: %s", cmd->args);
	if (ctx->n_args > cmd->max_args)
		return usage(ctx, "one argument too many: '%s'", ctx->args[cmd->max_args]);
	int code = cmd->run(ctx);
	int released = session_release(ctx);
	session_gone(ctx);
	if (ctx->opts.stats)
		session_stats(ctx);
	session_close(ctx);
	return code == 0 ? released : code;
}

static int run(struct ctx *ctx, int argc, char **argv)
{
	char why[256];

	int first = opts_parse(&ctx->opts, OPTS_COMMON | OPT_BIT(VERSION), true, argc, argv, why);
	if (first < 0)
		return usage(ctx, "%s", why);
	if (ctx->opts.version) {
		out_str(&ctx->out, "sonde " SONDE_VERSION "\n");
		return 0;
	}
	if (first == argc) {
		if (!ctx->opts.help)
			return usage(ctx, "no command given");
		help_all(&ctx->out);
		return 0;
	}
	ctx->cmd = find_cmd(argv[first]);
	if (!ctx->cmd)
		return usage(ctx, "'%s' is not a command", argv[first]);
	return run_cmd(ctx, argc - first, argv + first);
}

/*
 * A descriptor 0..2 that is closed would be given to the next file that is opened: a dump
 * would then receive our output. Hold each with one that fails what it should fail.
 */
static void hold_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(EXIT_FAILED);
	}
}

/* The reader of a pipe may leave early: that ends us as it ends every tool, by the signal. */
static int end_output(struct ctx *ctx, int code)
{
	if (ctx->opts.json && !ctx->opts.help && ctx->out.all == 0)
		out_str(&ctx->out, "[]\n");
	int err = out_flush(&ctx->out);
	if (err == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	if (err != 0)
		return fail(ctx, EXIT_FAILED, "standard output: %s", strerror(err));
	return code;
}

int main(int argc, char **argv)
{
	static struct ctx ctx; /* its buffer is too large for a stack of unknown size */

	hold_descriptors();
	setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters, whatever the user's is */
	signal(SIGPIPE, SIG_IGN);       /* or a monitor's closed socket would kill us silently */
	out_init(&ctx.out, STDOUT_FILENO);
	ctx.began_ns = sonde_now_ns();
	return end_output(&ctx, run(&ctx, argc, argv));
}
