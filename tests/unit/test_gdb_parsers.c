/* SPDX-License-Identifier: MIT */
/* What the gdb connector makes of bytes that a stub sent: packets, descriptions of registers and memory; and of ranges that a user wrote. */
#include "../../connectors/gdb/description.h"
#include "../../connectors/gdb/packet.h"
#include "../../connectors/gdb/ranges.h"
#include "../../connectors/gdb/registers.h"
#include "plug/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gdb_xml.h"

/* ---- packets --------------------------------------------------------------------------------------- */

static struct packet_reader *reader;

static void expect_packet(const char *bytes, size_t step, enum packet_event want, const char *data)
{
	size_t len = strlen(bytes), at = 0;
	enum packet_event event = PACKET_NONE;

	memset(reader, 0, sizeof(*reader));
	while (at < len && event == PACKET_NONE) {
		size_t n = len - at < step ? len - at : step;
		at += packet_take(reader, (const uint8_t *)bytes + at, n, &event);
	}
	if (event != want || at != len)
		fail_msg("'%s' in steps of %zu: event %d after %zu bytes, want %d", bytes, step,
			 event, at, want);
	if (data && (reader->len != strlen(data) || memcmp(reader->data, data, reader->len) != 0))
		fail_msg("'%s': got '%.*s', want '%s'", bytes, (int)reader->len, reader->data,
			 data);
}

static void packets_come_whole_however_they_are_cut(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		enum packet_event event;
		const char *data;
	} cases[] = {
		{ "+", PACKET_ACK, NULL },
		{ "-", PACKET_NAK, NULL },
		{ "$#00", PACKET_DATA, "" },
		{ "noise$OK#9a", PACKET_DATA, "OK" },
		{ "$OK#9A", PACKET_DATA, "OK" },
		{ "%Stop:T05#99", PACKET_NOTICE, "Stop:T05" },
		{ "$0* #7a", PACKET_DATA, "0000" }, /* appendix E.1's own example */
		{ "$a}\003b#43", PACKET_DATA, "a#b" },
		{ "$}]#da", PACKET_DATA, "}" },
		{ "$}\n* #d1", PACKET_DATA, "*\n\n\n" }, /* runs are of bytes as they came */
		{ "$cut off$OK#9a", PACKET_DATA, "OK" },
		{ "$OK#$OK#9a", PACKET_DATA, "OK" },
		{ "$OK#9b", PACKET_BAD, NULL },
		{ "$OK#zz", PACKET_BAD, NULL },
		{ "$* #4a", PACKET_BAD, NULL },     /* a run of nothing          */
		{ "$0*\037#79", PACKET_BAD, NULL }, /* a count below its least   */
		{ "$0*\177#d9", PACKET_BAD, NULL },
		{ "$0* * #c4", PACKET_BAD, NULL }, /* a run of a run            */
		{ "$0*#5a", PACKET_BAD, NULL },
		{ "$0}#ad", PACKET_BAD, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 12; step++)
			expect_packet(cases[i].bytes, step, cases[i].event, cases[i].data);
	}
}

/* 0x7f is above what a count may be: 97 more at most each, so a short packet can only grow so far. */
static void a_packet_without_end_is_bounded(void **state)
{
	(void)state;
	enum packet_event event;

	memset(reader, 0, sizeof(*reader));
	packet_take(reader, (const uint8_t *)"$", 1, &event);
	for (size_t i = 0; i < 2 * PACKET_MAX / 98; i++)
		packet_take(reader, (const uint8_t *)"0*~", 3, &event);
	assert_true(reader->len <= PACKET_MAX);
	packet_take(reader, (const uint8_t *)"#00", 3, &event);
	assert_int_equal(event, PACKET_BAD);
}

static void what_is_written_is_read_again(void **state)
{
	(void)state;
	uint8_t data[256], out[2 * 256 + PACKET_FRAME];
	enum packet_event event;

	for (int i = 0; i < 256; i++)
		data[i] = (uint8_t)i;
	size_t len = packet_write(out, data, sizeof(data));
	assert_true(len <= packet_room(sizeof(data)));
	memset(reader, 0, sizeof(*reader));
	assert_int_equal(packet_take(reader, out, len, &event), len);
	assert_int_equal(event, PACKET_DATA);
	assert_int_equal(reader->len, 256);
	assert_memory_equal(reader->data, data, 256);
}

