/* SPDX-License-Identifier: MIT */
/* The kernel lists ranges lowest first; what is not above all before it is left out. */
#include "iomem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Memory that was plugged in is named behind the driver that did: "System RAM (kmem)", inside its device. */
static int is_ram(const char *name)
{
	return strncmp(name, "System RAM", 10) == 0;
}

struct line {
	uint64_t first, last;
	int inner;
	char name[64];
};

static int parse_line(const char *text, struct line *ret)
{
	ret->inner = text[0] == ' ';
	return sscanf(text, " %16" SCNx64 "-%16" SCNx64 " : %63[^\n]", &ret->first, &ret->last,
		      ret->name) == 3 &&
	       ret->first <= ret->last && ret->last - ret->first < UINT64_MAX;
}

static int is_wanted(const struct line *line, int take)
{
	return is_ram(line->name) ? take & IOMEM_RAM : take & IOMEM_DEVICES && !line->inner;
}

static int is_above(const struct memory_map *map, uint64_t addr)
{
	const struct memory_range *last = map->n ? &map->ranges[map->n - 1] : NULL;

	return !last || addr > last->addr + (last->len - 1);
}

static int add(struct memory_map *map, const struct line *line)
{
	struct memory_range range = { .addr = line->first,
				      .len = line->last - line->first + 1,
				      .off = line->first,
				      .flags = SONDE_REGION_READ };

	range.flags |= is_ram(line->name) ? SONDE_REGION_RAM : SONDE_REGION_DEVICE;
	snprintf(range.name, sizeof(range.name), "%s", line->name);
	return is_above(map, range.addr) ? memory_map_add(map, &range) : 0;
}

int iomem_parse(struct memory_map *ret, const char *text, int take)
{
	size_t n_lines = 0;
	uint64_t highest = 0;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	for (const char *at = text; r == 0 && *at; at += strcspn(at, "\n"), at += *at == '\n') {
		struct line line;
		if (!parse_line(at, &line))
			continue;
		n_lines++;
		highest = line.last > highest ? line.last : highest;
		if (is_wanted(&line, take) && line.last > 0)
			r = add(ret, &line);
	}
	if (r == 0 && n_lines && highest == 0)
		return SONDE_E_NO_ACCESS;
	return r == 0 && ret->n == 0 ? SONDE_E_BAD_FORMAT : r;
}
