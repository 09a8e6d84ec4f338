/* SPDX-License-Identifier: MIT */
/*
 * This machine's kernel: what its files' headers and texts are taken for, why they may be closed, and through the
 * connectors, with files made here in their place, what is read where.
 */
#include "../../connectors/local/iomem.h"
#include "../../connectors/local/kcore_map.h"
#include "../../connectors/local/refusal.h"
#include "synth/elf.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { X86_64 = 62, AARCH64 = 183, PPC64 = 21 };

#define NONE UINT64_MAX /* p_paddr of what is no physical memory */

/* ---- the headers of /proc/kcore --------------------------------------------------------------- */

static int map_of(struct kcore_map *kcore, uint16_t machine, const struct synth_segment *segments,
		  size_t n, const char **why)
{
	uint8_t bytes[0x800];
	struct synth_image image = { bytes, sizeof(bytes) };

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = machine, .segments = segments, .n_segments = n });
	if (n && segments[0].type == SYNTH_NOTE)
		synth_note(bytes, segments[0].off, 0, "VMCOREINFO", 0, "OSRELEASE=6.1\n", 14);
	*why = "";
	return kcore_map_read(kcore, synth_image_read, &image, why);
}

static void expect_range(const struct kcore_map *kcore, size_t i, uint64_t addr, uint64_t len,
			 uint64_t off)
{
	assert_true(i < kcore->map.n);
	const struct memory_range *range = &kcore->map.ranges[i];
	if (range->addr != addr || range->len != len || range->off != off)
		fail_msg("range %zu: 0x%lx+0x%lx at 0x%lx", i, range->addr, range->len, range->off);
	assert_int_equal(range->flags, SONDE_REGION_READ | SONDE_REGION_RAM);
}

/* As linux 6.1 lays them out on x86-64: vmalloc, modules and vmemmap name no address, the image lies in RAM. */
static const struct synth_segment modern[] = {
	{ SYNTH_NOTE, 0x400, 0, 0, 0x100, 0, 0, 1 },
	{ SYNTH_LOAD, 0x7fff81003000, 0xffffffff81000000, 0x1000000, 0x2000000, 0x2000000, 7, 1 },
	{ SYNTH_LOAD, 0x490000003000, 0xffffc90000000000, NONE, 0x1fffffffffff, 0x1fffffffffff, 7,
	  1 },
	{ SYNTH_LOAD, 0x7fffc0003000, 0xffffffffc0000000, NONE, 0x3f000000, 0x3f000000, 7, 1 },
	{ SYNTH_LOAD, 0x88800000d000, 0xffff888000001000, 0x1000, 0x9e000, 0x9e000, 7, 1 },
	{ SYNTH_LOAD, 0x6a0000003000, 0xffffea0000000000, NONE, 0x3000, 0x3000, 7, 1 },
	{ SYNTH_LOAD, 0x888000103000, 0xffff888000100000, 0x100000, 0x1fee0000, 0x1fee0000, 7, 1 },
};

static void physical_memory_is_what_names_a_physical_address(void **state)
{
	struct kcore_map kcore;
	const char *why;

	(void)state;
	assert_int_equal(map_of(&kcore, X86_64, modern, 7, &why), 0);
	assert_int_equal(kcore.map.n, 2);
	expect_range(&kcore, 0, 0x1000, 0x9e000, 0x88800000d000);
	expect_range(&kcore, 1, 0x100000, 0x1fee0000, 0x888000103000);
	assert_int_equal(kcore.arch, SONDE_ARCH_X86_64);
	assert_int_equal(kcore.n_vmcoreinfo, 14);
	assert_memory_equal(kcore.vmcoreinfo, "OSRELEASE=6.1\n", 14);
	kcore_map_finish(&kcore);
}

