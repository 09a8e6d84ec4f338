/* SPDX-License-Identifier: MIT */
/* Files with migration streams, whole and broken, put together here: what is read where, and what is refused how. */
#include "../../connectors/migration/devices.h"
#include "../../connectors/migration/image.h"
#include "../../connectors/migration/layout.h"
#include "../../connectors/migration/ram.h"
#include "../../connectors/migration/xbzrle.h"
#include "synth/elf.h"
#include "synth/stream.h"

#include <libdeflate.h>
#include <setjmp.h>
#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 1024, N_PAGES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len); /* tests/fuzz/fuzz_migration.c */

/* ---- a guest ------------------------------------------------------------------------------------------ */

static void put_plain(struct synth_stream *s, uint64_t off, const char *block, uint8_t seed)
{
	synth_page_head(s, off, block, SYNTH_PAGE_FLAG);
	for (int i = 0; i < PAGE; i++)
		synth_number(s, 1, (uint8_t)(seed + i / 4));
}

static void put_zlib(struct synth_stream *s, uint64_t off, uint8_t seed)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
	uint8_t page[PAGE], packed[PAGE];

	for (int i = 0; i < PAGE; i++)
		page[i] = (uint8_t)(seed + i / 4);
	size_t len = libdeflate_zlib_compress(c, page, PAGE, packed, PAGE);
	assert_true(len > 0);
	synth_page_head(s, off, NULL, SYNTH_ZLIB_FLAG);
	synth_number(s, 4, len);
	synth_bytes(s, packed, len);
	libdeflate_free_compressor(c);
}

/* From byte at on, what text says. at: 128 … 1023, so that its count takes two bytes. */
static void put_change(struct synth_stream *s, uint64_t off, uint32_t at, const char *text)
{
	synth_page_head(s, off, NULL, SYNTH_XBZRLE_FLAG);
	synth_number(s, 1, 1);
	synth_number(s, 2, 3 + strlen(text));
	synth_number(s, 1, (at & 0x7f) | 0x80);
	synth_number(s, 1, at >> 7);
	synth_text(s, text, 1);
}

static void put_devices(struct synth_stream *s)
{
	uint64_t regs[16], segments[6] = { 0, 0, 0, 0, 0, 0xffff888000000000 };
	uint64_t gdt = 0xfffffe0000001000, idt = 0xfffffe0000000000, cmos[128] = { 0 };

	for (uint64_t i = 0; i < 16; i++)
		regs[i] = 0x100 + i;
	synth_device(s, "timer");
	synth_field(s, "ticks", 8, 1, (uint64_t[]){ 1 });
	synth_device_end(s, NULL);
	synth_device(s, "cpu");
	synth_field(s, "env.regs", 8, 16, regs);
	synth_field(s, "env.eip", 8, 1, (uint64_t[]){ 0xffffffff81000000 });
	synth_field(s, "env.eflags", 8, 1, (uint64_t[]){ 0x246 });
	synth_segments(s, "env.segs", 6, segments);
	synth_segments(s, "env.gdt", 1, &gdt);
	synth_segments(s, "env.idt", 1, &idt);
	synth_field(s, "env.cr[0]", 8, 1, (uint64_t[]){ 0x80050033 });
	synth_field(s, "env.cr[3]", 8, 1, (uint64_t[]){ 0x1ff06000 });
	synth_field(s, "env.efer", 8, 1, (uint64_t[]){ 0xd01 });
	synth_field(s, "env.kernelgsbase", 8, 1, (uint64_t[]){ 0x7f00 });
	synth_device_end(s, "cpu/more");
	synth_device(s, "mc146818rtc");
	cmos[0x30] = 3; /* KiB beyond 1 MiB */
	for (size_t i = 0; i < 128; i++)
		synth_number(s, 1, cmos[i]);
	synth_say(s, "{\"name\": \"cmos_data\", \"type\": \"buffer\", \"size\": 128}");
	synth_device_end(s, NULL);
	synth_description(s);
}

