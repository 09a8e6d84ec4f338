/* SPDX-License-Identifier: MIT */
/*
 * ram: memory that exists only here; the test double. It can move bytes in each of the
 * three ways of a connector (mode=), and have holes and failing ranges wherever a test
 * wants them. ram_async.c is the thread behind mode=submit.
 */
#include "ram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_SIZE_MAX (UINT64_C(1) << 40)

int32_t ram_at(const struct ram *ram, uint64_t addr, uint64_t max, uint32_t *ret_len)
{
	uint64_t left = addr < ram->size ? ram->size - addr : 0;
	int32_t err = left ? 0 : SONDE_E_NOT_MAPPED;
	uint64_t len = left && left < max ? left : max;

	for (size_t i = 0; i < ram->n_bad && left; i++) {
		const struct ram_range *bad = &ram->bad[i];
		if (addr >= bad->addr && addr - bad->addr < bad->len) {
			uint64_t inside = bad->len - (addr - bad->addr);
			err = bad->err;
			len = inside < len ? inside : len;
			break;
		}
		if (bad->addr > addr && bad->addr - addr < len)
			len = bad->addr - addr;
	}
	*ret_len = (uint32_t)len;
	return err;
}

void ram_move(const struct ram *ram, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
	      int32_t err)
{
	struct sonde_xfer *x = &io->xfers[i];
	uint8_t *theirs = (uint8_t *)x->buf + off;

	if (err == 0 && io->op == SONDE_IO_WRITE && !ram->writable)
		err = SONDE_E_READ_ONLY;
	if (err == 0 && io->op == SONDE_IO_WRITE)
		memcpy(ram->bytes + (x->addr + off), theirs, len);
	else if (err == 0)
		memcpy(theirs, ram->bytes + (x->addr + off), len);
	sonde_progress(ram->host, io, i, off, len, err);
}

/* An address that wraps past 2^64 ends there; ram->size is far below, so the rest is a hole. */
static void transfer_piece(const struct ram *ram, struct sonde_io *io, uint32_t i)
{
	const struct sonde_xfer *x = &io->xfers[i];

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		int wrapped = addr < x->addr;
		int32_t err = ram_at(ram, wrapped ? UINT64_MAX : addr, x->len - off, &len);
		ram_move(ram, io, i, off, len, err);
	}
}

static void ram_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			transfer_piece(conn, ios[k], i);
	}
}

/* "ADDR+LEN;ADDR+LEN", decimal or 0x hex. */
static int parse_ranges(struct ram *ram, const char *key, const char *text, int32_t code,
			struct sonde_error *err)
{
	while (text && *text) {
		struct ram_range range = { .err = code };
		char *end;
		range.addr = strtoull(text, &end, 0);
		if (end != text && *end == '+')
			range.len = strtoull(end + 1, &end, 0);
		if (range.len == 0 || range.len - 1 > UINT64_MAX - range.addr ||
		    (*end && *end != ';'))
			return ram->host->error_set(err, SONDE_E_BAD_ARG,
						    "ram: '%s': '%.60s' is not ADDR+LEN;...", key,
						    text);
		if (ram->n_bad == RAM_RANGES_MAX)
			return ram->host->error_set(err, SONDE_E_LIMIT, "ram: more than %d ranges",
						    RAM_RANGES_MAX);
		ram->bad[ram->n_bad++] = range;
		text = *end ? end + 1 : end;
	}
	return 0;
}

static int parse_mode(struct ram *ram, const char *mode, struct sonde_error *err)
{
	static const struct {
		const char *name;
		uint32_t way;
	} modes[] = {
		{ "extents", SONDE_WAY_EXTENTS },
		{ "transfer", SONDE_WAY_TRANSFER },
		{ "submit", SONDE_WAY_SUBMIT },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!mode || strcmp(mode, modes[i].name) == 0) {
			ram->ways = modes[i].way;
			snprintf(ram->detail, sizeof(ram->detail), "test memory, %llu bytes, %s",
				 (unsigned long long)ram->size, modes[i].name);
			return 0;
		}
	}
	return ram->host->error_set(err, SONDE_E_BAD_ARG,
				    "ram: mode '%.40s': there are extents, transfer and submit",
				    mode);
}