static void each_byte_counts_once_where_loads_overlap(void **state)
{
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x30000, 0, 0x3000, 0x2000, 0x2000, 7, 1 },
		{ SYNTH_LOAD, 0x10000, 0, 0x1000, 0x3000, 0x3000, 7, 1 },
		{ SYNTH_LOAD, 0x20000, 0, 0x2000, 0x2000, 0x2000, 7, 1 },
		{ SYNTH_LOAD, 0x15000, 0, 0x6000, 0x1000, 0x1000, 7, 1 },
		{ SYNTH_LOAD, 0x16000, 0, 0x7000, 0x1000, 0x1000, 7, 1 },
	};
	struct kcore_map kcore;
	const char *why;

	(void)state;
	assert_int_equal(map_of(&kcore, AARCH64, segments, 5, &why), 0);
	assert_int_equal(kcore.map.n, 3);
	expect_range(&kcore, 0, 0x1000, 0x3000, 0x10000);
	expect_range(&kcore, 1, 0x4000, 0x1000, 0x31000);
	expect_range(&kcore, 2, 0x6000, 0x2000, 0x15000); /* two that go on in both are one */
	kcore_map_finish(&kcore);
}

/* Before 4.11: every p_paddr 0. The direct map was moved by 3 GiB; RAM begins a page behind. */
static void of_old_kernels_the_direct_map_tells(void **state)
{
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x7fff81003000, 0xffffffff81000000, 0, 0x2000000, 0x2000000, 7, 1 },
		{ SYNTH_LOAD, 0x490000003000, 0xffffc90000000000, 0, 0x1fffffffffff, 0x1fffffffffff,
		  7, 1 },
		{ SYNTH_LOAD, 0x6a0000003000, 0xffffea0000000000, 0, 0x3000, 0x3000, 7, 1 },
		{ SYNTH_LOAD, 0x8800c0103000, 0xffff8800c0100000, 0, 0x70000000, 0x70000000, 7, 1 },
		{ SYNTH_LOAD, 0x8800c0004000, 0xffff8800c0001000, 0, 0x9e000, 0x9e000, 7, 1 },
		{ SYNTH_LOAD, 0x8801c0003000, 0xffff8801c0000000, 0, 0x40000000, 0x40000000, 7, 1 },
	};
	struct kcore_map kcore;
	const char *why;

	(void)state;
	assert_int_equal(map_of(&kcore, X86_64, segments, 6, &why), 0);
	assert_int_equal(kcore.map.n, 3);
	expect_range(&kcore, 0, 0x1000, 0x9e000, 0x8800c0004000);
	expect_range(&kcore, 1, 0x100000, 0x70000000, 0x8800c0103000);
	expect_range(&kcore, 2, 0x100000000, 0x40000000, 0x8801c0003000);
	kcore_map_finish(&kcore);
	assert_int_equal(map_of(&kcore, PPC64, segments, 6, &why), SONDE_E_UNSUPPORTED);
	assert_string_equal(why, "none of its segments is physical memory");
	kcore_map_finish(&kcore);
}

static void headers_that_lie_are_left_out_alone(void **state)
{
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x1000, 0, UINT64_C(1) << 56, 0x1000, 0x1000, 7, 1 },
		{ SYNTH_LOAD, 0x1000, 0, (UINT64_C(1) << 56) - 0x1000, 0x1001, 0x1001, 7, 1 },
		{ SYNTH_LOAD, UINT64_MAX - 5, 0, 0x8000, 0x1000, 0x1000, 7, 1 },
		{ SYNTH_LOAD, INT64_MAX - 5, 0, 0x9000, 0x1000, 0x1000, 7, 1 },
		{ SYNTH_LOAD, 0x1000, 0, 0xa000, 0, 0x1000, 7, 1 },
		{ SYNTH_LOAD, 0x1000, 0, 0x2000, 0x1000, 0x1000, 7, 1 },
	};
	struct kcore_map kcore;
	const char *why;

	(void)state;
	assert_int_equal(map_of(&kcore, X86_64, segments, 6, &why), 0);
	assert_int_equal(kcore.map.n, 1);
	expect_range(&kcore, 0, 0x2000, 0x1000, 0x1000);
	assert_null(kcore.vmcoreinfo);
	kcore_map_finish(&kcore);
	assert_int_equal(map_of(&kcore, X86_64, segments, 5, &why), SONDE_E_UNSUPPORTED);
	kcore_map_finish(&kcore);
}

/* ---- /proc/iomem ------------------------------------------------------------------------------- */