/* ---- descriptions ------------------------------------------------------------------------------------ */

static struct description *description;

static int read_xml(const char *xml)
{
	memset(description, 0, sizeof(*description));
	return description_read(description, xml, strlen(xml));
}

static void a_description_numbers_its_registers(void **state)
{
	(void)state;
	assert_int_equal(read_xml(QEMU_TARGET), 0);
	assert_int_equal(description->arch, SONDE_ARCH_X86_64);
	assert_int_equal(description->n_files, 2);
	assert_string_equal(description->files[1], "i386-64bit.xml");
	static const char part[] = "<feature name=\"core\">" REG("rax", "")
		REG("rbx", "") "<reg name=\"low\" bitsize=\"32\" regnum=\"7\"/>" REG("next", "")
			REG("early", " regnum='5'") "</feature>";
	assert_int_equal(description_read(description, part, strlen(part)), 0);
	assert_int_equal(description_layout(description), 0);
	assert_int_equal(description_find(description, "rbx")->off, 8);
	assert_int_equal(description_find(description, "early")->off, 16);
	assert_int_equal(description_find(description, "low")->off, 24);
	assert_int_equal(description_find(description, "next")->number, 8);
	assert_int_equal(description_find(description, "next")->off, 28);
	assert_null(description_find(description, "rip"));
}

static void hostile_descriptions_are_refused(void **state)
{
	(void)state;
	static const char *const broken[] = {
		"",
		"<",
		"<target>",
		XML("<reg/>"),
		XML("<reg name='a'/>"),
		XML("<reg name='a' bitsize='0'/>"),
		XML("<reg name='a' bitsize='7'/>"),
		XML("<reg name='a' bitsize='-8'/>"),
		XML("<reg name='a' bitsize='99999999999999999999'/>"),
		XML("<reg name='a' bitsize='8' regnum='65536'/>"),
		XML("<xi:include/>"),
		XML("<xi:include href='a:b'/>"),
		XML("<xi:include href=''/>"),
		"<!DOCTYPE t [<!ENTITY lol \"lol\">]><target>&lol;</target>",
		"<!DOCTYPE t [<!ENTITY % p SYSTEM \"file:///etc/passwd\">]><target/>",
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		if (read_xml(broken[i]) != SONDE_E_BAD_FORMAT)
			fail_msg("'%s' was taken", broken[i]);
	}
	assert_int_equal(read_xml(XML(REG("a", "") REG("b", " regnum='0'"))), 0);
	assert_int_equal(description_layout(description), SONDE_E_BAD_FORMAT);
}

static void descriptions_are_bounded(void **state)
{
	(void)state;
	char *text = malloc(1 << 20), *at = text;

	at += sprintf(at, "<target>");
	for (int i = 0; i <= DESCRIPTION_REGISTERS; i++)
		at += sprintf(at, "<reg name='r%d' bitsize='8'/>", i);
	sprintf(at, "</target>");
	assert_int_equal(read_xml(text), SONDE_E_LIMIT);
	at = text + sprintf(text, "<target>");
	for (int i = 0; i <= DESCRIPTION_FILES; i++)
		at += sprintf(at, "<xi:include href='f%d'/><xi:include href='target.xml'/>", i);
	sprintf(at, "</target>");
	assert_int_equal(read_xml(text), SONDE_E_LIMIT);
	assert_int_equal(description_read(description, text, DESCRIPTION_FILE_MAX + 1),
			 SONDE_E_LIMIT);
	free(text);
}

