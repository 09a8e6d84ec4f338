/* SPDX-License-Identifier: MIT */
/*
 * nbd: an export of a server of the Network Block Device protocol: 'sonde serve', nbdkit, qemu-nbd. libnbd speaks it.
 *
 *   dial.c      which server, and the way there      regions.c   what of it is memory
 *   link.c      requests as commands                 replies.c   what came of one
 *
 * plain.c and secure.c are the plugins nbd and nbds. A connection that is lost stays lost: what comes after it may be
 * another machine.
 */
#include "nbd.h"

#include "api.h"
#include "dial.h"
#include "link.h"
#include "regions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 256, TIMEOUT_MS = 10000, TIMEOUT_MAX_MS = 3600000, BLOCK_MAX = 32 << 20 };

struct nbd {
	const struct sonde_host *host;
	struct link link;
	struct regions regions;
	int has_regions, writable;
	uint32_t flags; /* enum sonde_target_flag */
	char where[160];
	char detail[480];
};

/* ---- arguments -------------------------------------------------------------------------------------- */

static int parse_number(const struct sonde_host *host, const struct sonde_args *args,
			const char *key, uint64_t max, uint64_t *ret, struct sonde_error *err)
{
	int r = host->arg_u64(args, key, ret, err);

	if (r < 0)
		return r;
	if (*ret >= 1 && *ret <= max)
		return 0;
	return host->error_set(err, SONDE_E_BAD_ARG, "nbd: %s=%llu: must be 1 .. %llu", key,
			       (unsigned long long)*ret, (unsigned long long)max);
}

static int configure(struct nbd *nbd, const struct sonde_args *args, struct sonde_error *err)
{
	uint64_t depth = DEPTH, timeout_ms = TIMEOUT_MS;
	const char *memory = nbd->host->arg(args, "memory");
	int r = parse_number(nbd->host, args, "depth", LINK_DEPTH_MAX, &depth, err);

	if (r == 0)
		r = parse_number(nbd->host, args, "timeout", TIMEOUT_MAX_MS, &timeout_ms, err);
	if (r < 0)
		return r;
	if (memory && strcmp(memory, "physical") != 0 && strcmp(memory, "other") != 0)
		return nbd->host->error_set(err, SONDE_E_BAD_ARG,
					    "nbd: memory=%.40s: it is one of physical, other",
					    memory);
	nbd->flags = memory && memory[0] == 'o' ? 0 : SONDE_TARGET_PHYSICAL;
	nbd->link.depth = (uint32_t)depth;
	nbd->link.timeout_ns = timeout_ms * 1000000;
	return 0;
}

/* ---- what the server says ----------------------------------------------------------------------------- */

/* Of sonde serve alone: docs/serve.md has the form of its description. */
static void read_description(struct nbd *nbd, const char *text)
{
	static const char live[] = "live ";

	nbd->flags = 0;
	if (strncmp(text, live, sizeof(live) - 1) == 0) {
		nbd->flags |= SONDE_TARGET_LIVE;
		text += sizeof(live) - 1;
	}
	if (strncmp(text, "physical ", 9) == 0)
		nbd->flags |= SONDE_TARGET_PHYSICAL;
	else if (strncmp(text, "process ", 8) == 0)
		nbd->flags |= SONDE_TARGET_PROCESS;
}

static void describe(struct nbd *nbd, int is_sonde)
{
	char *text = api.nbd_get_export_description(nbd->link.nbd);

	if (is_sonde && text)
		read_description(nbd, text);
	snprintf(nbd->detail, sizeof(nbd->detail), "%s, %llu bytes, %u commands at a time%s%.200s",
		 nbd->where, (unsigned long long)nbd->link.size, nbd->link.depth, text ? ": " : "",
		 text ? text : "");
	free(text);
}

