/* SPDX-License-Identifier: MIT */
/* QEMU's texts are read by what reads them for the connector qemu. */
#include "ranges.h"

#include "../common/memory_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a range at addr would stand. */
static size_t place_of(const struct ranges *ranges, uint64_t addr)
{
	size_t i = 0;

	while (i < ranges->n && ranges->at[i].addr <= addr)
		i++;
	return i;
}

int ranges_add(struct ranges *ranges, const struct range *range)
{
	size_t i = place_of(ranges, range->addr);
	const struct range *before = i ? &ranges->at[i - 1] : NULL, *behind = &ranges->at[i];

	if (range->len == 0 || range->len - 1 > UINT64_MAX - range->addr ||
	    (before && range->addr - before->addr < before->len) ||
	    (i < ranges->n && behind->addr - range->addr < range->len))
		return SONDE_E_BAD_FORMAT;
	if (ranges->n == RANGES_MAX)
		return SONDE_E_LIMIT;
	memmove(&ranges->at[i + 1], &ranges->at[i], (ranges->n - i) * sizeof(*range));
	ranges->at[i] = *range;
	ranges->n++;
	return 0;
}

static int parse_number(const char **at, uint64_t *ret)
{
	static const char suffixes[] = "kmgt";
	char *end;

	if (**at < '0' || **at > '9')
		return -1;
	*ret = strtoull(*at, &end, 0);
	const char *suffix = *end ? strchr(suffixes, *end | 0x20) : NULL;
	if (suffix) {
		int shift = 10 * (int)(suffix - suffixes + 1);
		if (*ret > UINT64_MAX >> shift)
			return -1;
		*ret <<= shift;
		end++;
	}
	*at = end;
	return 0;
}

int ranges_parse(struct ranges *ret, const struct sonde_host *host, const char *text,
		 struct sonde_error *err)
{
	for (const char *at = text; *at; at += *at == ';') {
		struct range range = { .flags = SONDE_REGION_READ | SONDE_REGION_WRITE |
						SONDE_REGION_RAM,
				       .name = "RAM" };
		int r = parse_number(&at, &range.addr) < 0 || *at++ != '+' ||
					parse_number(&at, &range.len) < 0 || (*at && *at != ';')
				? SONDE_E_BAD_ARG
				: ranges_add(ret, &range);
		if (r == SONDE_E_LIMIT)
			return host->error_set(err, r, "gdb: ram: more than %d ranges", RANGES_MAX);
		if (r < 0)
			return host->error_set(
				err, SONDE_E_BAD_ARG,
				"gdb: ram='%.60s' is not ADDR+LEN;... of ranges that "
				"do not overlap",
				text);
	}
	return 0;
}

/* Lines "memory backend: NAME" (qemu 7.2 hw/core/machine-hmp-cmds.c, hmp_info_memdev). */
static size_t mark_memdevs(struct memory_map *map, const char *text)
{
	static const char head[] = "memory backend: ";
	size_t n = 0;

	for (const char *at = strstr(text, head); at; at = strstr(at, head)) {
		char name[64];
		at += sizeof(head) - 1;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "\r\n"), at);
		n += memory_map_mark(map, name);
	}
	return n;
}

static int take_map(struct ranges *ret, const struct memory_map *map)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < map->n; i++) {
		struct range range = { .addr = map->ranges[i].addr,
				       .len = map->ranges[i].len,
				       .flags = map->ranges[i].flags };
		snprintf(range.name, sizeof(range.name), "%.31s", map->ranges[i].name);
		r = ranges_add(ret, &range);
	}
	return r;
}

int ranges_of_monitor(struct ranges *ret, const char *mtree, const char *memdevs)
{
	struct memory_map map;
	int r = memory_map_parse(&map, mtree);

	if (r == 0) {
		if (mark_memdevs(&map, memdevs) == 0)
			memory_map_mark_likely(&map);
		memory_map_join(&map);
		r = take_map(ret, &map);
	}
	memory_map_finish(&map);
	return r;
}

int32_t ranges_limit(const struct ranges *ranges, uint64_t addr, uint64_t max, uint64_t *ret_len)
{
	size_t i = place_of(ranges, addr);
	const struct range *range = i ? &ranges->at[i - 1] : NULL;
	int inside = range && addr - range->addr < range->len;
	uint64_t len = max;

	if (inside)
		len = range->len - (addr - range->addr);
	else if (i < ranges->n)
		len = ranges->at[i].addr - addr;
	*ret_len = len < max ? len : max;
	return inside ? 0 : SONDE_E_NOT_MAPPED;
}