static const char iomem_text[] = "00000000-00000fff : Reserved\n"
				 "00001000-0009fbff : System RAM\n"
				 "000a0000-000bffff : PCI Bus 0000:00\n"
				 "000f0000-000fffff : System ROM\n"
				 "00100000-1ffdefff : System RAM\n"
				 "  01000000-01e00d86 : Kernel code\n"
				 "fec00000-fec003ff : IOAPIC 0\n"
				 "100000000-2ffffffff : Persistent Memory\n"
				 "  180000000-1ffffffff : System RAM (kmem)\n";

static void ram_is_taken_from_iomem_and_devices_when_asked_for(void **state)
{
	struct memory_map map;

	(void)state;
	assert_int_equal(iomem_parse(&map, iomem_text, IOMEM_RAM), 0);
	assert_int_equal(map.n, 3);
	assert_int_equal(map.ranges[0].addr, 0x1000);
	assert_int_equal(map.ranges[0].len, 0x9ec00);
	assert_int_equal(map.ranges[1].addr, 0x100000);
	assert_int_equal(map.ranges[1].off, 0x100000);
	assert_int_equal(map.ranges[2].addr, 0x180000000);
	assert_int_equal(map.ranges[2].len, 0x80000000);
	memory_map_finish(&map);
	assert_int_equal(iomem_parse(&map, iomem_text, IOMEM_RAM | IOMEM_DEVICES), 0);
	assert_int_equal(map.n, 7);
	assert_int_equal(map.ranges[0].flags, SONDE_REGION_READ | SONDE_REGION_DEVICE);
	assert_string_equal(map.ranges[2].name, "PCI Bus 0000:00");
	memory_map_finish(&map);
	assert_int_equal(iomem_parse(&map, iomem_text, IOMEM_DEVICES), 0);
	assert_int_equal(map.n, 5); /* what lies inside RAM is no device */
	memory_map_finish(&map);
}

static void iomem_that_says_nothing_is_told_apart(void **state)
{
	struct memory_map map;

	(void)state;
	assert_int_equal(iomem_parse(&map,
				     "00000000-00000000 : Reserved\n"
				     "00000000-00000000 : System RAM\n",
				     IOMEM_RAM),
			 SONDE_E_NO_ACCESS);
	memory_map_finish(&map);
	assert_int_equal(iomem_parse(&map, "", IOMEM_RAM), SONDE_E_BAD_FORMAT);
	memory_map_finish(&map);
	assert_int_equal(iomem_parse(&map,
				     "2000-1000 : System RAM\n0-ffffffffffffffff : System RAM\n"
				     "garbage\n\n1000-1fff : Video RAM\n",
				     IOMEM_RAM),
			 SONDE_E_BAD_FORMAT);
	memory_map_finish(&map);
	/* What overlaps or lies below what was there is left out. */
	assert_int_equal(iomem_parse(&map,
				     "1000-1fff : System RAM\n1800-2fff : System RAM\n"
				     "3000-3fff : System RAM\n0-7 : System RAM",
				     IOMEM_RAM),
			 0);
	assert_int_equal(map.n, 2);
	memory_map_finish(&map);
}

/* ---- refusals -------------------------------------------------------------------------------------- */

#define RAWIO (UINT64_C(1) << 17)