static void put_opening(struct synth_stream *s, const char *machine)
{
	synth_head(s, machine, 10);
	synth_start(s, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(s, 8, (N_PAGES + 1) * PAGE | SYNTH_BLOCKS_FLAG);
	synth_block(s, "vga.vram", PAGE);
	synth_block(s, "pc.ram", N_PAGES * PAGE);
	synth_end(s);
}

/* Pages 0 to 2 and 6 plain, 3 filled, 4 packed, 5 told twice, 6 changed twice; 7 never comes. */
static void put_guest(struct synth_stream *s)
{
	put_opening(s, "pc-q35-7.2");
	synth_next(s, 2);
	synth_fill(s, 0, "vga.vram", 0xee);
	put_plain(s, 0, "pc.ram", 10);
	put_plain(s, PAGE, NULL, 20);
	put_plain(s, 2 * PAGE, NULL, 30);
	synth_fill(s, 3 * PAGE, NULL, 0x33);
	put_zlib(s, 4 * PAGE, 40);
	put_plain(s, 5 * PAGE, NULL, 99);
	put_plain(s, 6 * PAGE, NULL, 60);
	synth_end(s);
	synth_next(s, 3);
	put_plain(s, 5 * PAGE, "pc.ram", 50);
	put_change(s, 6 * PAGE, 200, "one way");
	put_change(s, 6 * PAGE, 204, "WAY or");
	synth_end(s);
	put_devices(s);
}

static uint8_t want_byte(uint64_t at)
{
	uint64_t page = at / PAGE, in = at % PAGE;

	if (page == 3)
		return 0x33;
	if (page == 6 && in >= 200 && in < 210)
		return (uint8_t) "one WAY or"[in - 200];
	return (uint8_t)(10 * (page + 1) - (page >= 4 ? 10 : 0) + in / 4);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct synth_stream));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* A field of no elements has no bytes, wherever it stands: here at the very end. */
static void a_clock_without_bytes_tells_nothing(void **state)
{
	struct synth_stream *s = *state;
	struct devices devices;
	struct fault fault;
	char fields[128];
	size_t behind = 0;

	for (int pass = 0; pass < 2; pass++) {
		*s = (struct synth_stream){ 0 };
		synth_device(s, "mc146818rtc");
		size_t at = s->len;
		snprintf(fields, sizeof(fields),
			 "{\"name\": \"x\", \"size\": %6zu}, {\"name\": \"cmos_data\", "
			 "\"array_len\": 0, \"size\": 128}",
			 behind);
		synth_say(s, fields);
		synth_device_end(s, NULL);
		synth_description(s);
		behind = s->len - at;
	}
	uint8_t *bytes = malloc(s->len);
	memcpy(bytes, s->bytes, s->len);
	assert_int_equal(devices_read(&devices, bytes, s->len, &fault), 0);
	assert_int_equal(devices.below_4g, 0);
	devices_finish(&devices);
	free(bytes);
}

/* ---- through the connector ------------------------------------------------------------------------------ */

struct opened {
	char path[32];
	struct sonde_loop *loop;
	struct sonde_target *target; /* NULL: err says why */
	struct sonde_error err;
	struct sonde_target_info info;
};

