/* SPDX-License-Identifier: MIT */
/*
 * native: the machine that this program runs on. It has no memory to read here: its operating system is asked, by
 * the layer os-layers/native, for its processes, mappings and modules.
 */
#include "../common/own_arch.h"

#include <sonde/plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

struct native {
	const char *proc; /* the folder that is /proc; NULL: /proc */
	char detail[160];
};

static int native_open(const struct sonde_host *host, const struct sonde_args *args,
		       void **ret_conn, struct sonde_error *err)
{
	const char *proc = host->arg(args, "proc");
	struct utsname name = { 0 };

	if (proc && access(proc, R_OK | X_OK) < 0)
		return host->error_os(err, errno, "native: '%.300s'", proc);
	if (host->arg_write(args))
		return host->error_set(err, SONDE_E_READ_ONLY,
				       "native: has no memory to write: write process:PID");
	struct native *native = calloc(1, sizeof(*native));
	if (!native)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	native->proc = proc;
	uname(&name);
	snprintf(native->detail, sizeof(native->detail), "this machine, %.60s %.60s", name.sysname,
		 name.release);
	*ret_conn = native;
	return 0;
}

static void native_close(void *conn)
{
	free(conn);
}

static void native_info(void *conn, struct sonde_target_info *ret)
{
	struct native *native = conn;

	ret->detail = native->detail;
	ret->flags = SONDE_TARGET_LIVE | SONDE_TARGET_HOST;
	ret->arch = own_arch();
}

static int native_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	(void)conn;
	(void)fn;
	(void)user;
	(void)err;
	return 0;
}

static int64_t native_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct native *native = conn;

	if (strcmp(name, "proc") != 0 || !native->proc)
		return SONDE_E_NOT_FOUND;
	size_t len = strlen(native->proc);
	memcpy(buf, native->proc, len < cap ? len : cap);
	return (int64_t)len;
}

static const struct sonde_connector_ops native_ops = {
	.size = sizeof(native_ops),
	.open = native_open,
	.close = native_close,
	.info = native_info,
	.extents = native_extents,
	.note = native_note,
};

SONDE_PLUGIN(.name = "native", .summary = "this machine, asked through /proc", .main_arg = "proc",
	     .args_help = "proc=FOLDER  a proc file system mounted elsewhere (/proc)\n",
	     .connector = &native_ops);