static const struct {
	struct refusal refusal;
	int code;
	const char *words;
} refusals[] = {
	{ { .way = OWN_KCORE, .os_code = ENOENT }, SONDE_E_NOT_FOUND, "CONFIG_PROC_KCORE" },
	{ { .way = OWN_CRASH, .os_code = ENOENT }, SONDE_E_NOT_FOUND, "modprobe crash" },
	{ { .way = OWN_MEM, .os_code = ENOENT }, SONDE_E_NOT_FOUND, "CONFIG_DEVMEM" },
	{ { .way = OWN_MEM, .os_code = ENXIO }, SONDE_E_NOT_FOUND, "CONFIG_DEVMEM" },
	{ { .way = OWN_KCORE, .is_hidden = 1 }, SONDE_E_NOT_FOUND, "containers" },
	{ { .way = OWN_KCORE, .os_code = EACCES }, SONDE_E_NO_ACCESS, "be root" },
	{ { .way = OWN_KCORE, .os_code = EPERM }, SONDE_E_NO_ACCESS, "--cap-add SYS_RAWIO" },
	{ { .way = OWN_KCORE, .os_code = EPERM, .caps = ~RAWIO },
	  SONDE_E_NO_ACCESS,
	  "needs CAP_SYS_RAWIO" },
	{ { .way = OWN_KCORE, .os_code = EPERM, .caps = RAWIO, .is_mapped = 1 },
	  SONDE_E_NO_ACCESS,
	  "user name space" },
	{ { .way = OWN_KCORE, .os_code = EPERM, .caps = RAWIO, .lockdown = "confidentiality" },
	  SONDE_E_NO_ACCESS,
	  "mode confidentiality" },
	{ { .way = OWN_KCORE, .os_code = EPERM, .caps = RAWIO, .lockdown = "integrity" },
	  SONDE_E_NO_ACCESS,
	  "another security module" },
	{ { .way = OWN_MEM, .os_code = EPERM, .caps = RAWIO, .lockdown = "integrity" },
	  SONDE_E_NO_ACCESS,
	  "mode integrity" },
	{ { .way = OWN_MEM, .os_code = EPERM, .caps = RAWIO }, SONDE_E_NO_ACCESS, "lockdown" },
	{ { .way = OWN_MEM, .os_code = EPERM, .is_read = 1, .caps = RAWIO },
	  SONDE_E_NO_ACCESS,
	  "CONFIG_STRICT_DEVMEM" },
	{ { .way = OWN_MEM, .os_code = EMFILE }, SONDE_E_IO, "Too many open files" },
};

static void every_refusal_says_what_would_help(void **state)
{
	char words[160];

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		int code = refusal_explain(&refusals[i].refusal, words, sizeof(words));
		if (code != refusals[i].code || !strstr(words, refusals[i].words))
			fail_msg("%zu: %d '%s', want %d '%s'", i, code, words, refusals[i].code,
				 refusals[i].words);
		assert_true(strlen(words) < sizeof(words) - 1);
	}
}

static void the_mode_of_lockdown_is_the_word_in_brackets(void **state)
{
	static const struct {
		const char *text, *mode;
	} cases[] = {
		{ "[none] integrity confidentiality\n", "none" },
		{ "none [integrity] confidentiality\n", "integrity" },
		{ "none integrity [confidentiality]\n", "confidentiality" },
		{ "", "" },
		{ "none [", "" },
		{ "] [", "" },
		{ "[a word that is much too long to be one of these]", "" },
	};
	char mode[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		refusal_parse_lockdown(cases[i].text, mode, sizeof(mode));
		assert_string_equal(mode, cases[i].mode);
	}
}

/* ---- through the connectors -------------------------------------------------------------------------- */

struct world {
	char folder[64];
	struct sonde_loop *loop;
	struct sonde_target *target;
};

static const char *path_in(const struct world *world, const char *leaf)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", world->folder, leaf);
	return path;
}

/* In one step, as a kernel changes it: whoever has the file open sees all of it or nothing. */
static void put_file(const struct world *world, const char *leaf, const void *bytes, size_t size)
{
	int fd = open(path_in(world, leaf), O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
	close(fd);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	strcpy(world->folder, "/tmp/sonde-local-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	assert_int_equal(sonde_loop_create(NULL, &world->loop, NULL), 0);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const leaves[] = { "kcore", "mem", "iomem", "vmcoreinfo" };
	struct world *world = *state;

	sonde_target_close(world->target);
	sonde_loop_destroy(world->loop);
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		unlink(path_in(world, leaves[i]));
	rmdir(world->folder);
	free(world);
	return 0;
}

static void open_or_fail(struct world *world, const char *name)
{
	struct sonde_error err = { 0 };

	if (sonde_target_open(world->loop, name, NULL, &world->target, &err) < 0)
		fail_msg("%s", err.text);
}

static struct sonde_xfer read_at(const struct world *world, uint64_t addr, void *buf, uint32_t len)
{
	struct sonde_xfer x = { .addr = addr, .buf = buf, .len = len };

	assert_true(sonde_space_read(sonde_target_memory(world->target), &x, 1) >= 0);
	return x;
}

static const struct synth_segment small[] = {
	{ SYNTH_NOTE, 0x300, 0, 0, 0x100, 0, 0, 1 },
	{ SYNTH_LOAD, 0x1000, 0xffff888000001000, 0x1000, 0x2000, 0x2000, 7, 0 },
	{ SYNTH_LOAD, 0x3000, 0xffffc90000000000, NONE, 0x1000, 0x1000, 7, 0 },
	{ SYNTH_LOAD, 0x4000, 0xffff888000008000, 0x8000, 0x1000, 0x1000, 7, 0 },
	{ SYNTH_LOAD, 0x5000, 0xffff888000020000, 0x20000, 0x1000, 0x1000, 7, 0 },
};

static void put_kcore(const struct world *world, size_t n_segments)
{
	static uint8_t bytes[0x6000];

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){
			  .machine = X86_64, .segments = small, .n_segments = n_segments });
	synth_note(bytes, 0x300, 0, "VMCOREINFO", 0, "OSRELEASE=6.1\n", 14);
	put_file(world, "kcore", bytes, sizeof(bytes));
}