static void open_bytes(struct opened *o, const uint8_t *bytes, size_t len, const char *more)
{
	char name[96];

	*o = (struct opened){ .path = "/tmp/sonde-migration-XXXXXX" };
	int fd = mkstemp(o->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	snprintf(name, sizeof(name), "%s%s%s", *more ? "migration:" : "", o->path, more);
	assert_int_equal(sonde_loop_create(NULL, &o->loop, NULL), 0);
	if (sonde_target_open(o->loop, name, NULL, &o->target, &o->err) == 0)
		sonde_target_info(o->target, &o->info);
	else
		o->target = NULL;
}

static void close_it(struct opened *o)
{
	sonde_target_close(o->target);
	sonde_loop_destroy(o->loop);
	unlink(o->path);
}

static void expect_guest(struct opened *o)
{
	struct sonde_space *memory;
	uint8_t bytes[N_PAGES * PAGE];

	if (!o->target)
		fail_msg("%s", o->err.text);
	memory = sonde_target_memory(o->target);
	assert_string_equal(o->info.connector, "migration");
	struct sonde_xfer x = { .addr = 0, .buf = bytes, .len = sizeof(bytes) };
	assert_int_equal(sonde_space_read(memory, &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_NOT_SAVED);
	assert_int_equal(x.err_off, 7 * PAGE);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i < 7 * PAGE ? want_byte(i) : 0);
	for (uint64_t at = PAGE - 3; at < 7 * PAGE - 8; at += 511) { /* pieces of pages */
		assert_int_equal(sonde_space_get(memory, at, bytes, 8), 0);
		for (int i = 0; i < 8; i++)
			assert_int_equal(bytes[i], want_byte(at + (uint64_t)i));
	}
	assert_int_equal(sonde_space_get(memory, N_PAGES * PAGE, bytes, 8), SONDE_E_NOT_MAPPED);
}

static void each_page_is_what_was_said_of_it_last(void **state)
{
	struct synth_stream *s = *state;
	struct opened o;

	put_guest(s);
	open_bytes(&o, s->bytes, s->len, "");
	expect_guest(&o);
	assert_non_null(strstr(o.info.detail, "machine pc-q35-7.2"));
	assert_non_null(strstr(o.info.detail, "1 CPU"));
	close_it(&o);
}

static void a_processor_has_the_registers_of_its_section(void **state)
{
	struct synth_stream *s = *state;
	struct sonde_cpu cpu = { 0 };
	struct opened o;

	put_guest(s);
	open_bytes(&o, s->bytes, s->len, "");
	assert_non_null(o.target);
	assert_int_equal(o.info.n_cpus, 1);
	assert_int_equal(o.info.arch, SONDE_ARCH_X86_64);
	assert_int_equal(sonde_target_cpu(o.target, 0, &cpu), 0);
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES |
					    SONDE_CPU_GS | SONDE_CPU_KERNEL_GS | SONDE_CPU_EFER);
	assert_int_equal(cpu.pc, 0xffffffff81000000);
	assert_int_equal(cpu.flags, 0x246);
	assert_int_equal(cpu.cr[3], 0x1ff06000);
	assert_int_equal(cpu.gs_base, 0xffff888000000000);
	assert_int_equal(cpu.gdt_base, 0xfffffe0000001000);
	assert_int_equal(cpu.idt_base, 0xfffffe0000000000);
	assert_int_equal(cpu.kernel_gs_base, 0x7f00);
	assert_int_equal(cpu.general[1], 0x103); /* rbx is QEMU's fourth */
	assert_int_equal(cpu.general[15], 0x10f);
	assert_int_equal(cpu.sp, 0x104);
	assert_int_equal(sonde_target_cpu(o.target, 1, &cpu), SONDE_E_NOT_FOUND);
	close_it(&o);
}

static void without_a_description_memory_is_read_all_the_same(void **state)
{
	struct synth_stream *s = *state;
	struct opened o;

	put_guest(s);
	s->len -= 20;
	open_bytes(&o, s->bytes, s->len, "");
	expect_guest(&o);
	assert_int_equal(o.info.n_cpus, 0);
	assert_non_null(strstr(o.info.detail, "no description"));
	close_it(&o);
}

static void a_stream_that_was_cut_off_is_read_as_far_as_it_goes(void **state)
{
	struct synth_stream *s = *state;
	struct opened o;
	uint8_t byte;

	put_opening(s, "pc-i440fx-7.2");
	synth_next(s, 2);
	put_plain(s, 0, "pc.ram", 10);
	put_plain(s, PAGE, NULL, 20);
	open_bytes(&o, s->bytes, s->len - 1, "");
	assert_non_null(o.target);
	assert_non_null(strstr(o.info.detail, "cut off"));
	assert_int_equal(sonde_space_get(sonde_target_memory(o.target), 0, &byte, 1), 0);
	assert_int_equal(byte, 10);
	assert_int_equal(sonde_space_get(sonde_target_memory(o.target), PAGE, &byte, 1),
			 SONDE_E_TRUNCATED);
	close_it(&o);
}

