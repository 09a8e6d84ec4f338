/* SPDX-License-Identifier: MIT */
/* State files of VMware, whole and broken: what they say, and through the connector what is read where. */
#include "../../connectors/vmware/state.h"
#include "synth/vmss.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096u
#define GIB (UINT64_C(1) << 30)
#define WIDE 0xbed2bed2u
#define NARROW 0xbed2bed0u

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static int parse(struct vmware_state *state, const struct synth_vmss *v, const char **why)
{
	struct synth_image image = { v->bytes, v->size };
	struct source source = { .read = read_bytes, .user = &image, .size = v->size };

	*why = "";
	return vmware_state_read(state, &source, why);
}

static const char *const names[16] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp",
				       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

/* A tag each; general register i of processor c holds 0x100 * c + i, cr i 0x10000 + i. */
static void put_registers(struct synth_vmss *v, int cpu)
{
	for (int i = 0; i < 16; i++)
		synth_vmss_number(v, names[i], cpu, -1, 8, (uint64_t)(0x100 * cpu + i));
	synth_vmss_number(v, "rip", cpu, -1, 8, 0xffffffff81000000);
	synth_vmss_number(v, "eflags", cpu, -1, 4, 0x246);
	for (int i = 0; i < 5; i++)
		synth_vmss_number(v, "CR64", cpu, i, 8, (uint64_t)(0x10000 + i));
	synth_vmss_number(v, "GDTR", cpu, 0, 2, 127);
	synth_vmss_number(v, "GDTR", cpu, 1, 4, 0x3cd5000);
	synth_vmss_number(v, "GDTR", cpu, 2, 4, 0xfffff800);
	synth_vmss_number(v, "IDTR", cpu, 0, 2, 4095);
	synth_vmss_number(v, "IDTR", cpu, 1, 4, 0x3cd5080);
	synth_vmss_number(v, "IDTR", cpu, 2, 4, 0xfffff800);
}