static void open_kcore(struct world *world, size_t n_segments)
{
	char name[160];

	put_kcore(world, n_segments);
	snprintf(name, sizeof(name), "kcore:%s", path_in(world, "kcore"));
	open_or_fail(world, name);
}

static void a_kernel_is_read_by_physical_addresses(void **state)
{
	struct world *world = *state;
	struct sonde_target_info info;
	uint8_t buf[0x1000];
	char text[16];

	open_kcore(world, 4);
	sonde_target_info(world->target, &info);
	assert_int_equal(info.flags, SONDE_TARGET_LIVE | SONDE_TARGET_PHYSICAL);
	assert_int_equal(info.arch, SONDE_ARCH_X86_64);
	assert_non_null(strstr(info.detail, "up to 0x8fff"));
	assert_int_equal(sonde_target_note(world->target, "VMCOREINFO", NULL, 0), 14);
	assert_int_equal(sonde_target_note(world->target, "VMCOREINFO", text, sizeof(text)), 14);
	assert_memory_equal(text, "OSRELEASE=6.1\n", 14);

	struct sonde_xfer x = read_at(world, 0x2ff0, buf, 0x20);
	assert_int_equal(x.done, 0x10);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, 0x10);
	assert_int_equal(buf[0], (uint8_t)(0x1ff0 / 16 + 1));
	assert_int_equal(buf[0x1f], 0);
	x = read_at(world, 0x8010, buf, 16);
	assert_int_equal(x.done, 16);
	assert_int_equal(buf[0], 0x10 / 16 + 3);
	assert_int_equal(read_at(world, UINT64_MAX - 3, buf, 16).err, SONDE_E_NOT_MAPPED);
}

/* Many in one page are one read; they straddle, repeat and go back, and each has its own outcome. */
static void pieces_that_share_a_page_are_as_read_alone(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} some[] = {
		{ 0x1000, 8 },    { 0x1100, 8 },      { 0x1ff8, 16 },     { 0x1ffc, 4 },
		{ 0x2000, 1 },    { 0x2fff, 1 },      { 0x2ff8, 9 },      { 0x8000, 8 },
		{ 0x8ff0, 0x10 }, { 0x8ff1, 0x10 },   { 0x9000, 4 },      { 0x8000, 4 },
		{ 0x8000, 4 },    { 0x1000, 0x2000 }, { 0x2000, 0x1000 },
	};
	enum { N = sizeof(some) / sizeof(some[0]) };
	static uint8_t together[N][0x2000], alone[0x2000];
	struct world *world = *state;
	struct sonde_xfer xfers[N];

	open_kcore(world, 4);
	for (size_t i = 0; i < N; i++)
		xfers[i] = (struct sonde_xfer){ .addr = some[i].addr,
						.buf = together[i],
						.len = some[i].len };
	memset(together, 0xee, sizeof(together));
	assert_true(sonde_space_read(sonde_target_memory(world->target), xfers, N) > 0);
	for (size_t i = 0; i < N; i++) {
		memset(alone, 0xee, sizeof(alone));
		struct sonde_xfer x = read_at(world, some[i].addr, alone, some[i].len);
		assert_int_equal(xfers[i].done, x.done);
		assert_int_equal(xfers[i].err, x.err);
		assert_memory_equal(together[i], alone, some[i].len);
	}
}