static void a_page_that_does_not_unpack_fails_alone(void **state)
{
	struct synth_stream *s = *state;
	struct opened o;
	uint8_t byte;

	put_guest(s);
	for (size_t i = 0; i + 2 < s->len; i++) { /* the head of zlib */
		if (s->bytes[i] == 0x78 && (s->bytes[i] << 8 | s->bytes[i + 1]) % 31 == 0)
			s->bytes[i] = 0;
	}
	open_bytes(&o, s->bytes, s->len, "");
	assert_non_null(o.target);
	assert_int_equal(sonde_space_get(sonde_target_memory(o.target), 4 * PAGE, &byte, 1),
			 SONDE_E_CORRUPT);
	assert_int_equal(sonde_space_get(sonde_target_memory(o.target), 5 * PAGE, &byte, 1), 0);
	assert_int_equal(byte, want_byte(5 * PAGE));
	close_it(&o);
}

static void a_machine_that_is_not_known_is_refused_by_name(void **state)
{
	struct synth_stream *s = *state;
	struct opened o;

	synth_head(s, "pseries-7.2", 10);
	synth_start(s, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(s, 8, PAGE | SYNTH_BLOCKS_FLAG);
	synth_block(s, "ppc_spapr.ram", PAGE);
	synth_end(s);
	synth_next(s, 3);
	synth_fill(s, 0, "ppc_spapr.ram", 0);
	synth_end(s);
	open_bytes(&o, s->bytes, s->len, "");
	assert_null(o.target);
	assert_int_equal(o.err.code, SONDE_E_UNSUPPORTED);
	assert_non_null(strstr(o.err.text, "pseries-7.2"));
	close_it(&o);
}

/* ---- frames --------------------------------------------------------------------------------------------- */

static size_t put_save(uint8_t *file, int big, uint32_t version, uint32_t packing, uint32_t xml_len,
		       const struct synth_stream *s)
{
	const uint32_t numbers[4] = { version, xml_len, 1, packing };

	memset(file, 0, SAVE_IMAGE_HEAD);
	memcpy(file, "LibvirtQemudSave", 16);
	for (size_t i = 0; i < 4; i++)
		synth_put(file + 16 + 4 * i, big, 4, numbers[i]);
	memset(file + SAVE_IMAGE_HEAD, 'x', 100);
	memcpy(file + SAVE_IMAGE_HEAD + 100, s->bytes, s->len);
	return SAVE_IMAGE_HEAD + 100 + s->len;
}

static void what_libvirt_saved_is_read_in_either_byte_order(void **state)
{
	struct synth_stream *s = *state;
	uint8_t *file = malloc(sizeof(s->bytes) + 200);

	put_guest(s);
	for (int big = 0; big < 2; big++) {
		struct opened o;
		open_bytes(&o, file, put_save(file, big, 2, 0, 100, s), "");
		expect_guest(&o);
		assert_non_null(strstr(o.info.detail, "saved by libvirt while it ran"));
		close_it(&o);
	}
	free(file);
}

static void heads_of_libvirt_that_lie_are_refused(void **state)
{
	static const struct {
		uint32_t version, packing, xml_len;
		int code;
		const char *word;
	} lies[] = {
		{ 2, 1, 100, SONDE_E_UNSUPPORTED, "tail -c +193" },
		{ 2, 3, 100, SONDE_E_UNSUPPORTED, "| xz -dc" },
		{ 3, 6, 100, SONDE_E_UNSUPPORTED, "mapped-ram" },
		{ 2, 7, 100, SONDE_E_UNSUPPORTED, "compression" },
		{ 9, 0, 100, SONDE_E_UNSUPPORTED, "version" },
		{ 2, 0, UINT32_MAX, SONDE_E_TRUNCATED, "length of the XML" },
		{ 2, 0, 101, SONDE_E_BAD_FORMAT, "no migration stream" },
	};
	struct synth_stream *s = *state;
	uint8_t *file = malloc(sizeof(s->bytes) + 200);

	put_guest(s);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct opened o;
		size_t len =
			put_save(file, 0, lies[i].version, lies[i].packing, lies[i].xml_len, s);
		open_bytes(&o, file, len, "");
		assert_null(o.target);
		assert_int_equal(o.err.code, lies[i].code);
		if (!strstr(o.err.text, lies[i].word))
			fail_msg("%s: no '%s'", o.err.text, lies[i].word);
		close_it(&o);
	}
	free(file);
}

