/* SPDX-License-Identifier: MIT */
/*
 * sonde serve: a target's memory as an NBD export, or a directory's files by 9P, for other machines and
 * other programs. serve/ serves them.
 */
#include "interrupt.h"
#include "serve/address.h"
#include "serve/proto.h"
#include "serve/server.h"
#include "serve/tree.h"
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TARGET, URI, EXPORT, SIZE, REGIONS, WRITABLE, TLS, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[TARGET] = { "target", "Target", COLUMN_TEXT },
	[URI] = { "uri", "URI", COLUMN_TEXT },
	[EXPORT] = { "export", "Export", COLUMN_TEXT },
	[SIZE] = { "size", "Size", COLUMN_TEXT },
	[REGIONS] = { "regions", "Regions", COLUMN_TEXT },
	[WRITABLE] = { "writable", "Writable", COLUMN_TEXT },
	[TLS] = { "tls", "TLS", COLUMN_TEXT },
};

enum { NAME_MAX_BYTES = 255, LOOK_NS = 200000000 };

struct serving {
	struct ctx *ctx;
	struct table table;
	struct export export;
	char description[512];
	struct address address;
	bool listens;
	struct tls_server *tls;
	struct server *server;
};

/* ---- what is asked ----------------------------------------------------------------------------------- */

static bool wants_tls(const struct opts *opts)
{
	return opts->tls_cert || opts->tls_key || opts->tls_ca || opts->tls_psk;
}

static int check(struct ctx *ctx)
{
	const struct opts *opts = &ctx->opts;

	if (!opts->tls_cert != !opts->tls_key)
		return usage(ctx, "--tls-cert and --tls-key go together");
	if (opts->tls_ca && !opts->tls_cert)
		return usage(ctx, "--tls-ca needs --tls-cert and --tls-key");
	if (opts->insecure && wants_tls(opts))
		return usage(ctx, "--insecure and --tls-... exclude each other");
	if (opts->export && strlen(opts->export) > NAME_MAX_BYTES)
		return usage(ctx, "--export: a name has %d bytes at most", NAME_MAX_BYTES);
	if (opts->ninep &&
	    (wants_tls(opts) || opts->export || opts->overlay || opts->pause || opts->snapshot))
		return usage(ctx, "--9p serves files as they are: no --tls-..., --export, "
				  "--overlay, --pause or --snapshot");
	return 0;
}

/* ---- what is served ---------------------------------------------------------------------------------- */

/* docs/serve.md has its form, which clients of Sonde read. */
static void describe(struct serving *s)
{
	struct sonde_target_info info;

	sonde_target_info(s->ctx->target, &info);
	snprintf(s->description, sizeof(s->description), "%s%s memory: %s: %s",
		 info.flags & SONDE_TARGET_LIVE ? "live " : "",
		 info.flags & SONDE_TARGET_PHYSICAL  ? "physical"
		 : info.flags & SONDE_TARGET_PROCESS ? "process"
						     : "other",
		 info.connector, info.detail ? info.detail : "");
}

static int measure(struct serving *s)
{
	struct ctx *ctx = s->ctx;
	const char *name = ctx->opts.export;

	describe(s);
	s->export = (struct export){ .space = sonde_target_memory(ctx->target),
				     .name = name ? name : "memory",
				     .description = s->description,
				     .writable = ctx->opts.write };
	int r = export_measure(&s->export);
	if (r < 0)
		return fail(ctx, EXIT_FAILED, "which addresses of '%s' are memory: %s",
			    ctx->args[0], sonde_strerror(r));
	if (s->export.left_out)
		complain(ctx, "%" PRIu64 " regions lie above 2^63, where no client of NBD reaches",
			 s->export.left_out);
	return 0;
}

static int secure(struct serving *s)
{
	const struct opts *opts = &s->ctx->opts;
	const struct tls_options options = { opts->tls_cert, opts->tls_key, opts->tls_ca,
					     opts->tls_psk };
	struct sonde_error err = { 0 };

	if (wants_tls(opts) && tls_server_create(&options, &s->tls, &err) < 0)
		return fail(s->ctx, EXIT_FAILED, "%s", err.text);
	return 0;
}

static int listen_there(struct serving *s)
{
	const struct opts *opts = &s->ctx->opts;
	const char *where = opts->listen ? opts->listen : "127.0.0.1";
	const struct address_rule rule = {
		.port = opts->ninep ? TREE_PORT : NBD_PORT,
		.only = s->tls || opts->insecure ? NULL
			: opts->ninep            ? "files: go through a tunnel that is encrypted"
				      : "of the target's memory: give --tls-psk, or --tls-cert and "
					"--tls-key",
	};
	struct sonde_error err = { 0 };

	if (address_listen(where, &rule, &s->address, &err) < 0)
		return fail(s->ctx, EXIT_FAILED, "%s", err.text);
	s->listens = true;
	return 0;
}

/* ---- serving ------------------------------------------------------------------------------------------- */