static void a_batch_does_not_see_what_the_one_before_read(void **state)
{
	struct world *world = *state;
	uint64_t words[2], before;

	open_kcore(world, 4);
	for (uint64_t value = 1; value <= 3; value++) {
		struct sonde_xfer xfers[] = { { .addr = 0x1010, .buf = &words[0], .len = 8 },
					      { .addr = 0x1020, .buf = &words[1], .len = 8 } };
		assert_int_equal(sonde_space_read(sonde_target_memory(world->target), xfers, 2), 2);
		before = words[1];
		int fd = open(path_in(world, "kcore"), O_WRONLY);
		assert_int_equal(pwrite(fd, &value, 8, 0x1010), 8);
		close(fd);
		assert_int_equal(sonde_space_read(sonde_target_memory(world->target), xfers, 2), 2);
		assert_int_equal(words[0], value);
		assert_int_equal(words[1], before);
	}
}

/* The kernel lays the file out anew: its header says so, and every offset may be another. */
static void a_new_header_is_followed_at_once(void **state)
{
	static const struct synth_segment moved[] = {
		{ SYNTH_LOAD, 0x2000, 0xffff888000001000, 0x1000, 0x1000, 0x1000, 7, 0 },
		{ SYNTH_LOAD, 0x1000, 0xffff888000008000, 0x8000, 0x1000, 0x1000, 7, 0 },
	};
	static uint8_t bytes[0x6000];
	struct world *world = *state;
	uint8_t byte;

	open_kcore(world, 4);
	read_at(world, 0x8000, &byte, 1);
	assert_int_equal(byte, 3);
	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64, .segments = moved, .n_segments = 2 });
	put_file(world, "kcore", bytes, sizeof(bytes));
	assert_int_equal(read_at(world, 0x8000, &byte, 1).done, 1);
	assert_int_equal(byte, 1);
	assert_int_equal(read_at(world, 0x2000, &byte, 1).err, SONDE_E_NOT_MAPPED);
}

/* As many segments as before, so nothing but looking again can tell. */
static void memory_that_came_later_is_found(void **state)
{
	static const struct synth_segment grown[] = {
		{ SYNTH_NOTE, 0x300, 0, 0, 0x100, 0, 0, 1 },
		{ SYNTH_LOAD, 0x1000, 0, 0x1000, 0x2000, 0x2000, 7, 0 },
		{ SYNTH_LOAD, 0x3000, 0, NONE, 0x1000, 0x1000, 7, 0 },
		{ SYNTH_LOAD, 0x4000, 0, 0x8000, 0x2000, 0x2000, 7, 0 },
	};
	static uint8_t bytes[0x6000];
	struct world *world = *state;
	uint8_t byte;

	open_kcore(world, 4);
	assert_int_equal(read_at(world, 0x9000, &byte, 1).err, SONDE_E_NOT_MAPPED);
	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64, .segments = grown, .n_segments = 4 });
	put_file(world, "kcore", bytes, sizeof(bytes));
	for (int i = 0; i < 3000 && read_at(world, 0x9000, &byte, 1).done == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	assert_int_equal(read_at(world, 0x9000, &byte, 1).done, 1);
}

/* A file that nobody can read as one keeps what was known; its bytes are what they are. */
static void a_header_that_turns_to_garbage_changes_nothing(void **state)
{
	struct world *world = *state;
	uint8_t byte, zeros[64] = { 0 };

	open_kcore(world, 4);
	put_file(world, "kcore", zeros, sizeof(zeros));
	assert_int_equal(read_at(world, 0x8000, &byte, 1).done, 1);
	assert_int_equal(byte, 3);
}

static int add_up(void *user, const struct sonde_region *region)
{
	uint64_t *sum = user;

	assert_int_equal(region->flags, SONDE_REGION_READ | SONDE_REGION_RAM);
	*sum += region->len;
	return 0;
}

static void regions_are_ram_alone(void **state)
{
	struct world *world = *state;
	uint64_t sum = 0;

	open_kcore(world, 5);
	assert_int_equal(sonde_space_regions(sonde_target_memory(world->target), add_up, &sum), 0);
	assert_int_equal(sum, 0x4000);
}

/* ---- /dev/mem and /dev/crash, files in their place ---- */

#define MEM_SIZE 0x180000
#define NOTE_AT 0x101f00 /* so that the note goes on in the next page */
#define NOTE_LEN 0x300