static uint8_t *new_image(const struct synth_stream *s)
{
	return calloc(1, s->len + 8 * SYNTH_QCOW2_CLUSTER);
}

static void the_state_in_a_qcow2_image_is_read_by_its_tables(void **state)
{
	struct synth_stream *s = *state;

	put_guest(s);
	uint8_t *image = new_image(s);
	for (uint32_t version = 2; version <= 3; version++) {
		size_t len = synth_qcow2(image, version, "before", s->bytes, s->len);
		struct opened o;
		open_bytes(&o, image, len, "");
		expect_guest(&o);
		assert_non_null(strstr(o.info.detail, "snapshot 'before' of 2001-09-09T01:46:40Z"));
		close_it(&o);
		open_bytes(&o, image, len, ",snapshot=before");
		expect_guest(&o);
		close_it(&o);
		open_bytes(&o, image, len, ",snapshot=after");
		assert_null(o.target);
		assert_int_equal(o.err.code, SONDE_E_NOT_FOUND);
		close_it(&o);
	}
	free(image);
}

/* A cluster of the state, packed: its place is taken by what it packs into. */
static void a_compressed_cluster_is_unpacked(void **state)
{
	struct synth_stream *s = *state;
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(9);
	struct opened o;

	put_guest(s);
	uint8_t *image = new_image(s);
	size_t len = synth_qcow2(image, 3, "s", s->bytes, s->len);
	uint8_t *l2 = image + 3 * SYNTH_QCOW2_CLUSTER;
	uint64_t at = 0;
	for (int i = 0; i < 8; i++)
		at = at << 8 | l2[i];
	at &= ~(UINT64_C(1) << 63);
	uint8_t packed[SYNTH_QCOW2_CLUSTER];
	size_t n = libdeflate_deflate_compress(c, image + at, SYNTH_QCOW2_CLUSTER, packed,
					       sizeof(packed));
	assert_true(n > 0);
	memset(image + at, 0xff, SYNTH_QCOW2_CLUSTER);
	memcpy(image + at + 100, packed, n);
	uint64_t sectors = (100 + n - 1) / 512;
	synth_at(l2, 8, UINT64_C(1) << 62 | sectors << (62 - 4) | (at + 100));
	open_bytes(&o, image, len, "");
	expect_guest(&o);
	close_it(&o);
	libdeflate_free_compressor(c);
	free(image);
}