/* Returns 0: any byte can be read on its own, and how much at once is known. */
static int learn_blocks(struct nbd *nbd, struct sonde_error *err)
{
	int64_t least = api.nbd_get_block_size(nbd->link.nbd, LIBNBD_SIZE_MINIMUM);
	int64_t most = api.nbd_get_block_size(nbd->link.nbd, LIBNBD_SIZE_MAXIMUM);

	if (least > 1)
		return nbd->host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"nbd: '%s': serves whole blocks of %lld bytes only: put 'nbdkit nbd "
			"--filter=blocksize' in front of it",
			nbd->where, (long long)least);
	if (most <= 0 || most > BLOCK_MAX)
		most = BLOCK_MAX;
	nbd->link.command_max = most < LINK_COMMAND_MAX ? (uint32_t)most : LINK_COMMAND_MAX;
	return 0;
}

static int learn_export(struct nbd *nbd, struct sonde_error *err)
{
	struct nbd_handle *handle = nbd->link.nbd;
	int64_t size = api.nbd_get_size(handle);
	int is_sonde = api.nbd_can_meta_context(handle, REGIONS_OF_SONDE) > 0;

	if (size <= 0)
		return nbd->host->error_set(err, SONDE_E_BAD_FORMAT,
					    "nbd: '%s': the export is empty, or larger than 2^63",
					    nbd->where);
	if (nbd->writable && api.nbd_is_read_only(handle))
		return nbd->host->error_set(err, SONDE_E_READ_ONLY,
					    "nbd: '%s': the server lets nobody write: of 'sonde "
					    "serve' ask for it with --write",
					    nbd->where);
	nbd->link.size = (uint64_t)size;
	nbd->link.holes_are_none = is_sonde;
	describe(nbd, is_sonde);
	int r = learn_blocks(nbd, err);
	if (r < 0)
		return r;
	r = regions_learn(&nbd->regions, handle, nbd->host, nbd->link.size, nbd->link.timeout_ns);
	nbd->has_regions = r == 0;
	nbd->link.writable = nbd->writable;
	if (is_sonde && r == 0)
		nbd->link.regions = &nbd->regions;
	if (r == 0 || r == SONDE_E_UNSUPPORTED)
		return 0;
	return nbd->host->error_set(err, r, "nbd: '%s': which of it is memory: %s", nbd->where,
				    nbd->host->code_text(r));
}

/* ---- the connector ------------------------------------------------------------------------------------ */

void export_close(void *conn)
{
	struct nbd *nbd = conn;

	link_close(&nbd->link);
	regions_finish(&nbd->regions);
	free(nbd);
}

int export_open(const struct sonde_host *host, const struct sonde_args *args, int secure,
		void **ret_conn, struct sonde_error *err)
{
	struct nbd *nbd = calloc(1, sizeof(*nbd));

	if (!nbd)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	nbd->host = nbd->link.host = host;
	nbd->writable = host->arg_write(args);
	int r = link_init(&nbd->link, err);
	if (r == 0)
		r = configure(nbd, args, err);
	if (r == 0)
		r = dial(host, args, secure, nbd->link.timeout_ns, nbd->where, sizeof(nbd->where),
			 &nbd->link.nbd, err);
	if (r == 0)
		r = learn_export(nbd, err);
	if (r == 0)
		r = link_start(&nbd->link, err);
	if (r < 0) {
		export_close(nbd);
		return r;
	}
	*ret_conn = nbd;
	return 0;
}

void export_info(void *conn, struct sonde_target_info *ret)
{
	const struct nbd *nbd = conn;

	ret->detail = nbd->detail;
	ret->flags = nbd->flags | (nbd->writable ? SONDE_TARGET_WRITABLE : 0);
}

size_t export_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	return link_submit(&((struct nbd *)conn)->link, ios, n);
}

void export_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	link_cancel(&((struct nbd *)conn)->link, io, why);
}

int export_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct nbd *nbd = conn;
	int r = nbd->has_regions ? 0 : SONDE_E_UNSUPPORTED;

	for (size_t i = 0; r == 0 && i < nbd->regions.n; i++)
		r = fn(user, &nbd->regions.at[i]);
	return r;
}

int export_gone(void *conn, struct sonde_error *err)
{
	struct nbd *nbd = conn;
	int32_t why = link_failure(&nbd->link);

	if (!why)
		return 0;
	return nbd->host->error_set(err, SONDE_E_GONE, "nbd: '%s': %s; nothing more is asked of it",
				    nbd->where,
				    why == SONDE_E_TIMED_OUT ? "the server does not answer any more"
							     : "the connection was lost");
}
