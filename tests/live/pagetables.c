/* SPDX-License-Identifier: MIT */
/*
 * What the library makes of a guest's page tables, for test_pagetables.py to compare with QEMU's view.
 *
 * pagetables MODE FORMAT ROOT HIGH-ROOT FILE PHYS:LEN:OFFSET...
 *
 * The guest's physical memory is FILE: each PHYS:LEN:OFFSET (hex) says where a stretch of it lies. ROOT and HIGH-ROOT
 * are the registers' values (HIGH-ROOT: arm64's TTBR1). Answers are lines, numbers in them hex:
 *
 *   translate   of each address on stdin: VA PA PAGE-SIZE FLAGS, or VA ! ERROR LEVEL ENTRY
 *   read        8 bytes at each, all in one batch: VA BYTES, or VA ! ERROR
 *   visit       every run: VA PA LEN PAGE-SIZE FLAGS
 *   direct=MS   one space, kept, that may use a translation for so long again, over memory that is mapped: each
 *               line on stdin is answered at once: an address as of read, "invalidate" with "ok"
 *   sync=MS     ... over memory that is read with system calls
 *
 * FORMAT: x86_64-LEVELS, x86, x86-pae, riscv64-BITS, arm64-GRANULE_BITS-BITS or the same with -wide behind it.
 */
#include <fcntl.h>
#include <sonde/error.h>
#include <sonde/loop.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/paging.h"
#include "space/backed.h"

#define STRETCHES_MAX 16
#define EVERY_FLAG                                                                                 \
	(SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC | SONDE_PAGE_USER |                  \
	 SONDE_PAGE_GLOBAL | SONDE_PAGE_ACCESSED | SONDE_PAGE_DIRTY | SONDE_PAGE_PRESENT |         \
	 SONDE_PAGE_SIZES)

typedef unsigned long long ull;

struct memory {
	int fd;
	int n;
	struct sonde_extent at[STRETCHES_MAX];
};

struct guest {
	struct sonde_loop *loop;
	struct sonde_space *phys;
	struct paging_map map;
};

struct addresses {
	uint64_t *at; /* [n] */
	size_t n, cap;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "pagetables: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

/* ---- the guest -------------------------------------------------------------------------------------- */

static const struct paging *format_named(const char *name)
{
	unsigned a, b;

	if (!strcmp(name, "x86"))
		return paging_x86_32(false);
	if (!strcmp(name, "x86-pae"))
		return paging_x86_32(true);
	if (sscanf(name, "x86_64-%u", &a) == 1)
		return paging_x86_64(a);
	if (sscanf(name, "riscv64-%u", &a) == 1)
		return paging_riscv64(a);
	if (sscanf(name, "arm64-%u-%u", &a, &b) == 2)
		return paging_arm64(a, b, strstr(name, "-wide") != NULL);
	return NULL;
}

static int tell_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct memory *memory = conn;
	int r = 0;

	(void)err;
	for (int i = 0; i < memory->n && r == 0; i++)
		r = fn(user, &memory->at[i]);
	return r;
}

static void close_nothing(void *conn)
{
	(void)conn;
}

static void tell_nothing(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

static void add_stretch(struct memory *memory, const char *text)
{
	ull phys, len, off;

	if (memory->n == STRETCHES_MAX || sscanf(text, "%llx:%llx:%llx", &phys, &len, &off) != 3)
		die("'%s' is no PHYS:LEN:OFFSET, or one too many", text);
	memory->at[memory->n++] = (struct sonde_extent){
		.addr = phys,
		.len = len,
		.kind = SONDE_EXTENT_FILE,
		.flags = SONDE_REGION_READ | SONDE_REGION_RAM,
		.off = off,
		.fd = memory->fd,
	};
}

static void open_guest(struct guest *guest, struct memory *memory, const char *mode, char **words)
{
	struct sonde_loop_options options = { .size = sizeof(options) };
	static const struct sonde_connector_ops ops = { .size = sizeof(ops),
							.close = close_nothing,
							.info = tell_nothing,
							.extents = tell_extents };
	const struct paging *paging = format_named(words[0]);
	struct sonde_error err = { 0 };

	if (!paging)
		die("there is no format '%s'", words[0]);
	guest->map.paging = paging;
	guest->map.root = paging_root_of(paging, strtoull(words[1], NULL, 16));
	guest->map.high_root = paging_root_of(paging, strtoull(words[2], NULL, 16));
	memory->fd = open(words[3], O_RDONLY | O_CLOEXEC);
	if (memory->fd < 0)
		die("cannot open %s", words[3]);
	for (char **word = words + 4; *word; word++)
		add_stretch(memory, *word);
	if (!strncmp(mode, "sync=", 5))
		options.engine = SONDE_ENGINE_SYNC;
	else if (!strncmp(mode, "direct=", 7))
		options.engine = SONDE_ENGINE_DIRECT;
	if (sonde_loop_create(&options, &guest->loop, &err) < 0 ||
	    space_from_connector(guest->loop, &ops, memory, &guest->phys, &err) < 0)
		die("%s", err.text);
}

static struct sonde_space *open_virtual(struct guest *guest, uint64_t tlb_ns)
{
	struct sonde_space *space;
	int r = paging_space(guest->phys, guest->map, tlb_ns, &space);

	if (r < 0)
		die("%s", sonde_strerror(r));
	return space;
}

/* ---- the modes -------------------------------------------------------------------------------------- */

static void add_address(struct addresses *list, uint64_t va)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 1024;
		list->at = realloc(list->at, list->cap * sizeof(*list->at));
		if (!list->at)
			die("out of memory");
	}
	list->at[list->n++] = va;
}