/* Of its own map, so that it begins on a page as the memory of a machine does. */
static int make_bytes(struct ram *ram, struct sonde_error *err)
{
	if (ram->size == 0 || ram->size > RAM_SIZE_MAX)
		return ram->host->error_set(err, SONDE_E_BAD_ARG,
					    "ram: size=%llu: must be 1 .. 1T bytes",
					    (unsigned long long)ram->size);
	void *bytes =
		mmap(NULL, ram->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return ram->host->error_set(err, SONDE_E_NO_MEMORY, "ram: size=%llu",
					    (unsigned long long)ram->size);
	ram->bytes = bytes;
	for (uint64_t i = 0; i < ram->size; i += 16)
		memset(ram->bytes + i, (uint8_t)(i / 16), ram->size - i < 16 ? ram->size - i : 16);
	return 0;
}

static int configure(struct ram *ram, const struct sonde_args *args, struct sonde_error *err)
{
	const struct sonde_host *host = ram->host;
	uint64_t seed = 1, take = 0;
	int r;

	ram->size = 8192;
	ram->writable = host->arg_write(args);
	if ((r = host->arg_u64(args, "size", &ram->size, err)) < 0 ||
	    (r = host->arg_u64(args, "seed", &seed, err)) < 0 ||
	    (r = host->arg_u64(args, "take", &take, err)) < 0 ||
	    (r = parse_mode(ram, host->arg(args, "mode"), err)) < 0 ||
	    (r = parse_ranges(ram, "hole", host->arg(args, "hole"), SONDE_E_NOT_MAPPED, err)) < 0 ||
	    (r = parse_ranges(ram, "fail", host->arg(args, "fail"), SONDE_E_IO, err)) < 0 ||
	    (r = make_bytes(ram, err)) < 0)
		return r;
	return ram->ways == SONDE_WAY_SUBMIT ? ram_async_open(ram, seed, take, err) : 0;
}

static void ram_close(void *conn)
{
	struct ram *ram = conn;

	ram_async_close(ram->async);
	if (ram->bytes)
		munmap(ram->bytes, ram->size);
	free(ram);
}

static int ram_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		    struct sonde_error *err)
{
	struct ram *ram = calloc(1, sizeof(*ram));
	if (!ram)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	ram->host = host;
	int r = configure(ram, args, err);
	if (r < 0) {
		ram_close(ram);
		return r;
	}
	*ret_conn = ram;
	return 0;
}

static void ram_info(void *conn, struct sonde_target_info *ret)
{
	struct ram *ram = conn;

	ret->detail = ram->detail;
	ret->flags = SONDE_TARGET_PHYSICAL | (ram->writable ? SONDE_TARGET_WRITABLE : 0);
}

static uint32_t ram_ways(void *conn)
{
	return ((struct ram *)conn)->ways;
}

/* Failing ranges are told before the memory they cut, because the first told wins. */
static int ram_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct ram *ram = conn;
	int r = 0;

	(void)err;
	for (size_t i = 0; r == 0 && i < ram->n_bad; i++) {
		struct sonde_extent absent = {
			.addr = ram->bad[i].addr,
			.len = ram->bad[i].len,
			.kind = SONDE_EXTENT_ABSENT,
			.err = ram->bad[i].err,
		};
		r = fn(user, &absent);
	}
	struct sonde_extent memory = {
		.addr = 0,
		.len = ram->size,
		.kind = SONDE_EXTENT_MEMORY,
		.flags = SONDE_REGION_RAM | SONDE_REGION_READ |
			 (ram->writable ? SONDE_REGION_WRITE : 0),
		.ptr = ram->bytes,
	};
	return r == 0 ? fn(user, &memory) : r;
}

/* What is left of memory between the failing ranges. */
static int ram_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct ram *ram = conn;
	uint64_t start = 0, at = 0;
	int r = 0;

	while (r == 0 && at < ram->size) {
		uint32_t len;
		uint64_t left = ram->size - at;
		int32_t err = ram_at(ram, at, left < UINT32_MAX ? left : UINT32_MAX, &len);
		uint64_t end = err ? at : at + len;
		at += len;
		if (end > start && (err || at >= ram->size)) {
			struct sonde_region region = {
				.addr = start,
				.len = end - start,
				.flags = SONDE_REGION_RAM | SONDE_REGION_READ |
					 (ram->writable ? SONDE_REGION_WRITE : 0),
				.name = "",
			};
			r = fn(user, &region);
		}
		if (err)
			start = at;
	}
	return r;
}

static const struct sonde_connector_ops ram_ops = {
	.size = sizeof(ram_ops),
	.open = ram_open,
	.close = ram_close,
	.info = ram_info,
	.extents = ram_extents,
	.transfer = ram_transfer,
	.submit = ram_async_submit,
	.regions = ram_regions,
	.ways = ram_ways,
	.cancel = ram_async_cancel,
};

SONDE_PLUGIN(.name = "ram", .summary = "memory that exists only here, for tests",
	     .main_arg = "size",
	     .args_help =
		     "size=N  bytes; byte i starts as i/16 (8192)\n"
		     "mode=HOW  extents, transfer or submit: how its bytes are moved (extents)\n"
		     "hole=ADDR+LEN;...  no memory there\n"
		     "fail=ADDR+LEN;...  reading and writing there fails\n"
		     "seed=N  mode=submit: orders the completions (1)\n"
		     "take=N  mode=submit: requests taken by one call at most (0: all)\n",
	     .connector = &ram_ops);
