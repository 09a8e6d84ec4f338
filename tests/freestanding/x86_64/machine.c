/* SPDX-License-Identifier: MIT */
/*
 * A PC without a system: its memory as QEMU tells it (PVH), the first serial port, the TSC measured by the timer chip,
 * faults that are answers, and QEMU's device that ends it.
 *
 * Source: xen/include/public/arch-x86/hvm/start_info.h; Intel SDM 3A 6.14; Intel 8254, 16550 data sheets;
 * qemu hw/misc/debugexit.c.
 */
#include "../image.h"

#define TIMER_HZ 1193182u
#define TIMER_TICKS (TIMER_HZ / 100) /* 10 ms */

struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, command_line, rsdp, memory_map;
	uint32_t n_memory_map, reserved;
};

struct memory_map_entry {
	uint64_t addr, len;
	uint32_t type, reserved; /* type 1: RAM */
};

struct gate {
	uint16_t low, selector, flags, middle;
	uint32_t high, reserved;
};

#define START_MAGIC 0x336ec578u

extern char boot_root[], x86_64_stubs[];
bool x86_64_load(uint64_t va, uint64_t *ret);
_Noreturn void x86_64_trap(uint64_t number, uint64_t at);
_Noreturn void x86_64_start(const struct start_info *info);

static inline void out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

void image_print(const char *text)
{
	for (; *text; text++) {
		while (!(in(0x3f8 + 5) & 0x20))
			continue;
		out(0x3f8, (uint8_t)*text);
	}
}

/* The device answers with 2 * value + 1: 33 is good, 3 is not. */
_Noreturn void image_end(bool good)
{
	out(0xf4, good ? 16 : 1);
	for (;;)
		__asm__ volatile("hlt");
}

_Noreturn void x86_64_trap(uint64_t number, uint64_t at)
{
	image_fatal("exception", number, at);
}

static void take_faults(void)
{
	static struct gate gates[32];
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(gates) - 1, (uint64_t)(uintptr_t)gates };

	for (unsigned i = 0; i < 32; i++) {
		uint64_t to = (uint64_t)(uintptr_t)x86_64_stubs + 16 * i;
		gates[i] = (struct gate){ (uint16_t)to,         8, 0x8e00, (uint16_t)(to >> 16),
					  (uint32_t)(to >> 32), 0 };
	}
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

/* ---- time ---------------------------------------------------------------------------------------- */

static uint64_t clock_begin, ns_by_tick; /* 32.32 */

/* Channel 2 of the timer, in mode 0, raises its output after so many ticks. */
static void measure_clock(void)
{
	out(0x61, (uint8_t)((in(0x61) & ~3) | 1));
	out(0x43, 0xb0);
	out(0x42, TIMER_TICKS & 0xff);
	out(0x42, TIMER_TICKS >> 8);
	clock_begin = tsc();
	while (!(in(0x61) & 0x20))
		continue;
	uint64_t ticks = tsc() - clock_begin;
	ns_by_tick = (UINT64_C(10000000) << 32) / (ticks ? ticks : 1);
}

uint64_t image_now_ns(void *user)
{
	(void)user;
	return (uint64_t)((unsigned __int128)(tsc() - clock_begin) * ns_by_tick >> 32) + 1;
}

void image_relax(uint64_t timeout_ns)
{
	(void)timeout_ns;
	__asm__ volatile("pause");
}

/* ---- memory -------------------------------------------------------------------------------------- */

static void changed(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static void add_memory(struct image *image, const struct start_info *info)
{
	const struct memory_map_entry *map = (const void *)(uintptr_t)info->memory_map;

	if (info->magic != START_MAGIC || info->version < 1)
		image_fatal("no memory map", info->magic, info->version);
	for (uint32_t i = 0; i < info->n_memory_map; i++) {
		if (map[i].type == 1)
			image_add_memory(image, map[i].addr, map[i].len);
	}
}

_Noreturn void x86_64_start(const struct start_info *info)
{
	static struct image image;

	take_faults();
	measure_clock();
	add_memory(&image, info);
	image.machine.name = "x86-64";
	image.machine.root = image.machine.high_root = (uint64_t)(uintptr_t)boot_root;
	image.machine.load = x86_64_load;
	image.machine.changed = changed;
	image_run(&image);
}