static void tables_of_qcow2_that_lie_are_refused(void **state)
{
	enum { C = SYNTH_QCOW2_CLUSTER };
	static const struct {
		size_t at, len;
		uint64_t value;
		int code;
		const char *word;
	} lies[] = {
		{ 20, 4, 8, SONDE_E_BAD_FORMAT, "cluster bits" },
		{ 20, 4, 22, SONDE_E_BAD_FORMAT, "cluster bits" },
		{ 32, 4, 2, SONDE_E_UNSUPPORTED, "encrypted" },
		{ 60, 4, 65537, SONDE_E_LIMIT, "number of snapshots" },
		{ 60, 4, 65536, SONDE_E_TRUNCATED, "snapshot table" },
		{ 60, 4, 0, SONDE_E_NOT_FOUND, "only disks" },
		{ 64, 8, UINT64_MAX, SONDE_E_TRUNCATED, "snapshot table" },
		{ 72, 8, 4, SONDE_E_UNSUPPORTED, "another file" },
		{ 72, 8, 16, SONDE_E_UNSUPPORTED, "subclusters" },
		{ 72, 8, 1 << 20, SONDE_E_UNSUPPORTED, "not known here" },
		{ C, 8, UINT64_MAX, SONDE_E_BAD_FORMAT, "L1 table" },
		{ C + 8, 4, UINT32_MAX, SONDE_E_BAD_FORMAT, "L1 table" },
		{ C + 36, 4, 1025, SONDE_E_BAD_FORMAT, "extra data" },
		{ C + 40, 8, 0, SONDE_E_NOT_FOUND, "only disks" },
		{ C + 40, 8, UINT64_MAX, 0, NULL }, /* longer than its table: zeros behind it */
		{ C + 48, 8, UINT64_MAX, SONDE_E_TRUNCATED,
		  "ends before" }, /* begins beyond the table */
		{ 2 * C + 8, 8, 3 * C + 512, SONDE_E_CORRUPT, "L2 table" },
		{ 2 * C + 8, 8, UINT64_C(1) << 50, SONDE_E_TRUNCATED, "L2 table" },
		{ 3 * C, 8, 6 * C + 512, SONDE_E_CORRUPT, "cluster" },
		{ 3 * C, 8, UINT64_C(1) << 50, SONDE_E_TRUNCATED, "beyond the end" },
		{ 3 * C, 8, UINT64_C(1) << 62 | UINT64_C(1) << 50, SONDE_E_TRUNCATED,
		  "compressed" },
	};
	struct synth_stream *s = *state;

	put_guest(s);
	uint8_t *image = new_image(s);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		size_t len = synth_qcow2(image, 3, "s", s->bytes, s->len);
		struct opened o;
		synth_at(image + lies[i].at, lies[i].len, lies[i].value);
		open_bytes(&o, image, len, "");
		if (o.target ? lies[i].code : o.err.code != lies[i].code)
			fail_msg("lie %zu: %d, not %d: %s", i, o.err.code, lies[i].code,
				 o.err.text);
		if (lies[i].word && !strstr(o.err.text, lies[i].word))
			fail_msg("lie %zu: %s: no '%s'", i, o.err.text, lies[i].word);
		close_it(&o);
	}
	free(image);
}

/* Every entry of L1 the same table, every entry of that the same cluster: it ends, and early. */
static void tables_that_name_one_cluster_for_ever_come_to_an_end(void **state)
{
	static const uint64_t entries[] = { 6 * SYNTH_QCOW2_CLUSTER,
					    UINT64_C(1) << 62 | 6 * SYNTH_QCOW2_CLUSTER, 0 };
	struct synth_stream *s = *state;

	put_guest(s);
	uint8_t *image = new_image(s);
	for (size_t k = 0; k < sizeof(entries) / sizeof(entries[0]); k++) {
		size_t len = synth_qcow2(image, 3, "s", s->bytes, s->len);
		struct synth_image file = { image, len };
		struct opened o;
		synth_at(image + SYNTH_QCOW2_CLUSTER + 8, 4, (len - 2 * SYNTH_QCOW2_CLUSTER) / 8);
		synth_at(image + SYNTH_QCOW2_CLUSTER + 40, 8, UINT64_MAX);
		for (size_t i = 2 * SYNTH_QCOW2_CLUSTER; i + 8 <= 3 * SYNTH_QCOW2_CLUSTER; i += 8)
			synth_at(image + i, 8, 3 * SYNTH_QCOW2_CLUSTER);
		for (size_t i = 3 * SYNTH_QCOW2_CLUSTER; i + 8 <= 4 * SYNTH_QCOW2_CLUSTER; i += 8)
			synth_at(image + i, 8, entries[k]);
		open_bytes(&o, image, file.size, "");
		assert_null(o.target);
		assert_int_equal(o.err.code, SONDE_E_CORRUPT);
		close_it(&o);
	}
	free(image);
}

/* ---- everything broken once -------------------------------------------------------------------------------- */

static void a_file_that_ends_anywhere_or_has_a_bit_wrong_is_survived(void **state)
{
	struct synth_stream *s = *state;

	put_guest(s);
	uint8_t *image = new_image(s);
	size_t len = synth_qcow2(image, 3, "s", s->bytes, s->len);
	for (size_t i = 0; i < s->len; i += i < 512 ? 1 : 7) {
		LLVMFuzzerTestOneInput(s->bytes, i);
		s->bytes[i] ^= (uint8_t)(1u << i % 8);
		LLVMFuzzerTestOneInput(s->bytes, s->len);
		s->bytes[i] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < len; i += i % SYNTH_QCOW2_CLUSTER < 128 ? 1 : 61) {
		LLVMFuzzerTestOneInput(image, i);
		image[i] ^= (uint8_t)(1u << i % 8);
		LLVMFuzzerTestOneInput(image, len);
		image[i] ^= (uint8_t)(1u << i % 8);
	}
	free(image);
}

