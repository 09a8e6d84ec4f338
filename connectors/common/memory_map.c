/* SPDX-License-Identifier: MIT */
/*
 * Lines of a flat view (qemu 7.2 softmmu/memory.c, mtree_print_flatview):
 *   0000000000100000-000000001fffffff (prio 0, ram): pc.ram @0000000000100000 KVM
 */
#include "memory_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int memory_map_add(struct memory_map *map, const struct memory_range *range)
{
	const struct memory_range *last = map->n ? &map->ranges[map->n - 1] : NULL;

	/* Lowest first and apart, or it is not what it should be. */
	if (last && range->addr <= last->addr + (last->len - 1))
		return SONDE_E_BAD_FORMAT;
	if (map->n == MEMORY_RANGES_MAX)
		return SONDE_E_LIMIT;
	if (map->n == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 32;
		struct memory_range *ranges = realloc(map->ranges, cap * sizeof(*ranges));
		if (!ranges)
			return SONDE_E_NO_MEMORY;
		map->ranges = ranges;
		map->cap = cap;
	}
	map->ranges[map->n++] = *range;
	return 0;
}

/* ram, rom (RAM behind a write protection), romd (flash in its readable state), nv-ram. */
static int is_memory(const char *type)
{
	return strcmp(type, "ram") == 0 || strcmp(type, "rom") == 0 || strcmp(type, "romd") == 0 ||
	       strcmp(type, "nv-ram") == 0;
}

/* Returns 1 and *ret for a line of memory, 0 for anything else. */
static int parse_line(const char *line, size_t len, struct memory_range *ret)
{
	char text[256], type[16];
	uint64_t first, last;
	int name_at = 0;

	if (len >= sizeof(text))
		return 0;
	memcpy(text, line, len);
	text[len] = '\0';
	text[strcspn(text, "\r")] = '\0';
	if (sscanf(text, " %16" SCNx64 "-%16" SCNx64 " (prio %*d, %15[^)]): %n", &first, &last,
		   type, &name_at) < 3 ||
	    name_at == 0 || last < first || last - first == UINT64_MAX || !is_memory(type))
		return 0;

	*ret = (struct memory_range){ .addr = first, .len = last - first + 1 };
	ret->flags = SONDE_REGION_READ | SONDE_REGION_DEVICE;
	if (strcmp(type, "ram") == 0 || strcmp(type, "nv-ram") == 0)
		ret->flags |= SONDE_REGION_WRITE;
	char *name = text + name_at, *off = strstr(name, " @");
	if (off) {
		ret->off = strtoull(off + 2, NULL, 16);
		*off = '\0';
	}
	size_t name_len = strlen(name);
	if (name_len > 4 && strcmp(name + name_len - 4, " KVM") == 0)
		name[name_len - 4] = '\0';
	snprintf(ret->name, sizeof(ret->name), "%.63s", name);
	return 1;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

int memory_map_parse(struct memory_map *ret, const char *mtree)
{
	const char *view = strstr(mtree, "AS \"memory\"");
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	if (!view)
		return SONDE_E_BAD_FORMAT;
	for (const char *line = view; r == 0 && *line && strncmp(line, "FlatView", 8) != 0;
	     line = next_line(line)) {
		struct memory_range range;
		if (parse_line(line, strcspn(line, "\n"), &range))
			r = memory_map_add(ret, &range);
	}
	return r == 0 && ret->n == 0 ? SONDE_E_BAD_FORMAT : r;
}

void memory_map_finish(struct memory_map *map)
{
	free(map->ranges);
	memset(map, 0, sizeof(*map));
}

int memory_map_copy(struct memory_map *ret, const struct memory_map *map)
{
	*ret = (struct memory_map){ .n = map->n, .cap = map->n };
	if (map->n == 0)
		return 0;
	ret->ranges = malloc(map->n * sizeof(*map->ranges));
	if (!ret->ranges) {
		*ret = (struct memory_map){ 0 };
		return SONDE_E_NO_MEMORY;
	}
	memcpy(ret->ranges, map->ranges, map->n * sizeof(*map->ranges));
	return 0;
}

static void mark(struct memory_range *range)
{
	/* Below 1 MiB a chipset may protect RAM from the guest's writes; it is RAM all the same. */
	range->flags = (range->flags & ~(uint32_t)SONDE_REGION_DEVICE) | SONDE_REGION_RAM |
		       SONDE_REGION_WRITE;
}

size_t memory_map_mark(struct memory_map *map, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < map->n; i++) {
		if (strcmp(map->ranges[i].name, name) == 0) {
			mark(&map->ranges[i]);
			n++;
		}
	}
	return n;
}

void memory_map_mark_likely(struct memory_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		if ((map->ranges[i].flags & SONDE_REGION_WRITE) &&
		    !strstr(map->ranges[i].name, "vga") && !strstr(map->ranges[i].name, "vram"))
			mark(&map->ranges[i]);
	}
}

