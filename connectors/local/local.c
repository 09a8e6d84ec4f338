/* SPDX-License-Identifier: MIT */
/* local: this machine's kernel by the best way there is: /proc/kcore, else /dev/crash, else /dev/mem. */
#include "own.h"

#include <stdio.h>
#include <string.h>

static const char *const names[OWN_WAYS] = {
	[OWN_KCORE] = "kcore",
	[OWN_CRASH] = "crash",
	[OWN_MEM] = "mem",
};

/* Which ways to try, as bits. Returns 0; SONDE_E_BAD_ARG. */
static int parse_way(const struct sonde_host *host, const char *text, unsigned *ret,
		     struct sonde_error *err)
{
	*ret = (1u << OWN_WAYS) - 1;
	if (!text || strcmp(text, "auto") == 0)
		return 0;
	for (unsigned way = 0; way < OWN_WAYS; way++) {
		if (strcmp(text, names[way]) == 0) {
			*ret = 1u << way;
			return 0;
		}
	}
	return host->error_set(err, SONDE_E_BAD_ARG,
			       "local: way '%.40s': there are auto, kcore, crash and mem", text);
}

/* Behind what the earlier ways said, without the connector's name; the first code stands. */
static int add_refusal(const struct sonde_host *host, struct sonde_error *all, int first,
		       const struct sonde_error *err)
{
	const char *text = strncmp(err->text, "local: ", 7) == 0 ? err->text + 7 : err->text;
	char before[sizeof(all->text)];

	if (first == 0)
		return host->error_set(all, err->code, "local: %s", text);
	snprintf(before, sizeof(before), "%s", all->text);
	host->error_set(all, first, "%s; %s", before, text);
	return first;
}

static int local_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		      struct sonde_error *err)
{
	struct own_paths paths = { .iomem = host->arg(args, "iomem"),
				   .vmcoreinfo = host->arg(args, "vmcoreinfo") };
	struct sonde_error why, all = { 0 };
	unsigned ways;
	int first = 0, r = parse_way(host, host->arg(args, "way"), &ways, err);

	if (r < 0)
		return r;
	for (unsigned way = 0; way < OWN_WAYS; way++) {
		if (!(ways >> way & 1))
			continue;
		paths.file = host->arg(args, names[way]);
		r = own_open(host, args, "local", (enum own_way)way, &paths, ret_conn, &why);
		if (r == 0)
			return 0;
		first = add_refusal(host, &all, first, &why);
		if (r == SONDE_E_READ_ONLY)
			break;
	}
	if (err)
		*err = all;
	return first;
}

static const struct sonde_connector_ops local_ops = { .open = local_open, OWN_SLOTS };

SONDE_PLUGIN(.name = "local", .summary = "this machine's kernel, by the best way there is",
	     .main_arg = "way",
	     .args_help =
		     "way=HOW  kcore, crash, mem, auto (the first that is there)\n"
		     "kcore=FILE  /proc/kcore mounted elsewhere\n"
		     "crash=FILE  /dev/crash elsewhere\n"
		     "mem=FILE  /dev/mem elsewhere\n"
		     "iomem=FILE  which addresses are RAM (/proc/iomem)\n"
		     "vmcoreinfo=FILE  where the kernel's notes lie (/sys/kernel/vmcoreinfo)\n",
	     .connector = &local_ops);