static const char mem_ranges[] = "1000-9ffff : System RAM\na0000-bffff : PCI Bus\n"
				 "100000-17ffff : System RAM\n";

static void put_mem(const struct world *world)
{
	static uint8_t bytes[MEM_SIZE];
	char text[64], note[NOTE_LEN];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i / 4096);
	memset(bytes + NOTE_AT, 0, 0x400); /* over the end of a page */
	memset(note, '#', sizeof(note));
	memcpy(note, "OSRELEASE=5.14.0-1.el9\n", 23);
	note[sizeof(note) - 1] = '\n';
	synth_note(bytes, NOTE_AT, 0, "VMCOREINFO", 0, note, sizeof(note));
	put_file(world, "mem", bytes, sizeof(bytes));
	snprintf(text, sizeof(text), "0x%016x 400\n", NOTE_AT);
	put_file(world, "vmcoreinfo", text, strlen(text));
	put_file(world, "iomem", mem_ranges, sizeof(mem_ranges) - 1);
}

static void open_mem(struct world *world, const char *connector, const char *more)
{
	char name[512];

	put_mem(world);
	snprintf(name, sizeof(name), "%s:%s,iomem=%s,vmcoreinfo=%s%s", connector,
		 path_in(world, "mem"), path_in(world, "iomem"), path_in(world, "vmcoreinfo"),
		 more);
	open_or_fail(world, name);
}

static void nothing_but_ram_is_touched(void **state)
{
	static const char *const connectors[] = { "devmem", "crashdev" };
	struct world *world = *state;
	uint8_t buf[0x3000];
	char text[NOTE_LEN];

	for (int i = 0; i < 2; i++) {
		open_mem(world, connectors[i], "");
		struct sonde_xfer x = read_at(world, 0x9f000, buf, 0x3000);
		assert_int_equal(x.done, 0x1000);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		assert_int_equal(buf[0], 0x9f);
		assert_int_equal(buf[0x1000], 0);
		x = read_at(world, 0x110800, buf, 0x2000);
		assert_int_equal(x.done, 0x2000);
		assert_int_equal(buf[0x1fff], (uint8_t)0x112);
		assert_int_equal(sonde_target_note(world->target, "VMCOREINFO", text, sizeof(text)),
				 NOTE_LEN);
		assert_memory_equal(text, "OSRELEASE=5.14.0-1.el9\n##", 25);
		assert_memory_equal(text + NOTE_LEN - 3, "##\n", 3);
		sonde_target_close(world->target);
		world->target = NULL;
	}
}

static void devices_are_read_when_the_user_asks_for_them(void **state)
{
	struct world *world = *state;
	uint8_t byte;

	open_mem(world, "devmem", ",mmio=yes");
	assert_int_equal(read_at(world, 0xa5000, &byte, 1).done, 1);
	assert_int_equal(byte, 0xa5);
	assert_int_equal(read_at(world, 0xc0000, &byte, 1).err, SONDE_E_NOT_MAPPED);
}

static void expect_refusal(struct world *world, const char *name, int code,
			   const char *const *parts)
{
	struct sonde_target_options options = { .size = sizeof(options) };
	struct sonde_error err = { 0 };

	int r = sonde_target_open(world->loop, name, &options, &world->target, &err);
	if (r != code)
		fail_msg("%s: %d %s", name, r, err.text);
	for (; *parts; parts++) {
		if (!strstr(err.text, *parts))
			fail_msg("'%s' lacks '%s'", err.text, *parts);
	}
}

static void what_cannot_be_opened_says_why(void **state)
{
	struct world *world = *state;
	char name[512];

	put_file(world, "kcore", "not an ELF file", 15);
	snprintf(name, sizeof(name), "kcore:%s", path_in(world, "kcore"));
	expect_refusal(world, name, SONDE_E_BAD_FORMAT,
		       (const char *[]){ "kcore: '/tmp/sonde-local-", "is not an ELF file", NULL });
	expect_refusal(
		world, "kcore:/dev/null", SONDE_E_NOT_FOUND,
		(const char *[]){ "kcore: '/dev/null': another file stands in its place", NULL });
	expect_refusal(
		world, "kcore:/nowhere", SONDE_E_NOT_FOUND,
		(const char *[]){ "kcore: '/nowhere': not there", "CONFIG_PROC_KCORE", NULL });
	put_file(world, "iomem", "0-0 : System RAM\n", 17);
	put_file(world, "mem", "x", 1);
	snprintf(name, sizeof(name), "devmem:%s,iomem=%s", path_in(world, "mem"),
		 path_in(world, "iomem"));
	expect_refusal(world, name, SONDE_E_NO_ACCESS, (const char *[]){ "CAP_SYS_ADMIN", NULL });
	expect_refusal(world, "devmem:/dev/zero,mmio=perhaps", SONDE_E_BAD_ARG,
		       (const char *[]){ "there are yes and no", NULL });
}