static void registers_that_did_not_come_are_not_valid(void **state)
{
	(void)state;
	struct full_cpu cpu = { 0 };
	/* cr3 is unknown, gs_base beyond the end */
	static const char text[] = "0102030405060708"
				   "1000000000000000"
				   "xxxxxxxxxxxxxxxx";

	assert_int_equal(read_xml(XML("<architecture>i386:x86-64</architecture>" REG("rax", "")
					      REG("efer", "") REG("cr3", "") REG("gs_base", ""))),
			 0);
	assert_int_equal(description_layout(description), 0);
	assert_int_equal(
		registers_take(description, (const uint8_t *)text, strlen(text), NULL, NULL, &cpu),
		2);
	assert_int_equal(cpu.cpu.general[0], 0x0807060504030201);
	assert_int_equal(cpu.cpu.efer, 16);
	assert_int_equal(cpu.cpu.valid, SONDE_CPU_EFER);
	assert_int_equal(registers_take(description, (const uint8_t *)"E01", 3, NULL, NULL, &cpu),
			 0);
}

/* All of them, or none: what is known of some is no thread's. */
static void upper_registers_are_whole_or_not_there(void **state)
{
	(void)state;
	enum { ALL = 31 };
	struct full_cpu cpu = { 0 };
	char xml[4096], text[16 * ALL + 1], *at = xml;

	at += sprintf(at, "<target><architecture>aarch64</architecture>");
	for (int i = 0; i < ALL; i++)
		at += sprintf(at, REG("x%d", ""), i);
	sprintf(at, "</target>");
	for (int i = 0; i < ALL; i++)
		sprintf(text + 16 * i, "%02x00000000000000", i);
	assert_int_equal(read_xml(xml), 0);
	assert_int_equal(description_layout(description), 0);
	assert_int_equal(
		registers_take(description, (const uint8_t *)text, 16 * ALL, NULL, NULL, &cpu),
		ALL);
	assert_int_equal(cpu.n_upper, 15);
	assert_int_equal(cpu.upper[0], 16);
	assert_int_equal(cpu.upper[14], 30);
	assert_int_equal(cpu.cpu.valid, 0); /* sp, pc and cpsr are missing */
	assert_int_equal(registers_take(description, (const uint8_t *)text, 16 * (ALL - 1), NULL,
					NULL, &cpu),
			 ALL - 1);
	assert_int_equal(cpu.n_upper, 0);
}

/* cpsr, HCR_EL2, then the root at EL1 and at EL2: 1 and 2. */
static uint64_t root_of(uint64_t cpsr, uint64_t hcr, bool has_hcr)
{
	struct full_cpu cpu = { 0 };
	uint8_t bytes[32] = { 0 };
	char text[65];
	int r = read_xml(has_hcr ? XML("<architecture>aarch64</architecture>" REG("cpsr", "") REG(
					   "HCR_EL2", "") REG("TTBR1_EL1", "") REG("TTBR1_EL2", ""))
				 : XML("<architecture>aarch64</architecture>" REG("cpsr", "") REG(
					   "OTHER", "") REG("TTBR1_EL1", "") REG("TTBR1_EL2", "")));

	assert_int_equal(r, 0);
	assert_int_equal(description_layout(description), 0);
	sonde_store(bytes, 8, SONDE_LITTLE, cpsr);
	sonde_store(bytes + 8, 8, SONDE_LITTLE, hcr);
	bytes[16] = 1;
	bytes[24] = 2;
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	assert_int_equal(registers_take(description, (const uint8_t *)text, 64, NULL, NULL, &cpu),
			 2);
	return cpu.cpu.cr[SONDE_CR_TTBR1_EL1];
}

static void a_kernel_at_el2_has_its_registers_there(void **state)
{
	(void)state;
	const uint64_t e2h = UINT64_C(1) << 34, tge = UINT64_C(1) << 27;

	assert_int_equal(root_of(0x9, e2h, true), 2);       /* EL2: the host's kernel */
	assert_int_equal(root_of(0x0, e2h | tge, true), 2); /* EL0: a process of it   */
	assert_int_equal(root_of(0x0, e2h, true), 1);       /* ... of a guest        */
	assert_int_equal(root_of(0x5, e2h, true), 1);       /* EL1: a guest's kernel */
	assert_int_equal(root_of(0x9, tge, true), 1);       /* a hypervisor without a host */
	assert_int_equal(root_of(0xd, e2h, true), 1);       /* EL3: firmware         */
	assert_int_equal(root_of(0x9, e2h, false), 1);
}