static void take_addresses(struct addresses *list)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin))
		add_address(list, strtoull(line, NULL, 16));
}

static void translate(struct guest *guest)
{
	struct addresses list = { 0 };

	take_addresses(&list);
	for (size_t i = 0; i < list.n; i++) {
		struct sonde_translation at;
		uint64_t va = list.at[i];
		int r = paging_translate(guest->phys, guest->map, va, &at);
		if (r == 0)
			printf("%llx %llx %llx %x\n", (ull)va, (ull)at.pa, (ull)at.page_size,
			       at.flags);
		else
			printf("%llx ! %s %u %llx\n", (ull)va, sonde_error_name(r),
			       guest->map.paging->n_levels - at.levels,
			       at.levels ? (ull)at.entry[at.levels - 1] : 0);
	}
	free(list.at);
}

static void print_bytes(uint64_t va, int32_t err, const uint8_t *bytes)
{
	printf("%llx ", (ull)va);
	if (err) {
		printf("! %s\n", sonde_error_name(err));
		return;
	}
	for (int i = 0; i < 8; i++)
		printf("%02x", bytes[i]);
	printf("\n");
}

static void read_all(struct guest *guest)
{
	struct sonde_space *space = open_virtual(guest, 0);
	struct addresses list = { 0 };

	take_addresses(&list);
	struct sonde_xfer *xfers = calloc(list.n + 1, sizeof(*xfers));
	uint8_t(*bytes)[8] = calloc(list.n + 1, sizeof(*bytes));
	if (!xfers || !bytes)
		die("out of memory");
	for (size_t i = 0; i < list.n; i++)
		xfers[i] = (struct sonde_xfer){ .addr = list.at[i],
						.buf = bytes[i],
						.len = sizeof(*bytes) };
	int r = list.n ? sonde_space_read(space, xfers, list.n) : 0;
	if (r < 0)
		die("%s", sonde_strerror(r));
	for (size_t i = 0; i < list.n; i++)
		print_bytes(list.at[i], xfers[i].err, bytes[i]);
	free(bytes);
	free(xfers);
	free(list.at);
	sonde_space_close(space);
}

static int print_run(void *user, const struct sonde_page_run *run)
{
	(void)user;
	printf("%llx %llx %llx %llx %x\n", (ull)run->va, (ull)run->pa, (ull)run->len,
	       (ull)run->page_size, run->flags);
	return 0;
}

static void visit(struct guest *guest)
{
	int r = paging_visit(guest->phys, guest->map, 0, UINT64_MAX, EVERY_FLAG, print_run, NULL);

	if (r < 0)
		die("%s", sonde_strerror(r));
}

static void session(struct guest *guest, uint64_t tlb_ms)
{
	struct sonde_space *space = open_virtual(guest, tlb_ms * 1000000);
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "invalidate", 10)) {
			sonde_space_invalidate(space);
			printf("ok\n");
		} else {
			uint64_t va = strtoull(line, NULL, 16);
			uint8_t bytes[8];
			print_bytes(va, sonde_space_get(space, va, bytes, sizeof(bytes)), bytes);
		}
		fflush(stdout);
	}
	sonde_space_close(space);
}

int main(int argc, char **argv)
{
	struct memory memory = { 0 };
	struct guest guest = { 0 };

	if (argc < 7)
		die("usage: pagetables MODE FORMAT ROOT HIGH-ROOT FILE PHYS:LEN:OFFSET...");
	open_guest(&guest, &memory, argv[1], argv + 2);
	if (!strcmp(argv[1], "translate"))
		translate(&guest);
	else if (!strcmp(argv[1], "read"))
		read_all(&guest);
	else if (!strcmp(argv[1], "visit"))
		visit(&guest);
	else if (strchr(argv[1], '='))
		session(&guest, strtoull(strchr(argv[1], '=') + 1, NULL, 10));
	else
		die("there is no mode '%s'", argv[1]);
	sonde_space_close(guest.phys);
	sonde_loop_destroy(guest.loop);
	close(memory.fd);
	return fflush(stdout) ? 1 : 0;
}