/* ---- differences, index, layout ---------------------------------------------------------------------------- */

static void differences_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		uint8_t bytes[6];
		size_t len;
		int code;
	} cases[] = {
		{ { 0 }, 0, 0 }, /* nothing has changed */
		{ { 2, 2, 'a', 'b' }, 4, 0 },
		{ { 2, 2, 'a' }, 3, SONDE_E_CORRUPT },
		{ { 2 }, 1, SONDE_E_CORRUPT },
		{ { 0x80 }, 1, SONDE_E_CORRUPT },
		{ { 0x80, 0x80, 1, 'a' }, 4, SONDE_E_CORRUPT },
		{ { 9, 1, 'a' }, 3, SONDE_E_CORRUPT }, /* beyond the page of eight */
		{ { 7, 2, 'a', 'b' }, 4, SONDE_E_CORRUPT },
		{ { 7, 1, 'a' }, 3, 0 },
		{ { 2, 1, 'a', 6, 1, 'b' }, 6, SONDE_E_CORRUPT }, /* the second time */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t page[8] = "........";
		assert_int_equal(xbzrle_apply(cases[i].bytes, cases[i].len, page, 8),
				 cases[i].code);
	}
}

static void add_runs(struct page_index *index, uint32_t page, uint32_t n, uint8_t kind, uint64_t at)
{
	for (uint32_t i = 0; i < n; i++) {
		struct page_run run = { .page = page + i, .n = 1, .kind = kind };
		run.at = at + (kind == RAM_STREAM_PLAIN ? (uint64_t)i * index->stride : i);
		assert_int_equal(page_index_add(index, &run), 0);
	}
}

static void runs_that_overlap_are_cut_to_what_counts(void **state)
{
	struct page_index index;
	size_t first, n;

	(void)state;
	assert_int_equal(page_index_init(&index, 100, 10), 0);
	add_runs(&index, 50, 20, RAM_STREAM_PLAIN, 1000);
	add_runs(&index, 0, 60, RAM_STREAM_PLAIN, 2000);
	add_runs(&index, 55, 1, RAM_STREAM_XBZRLE, 5000);
	add_runs(&index, 58, 1, RAM_STREAM_XBZRLE, 5001);
	add_runs(&index, 58, 2, RAM_STREAM_FILL, 5002);
	add_runs(&index, 55, 1, RAM_STREAM_XBZRLE, 5010);
	add_runs(&index, 99, 1, RAM_STREAM_XBZRLE, 5020);
	assert_int_equal(index.n, 7);
	assert_int_equal(page_index_settle(&index), 0);
	static const struct {
		uint64_t page, at, n;
		int code;
	} want[] = {
		{ 0, 2000, 1, 0 },
		{ 54, 2000, 1, 0 },
		{ 55, 2550, 3, 0 },
		{ 57, 2560, 1, 0 },
		{ 58, 5002, 1, 0 },
		{ 60, 1100, 1, 0 },
		{ 69, 1100, 1, 0 },
		{ 70, 0, 0, SONDE_E_NOT_SAVED },
		{ 99, 0, 0, SONDE_E_CORRUPT },
	};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		int r = page_index_find(&index, want[i].page, &first, &n);
		assert_int_equal(r, want[i].code);
		if (r < 0)
			continue;
		assert_int_equal(index.runs[first].at, want[i].at);
		assert_int_equal(n, want[i].n);
	}
	page_index_finish(&index);
}