/* The same in blocks, in the order of the processor but for two of them. */
static void put_register_blocks(struct synth_vmss *v, int cpu)
{
	static const uint8_t order[16] = { 0, 2, 3, 1, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t general[128], control[72] = { 0 }, table[10] = { 0 };

	for (int i = 0; i < 16; i++)
		synth_put(general + 8 * i, 0, 8, (uint64_t)(0x100 * cpu + order[i]));
	for (int i = 0; i < 5; i++)
		synth_put(control + 8 * i, 0, 8, (uint64_t)(0x10000 + i));
	synth_vmss_block(v, "gpregs", cpu, -1, 63, general, sizeof(general), 0);
	synth_vmss_block(v, "CR64", cpu, -1, 63, control, sizeof(control), 3);
	synth_put(table + 2, 0, 8, 0xfffff80003cd5000);
	synth_vmss_block(v, "GDTR", cpu, -1, 63, table, sizeof(table), 0);
	synth_put(table + 2, 0, 8, 0xfffff80003cd5080);
	synth_vmss_block(v, "IDTR", cpu, -1, 63, table, sizeof(table), 0);
	synth_vmss_number(v, "rip", cpu, -1, 8, 0xffffffff81000000);
	synth_vmss_number(v, "eflags", cpu, -1, 4, 0x246);
}

/* Pages 0 to 2 of the memory from address 0 on, page 3 at 16 pages. */
static void put_memory_tags(struct synth_vmss *v)
{
	synth_vmss_number(v, "align_mask", -1, -1, 4, 0xffff);
	synth_vmss_number(v, "regionsCount", -1, -1, 4, 2);
	synth_vmss_region(v, 0, 0, 0, 3);
	synth_vmss_region(v, 1, 16, 3, 1);
}

static void make(struct synth_vmss *v, uint32_t magic)
{
	synth_vmss_begin(v, magic, 3);
	synth_vmss_group(v, "Checkpoint");
	synth_vmss_number(v, "memSize", -1, -1, 4, 1);
	synth_vmss_end(v);
	synth_vmss_group(v, "cpu");
	synth_vmss_number(v, "cpu:numVCPUs", -1, -1, 4, 2);
	put_registers(v, 0);
	put_register_blocks(v, 1);
	synth_vmss_end(v);
	synth_vmss_group(v, "memory");
	put_memory_tags(v);
	synth_vmss_end(v);
}

static void expect_cpu(const struct sonde_cpu *cpu, uint64_t number)
{
	assert_int_equal(cpu->arch, SONDE_ARCH_X86_64);
	assert_int_equal(cpu->valid, SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(cpu->general[i], 0x100 * number + i);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(cpu->cr[i], 0x10000 + i);
	assert_int_equal(cpu->sp, cpu->general[6]);
	assert_int_equal(cpu->pc, 0xffffffff81000000);
	assert_int_equal(cpu->flags, 0x246);
	assert_int_equal(cpu->gdt_base, 0xfffff80003cd5000);
	assert_int_equal(cpu->idt_base, 0xfffff80003cd5080);
}

static void regions_and_registers_are_those_of_the_tags(void **state)
{
	static const uint32_t magics[] = { 0xbed0bed0, NARROW, 0xbad1bad1,
					   0xbad2bad2, WIDE,   0xbed3bed3 };
	static struct synth_vmss v;
	struct vmware_state told;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		make(&v, magics[i]);
		assert_int_equal(parse(&told, &v, &why), 0);
		assert_int_equal(told.n_regions, 2);
		assert_int_equal(told.regions[1].addr, 16 * PAGE);
		assert_int_equal(told.regions[1].off, 3 * PAGE);
		assert_int_equal(told.regions[1].len, PAGE);
		assert_int_equal(told.memory_len, 0);
		assert_int_equal(told.cut | told.n_refused, 0);
		assert_int_equal(told.n_cpus, 2);
		expect_cpu(&told.cpus[0].cpu, 0);
		expect_cpu(&told.cpus[1].cpu, 1);
		vmware_state_finish(&told);
	}
}

static void a_register_that_is_missing_makes_its_set_unknown(void **state)
{
	static struct synth_vmss v;
	struct vmware_state told;
	const char *why;

	(void)state;
	synth_vmss_begin(&v, WIDE, 2);
	synth_vmss_group(&v, "memory");
	put_memory_tags(&v);
	synth_vmss_end(&v);
	synth_vmss_group(&v, "cpu");
	synth_vmss_number(&v, "rbx", 0, -1, 8, 7); /* before anybody said how many there are */
	synth_vmss_number(&v, "cpu:numVCPUs", -1, -1, 4, 1);
	for (int i = 0; i < 15; i++)
		synth_vmss_number(&v, names[i], 0, -1, 8, 1);
	synth_vmss_number(&v, "CR", 0, 0, 4, 0x80050033);
	synth_vmss_number(&v, "CR", 0, 2, 4, 0);
	synth_vmss_number(&v, "CR", 0, 3, 4, 0x187000);
	synth_vmss_number(&v, "CR", 0, 4, 4, 0x6f8);
	synth_vmss_number(&v, "rax", 1, -1, 8, 1); /* of no processor that there is */
	synth_vmss_end(&v);
	assert_int_equal(parse(&told, &v, &why), 0);
	assert_int_equal(told.n_cpus, 1);
	assert_int_equal(told.cpus[0].cpu.valid, SONDE_CPU_CONTROL);
	assert_int_equal(told.cpus[0].cpu.cr[3], 0x187000);
	assert_int_equal(told.cpus[0].cpu.general[1], 1);
	assert_int_equal(told.arch, SONDE_ARCH_I386); /* nothing lies above 4 GiB */
	vmware_state_finish(&told);
}

static void a_file_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	static struct synth_vmss v;
	size_t whole;

	(void)state;
	make(&v, WIDE);
	whole = v.size;
	for (v.size = 0; v.size <= whole; v.size++) {
		struct vmware_state told;
		const char *why;
		int r = parse(&told, &v, &why);
		size_t list = SYNTH_VMSS_HEAD + 3 * SYNTH_VMSS_GROUP;
		assert_int_equal(r, v.size < SYNTH_VMSS_HEAD ? SONDE_E_BAD_FORMAT
				    : v.size < list          ? SONDE_E_TRUNCATED
							     : 0);
		assert_true(r == 0 || why[0]);
		if (r == 0) {
			assert_int_equal(told.cut, v.size < whole);
			assert_true(told.n_regions + told.n_refused <= 2);
			assert_int_equal(told.n_regions == 2, v.size >= whole - 2);
		}
		vmware_state_finish(&told);
	}
}

