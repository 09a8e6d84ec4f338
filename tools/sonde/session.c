/* SPDX-License-Identifier: MIT */
/*
 * Opening what a command works on, and finding the space an address belongs to; see
 * session.h.
 */
#include "session.h"

#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOL_REACH = 4 << 20 }; /* bytes: more than any object of a kernel takes */

int session_loop(struct ctx *ctx)
{
	struct sonde_loop_options options = { .size = sizeof(options) };
	struct sonde_error err = { 0 };
	const char *engine = ctx->opts.engine;

	if (engine && sonde_engine_parse(engine, &options.engine) < 0)
		return usage(ctx,
			     "--engine '%s': not auto, sync, direct, io_uring, threads or epoll",
			     engine);
	if (sonde_loop_create(&options, &ctx->loop, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	return 0;
}

/* The target's name, with the layer of --overlay behind it. A bar or comma in FILE is part of it. */
static void target_name(const struct ctx *ctx, struct buf *ret)
{
	buf_str(ret, ctx->args[0]);
	if (ctx->rehearses)
		buf_str(ret, "|overlay,mb=4096");
	if (ctx->opts.overlay)
		buf_str(ret, "|overlay,file=");
	for (const char *at = ctx->opts.overlay; at && *at; at++) {
		if (strchr(",|\\", *at))
			buf_char(ret, '\\');
		buf_char(ret, *at);
	}
	buf_char(ret, '\0');
}

static int open_target(struct ctx *ctx, struct sonde_error *err)
{
	struct sonde_target_options options = {
		.size = sizeof(options),
		.write = ctx->opts.write || ctx->rehearses ||
			 (ctx->opts.overlay && ctx->cmd == &cmd_write),
		.snapshot = ctx->opts.snapshot,
	};
	struct buf name = { 0 };

	target_name(ctx, &name);
	int r = sonde_target_open(ctx->loop, name.bytes, &options, &ctx->target, err);
	buf_finish(&name);
	return r;
}

int session_open(struct ctx *ctx)
{
	struct sonde_error err = { 0 };
	struct sonde_target_info info;
	const char *why;

	int started = ctx->opts.pause ? guardian_start(&ctx->guardian, ctx->args[0], NULL) : 0;
	if (started != 0)
		return fail(ctx, EXIT_FAILED, "--pause: %s", strerror(started));
	int code = session_loop(ctx);
	if (code != 0)
		return code;
	if (open_target(ctx, &err) < 0)
		return fail(ctx, EXIT_NO_TARGET, "%s", err.text);
	if (!ctx->opts.verbose)
		return 0;
	sonde_target_info(ctx->target, &info);
	const char *name = sonde_loop_engine(ctx->loop, &why);
	complain(ctx, "target '%s': %s: %s", info.name, info.connector, info.detail);
	complain(ctx, "engine %s: %s", name, why);
	return 0;
}

int session_hold(struct ctx *ctx)
{
	struct sonde_error err = { 0 };
	struct sonde_target_info info;

	sonde_target_info(ctx->target, &info);
	if (!ctx->guardian.pid || ctx->guardian.since_ns || !(info.flags & SONDE_TARGET_LIVE))
		return 0;
	if (guardian_pause(&ctx->guardian, &err) < 0)
		return fail(ctx, EXIT_FAILED, "--pause: %s", err.text);
	sonde_space_invalidate(sonde_target_memory(ctx->target));
	return 0;
}

int session_release(struct ctx *ctx)
{
	struct sonde_error err = { 0 };
	bool has_stopped = ctx->guardian.has_stopped;
	uint64_t ns;

	int r = guardian_release(&ctx->guardian, &ns, &err);
	if (r == SONDE_E_GONE && has_stopped) /* or so it says, for it was killed itself */
		r = sonde_target_resume(ctx->target, &err);
	if (r < 0)
		return fail(ctx, EXIT_FAILED,
			    "--pause: '%s' may stand still yet, for it could not be continued: %s",
			    ctx->args[0], err.text);
	if (has_stopped && ctx->opts.stats)
		complain(ctx, "stats: the target stood still for %" PRIu64 ".%03" PRIu64 " ms",
			 ns / 1000000, ns / 1000 % 1000);
	return 0;
}

int session_attach(struct ctx *ctx)
{
	struct sonde_os_options options = { .size = sizeof(options), .symbols = ctx->opts.symbols };
	struct sonde_error err = { 0 };
	struct sonde_kernel kernel;

	if (ctx->os)
		return 0;
	if (sonde_os_attach(ctx->target, &options, &ctx->os, &err) < 0)
		return fail(ctx, EXIT_NO_OS, "%s", err.text);
	if (ctx->opts.verbose) {
		sonde_os_kernel(ctx->os, &kernel);
		complain(ctx, "%s %s, found by %s; types from %s", kernel.family, kernel.release,
			 kernel.found_by, kernel.types_from);
	}
	return session_hold(ctx);
}

int session_start(struct ctx *ctx)
{
	int code = session_open(ctx);

	return code != 0 ? code : session_attach(ctx);
}

/* ---- events ------------------------------------------------------------------------------------- */

/* From here on somebody sees to the guest if we vanish. */
static int be_watched(struct ctx *ctx)
{
	struct sonde_error err = { 0 };

	if (guardian_watch(&ctx->rescuer, &err) < 0)
		return fail(ctx, EXIT_FAILED, "the process that is to watch over the guest: %s",
			    err.text);
	return 0;
}

/* "gdb:qemu:NAME" of "qemu:NAME,key=value|layer"; NULL: it is no name of that kind. */
static char *stub_of(const char *target)
{
	static const char prefix[] = "gdb:";
	size_t len = strcspn(target, ",|");
	char *name;

	if (strncmp(target, "qemu:", 5) != 0 || len == 5 || memchr(target, '=', len))
		return NULL;
	name = grow(NULL, sizeof(prefix) + len, 1);
	memcpy(name, prefix, sizeof(prefix) - 1);
	memcpy(name + sizeof(prefix) - 1, target, len);
	name[sizeof(prefix) - 1 + len] = '\0';
	return name;
}

int session_start_traced(struct ctx *ctx)
{
	const char *target = ctx->args[0];
	bool is_stub = strncmp(target, "gdb:", 4) == 0;
	int code = 0;

	ctx->events_name = stub_of(target);
	if (!is_stub && !ctx->events_name)
		return session_start(
			ctx); /* which has no events, as setting a breakpoint will tell */
	int started =
		guardian_start(&ctx->rescuer, is_stub ? target : ctx->events_name, ctx->probes);
	if (started != 0)
		return fail(ctx, EXIT_FAILED, "a process: %s", strerror(started));
	if (is_stub)
		code = be_watched(ctx);
	return code != 0 ? code : session_start(ctx);
}

int session_watched(struct ctx *ctx)
{
	return ctx->events_name ? be_watched(ctx) : 0;
}

int session_events(struct ctx *ctx)
{
	struct sonde_error err = { 0 };

	ctx->events = ctx->target;
	if (!ctx->events_name)
		return 0;
	ctx->events = NULL;
	int code = session_watched(ctx);
	if (code != 0)
		return code;
	if (sonde_target_open(ctx->loop, ctx->events_name, NULL, &ctx->events, &err) < 0)
		return fail(ctx, EXIT_NO_TARGET, "%s", err.text);
	return 0;
}

static void close_events(struct ctx *ctx)
{
	if (ctx->events != ctx->target)
		sonde_target_close(ctx->events);
	ctx->events = NULL;
	free(ctx->events_name);
	ctx->events_name = NULL;
}

/* The guest goes on before anything else is done, and the rescuer learns last that all is well. */
void session_close(struct ctx *ctx)
{
	close_events(ctx);
	sonde_space_close(ctx->process);
	sonde_os_detach(ctx->os);
	sonde_target_close(ctx->target);
	sonde_loop_destroy(ctx->loop);
	guardian_dismiss(&ctx->rescuer);
	ctx->process = NULL;
	ctx->os = NULL;
	ctx->target = NULL;
	ctx->loop = NULL;
}

void session_identity(struct ctx *ctx, char *text, size_t cap)
{
	int64_t len = sonde_target_note(ctx->target, SONDE_NOTE_IDENTITY, text, cap - 1);

	text[len < 0 ? 0 : (size_t)len < cap ? (size_t)len : cap - 1] = '\0';
}

void session_gone(struct ctx *ctx)
{
	struct sonde_error err = { 0 };

	if (ctx->target && sonde_target_gone(ctx->target, &err) < 0)
		complain(ctx, "meanwhile: %s", err.text);
}

static void snapshot_stats(struct ctx *ctx)
{
	struct sonde_snapshot s;
	char expected[64] = "";

	if (!sonde_target_snapshot(ctx->target, &s))
		return;
	if (s.expected_ns)
		snprintf(expected, sizeof(expected), ", expected were %" PRIu64 " ms",
			 (s.expected_ns + 999999) / 1000000);
	complain(ctx, "stats: snapshot: %s; it stood still for %" PRIu64 ".%03" PRIu64 " ms%s",
		 s.how, s.stopped_ns / 1000000, s.stopped_ns / 1000 % 1000, expected);
}

static void space_stats(struct ctx *ctx, const char *name, const struct sonde_space *space)
{
	struct sonde_space_stats s;

	sonde_space_stats(space, &s);
	complain(ctx,
		 "stats: %s: %" PRIu64 " round trips, %" PRIu64 " pieces, %" PRIu64
		 " bytes, %" PRIu64 " pieces failed",
		 name, s.trips, s.pieces, s.bytes, s.failed);
	if (s.moves)
		complain(ctx, "stats: %s: %" PRIu64 " operations moved %" PRIu64 " bytes", name,
			 s.moves, s.moved);
}

/* The way of the bytes at the bottom; everything above them goes the same. */
static void how_stats(struct ctx *ctx, const struct sonde_space *space)
{
	char how[128];

	if (sonde_space_how(space, how, sizeof(how)))
		complain(ctx, "stats: target memory: %s", how);
}

/* Commands that spawn none have nothing to say. */
static void task_stats(struct ctx *ctx)
{
	struct sonde_task_stats s;
	char used[24];

	sonde_task_stats(ctx->loop, &s);
	if (!s.stacks)
		return;
	size_text(used, s.stack_used);
	complain(ctx,
		 "stats: tasks: %" PRIu64 " stacks of %" PRIu64 "K, the fullest was used to %s",
		 s.stacks, s.stack_size / 1024, used);
}

/* VmHWM of proc(5): getrusage's figure is at least that of the program which started us. */
static int peak_memory(uint64_t *ret)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	int found = 0;

	while (status && !found && fgets(line, sizeof(line), status))
		found = sscanf(line, "VmHWM: %" SCNu64, ret) == 1;
	if (status)
		fclose(status);
	if (found)
		*ret *= 1024;
	return found;
}

static int image_stats(void *user, const struct sonde_image_figures *f)
{
	if (f->requests)
		complain(user,
			 "stats: image: %s: %" PRIu64 " requests, %" PRIu64 " of %" PRIu64
			 " bytes fetched: %s",
			 f->how, f->requests, f->bytes, f->size, f->name);
	else
		complain(user,
			 "stats: image: %s: %" PRIu64 " unpacked, %" PRIu64 " bytes of %" PRIu64
			 ": %s",
			 f->how, f->blocks, f->unpacked, f->size, f->name);
	return 0;
}

/* One line a layer: "stats: layer cache: 12 hits, 3 misses". */
struct layer_line {
	struct ctx *ctx;
	uint32_t index;
	char text[512];
	size_t used;
};

static void end_layer_line(struct layer_line *line)
{
	if (line->used)
		complain(line->ctx, "stats: layer %s", line->text);
	line->used = 0;
}

static int add_layer_stat(void *user, const struct sonde_layer_stat *stat)
{
	struct layer_line *line = user;
	char value[24];

	if (stat->index != line->index)
		end_layer_line(line);
	line->index = stat->index;
	if (!line->used)
		line->used = (size_t)snprintf(line->text, sizeof(line->text), "%s:", stat->layer);
	snprintf(value, sizeof(value), "%" PRIu64, stat->value);
	int n = snprintf(line->text + line->used, sizeof(line->text) - line->used, "%s %s %s",
			 line->text[line->used - 1] == ':' ? "" : ",",
			 stat->text ? stat->text : value, stat->name);
	if (n > 0 && (size_t)n < sizeof(line->text) - line->used)
		line->used += (size_t)n;
	return 0;
}

static void layer_stats(struct ctx *ctx)
{
	struct layer_line line = { .ctx = ctx };

	sonde_target_layer_stats(ctx->target, add_layer_stat, &line);
	end_layer_line(&line);
}

void session_stats(struct ctx *ctx)
{
	uint64_t us = (sonde_now_ns() - ctx->began_ns) / 1000;
	uint64_t bytes;
	char peak[24];

	complain(ctx, "stats: time: %" PRIu64 ".%03" PRIu64 " ms", us / 1000, us % 1000);
	if (ctx->loop) {
		const char *why = NULL;
		const char *name = sonde_loop_engine(ctx->loop, &why);

		complain(ctx, "stats: engine: %s: %s", name, why ? why : "");
		task_stats(ctx);
	}
	if (ctx->target) {
		snapshot_stats(ctx);
		space_stats(ctx, "target memory", sonde_target_memory(ctx->target));
		how_stats(ctx, sonde_target_memory(ctx->target));
		sonde_target_images(ctx->target, image_stats, ctx);
		layer_stats(ctx);
	}
	if (ctx->os)
		space_stats(ctx, "kernel memory", sonde_os_kernel_memory(ctx->os));
	if (ctx->process)
		space_stats(ctx, "process memory", ctx->process);
	if (peak_memory(&bytes)) {
		size_text(peak, bytes);
		complain(ctx, "stats: peak memory: %s", peak);
	}
}

/* SYMBOL, SYMBOL+OFFSET or SYMBOL-OFFSET. */
static int symbol_address(struct ctx *ctx, const char *text, uint64_t *ret)
{
	struct sonde_symbol symbol;
	char name[512];
	size_t len = strcspn(text, "+-");
	uint64_t off = 0;

	if (len == 0 || len >= sizeof(name))
		return usage(ctx, "'%s': neither a number nor a symbol's name", text);
	memcpy(name, text, len);
	name[len] = '\0';
	if (text[len] != '\0' && !parse_u64(text + len + 1, &off))
		return usage(ctx, "'%s': '%s' is no offset: a number must follow", text,
			     text + len);
	int code = session_attach(ctx);
	if (code != 0)
		return code;
	if (!sonde_symbol_find(sonde_os_symbols(ctx->os), name, &symbol))
		return fail(
			ctx, EXIT_FAILED,
			"'%s': no such symbol in this kernel; numbers need 0x or decimal digits, "
			"and 'sonde sym TARGET --match' searches",
			name);
	*ret = text[len] == '-' ? symbol.addr - off : symbol.addr + off;
	return 0;
}

static int looks_numeric(const char *text)
{
	return text[0] >= '0' && text[0] <= '9';
}

int session_address(struct ctx *ctx, const char *text, uint64_t *ret)
{
	if (!looks_numeric(text))
		return symbol_address(ctx, text, ret);
	if (!parse_u64(text, ret))
		return usage(ctx, "'%s': not an address: 0x and hex digits, or decimal", text);
	return 0;
}

static int process_place(struct ctx *ctx, int32_t pid, struct place *place)
{
	struct sonde_error err = { 0 };

	int code = session_attach(ctx);
	if (code != 0)
		return code;
	sonde_space_close(ctx->process);
	ctx->process = NULL;
	if (sonde_os_process_memory(ctx->os, pid, &ctx->process, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	place->space = ctx->process;
	place->name = "process memory";
	place->pid = pid;
	return 0;
}

static int kernel_place(struct ctx *ctx, struct place *place)
{
	int code = session_attach(ctx);

	if (code != 0)
		return code;
	place->space = sonde_os_kernel_memory(ctx->os);
	place->name = "kernel memory";
	place->pid = 0;
	return 0;
}

static int memory_place(struct ctx *ctx, struct place *place)
{
	struct sonde_target_info info;

	sonde_target_info(ctx->target, &info);
	place->space = sonde_target_memory(ctx->target);
	place->name = info.flags & SONDE_TARGET_PROCESS    ? "process memory"
		      : info.flags & SONDE_TARGET_PHYSICAL ? "physical memory"
							   : "memory";
	return session_hold(ctx);
}

int session_place(struct ctx *ctx, const char *text, struct place *ret)
{
	const struct opts *opts = &ctx->opts;
	struct sonde_target_info info;

	if ((opts->pid != 0) + opts->kernel + opts->phys > 1)
		return usage(ctx, "--pid, --kernel and --phys exclude each other");
	*ret = (struct place){ .pid = -1 };
	int code = session_address(ctx, text, &ret->addr);
	if (code != 0)
		return code;
	if (opts->pid)
		return process_place(ctx, (int32_t)opts->pid, ret);
	sonde_target_info(ctx->target, &info);
	int upper = (info.flags & SONDE_TARGET_PHYSICAL) && ret->addr >> 63;
	bool of_kernel = !(info.flags & SONDE_TARGET_PROCESS) && (upper || !looks_numeric(text));
	if (opts->kernel || (!opts->phys && of_kernel))
		return kernel_place(ctx, ret);
	return memory_place(ctx, ret);
}

int session_place_of(struct ctx *ctx, int32_t pid, struct place *ret)
{
	*ret = (struct place){ .pid = pid };
	return pid < 0    ? memory_place(ctx, ret)
	       : pid == 0 ? kernel_place(ctx, ret)
			  : process_place(ctx, pid, ret);
}

int session_symbol_at(const struct ctx *ctx, uint64_t addr, struct sonde_symbol *ret)
{
	return ctx->os && sonde_symbol_at(sonde_os_symbols(ctx->os), addr, ret) &&
	       addr - ret->addr < SYMBOL_REACH;
}

void session_symbol(const struct ctx *ctx, uint64_t addr, char *buf, size_t cap)
{
	struct sonde_symbol symbol;

	buf[0] = '\0';
	if (!session_symbol_at(ctx, addr, &symbol))
		return;
	uint64_t off = addr - symbol.addr;
	const char *module = symbol.module;
	if (off > 0)
		snprintf(buf, cap, "%s+0x%" PRIx64 "%s%s%s", symbol.name, off, module ? " [" : "",
			 module ? module : "", module ? "]" : "");
	else
		snprintf(buf, cap, "%s%s%s%s", symbol.name, module ? " [" : "",
			 module ? module : "", module ? "]" : "");
}
