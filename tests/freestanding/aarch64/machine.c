/* SPDX-License-Identifier: MIT */
/*
 * QEMU's machine `virt` without a system: its memory as the device tree tells it, the PL011, the generic timer, faults
 * that are answers, and semihosting to end it.
 *
 * Source: devicetree specification 0.4, chapter 5; Arm PL011 TRM 3.3; Arm ARM (DDI 0487) D12, AT and PAR_EL1; Arm
 * semihosting 2.0, SYS_EXIT; qemu hw/arm/virt.c and docs/system/arm/virt.rst.
 */
#include "../image.h"

#define DEVICE_TREE UINT64_C(0x40000000)
#define DEVICE_TREE_MAX (1u << 20)
#define SERIAL UINT64_C(0x09000000)

extern char low_root[], high_root[];
bool aarch64_load(uint64_t va, uint64_t *ret);
_Noreturn void aarch64_trap(uint64_t syndrome, uint64_t at);
_Noreturn void aarch64_start(void);

void image_print(const char *text)
{
	volatile uint32_t *serial = (volatile uint32_t *)(uintptr_t)SERIAL;

	for (; *text; text++) {
		while (serial[0x18 / 4] & 0x20) /* FR: the transmit queue is full */
			continue;
		serial[0] = (uint8_t)*text;
	}
}

_Noreturn void image_end(bool good)
{
	const uint64_t block[2] = { 0x20026, good ? 0 : 1 }; /* ADP_Stopped_ApplicationExit */
	register uint64_t x0 __asm__("x0") = 0x18;           /* SYS_EXIT                    */
	register const uint64_t *x1 __asm__("x1") = block;

	for (;;)
		__asm__ volatile("hlt #0xf000" : : "r"(x0), "r"(x1) : "memory");
}

_Noreturn void aarch64_trap(uint64_t syndrome, uint64_t at)
{
	image_fatal("exception", syndrome, at);
}

/* ---- time ---------------------------------------------------------------------------------------- */

uint64_t image_now_ns(void *user)
{
	uint64_t ticks, hz;

	(void)user;
	__asm__ volatile("isb; mrs %0, cntvct_el0; mrs %1, cntfrq_el0" : "=r"(ticks), "=r"(hz));
	return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}

void image_relax(uint64_t timeout_ns)
{
	(void)timeout_ns;
	__asm__ volatile("yield");
}

/* ---- memory -------------------------------------------------------------------------------------- */

static void changed(uint64_t va)
{
	__asm__ volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb" : : "r"(va >> 12) : "memory");
}

static bool translate(uint64_t va, uint64_t *ret_pa)
{
	uint64_t par;

	__asm__ volatile("at s1e1r, %1; isb; mrs %0, par_el1" : "=r"(par) : "r"(va) : "memory");
	*ret_pa = (par & UINT64_C(0xfffffffff000)) | (va & 0xfff);
	return !(par & 1);
}

/* ---- the device tree ------------------------------------------------------------------------------- */

static const uint8_t *const tree = (const uint8_t *)(uintptr_t)DEVICE_TREE;

static uint32_t tree_u32(uint64_t off)
{
	return off <= DEVICE_TREE_MAX - 4 ? (uint32_t)sonde_load(tree + off, 4, SONDE_BIG) : 9;
}

/* How long a string is that begins here, its end not counted. */
static uint32_t tree_text(uint64_t off)
{
	uint32_t len = 0;

	while (off + len < DEVICE_TREE_MAX && tree[off + len])
		len++;
	return len;
}

static bool tree_is(uint64_t off, const char *text)
{
	while (*text && off < DEVICE_TREE_MAX && tree[off] == (uint8_t)*text)
		off++, text++;
	return !*text;
}

/* "reg" of each node "memory@...", of two cells for address and length, as this machine has it. */
static void add_memory(struct image *image)
{
	uint64_t at = tree_u32(8), strings = tree_u32(12), end = at + tree_u32(36);
	bool in_memory = false;

	if (tree_u32(0) != 0xd00dfeed || end > DEVICE_TREE_MAX)
		image_fatal("no device tree", tree_u32(0), end);
	while (at < end) {
		uint32_t token = tree_u32(at);
		at += 4;
		if (token == 1) { /* a node begins */
			in_memory = tree_is(at, "memory@");
			at += (tree_text(at) & ~3u) + 4;
		} else if (token == 3) { /* a property: its length, its name, its bytes */
			uint32_t len = tree_u32(at);
			if (in_memory && len == 16 && tree_is(strings + tree_u32(at + 4), "reg"))
				image_add_memory(image, sonde_load(tree + at + 8, 8, SONDE_BIG),
						 sonde_load(tree + at + 16, 8, SONDE_BIG));
			at += 8 + ((uint64_t)len + 3) / 4 * 4;
		} else if (token == 9) { /* the end */
			return;
		}
	}
}

_Noreturn void aarch64_start(void)
{
	static struct image image;

	add_memory(&image);
	image.machine.name = "aarch64";
	image.machine.root = (uint64_t)(uintptr_t)low_root;
	image.machine.high_root = (uint64_t)(uintptr_t)high_root;
	image.machine.load = aarch64_load;
	image.machine.translate = translate;
	image.machine.changed = changed;
	image_run(&image);
}