static void regions_that_lie_are_left_out_and_counted(void **state)
{
	static const struct {
		uint64_t guest, file, pages;
	} lies[] = {
		{ 16, 3, 0 },                      /* of nothing           */
		{ UINT64_C(1) << 52, 0, 1 },       /* behind 2^64          */
		{ (UINT64_C(1) << 52) - 1, 0, 2 }, /* beyond it            */
		{ 0, UINT64_MAX, 1 },              /* the same in the file */
		{ 0, 0, UINT64_C(1) << 53 },
	};
	static struct synth_vmss v;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct vmware_state told;
		const char *why;
		synth_vmss_begin(&v, WIDE, 1);
		synth_vmss_group(&v, "memory");
		synth_vmss_number(&v, "regionsCount", -1, -1, 4, 3);
		synth_vmss_region(&v, 0, 0, 0, 1);
		synth_vmss_number(&v, "regionPPN", 1, -1, 8, lies[i].guest);
		synth_vmss_number(&v, "regionPageNum", 1, -1, 8, lies[i].file);
		synth_vmss_number(&v, "regionSize", 1, -1, 8, lies[i].pages);
		synth_vmss_number(&v, "regionPPN", 2, -1, 4, 1); /* nothing else of it */
		synth_vmss_end(&v);
		assert_int_equal(parse(&told, &v, &why), 0);
		assert_int_equal(told.n_regions, 1);
		assert_int_equal(told.n_refused, 2);
		vmware_state_finish(&told);
	}
}

static void more_regions_or_groups_than_there_are_is_refused(void **state)
{
	static struct synth_vmss v;
	struct vmware_state told;
	const char *why;

	(void)state;
	synth_vmss_begin(&v, WIDE, 1);
	synth_vmss_group(&v, "memory");
	synth_vmss_number(&v, "regionsCount", -1, -1, 4, VMWARE_REGIONS_MAX + 1);
	synth_vmss_end(&v);
	assert_int_equal(parse(&told, &v, &why), SONDE_E_LIMIT);
	vmware_state_finish(&told);
	synth_put(v.bytes + 8, 0, 4, VMSS_GROUPS_MAX + 1);
	assert_int_equal(parse(&told, &v, &why), SONDE_E_LIMIT);
	vmware_state_finish(&told);
	synth_vmss_begin(&v, WIDE, 1);
	synth_vmss_group(&v, "cpu");
	synth_vmss_end(&v);
	assert_int_equal(parse(&told, &v, &why), SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(why, "says nothing of memory"));
	vmware_state_finish(&told);
}

/* ---- through the connector -------------------------------------------------------------------------- */

/* A folder with files of one name and different endings. */
struct pair {
	char folder[32], names[3][64]; /* .vmss, .vmsn, .vmem */
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_target_info info;
	struct sonde_error err;
};

enum { VMSS, VMSN, VMEM };

static void begin(struct pair *pair)
{
	static const char *const endings[] = { "vmss", "vmsn", "vmem" };

	*pair = (struct pair){ .folder = "/tmp/sonde-vmware-XXXXXX" };
	assert_non_null(mkdtemp(pair->folder));
	for (int i = 0; i < 3; i++)
		snprintf(pair->names[i], sizeof(pair->names[i]), "%s/vm.%s", pair->folder,
			 endings[i]);
	assert_int_equal(sonde_loop_create(NULL, &pair->loop, NULL), 0);
}