static void blocks_lie_where_the_machine_has_them(void **state)
{
	enum { MIB = 1 << 20 };
	const uint64_t mib = MIB, gib = UINT64_C(1) << 30;
	const struct {
		struct layout_facts facts;
		struct ram_stream_block blocks[4];
		size_t n_blocks, n;
		struct {
			uint64_t addr, len, off;
		} want[3];
	} cases[] = {
		/* without a CMOS, q35 cuts at 2 GiB */
		{ { "pc-q35-7.2", 0, 0, 0 },
		  { { "pc.ram", 4 * gib } },
		  1,
		  2,
		  { { 0, 2 * gib, 0 }, { 4 * gib, 2 * gib, 2 * gib } } },
		/* with one, it says so */
		{ { "pc-q35-7.2", 0, gib, 3 * gib },
		  { { "vga", mib }, { "pc.ram", 4 * gib } },
		  2,
		  2,
		  { { 0, gib, mib }, { 4 * gib, 3 * gib, gib + mib } } },
		/* one that does not add up is not believed */
		{ { "pc-i440fx-7.2", 0, gib, gib },
		  { { "pc.ram", 4 * gib } },
		  1,
		  2,
		  { { 0, 3 * gib, 0 }, { 4 * gib, gib, 3 * gib } } },
		/* nodes by their numbers, of which the last crosses the hole */
		{ { "pc-q35-7.2", 0, 2 * gib, 2 * gib },
		  { { "/objects/n10", 3 * gib }, { "/objects/n2", gib }, { "pc.bios", mib } },
		  3,
		  3,
		  { { 0, gib, 3 * gib }, { gib, gib, 0 }, { 4 * gib, 2 * gib, gib } } },
		/* what was plugged in is nobody knows where */
		{ { "pc-q35-7.2", 0, gib, 0 },
		  { { "mem", gib }, { "plugged", gib } },
		  2,
		  1,
		  { { 0, gib, 0 } } },
		{ { "virt-7.2", 0, 0, 0 },
		  { { "mach-virt.ram", gib } },
		  1,
		  1,
		  { { gib, gib, 0 } } },
		{ { "virt", 0, 0, 0 },
		  { { "riscv_virt_board.ram", gib } },
		  1,
		  1,
		  { { 2 * gib, gib, 0 } } },
		{ { "virt", SONDE_ARCH_RISCV64, 0, 0 },
		  { { "/objects/mem", gib } },
		  1,
		  1,
		  { { 2 * gib, gib, 0 } } },
		{ { "virt", 0, 0, 0 }, { { "/objects/mem", gib } }, 1, 0, { { 0, 0, 0 } } },
		{ { "pc", 0, 0, 0 }, { { "0000:00:02.0/vga.vram", gib } }, 1, 0, { { 0, 0, 0 } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memory_map map;
		int r = layout_make(&map, &cases[i].facts, cases[i].blocks, cases[i].n_blocks);
		assert_int_equal(r, cases[i].n ? 0 : SONDE_E_UNSUPPORTED);
		assert_int_equal(map.n, cases[i].n);
		for (size_t k = 0; k < map.n; k++) {
			assert_int_equal(map.ranges[k].addr, cases[i].want[k].addr);
			assert_int_equal(map.ranges[k].len, cases[i].want[k].len);
			assert_int_equal(map.ranges[k].off, cases[i].want[k].off);
		}
		memory_map_finish(&map);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_clock_without_bytes_tells_nothing),
		TEST(each_page_is_what_was_said_of_it_last),
		TEST(a_processor_has_the_registers_of_its_section),
		TEST(without_a_description_memory_is_read_all_the_same),
		TEST(a_stream_that_was_cut_off_is_read_as_far_as_it_goes),
		TEST(a_page_that_does_not_unpack_fails_alone),
		TEST(a_machine_that_is_not_known_is_refused_by_name),
		TEST(what_libvirt_saved_is_read_in_either_byte_order),
		TEST(heads_of_libvirt_that_lie_are_refused),
		TEST(the_state_in_a_qcow2_image_is_read_by_its_tables),
		TEST(a_compressed_cluster_is_unpacked),
		TEST(tables_of_qcow2_that_lie_are_refused),
		TEST(tables_that_name_one_cluster_for_ever_come_to_an_end),
		TEST(a_file_that_ends_anywhere_or_has_a_bit_wrong_is_survived),
		TEST(differences_that_do_not_fit_are_refused),
		TEST(runs_that_overlap_are_cut_to_what_counts),
		TEST(blocks_lie_where_the_machine_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