void memory_map_join(struct memory_map *map)
{
	size_t kept = 0;

	for (size_t i = 0; i < map->n; i++) {
		const struct memory_range *next = &map->ranges[i];
		struct memory_range *last = kept ? &map->ranges[kept - 1] : NULL;
		if (last && last->addr + last->len == next->addr &&
		    last->off + last->len == next->off && last->flags == next->flags &&
		    strcmp(last->name, next->name) == 0)
			last->len += next->len;
		else
			map->ranges[kept++] = *next;
	}
	map->n = kept;
}

/* "Host virtual address for 0x0 (pc.ram) is 0x7f1234000000" (qemu 7.2 monitor/misc.c). */
int memory_map_hva(const char *answer, uint64_t *ret)
{
	const char *is = strstr(answer, ") is 0x");
	char *end;

	if (!is)
		return 0;
	*ret = strtoull(is + 5, &end, 16);
	return end != is + 5 && *ret != 0;
}

/* One stretch of RAM; len 0 is none. */
static int guess_range(struct memory_map *map, uint64_t addr, uint64_t len, uint64_t off,
		       uint64_t hva)
{
	struct memory_range range = {
		.addr = addr,
		.len = len,
		.off = off,
		.hva = hva + off,
		.name = "RAM",
		.flags = SONDE_REGION_READ | SONDE_REGION_WRITE | SONDE_REGION_RAM,
	};

	return len ? memory_map_add(map, &range) : 0;
}

/*
 * q35 cuts at 2 GiB once it has 2.75 GiB or more (qemu 7.2 hw/i386/pc_q35.c), i440fx at 3 GiB once it has 3.5 GiB or more
 * (hw/i386/pc_piix.c).
 */
uint64_t memory_map_pc_low(const char *machine, uint64_t memory)
{
	int q35 = strstr(machine, "q35") != NULL;
	uint64_t cut = q35 ? UINT64_C(0xb0000000) : UINT64_C(0xe0000000);

	if (memory < cut)
		return memory;
	return q35 ? UINT64_C(0x80000000) : UINT64_C(0xc0000000);
}

int memory_map_guess(struct memory_map *ret, const struct guest *guest, uint64_t hva)
{
	int x86 = strstr(guest->program, "x86_64") || strstr(guest->program, "i386") ||
		  strstr(guest->program, "kvm");
	int pc = x86 && (guest->machine[0] == '\0' || strncmp(guest->machine, "pc", 2) == 0 ||
			 strstr(guest->machine, "q35"));
	int virt = strncmp(guest->machine, "virt", 4) == 0;

	memset(ret, 0, sizeof(*ret));
	if (pc) {
		uint64_t low = memory_map_pc_low(guest->machine, guest->memory);
		int r = guess_range(ret, 0, low, 0, hva);
		return r ? r : guess_range(ret, UINT64_C(1) << 32, guest->memory - low, low, hva);
	}
	if (virt && strstr(guest->program, "aarch64")) /* qemu 7.2 hw/arm/virt.c, VIRT_MEM */
		return guess_range(ret, UINT64_C(1) << 30, guest->memory, 0, hva);
	if (virt && strstr(guest->program, "riscv64")) /* qemu 7.2 hw/riscv/virt.c, VIRT_DRAM */
		return guess_range(ret, UINT64_C(1) << 31, guest->memory, 0, hva);
	return SONDE_E_UNSUPPORTED;
}

const struct memory_range *memory_map_find(const struct memory_map *map, uint64_t addr,
					   uint64_t *ret_gap)
{
	size_t low = 0, high = map->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct memory_range *range = &map->ranges[mid];
		if (addr >= range->addr && addr - range->addr < range->len)
			return range;
		if (addr < range->addr)
			high = mid;
		else
			low = mid + 1;
	}
	*ret_gap = low < map->n ? map->ranges[low].addr - addr : 0;
	return NULL;
}

void memory_map_cut(const struct memory_map *map, const struct sonde_host *host,
		    struct sonde_io *io, uint32_t i, memory_map_stretch_fn *fn, void *user)
{
	const struct sonde_xfer *x = &io->xfers[i];

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off, gap = 0, room;
		int wrapped = addr < x->addr;
		const struct memory_range *range =
			wrapped ? NULL : memory_map_find(map, addr, &gap);

		room = range ? range->len - (addr - range->addr) : gap;
		len = room && room < x->len - off ? (uint32_t)room : x->len - off;
		if (range)
			fn(user, io, i, off, len, range, addr);
		else
			sonde_progress(host, io, i, off, len, SONDE_E_NOT_MAPPED);
	}
}

int memory_map_regions(const struct memory_map *map, uint32_t care, sonde_region_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < map->n; i++) {
		const struct memory_range *range = &map->ranges[i];
		struct sonde_region region = { .addr = range->addr,
					       .len = range->len,
					       .flags = range->flags,
					       .name = range->name };
		if ((range->flags & care) == care)
			r = fn(user, &region);
	}
	return r;
}