/* For a program that waits for it: it can connect when this can be read. */
static void tell(struct serving *s)
{
	const char *secret = s->tls ? "s" : "", *path = s->address.path;
	char text[256];

	snprintf(text, sizeof(text), "nbd%s:%s", secret, s->address.text);
	table_str(&s->table, text);
	if (path[0])
		snprintf(text, sizeof(text), "nbd%s+unix:///?socket=%s", secret, path);
	else
		snprintf(text, sizeof(text), "nbd%s://%s", secret, s->address.text);
	table_str(&s->table, text);
	table_str(&s->table, s->export.name);
	table_size(&s->table, s->export.size);
	table_u64(&s->table, s->export.n_regions);
	table_bool(&s->table, s->export.writable);
	table_bool(&s->table, s->tls != NULL);
	table_row(&s->table);
	table_finish(&s->table);
	out_flush(&s->ctx->out);
}

static void wait_for_interrupt(struct ctx *ctx)
{
	while (!interrupt_came())
		sonde_loop_wait(ctx->loop, LOOK_NS);
}

static void tell_figures(struct ctx *ctx, uint64_t accepted, uint64_t served)
{
	if (ctx->opts.stats || ctx->opts.verbose)
		complain(ctx, "%" PRIu64 " connections, %" PRIu64 " of them were served", accepted,
			 served);
}

static int serve(struct serving *s)
{
	struct server_figures figures;
	struct ctx *ctx = s->ctx;

	interrupt_catch();
	int r = server_start(ctx->loop, s->address.fd, &s->export, s->tls, &s->server);
	if (r < 0)
		return fail(ctx, EXIT_FAILED, "%s", sonde_strerror(r));
	tell(s);
	wait_for_interrupt(ctx);
	server_figures(s->server, &figures);
	server_stop(s->server);
	tell_figures(ctx, figures.accepted, figures.served);
	return 0;
}

static int serve_target(struct serving *s)
{
	int code = session_open(s->ctx);

	if (code == 0)
		code = session_hold(s->ctx);
	if (code == 0)
		code = measure(s);
	return code ? code : serve(s);
}

/* ---- a directory --------------------------------------------------------------------------------------- */

static void tell_tree(struct serving *s)
{
	table_str(&s->table, s->ctx->args[0]);
	table_str(&s->table, s->address.text);
	table_str(&s->table, "/");
	table_null(&s->table);
	table_null(&s->table);
	table_bool(&s->table, s->ctx->opts.write);
	table_bool(&s->table, false);
	table_row(&s->table);
	table_finish(&s->table);
	out_flush(&s->ctx->out);
}

static int serve_tree(struct serving *s)
{
	struct sonde_fs_server_figures figures;
	struct ctx *ctx = s->ctx;
	struct sonde_error err = { 0 };
	struct tree tree = { 0 };
	int code = session_loop(ctx);

	if (code != 0)
		return code;
	interrupt_catch();
	if (tree_open(ctx->loop, ctx->args[0], s->address.fd, ctx->opts.write, &tree, &err) < 0) {
		code = fail(ctx, EXIT_NO_TARGET, "%s", err.text);
	} else {
		tell_tree(s);
		wait_for_interrupt(ctx);
		sonde_fs_server_figures(tree.server, &figures);
		tell_figures(ctx, figures.accepted, figures.attached);
	}
	tree_close(&tree);
	return code;
}

static int run(struct ctx *ctx)
{
	struct serving s = { .ctx = ctx };
	int code = check(ctx);

	if (code == 0)
		code = record_init(&s.table, ctx, columns, N_COLUMNS);
	if (code == 0)
		code = secure(&s);
	if (code == 0)
		code = listen_there(&s);
	if (code == 0)
		code = ctx->opts.ninep ? serve_tree(&s) : serve_target(&s);
	if (s.listens)
		address_close(&s.address);
	tls_server_destroy(s.tls);
	export_finish(&s.export);
	return code;
}

const struct cmd cmd_serve = {
	.name = "serve",
	.args = "TARGET",
	.summary = "let others read a target's memory, by NBD, or files, by 9P",
	.help = "Serve the memory of TARGET as a network block device until it is interrupted, and "
		"say\n"
		"where. 'sonde COMMAND nbd:HOST:PORT' then is as TARGET itself; qemu-img, nbdcopy "
		"and\n"
		"other clients of NBD read it as a disk: addresses are offsets, what is no memory "
		"are\n"
		"holes. Only this machine reaches it unless --listen says otherwise, which needs "
		"TLS or\n"
		"--insecure. With --9p, TARGET is a directory: the files below it are served, "
		"which Linux\n"
		"mounts (mount -t 9p) and sonde_fs_remote opens.\n"
		"Fields: target uri export size regions writable tls.\n",
	.example = "sonde serve qemu:vm --listen 0.0.0.0:10809 --tls-psk keys.psk",
	.options = OPT_BIT(FIELDS) | OPT_BIT(NINEP) | OPT_BIT(LISTEN) | OPT_BIT(EXPORT) |
		   OPT_BIT(TLS_CERT) | OPT_BIT(TLS_KEY) | OPT_BIT(TLS_CA) | OPT_BIT(TLS_PSK) |
		   OPT_BIT(INSECURE) | OPT_BIT(SERVE_WRITE),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
