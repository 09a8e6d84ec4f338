/* SPDX-License-Identifier: MIT */
/*
 * Both documents are flat lists as far as they matter here: elements are met in their order, whatever is around them.
 * A description may say <xi:include> anywhere; the files come after the one that names them, which is right as long as
 * registers are not numbered across an include, and those that stubs send are not: each feature is a file.
 */
#include "description.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REGISTER_SIZE_MAX = 8192, TEXT_MAX = 64 };

struct reading {
	XML_Parser parser;
	struct description *description; /* one of the two */
	struct ranges *ranges;
	int in_architecture;
	char text[TEXT_MAX]; /* of an element that has some */
	int err;
};

static void refuse(struct reading *reading, int err)
{
	if (!reading->err)
		reading->err = err;
	XML_StopParser(reading->parser, XML_FALSE);
}

static const char *attribute(const char **attributes, const char *name)
{
	for (; *attributes; attributes += 2) {
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	}
	return NULL;
}

/* A number in C's notation, all of the text. Returns 0, -1. */
static int number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return -1;
	*ret = strtoull(text, &end, 0);
	return *end || *ret > max ? -1 : 0;
}

static int add_register(struct description *description, const char **attributes)
{
	const char *name = attribute(attributes, "name"), *given = attribute(attributes, "regnum");
	uint64_t bits, number_given = description->next_number;

	if (!name || number(attribute(attributes, "bitsize"), 8 * REGISTER_SIZE_MAX, &bits) < 0 ||
	    bits == 0 || bits % 8 || (given && number(given, UINT16_MAX, &number_given) < 0))
		return SONDE_E_BAD_FORMAT;
	if (description->n == DESCRIPTION_REGISTERS)
		return SONDE_E_LIMIT;
	struct description_register *reg = &description->registers[description->n++];
	snprintf(reg->name, sizeof(reg->name), "%s", name);
	reg->number = (uint32_t)number_given;
	reg->size = (uint32_t)bits / 8;
	description->next_number = reg->number + 1;
	return 0;
}

/* Each file once: so they cannot include each other for ever. */
static int add_file(struct description *description, const char *name)
{
	if (!name || !*name || strlen(name) >= sizeof(description->files[0]) ||
	    strpbrk(name, ":#$}*"))
		return SONDE_E_BAD_FORMAT;
	for (uint32_t i = 0; i < description->n_files; i++) {
		if (strcmp(description->files[i], name) == 0)
			return 0;
	}
	if (description->n_files == DESCRIPTION_FILES)
		return SONDE_E_LIMIT;
	memcpy(description->files[description->n_files++], name, strlen(name) + 1);
	return 0;
}

static int add_memory(struct ranges *ranges, const char **attributes)
{
	const char *type = attribute(attributes, "type");
	struct range range = { .flags = SONDE_REGION_READ };

	if (!type || number(attribute(attributes, "start"), UINT64_MAX, &range.addr) < 0 ||
	    number(attribute(attributes, "length"), UINT64_MAX, &range.len) < 0)
		return SONDE_E_BAD_FORMAT;
	if (strcmp(type, "ram") == 0)
		range.flags |= SONDE_REGION_RAM | SONDE_REGION_WRITE;
	else if (strcmp(type, "rom") != 0)
		return 0;
	snprintf(range.name, sizeof(range.name), "%.31s", type);
	return ranges_add(ranges, &range);
}

static void begin_element(void *user, const char *name, const char **attributes)
{
	struct reading *reading = user;
	int r = 0;

	if (reading->ranges && strcmp(name, "memory") == 0)
		r = add_memory(reading->ranges, attributes);
	if (reading->description && strcmp(name, "reg") == 0)
		r = add_register(reading->description, attributes);
	else if (reading->description && strcmp(name, "xi:include") == 0)
		r = add_file(reading->description, attribute(attributes, "href"));
	reading->in_architecture = reading->description && strcmp(name, "architecture") == 0;
	if (reading->in_architecture)
		reading->text[0] = '\0';
	if (r < 0)
		refuse(reading, r);
}

static void take_text(void *user, const char *text, int len)
{
	struct reading *reading = user;
	size_t used = strlen(reading->text);

	if (reading->in_architecture && (size_t)len < sizeof(reading->text) - used) {
		memcpy(reading->text + used, text, (size_t)len);
		reading->text[used + (size_t)len] = '\0';
	}
}

/* As BFD calls them. */
static uint32_t arch_of(const char *name)
{
	static const struct {
		const char *name;
		uint32_t arch;
	} known[] = {
		{ "i386:x86-64", SONDE_ARCH_X86_64 },
		{ "i386", SONDE_ARCH_I386 },
		{ "aarch64", SONDE_ARCH_AARCH64 },
		{ "riscv:rv64", SONDE_ARCH_RISCV64 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0)
			return known[i].arch;
	}
	return SONDE_ARCH_NONE;
}

static void end_element(void *user, const char *name)
{
	struct reading *reading = user;

	(void)name;
	if (reading->in_architecture)
		reading->description->arch = arch_of(reading->text);
	reading->in_architecture = 0;
}

/* What has entities of its own is no description, and might be a bomb. */
static void meet_entity(void *user, const XML_Char *name, int is_parameter, const XML_Char *value,
			int value_len, const XML_Char *base, const XML_Char *system_id,
			const XML_Char *public_id, const XML_Char *notation)
{
	(void)name, (void)is_parameter, (void)value, (void)value_len;
	(void)base, (void)system_id, (void)public_id, (void)notation;
	refuse(user, SONDE_E_BAD_FORMAT);
}

static int read_document(struct reading *reading, const void *xml, size_t len)
{
	if (len > DESCRIPTION_FILE_MAX)
		return SONDE_E_LIMIT;
	reading->parser = XML_ParserCreate(NULL);
	if (!reading->parser)
		return SONDE_E_NO_MEMORY;
	XML_SetUserData(reading->parser, reading);
	XML_SetElementHandler(reading->parser, begin_element, end_element);
	XML_SetCharacterDataHandler(reading->parser, take_text);
	XML_SetEntityDeclHandler(reading->parser, meet_entity);
	if (XML_Parse(reading->parser, xml, (int)len, 1) != XML_STATUS_OK && !reading->err)
		reading->err = SONDE_E_BAD_FORMAT;
	XML_ParserFree(reading->parser);
	return reading->err;
}

int description_read(struct description *description, const void *xml, size_t len)
{
	struct reading reading = { .description = description };

	if (description->n_files == 0)
		add_file(description, "target.xml");
	return read_document(&reading, xml, len);
}

int description_ranges(struct ranges *ret, const void *xml, size_t len)
{
	struct reading reading = { .ranges = ret };

	return read_document(&reading, xml, len);
}

static int by_number(const void *a, const void *b)
{
	const struct description_register *one = a, *two = b;

	return (one->number > two->number) - (one->number < two->number);
}

int description_layout(struct description *description)
{
	uint32_t off = 0;

	qsort(description->registers, description->n, sizeof(description->registers[0]), by_number);
	for (uint32_t i = 0; i < description->n; i++) {
		struct description_register *reg = &description->registers[i];
		if (i && reg->number == reg[-1].number)
			return SONDE_E_BAD_FORMAT;
		reg->off = off; /* at most 1024 * 8192 in all */
		off += reg->size;
	}
	return 0;
}

const struct description_register *description_find(const struct description *description,
						    const char *name)
{
	for (uint32_t i = 0; i < description->n; i++) {
		if (strcmp(description->registers[i].name, name) == 0)
			return &description->registers[i];
	}
	return NULL;
}
