/* SPDX-License-Identifier: MIT */
#include "devices.h"
#include "big_endian.h"
#include "registers.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX (1u << 22) /* that are looked at, those of each element anew */
#define DEPTH_MAX 8
#define TRIES_MAX 16 /* places that look like the beginning of the description */

enum section { END = 0, FULL = 4, SUBSECTION = 5, DESCRIPTION = 6, FOOTER = 0x7e };

struct walk {
	const uint8_t *bytes;
	size_t at, len;
	uint32_t fields_left;
	struct devices *devices;
	struct full_cpu *cpu; /* of the section; NULL none */
	const char *device;   /* its name                  */
	struct fault *fault;
};

static int refuse(struct walk *walk, int code, const char *why)
{
	return fault_set(walk->fault, code, why, walk->at);
}

/* ---- what is kept ---------------------------------------------------------------------------------- */

/* pc_cmos_init: below 4 GiB in 64 KiB beyond 16 MiB, or in KiB beyond 1 MiB; above it in 64 KiB. */
static void take_cmos(struct devices *devices, const uint8_t *cmos)
{
	uint64_t below = sonde_le16(cmos + 0x34), extended = sonde_le16(cmos + 0x30);
	uint64_t above = sonde_le16(cmos + 0x5b) | (uint64_t)cmos[0x5d] << 16;

	devices->below_4g = below ? (below << 16) + (16u << 20) : (extended << 10) + (1u << 20);
	devices->above_4g = above << 16;
}

static void take_field(struct walk *walk, const struct register_field *field)
{
	if (walk->cpu)
		register_take(walk->cpu, field);
	else if (strcmp(field->name, "cmos_data") == 0 && field->size == 128 && field->n)
		take_cmos(walk->devices, field->bytes);
}

/* ---- fields ---------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* A number from 0 on; otherwise where there is none, UINT64_MAX where it is no such number. */
static uint64_t number_of(const json_t *object, const char *key, uint64_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return otherwise;
	return json_is_integer(value) && json_integer_value(value) >= 0
		       ? (uint64_t)json_integer_value(value)
		       : UINT64_MAX;
}

/* Are size times n bytes there? */
static int fits(const struct walk *walk, uint64_t size, uint64_t n)
{
	return n == 0 || size <= (walk->len - walk->at) / n;
}

static int spend_field(struct walk *walk)
{
	if (walk->fields_left == 0)
		return refuse(walk, SONDE_E_LIMIT, "devices: description: too many fields");
	walk->fields_left--;
	return 0;
}

/* Fields of one element of a struct. What is deeper is not looked at. */
static int take_struct(struct walk *walk, const json_t *inner, struct register_field field)
{
	const json_t *part;
	size_t i, at = 0;

	json_array_foreach(json_object_get(inner, "fields"), i, part)
	{
		uint64_t size = number_of(part, "size", 0), n = number_of(part, "array_len", 1);
		struct register_field leaf = field;
		int r = spend_field(walk);
		if (r < 0)
			return r;
		if (n && size > (field.size - at) / n)
			return refuse(walk, SONDE_E_CORRUPT,
				      "devices: description: a field is beyond its struct");
		leaf.part = text_of(part, "name");
		leaf.bytes = field.bytes + at;
		leaf.size = (size_t)size;
		leaf.n = (size_t)n;
		take_field(walk, &leaf);
		at += (size_t)(size * n);
	}
	return 0;
}

static int take_structs(struct walk *walk, const json_t *inner, struct register_field field)
{
	uint64_t n = field.size ? field.n : 0;
	int r = 0;

	field.n = 1;
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		r = take_struct(walk, inner, field);
		field.bytes += field.size;
		field.index++;
	}
	return r;
}

static int take_one(struct walk *walk, const json_t *described)
{
	uint64_t size = number_of(described, "size", 0);
	uint64_t n = number_of(described, "array_len", 1);
	const json_t *inner = json_object_get(described, "struct");
	struct register_field field = { .name = text_of(described, "name"), .part = "" };
	int r = spend_field(walk);

	if (r < 0)
		return r;
	if (!fits(walk, size, n))
		return refuse(walk, SONDE_E_CORRUPT,
			      "devices: description: a field is beyond the end of the stream");
	field.index = number_of(described, "index", 0);
	field.bytes = walk->bytes + walk->at;
	field.size = (size_t)size;
	field.n = (size_t)n;
	if (inner && walk->device)
		r = take_structs(walk, inner, field);
	else if (walk->device && size)
		take_field(walk, &field);
	walk->at += (size_t)(size * n);
	return r;
}

/* ---- sections -------------------------------------------------------------------------------------- */

static int take_fields(struct walk *walk, const json_t *section, int depth);

static uint64_t take_number(struct walk *walk, size_t len)
{
	uint64_t value = UINT64_MAX;

	if (walk->len - walk->at >= len) {
		value = be_number(walk->bytes + walk->at, len);
		walk->at += len;
	}
	return value;
}

/* A counted name that has to be this one. */
static int take_name(struct walk *walk, const char *want)
{
	size_t len = (size_t)take_number(walk, 1);

	if (len != strlen(want) || walk->len - walk->at < len ||
	    memcmp(walk->bytes + walk->at, want, len) != 0)
		return 0;
	walk->at += len;
	return 1;
}