static int open_as(struct pair *pair, const char *name)
{
	if (pair->target)
		sonde_target_close(pair->target);
	pair->target = NULL;
	int r = sonde_target_open(pair->loop, name, NULL, &pair->target, &pair->err);
	if (r == 0)
		sonde_target_info(pair->target, &pair->info);
	return r;
}

static void end(struct pair *pair)
{
	if (pair->target)
		sonde_target_close(pair->target);
	sonde_loop_destroy(pair->loop);
	for (int i = 0; i < 3; i++)
		unlink(pair->names[i]);
	rmdir(pair->folder);
}

static void save(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

/* Byte a of the memory is a / 64. */
static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i / 64);
}

static uint8_t byte_at(const struct pair *pair, uint64_t addr, int32_t want)
{
	uint8_t byte = 0;

	assert_int_equal(sonde_space_get(sonde_target_memory(pair->target), addr, &byte, 1), want);
	return byte;
}

static void expect_bytes(const struct pair *pair)
{
	for (uint32_t page = 0; page < 4; page++) {
		uint64_t addr = (page < 3 ? page : 16) * (uint64_t)PAGE + 64;
		assert_int_equal(byte_at(pair, addr, 0), (page * PAGE + 64) / 64 % 256);
	}
	byte_at(pair, 3 * PAGE, SONDE_E_NOT_MAPPED);
	byte_at(pair, 17 * PAGE, SONDE_E_NOT_MAPPED);
}

static void either_file_finds_the_other(void **state)
{
	static struct synth_vmss v;
	uint8_t memory[4 * PAGE];
	struct sonde_cpu cpu;
	struct pair pair;
	char name[96];

	(void)state;
	begin(&pair);
	make(&v, WIDE);
	fill(memory, sizeof(memory));
	save(pair.names[VMEM], memory, sizeof(memory));
	for (int kind = VMSS; kind <= VMSN; kind++) {
		save(pair.names[kind], v.bytes, v.size);
		assert_int_equal(open_as(&pair, pair.names[kind]), 0);
		assert_string_equal(pair.info.connector, "vmware");
		assert_string_equal(pair.info.detail,
				    "VMware guest, state and memory, 2 regions, 2 CPUs");
		expect_bytes(&pair);
		snprintf(name, sizeof(name), "vmware:%s", pair.names[VMEM]);
		assert_int_equal(open_as(&pair, name), 0);
		assert_string_equal(pair.info.detail,
				    "VMware guest, state and memory, 2 regions, 2 CPUs");
		assert_int_equal(pair.info.arch, SONDE_ARCH_X86_64);
		assert_int_equal(pair.info.n_cpus, 2);
		expect_bytes(&pair);
		assert_int_equal(sonde_target_cpu(pair.target, 1, &cpu), 0);
		expect_cpu(&cpu, 1);
		assert_int_equal(sonde_target_cpu(pair.target, 2, &cpu), SONDE_E_NOT_FOUND);
		unlink(pair.names[kind]);
	}
	end(&pair);
}

static void the_memory_may_be_called_anything(void **state)
{
	static struct synth_vmss v;
	uint8_t memory[4 * PAGE];
	struct pair pair;
	char name[160], other[64];

	(void)state;
	begin(&pair);
	make(&v, NARROW);
	fill(memory, sizeof(memory));
	save(pair.names[VMSS], v.bytes, v.size);
	assert_int_equal(open_as(&pair, pair.names[VMSS]), SONDE_E_NOT_FOUND);
	assert_non_null(strstr(pair.err.text, "vmem=FILE"));
	snprintf(other, sizeof(other), "%s/memory", pair.folder);
	save(other, memory, sizeof(memory));
	snprintf(name, sizeof(name), "%s,vmem=%s", pair.names[VMSS], other);
	assert_int_equal(open_as(&pair, name), 0);
	expect_bytes(&pair);
	snprintf(name, sizeof(name), "vmware:%s", other);
	assert_int_equal(open_as(&pair, name), SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(pair.err.text, "is called .vmem"));
	unlink(other);
	end(&pair);
}