static void local_tries_all_and_tells_of_each(void **state)
{
	struct world *world = *state;
	struct sonde_target_info info;
	char name[512];

	expect_refusal(world, "local:,kcore=/nowhere/kcore,crash=/nowhere/crash,mem=/nowhere/mem",
		       SONDE_E_NOT_FOUND,
		       (const char *[]){ "local: '/nowhere/kcore': not there",
					 "; '/nowhere/crash': ", "; '/nowhere/mem': ",
					 "CONFIG_DEVMEM", NULL });
	expect_refusal(world, "local:mem,kcore=/nowhere/kcore,mem=/nowhere/mem", SONDE_E_NOT_FOUND,
		       (const char *[]){ "local: '/nowhere/mem': not there", NULL });
	expect_refusal(world, "local:best", SONDE_E_BAD_ARG,
		       (const char *[]){ "there are auto, kcore, crash and mem", NULL });
	put_mem(world);
	snprintf(name, sizeof(name), "local:,kcore=/dev/null,crash=/nowhere,mem=%s,iomem=%s",
		 path_in(world, "mem"), path_in(world, "iomem"));
	open_or_fail(world, name);
	sonde_target_info(world->target, &info);
	assert_string_equal(info.connector, "local");
	assert_non_null(strstr(info.detail, "/mem"));
	sonde_target_close(world->target);
	put_kcore(world, 4);
	snprintf(name, sizeof(name), "local:,kcore=%s,mem=%s,iomem=%s", path_in(world, "kcore"),
		 path_in(world, "mem"), path_in(world, "iomem"));
	open_or_fail(world, name);
	sonde_target_info(world->target, &info);
	assert_non_null(strstr(info.detail, "/kcore"));
}

static void a_running_kernel_is_not_written(void **state)
{
	static const char *const names[] = { "kcore:", "crashdev:", "devmem:", "local:" };
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct world *world = *state;
	struct sonde_error err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(
			sonde_target_open(world->loop, names[i], &options, &world->target, &err),
			SONDE_E_READ_ONLY);
		assert_non_null(strstr(err.text, "leave out --write"));
	}
}

#define WITH_FILES(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(physical_memory_is_what_names_a_physical_address),
		cmocka_unit_test(each_byte_counts_once_where_loads_overlap),
		cmocka_unit_test(of_old_kernels_the_direct_map_tells),
		cmocka_unit_test(headers_that_lie_are_left_out_alone),
		cmocka_unit_test(ram_is_taken_from_iomem_and_devices_when_asked_for),
		cmocka_unit_test(iomem_that_says_nothing_is_told_apart),
		cmocka_unit_test(every_refusal_says_what_would_help),
		cmocka_unit_test(the_mode_of_lockdown_is_the_word_in_brackets),
		WITH_FILES(a_kernel_is_read_by_physical_addresses),
		WITH_FILES(pieces_that_share_a_page_are_as_read_alone),
		WITH_FILES(a_batch_does_not_see_what_the_one_before_read),
		WITH_FILES(a_new_header_is_followed_at_once),
		WITH_FILES(memory_that_came_later_is_found),
		WITH_FILES(a_header_that_turns_to_garbage_changes_nothing),
		WITH_FILES(regions_are_ram_alone),
		WITH_FILES(nothing_but_ram_is_touched),
		WITH_FILES(devices_are_read_when_the_user_asks_for_them),
		WITH_FILES(what_cannot_be_opened_says_why),
		WITH_FILES(local_tries_all_and_tells_of_each),
		WITH_FILES(a_running_kernel_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