/* ---- ranges ---------------------------------------------------------------------------------------------- */

static struct sonde_host host;
static struct ranges *ranges;

static int parse_ranges(const char *text, const char *want)
{
	struct sonde_error err = { 0 };
	memset(ranges, 0, sizeof(*ranges));
	int r = ranges_parse(ranges, &host, text, &err);

	if (!strstr(err.text, want))
		fail_msg("'%s': '%s', want '%s'", text, err.text, want);
	return r;
}

static void ranges_say_what_may_be_asked_for(void **state)
{
	(void)state;
	uint64_t len;

	assert_int_equal(parse_ranges("4G+1m;0+640k;0xfffffffffffff000+4096", ""), 0);
	assert_int_equal(ranges->n, 3);
	assert_int_equal(ranges_limit(ranges, 0, 0x1000, &len), 0);
	assert_int_equal(len, 0x1000);
	assert_int_equal(ranges_limit(ranges, 0x9ffff, 0x1000, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(ranges_limit(ranges, 0xa0000, UINT64_MAX, &len), SONDE_E_NOT_MAPPED);
	assert_int_equal(len, (UINT64_C(4) << 30) - 0xa0000);
	assert_int_equal(ranges_limit(ranges, UINT64_MAX, 1, &len), 0);
	static const char *const broken[] = { "x",
					      "1+",
					      "1+0",
					      "1+2;",
					      ";",
					      "1+2;;3+4",
					      "0+2;1+1",
					      "1-2",
					      "0xffffffffffffffff+2",
					      "99999999999t+1",
					      "1+2 ",
					      "-1+2" };
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int r = parse_ranges(broken[i], "");
		if (strcmp(broken[i], "1+2;") ? r != SONDE_E_BAD_ARG : r != 0)
			fail_msg("'%s': %d", broken[i], r);
	}
}

static void a_memory_map_has_ram_and_rom(void **state)
{
	(void)state;
	static const char map[] =
		"<memory-map><memory type='rom' start='0xf000' length='0x1000'/>"
		"<memory type='flash' start='0' length='16'><property name='blocksize'>4</property>"
		"</memory><memory type='ram' start='4096' length='0x2000'/></memory-map>";
	memset(ranges, 0, sizeof(*ranges));
	assert_int_equal(description_ranges(ranges, map, strlen(map)), 0);
	assert_int_equal(ranges->n, 2);
	assert_int_equal(ranges->at[0].addr, 4096);
	assert_true(ranges->at[0].flags & SONDE_REGION_RAM);
	assert_false(ranges->at[1].flags & SONDE_REGION_RAM);
	static const char wraps[] =
		"<m><memory type='ram' start='0xffffffffffffffff' length='2'/></m>";
	assert_int_equal(description_ranges(ranges, wraps, strlen(wraps)), SONDE_E_BAD_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_whole_however_they_are_cut),
		cmocka_unit_test(a_packet_without_end_is_bounded),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_description_numbers_its_registers),
		cmocka_unit_test(hostile_descriptions_are_refused),
		cmocka_unit_test(descriptions_are_bounded),
		cmocka_unit_test(registers_that_did_not_come_are_not_valid),
		cmocka_unit_test(upper_registers_are_whole_or_not_there),
		cmocka_unit_test(a_kernel_at_el2_has_its_registers_there),
		cmocka_unit_test(ranges_say_what_may_be_asked_for),
		cmocka_unit_test(a_memory_map_has_ram_and_rom),
	};

	host_init(&host);
	reader = malloc(sizeof(*reader));
	description = malloc(sizeof(*description));
	ranges = malloc(sizeof(*ranges));
	int failed = cmocka_run_group_tests_name("gdb_parsers", tests, NULL, NULL);
	free(reader);
	free(description);
	free(ranges);
	return failed;
}