static void memory_within_the_state_is_read_there(void **state)
{
	static struct synth_vmss v;
	uint8_t memory[4 * PAGE];
	struct pair pair;

	(void)state;
	begin(&pair);
	fill(memory, sizeof(memory));
	for (int packed = 0; packed < 2; packed++) {
		synth_vmss_begin(&v, packed ? WIDE : NARROW, 1);
		synth_vmss_group(&v, "memory");
		synth_vmss_block(&v, "Memory", 0, 0, packed ? 62 : 63, memory, sizeof(memory), 777);
		put_memory_tags(&v);
		synth_vmss_end(&v);
		save(pair.names[VMSN], v.bytes, v.size);
		assert_int_equal(open_as(&pair, pair.names[VMSN]),
				 packed ? SONDE_E_UNSUPPORTED : 0);
		if (packed)
			assert_non_null(strstr(pair.err.text, "holds the memory packed"));
		else
			expect_bytes(&pair);
	}
	end(&pair);
}

static void memory_that_was_cut_off_is_said_to_be(void **state)
{
	static struct synth_vmss v;
	uint8_t memory[4 * PAGE];
	struct pair pair;

	(void)state;
	begin(&pair);
	make(&v, WIDE);
	fill(memory, sizeof(memory));
	save(pair.names[VMSS], v.bytes, v.size);
	save(pair.names[VMEM], memory, 2 * PAGE + 64);
	assert_int_equal(open_as(&pair, pair.names[VMSS]), 0);
	assert_string_equal(pair.info.detail,
			    "VMware guest, state and memory, 2 regions, 2 CPUs, cut off");
	assert_int_equal(byte_at(&pair, 2 * PAGE + 63, 0), 2 * PAGE / 64);
	byte_at(&pair, 2 * PAGE + 64, SONDE_E_TRUNCATED);
	byte_at(&pair, 16 * PAGE, SONDE_E_TRUNCATED);
	end(&pair);
}

static void memory_alone_is_not_guessed_about_in_silence(void **state)
{
	uint8_t page[PAGE];
	struct pair pair;
	char name[96];

	(void)state;
	begin(&pair);
	fill(page, sizeof(page));
	save(pair.names[VMEM], page, sizeof(page));
	assert_int_equal(open_as(&pair, pair.names[VMEM]), SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(pair.err.text, "say vmware:/"));
	snprintf(name, sizeof(name), "vmware:%s", pair.names[VMEM]);
	assert_int_equal(open_as(&pair, name), 0);
	assert_string_equal(pair.info.detail,
			    "VMware guest, memory without a .vmss or .vmsn beside "
			    "it, 1 region, 0 CPUs");
	assert_int_equal(byte_at(&pair, 64, 0), 1);

	FILE *file = fopen(pair.names[VMEM], "r+b");
	assert_non_null(file);
	assert_int_equal(fseeko(file, 3 * (off_t)GIB, SEEK_SET), 0);
	assert_int_equal(fwrite(page, 1, sizeof(page), file), sizeof(page));
	fclose(file);
	assert_int_equal(open_as(&pair, name), 0);
	assert_non_null(strstr(pair.info.detail, "no memory from 3 to 4 GiB: assumed"));
	assert_int_equal(byte_at(&pair, 4 * GIB + 64, 0), 1);
	byte_at(&pair, 3 * GIB + 64, SONDE_E_NOT_MAPPED);
	end(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_and_registers_are_those_of_the_tags),
		cmocka_unit_test(a_register_that_is_missing_makes_its_set_unknown),
		cmocka_unit_test(a_file_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(regions_that_lie_are_left_out_and_counted),
		cmocka_unit_test(more_regions_or_groups_than_there_are_is_refused),
		cmocka_unit_test(either_file_finds_the_other),
		cmocka_unit_test(the_memory_may_be_called_anything),
		cmocka_unit_test(memory_within_the_state_is_read_there),
		cmocka_unit_test(memory_that_was_cut_off_is_said_to_be),
		cmocka_unit_test(memory_alone_is_not_guessed_about_in_silence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