static int take_subsection(struct walk *walk, const json_t *section, int depth)
{
	if (take_number(walk, 1) != SUBSECTION || !take_name(walk, text_of(section, "vmsd_name")))
		return refuse(walk, SONDE_E_CORRUPT,
			      "devices: a subsection is not where its description says");
	take_number(walk, 4); /* version */
	return take_fields(walk, section, depth);
}

static int take_fields(struct walk *walk, const json_t *section, int depth)
{
	const json_t *one;
	size_t i;
	int r = depth < DEPTH_MAX ? 0
				  : refuse(walk, SONDE_E_LIMIT,
					   "devices: description: subsections in each other");

	json_array_foreach(json_object_get(section, "fields"), i, one)
	{
		r = r == 0 ? take_one(walk, one) : r;
	}
	json_array_foreach(json_object_get(section, "subsections"), i, one)
	{
		r = r == 0 ? take_subsection(walk, one, depth + 1) : r;
	}
	return r;
}

static int add_cpu(struct walk *walk)
{
	struct devices *devices = walk->devices;

	if (devices->n_cpus == DEVICES_CPUS_MAX)
		return refuse(walk, SONDE_E_LIMIT, "devices: too many processors");
	struct full_cpu *cpus =
		realloc(devices->cpus, (devices->n_cpus + 1) * sizeof(*devices->cpus));
	if (!cpus)
		return refuse(walk, SONDE_E_NO_MEMORY, "devices: no memory for processors");
	devices->cpus = cpus;
	walk->cpu = &cpus[devices->n_cpus++];
	*walk->cpu = (struct full_cpu){ 0 };
	return 0;
}

/* What is of interest is looked at; the rest is passed over. */
static int choose(struct walk *walk, const char *name)
{
	walk->cpu = NULL;
	walk->device = NULL;
	if (strcmp(name, "cpu") == 0 || strcmp(name, "mc146818rtc") == 0 ||
	    strcmp(name, "vmcoreinfo") == 0)
		walk->device = name;
	return strcmp(name, "cpu") == 0 ? add_cpu(walk) : 0;
}

static int take_section(struct walk *walk, const json_t *section)
{
	const char *name = text_of(section, "name");

	if (take_number(walk, 1) != FULL)
		return refuse(walk, SONDE_E_CORRUPT,
			      "devices: a section is not where its description says");
	uint64_t id = take_number(walk, 4);
	if (!take_name(walk, name))
		return refuse(walk, SONDE_E_CORRUPT,
			      "devices: a section is not the one that is described");
	take_number(walk, 8); /* instance, version */
	int r = choose(walk, name);
	if (r == 0)
		r = take_fields(walk, section, 0);
	if (r == 0 && walk->at < walk->len && walk->bytes[walk->at] == FOOTER) {
		walk->at++;
		if (take_number(walk, 4) != id)
			r = refuse(walk, SONDE_E_CORRUPT, "devices: a section ends as another one");
	}
	if (walk->cpu)
		walk->devices->arch = walk->cpu->cpu.arch;
	return r;
}

/* ---- the description ------------------------------------------------------------------------------- */

/* The description that begins with its type at p; NULL none. */
static json_t *description_at(const uint8_t *bytes, size_t len, size_t p)
{
	uint32_t n = len - p > 5 ? be32(bytes + p + 1) : 0;

	if (n < 2 || n > DEVICES_JSON_MAX || n > len - p - 5 || bytes[p + 5] != '{' ||
	    bytes[p + 4 + n] != '}')
		return NULL;
	return json_loadb((const char *)bytes + p + 5, n, 0, NULL);
}

/* From the end: behind it there is nothing, or what a block device needs to be full. */
static json_t *find_description(const uint8_t *bytes, size_t len)
{
	json_t *found = NULL;
	int tries = TRIES_MAX;

	for (size_t p = len; !found && tries && p-- > 1;) {
		if (bytes[p] != DESCRIPTION || bytes[p - 1] != END || p + 5 >= len ||
		    bytes[p + 5] != '{')
			continue;
		found = description_at(bytes, len, p);
		tries--;
	}
	return found;
}

int devices_read(struct devices *ret, const uint8_t *bytes, size_t len, struct fault *ret_fault)
{
	struct walk walk = { .bytes = bytes,
			     .len = len,
			     .fields_left = FIELDS_MAX,
			     .devices = ret,
			     .fault = ret_fault };
	json_t *description = find_description(bytes, len);
	const json_t *section;
	size_t i;
	int r = 0;

	*ret = (struct devices){ 0 };
	if (!description)
		return refuse(&walk, SONDE_E_NOT_FOUND,
			      "devices: there is no description of their fields");
	json_array_foreach(json_object_get(description, "devices"), i, section)
	{
		r = r == 0 ? take_section(&walk, section) : r;
	}
	json_decref(description);
	return r;
}

void devices_finish(struct devices *devices)
{
	free(devices->cpus);
	*devices = (struct devices){ 0 };
}
