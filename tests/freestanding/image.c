/* SPDX-License-Identifier: MIT */
/*
 * Behind the image itself lie, in this order, its tables, the pool and the heap:
 *
 *   │ image │ tables │ to the next 2 MiB │ pool │ heap │
 */
#include "image.h"

extern char image_last[];

static void print_hex(uint64_t value)
{
	char text[] = " 0x0000000000000000";

	for (unsigned i = 0; i < 16; i++)
		text[18 - i] = "0123456789abcdef"[value >> 4 * i & 15];
	image_print(text);
}

_Noreturn void image_fatal(const char *what, uint64_t a, uint64_t b)
{
	image_print("verdict: FAILED: ");
	image_print(what);
	print_hex(a);
	print_hex(b);
	image_print("\n");
	image_end(false);
}

static void fail(void *user, const char *what, const char *file, int line)
{
	(void)user;
	image_print(file);
	image_print("\n");
	image_fatal(what, (uint64_t)line, 0);
}

void image_add_memory(struct image *image, uint64_t addr, uint64_t len)
{
	if (image->machine.n_ranges == IMAGE_RANGES)
		image_fatal("too many ranges of memory", addr, len);
	image->ranges[image->machine.n_ranges++] = (struct sonde_bare_range){
		.addr = addr,
		.len = len,
		.at = (void *)(uintptr_t)addr,
		.flags = SONDE_REGION_READ | SONDE_REGION_WRITE | SONDE_REGION_EXEC |
			 SONDE_REGION_RAM,
		.name = "System RAM",
	};
}

/* [addr, addr + len) lies in one range. */
static void expect_memory(const struct image *image, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < image->machine.n_ranges; i++) {
		const struct sonde_bare_range *range = &image->ranges[i];
		if (addr >= range->addr && addr - range->addr <= range->len &&
		    len <= range->len - (addr - range->addr))
			return;
	}
	image_fatal("no memory, give the machine more", addr, len);
}

_Noreturn void image_run(struct image *image)
{
	struct machine *machine = &image->machine;
	uint64_t last = (uint64_t)(uintptr_t)image_last;

	machine->ranges = image->ranges;
	machine->tables = last;
	machine->pool = (last + TABLES_LEN + (2u << 20) - 1) & ~((UINT64_C(2) << 20) - 1);
	machine->heap = (void *)(uintptr_t)(machine->pool + POOL_LEN);
	expect_memory(image, last, machine->pool + POOL_LEN + HEAP_LEN - last);
	for (uint64_t *entry = (uint64_t *)(uintptr_t)last;
	     entry < (uint64_t *)(uintptr_t)(last + TABLES_LEN);)
		*entry++ = 0;
	machine->print = image_print;
	machine->now_ns = image_now_ns;
	machine->relax = image_relax;
	machine->fail = fail;
	image_end(body_run(machine) == 0);
}
