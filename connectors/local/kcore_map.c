/* SPDX-License-Identifier: MIT */
/* Loads by their physical address: in order, and where two overlap (the image lies in RAM) each byte once. */
#include "kcore_map.h"

#include "../elfcore/elf_format.h"

#include <stdlib.h>
#include <string.h>

/* Physical addresses are narrower than this everywhere (x86-64 and aarch64: 52 bits, riscv64: 56). */
#define PHYSICAL_MAX (UINT64_C(1) << 56)

/*
 * Before 4.11 no load named a physical address. On x86-64 the direct map is then the lowest of the kernel's own, at
 * 0xffff880000000000 or, moved by KASLR, at a multiple of 1 GiB above (linux v4.10 Documentation/x86/x86_64/mm.txt,
 * arch/x86/mm/kaslr.c); what follows it is vmalloc, of 32 TiB.
 */
#define OLD_DIRECT_MAP UINT64_C(0xffff880000000000)
#define OLD_DIRECT_MAP_STEP (UINT64_C(1) << 30)
#define OLD_VMALLOC_LEN (UINT64_C(1) << 45)

/* One load that is physical memory. */
struct load {
	uint64_t addr, len, off;
};

struct loads {
	struct load *at; /* [n] */
	size_t n;
};

static int by_addr(const void *a, const void *b)
{
	const struct load *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void take(struct loads *loads, uint64_t addr, const struct elf_segment *s)
{
	if (s->filesz == 0 || addr >= PHYSICAL_MAX || s->filesz > PHYSICAL_MAX - addr ||
	    s->off > INT64_MAX || s->filesz > (uint64_t)INT64_MAX - s->off)
		return;
	loads->at[loads->n++] = (struct load){ .addr = addr, .len = s->filesz, .off = s->off };
}

static int by_vaddr(const void *a, const void *b)
{
	const struct elf_segment *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

/* Of an old kernel: what stands in front of vmalloc. */
static void take_direct_map(struct loads *loads, struct elf_core *core)
{
	uint64_t base = 0;

	if (core->machine != ELF_MACHINE_X86_64)
		return;
	qsort(core->segments, core->n_segments, sizeof(*core->segments), by_vaddr);
	for (size_t i = 0; i < core->n_segments; i++) {
		const struct elf_segment *s = &core->segments[i];
		if (s->vaddr < OLD_DIRECT_MAP)
			continue;
		if (s->filesz >= OLD_VMALLOC_LEN - 1)
			break;
		if (base == 0)
			base = s->vaddr & ~(OLD_DIRECT_MAP_STEP - 1);
		take(loads, s->vaddr - base, s);
	}
}

static void take_all(struct loads *loads, struct elf_core *core)
{
	if (core->by_vaddr)
		take_direct_map(loads, core);
	for (size_t i = 0; !core->by_vaddr && i < core->n_segments; i++)
		take(loads, core->segments[i].paddr, &core->segments[i]);
}

/* What of a load lies above all before it. */
static int add(struct memory_map *map, struct load load)
{
	const struct memory_range *last = map->n ? &map->ranges[map->n - 1] : NULL;
	uint64_t end = last ? last->addr + last->len : 0;
	struct memory_range range = { .flags = SONDE_REGION_READ | SONDE_REGION_RAM,
				      .name = "System RAM" };

	if (load.addr < end) {
		uint64_t known = end - load.addr;
		if (known >= load.len)
			return 0;
		load = (struct load){ end, load.len - known, load.off + known };
	}
	range.addr = load.addr;
	range.len = load.len;
	range.off = load.off;
	return memory_map_add(map, &range);
}

static int make_map(struct memory_map *map, struct elf_core *core)
{
	struct loads loads = { .at = calloc(core->n_segments, sizeof(*loads.at)) };
	int r = loads.at ? 0 : SONDE_E_NO_MEMORY;

	if (r == 0) {
		take_all(&loads, core);
		qsort(loads.at, loads.n, sizeof(*loads.at), by_addr);
	}
	for (size_t i = 0; r == 0 && i < loads.n; i++)
		r = add(map, loads.at[i]);
	free(loads.at);
	memory_map_join(map);
	return r == 0 && map->n == 0 ? SONDE_E_UNSUPPORTED : r;
}

static int keep_note(struct kcore_map *kcore, const struct elf_core *core)
{
	const struct elf_note *note = elf_note_find(core, "VMCOREINFO", -1, 0);

	if (!note || note->len == 0)
		return 0;
	kcore->vmcoreinfo = malloc(note->len);
	if (!kcore->vmcoreinfo)
		return SONDE_E_NO_MEMORY;
	memcpy(kcore->vmcoreinfo, note->desc, note->len);
	kcore->n_vmcoreinfo = note->len;
	return 0;
}

static const char *why(int code)
{
	return code == SONDE_E_UNSUPPORTED ? "none of its segments is physical memory"
	       : code == SONDE_E_LIMIT     ? "has more stretches of memory than can be followed"
					   : "out of memory";
}

int kcore_map_read(struct kcore_map *ret, elf_read_fn *read, void *user, const char **ret_why)
{
	struct elf_core core;

	memset(ret, 0, sizeof(*ret));
	int r = elf_core_read(&core, read, user, INT64_MAX, ret_why);
	if (r == 0) {
		ret->arch = elf_core_arch(&core);
		r = make_map(&ret->map, &core);
		if (r == 0)
			r = keep_note(ret, &core);
		if (r < 0)
			*ret_why = why(r);
	}
	elf_core_finish(&core);
	return r;
}

void kcore_map_finish(struct kcore_map *kcore)
{
	memory_map_finish(&kcore->map);
	free(kcore->vmcoreinfo);
	memset(kcore, 0, sizeof(*kcore));
}
