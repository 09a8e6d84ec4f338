/* SPDX-License-Identifier: MIT */
/* What the qemu connector makes of texts: command lines, memory maps, registers, mappings. */
#include "../../connectors/common/maps.h"
#include "../../connectors/common/guests.h"
#include "../../connectors/common/memory_map.h"
#include "../../connectors/common/registers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- command lines ---- */

/* Words split at '|', as in /proc/PID/cmdline. */
static int parse_words(struct guest *ret, const char *words)
{
	char text[1024];
	size_t len = strlen(words) + 1;

	assert_true(len <= sizeof(text));
	memcpy(text, words, len);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '|')
			text[i] = '\0';
	}
	return guest_parse(ret, 1, text, len);
}

static const struct {
	const char *words, *name, *qmp, *machine;
	uint64_t memory;
} lines[] = {
	{ "/usr/bin/qemu-system-x86_64|-name|a|-qmp|unix:/x/q.sock,server=on,wait=off|-m|512", "a",
	  "/x/q.sock", "", UINT64_C(512) << 20 },
	{ "qemu-system-x86_64|-name|guest=b,debug-threads=on|-m|size=2G,slots=2|-machine|pc-q35-7."
	  "2,accel=tcg",
	  "b", NULL, "pc-q35-7.2", UINT64_C(2) << 30 },
	{ "qemu-system-aarch64|--name|c,process=d|--qmp|unix:/y,server|-M|virt", "c", "/y", "virt",
	  0 },
	{ "kvm|-chardev|socket,id=m,path=/z,,w,server=on|-mon|chardev=m,mode=control|-m|1024K", "",
	  "/z,w", "", 1024 << 10 },
	{ "qemu-kvm|-chardev|socket,id=m,path=/z|-mon|chardev=m,mode=readline", "", NULL, "", 0 },
	{ "qemu-kvm|-chardev|socket,path=/z,id=m|-mon|m,mode=control", "", "/z", "", 0 },
	{ "qemu-kvm|-chardev|pty,id=m|-mon|chardev=m,mode=control", "", NULL, "", 0 },
	{ "qemu-kvm|-qmp|tcp:localhost:4444,server", "", NULL, "", 0 },
	{ "qemu-kvm|-name|x,,y", "x,y", NULL, "", 0 },
	{ "qemu-kvm|-machine|accel=kvm,type=q35", "", NULL, "q35", 0 },
	{ "qemu-kvm|-m|99999999999999999999T", "", NULL, "", 0 },
	{ "qemu-kvm|-name", "", NULL, "", 0 },
	{ "qemu-kvm", "", NULL, "", 0 },
};

static void command_lines_say_name_monitor_and_memory(void **state)
{
	(void)state;
	struct guest *guest = malloc(sizeof(*guest));

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!parse_words(guest, lines[i].words))
			fail_msg("%s: not taken for a QEMU", lines[i].words);
		if (strcmp(guest->name, lines[i].name) != 0 ||
		    strcmp(guest->machine, lines[i].machine) != 0 ||
		    guest->memory != lines[i].memory || guest->n_qmp != (lines[i].qmp != NULL) ||
		    (lines[i].qmp && strcmp(guest->qmp[0], lines[i].qmp) != 0))
			fail_msg("%s: got name '%s' machine '%s' memory %llu, %zu sockets '%s'",
				 lines[i].words, guest->name, guest->machine,
				 (unsigned long long)guest->memory, guest->n_qmp, guest->qmp[0]);
	}
	free(guest);
}

static void the_uuid_is_kept_as_it_stands(void **state)
{
	(void)state;
	struct guest *guest = malloc(sizeof(*guest));

	assert_true(parse_words(guest, "kvm|-uuid|6E2D0000-0000-4000-8000-00000000000a|-m|64"));
	assert_string_equal(guest->uuid, "6E2D0000-0000-4000-8000-00000000000a");
	assert_true(parse_words(guest, "kvm|-m|64"));
	assert_string_equal(guest->uuid, "");
	free(guest);
}

static void the_program_says_the_architecture(void **state)
{
	(void)state;
	struct guest *guest = malloc(sizeof(*guest));

	assert_true(parse_words(guest, "/usr/bin/qemu-system-aarch64|-M|virt"));
	assert_int_equal(guest_arch(guest), SONDE_ARCH_AARCH64);
	assert_true(parse_words(guest, "/usr/libexec/qemu-kvm|-m|64"));
	assert_int_equal(guest_arch(guest), SONDE_ARCH_X86_64);
	assert_true(parse_words(guest, "qemu-system-m68k|-m|64"));
	assert_int_equal(guest_arch(guest), SONDE_ARCH_NONE);
	free(guest);
}

static void other_programs_are_no_guests(void **state)
{
	(void)state;
	struct guest *guest = malloc(sizeof(*guest));

	assert_false(parse_words(guest, "/usr/bin/qemu-img|create|x"));
	assert_false(parse_words(guest, "vi|qemu-system-x86_64"));
	assert_false(parse_words(guest, ""));
	assert_false(guest_parse(guest, 1, "", 0));
	assert_false(guest_parse(guest, 1, "qemu-kvm", 8)); /* not ended */
	free(guest);
}

static void more_sockets_than_are_kept_are_left_out(void **state)
{
	(void)state;
	struct guest *guest = malloc(sizeof(*guest));

	assert_true(parse_words(
		guest, "kvm|-qmp|unix:/1|-qmp|unix:/2|-qmp|unix:/3|-qmp|unix:/4|-qmp|unix:/5"));
	assert_int_equal(guest->n_qmp, GUEST_QMP_MAX);
	free(guest);
}

/* ---- memory maps ---- */

#define VIEW "FlatView #0\r\n AS \"memory\", root: system\r\n Root memory region: system\r\n"

static const char mtree[] =
	"FlatView #0\r\n AS \"I/O\", root: io\r\n  0000000000000000-0000000000000007 (prio 0, "
	"ram): x\r\n\r\n"
	"FlatView #1\r\n AS \"memory\", root: system\r\n AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM\r\n"
	"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n"
	"  00000000000c0000-00000000000fffff (prio 0, rom): pc.ram @00000000000c0000\r\n"
	"  0000000000100000-000000001fffffff (prio 0, ram): pc.ram @0000000000100000 KVM\r\n"
	"  00000000fd000000-00000000fdffffff (prio 1, ram): 0000:00:01.0/vga.vram\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"\r\nFlatView #2\r\n  0000000200000000-00000002ffffffff (prio 0, ram): other\r\n";

static void the_flat_view_of_memory_becomes_ranges(void **state)
{
	(void)state;
	struct memory_map map;
	uint64_t gap = 7;

	assert_int_equal(memory_map_parse(&map, mtree), 0);
	assert_int_equal(map.n, 5);
	assert_int_equal(memory_map_mark(&map, "pc.ram"), 3);
	assert_int_equal(memory_map_mark(&map, "nosuch"), 0);
	assert_int_equal(map.ranges[2].addr, 0x100000);
	assert_int_equal(map.ranges[2].len, 0x1ff00000);
	assert_int_equal(map.ranges[2].off, 0x100000);
	assert_string_equal(map.ranges[2].name, "pc.ram");
	assert_true(map.ranges[2].flags & SONDE_REGION_RAM);
	assert_true(map.ranges[3].flags & SONDE_REGION_DEVICE);
	assert_string_equal(map.ranges[4].name, "pc.bios");
	assert_false(map.ranges[4].flags & SONDE_REGION_WRITE);

	memory_map_join(&map);
	assert_int_equal(map.n, 4); /* c0000 and 100000 go on from each other; a0000 is a hole */
	assert_int_equal(map.ranges[1].addr, 0xc0000);
	assert_int_equal(map.ranges[1].len, 0x1ff40000);

	assert_ptr_equal(memory_map_find(&map, 0, &gap), &map.ranges[0]);
	assert_ptr_equal(memory_map_find(&map, 0x1fffffff, &gap), &map.ranges[1]);
	assert_null(memory_map_find(&map, 0xa0000, &gap));
	assert_int_equal(gap, 0x20000);
	assert_null(memory_map_find(&map, 0x100000000, &gap));
	assert_int_equal(gap, 0);
	memory_map_finish(&map);
}

static const struct {
	const char *text;
	int want;
	size_t n;
} views[] = {
	{ "", SONDE_E_BAD_FORMAT, 0 },
	{ "unknown command: 'info mtree'", SONDE_E_BAD_FORMAT, 0 },
	{ VIEW "  No rendered FlatView\r\n", SONDE_E_BAD_FORMAT, 0 },
	{ VIEW "  0-fff (prio 0, ram): a\n  800-1fff (prio 0, ram): b\n", SONDE_E_BAD_FORMAT, 0 },
	{ VIEW "  2000-2fff (prio 0, ram): a\n  0-fff (prio 0, ram): b\n", SONDE_E_BAD_FORMAT, 0 },
	{ VIEW "  1000-fff (prio 0, ram): a\n  0-0 (prio 0, ram): b\n", 0, 1 },
	{ VIEW "  0-ffffffffffffffff (prio 0, ram): all\n  5-6 (prio 0, ram): b\n", 0, 1 },
	{ VIEW "  0-ffff (prio -1, ramd): vfio\n  10000-1ffff (prio -1, nv-ram): nv\n", 0, 1 },
	{ VIEW "  0-ffff (prio 0, ram)\n  10000-1ffff (prio 0, ram): \n  20000-2ffff prio\n", 0,
	  1 },
};

static void broken_views_are_refused_or_read_in_part(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		struct memory_map map;
		int r = memory_map_parse(&map, views[i].text);
		if (r != views[i].want || (r == 0 && map.n != views[i].n))
			fail_msg("view %zu: got %d with %zu ranges, want %d with %zu", i, r, map.n,
				 views[i].want, views[i].n);
		memory_map_finish(&map);
	}
}

static void a_map_is_cut_without_harm_at_any_byte(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(mtree); cut++) {
		char *text = malloc(cut + 1);
		struct memory_map map;
		memcpy(text, mtree, cut);
		text[cut] = '\0';
		int r = memory_map_parse(&map, text);
		assert_true(r == 0 || r == SONDE_E_BAD_FORMAT);
		assert_true(map.n <= 5);
		memory_map_finish(&map);
		free(text);
	}
}

static void too_many_ranges_are_a_limit(void **state)
{
	(void)state;
	size_t cap = 64 + 64 * (MEMORY_RANGES_MAX + 1), used;
	char *text = malloc(cap);
	struct memory_map map;

	used = (size_t)snprintf(text, cap, "AS \"memory\"\n");
	for (unsigned i = 0; i <= MEMORY_RANGES_MAX; i++)
		used += (size_t)snprintf(text + used, cap - used,
					 "  %x000-%xfff (prio 0, ram): r\n", 2 * i, 2 * i);
	assert_int_equal(memory_map_parse(&map, text), SONDE_E_LIMIT);
	assert_int_equal(map.n, MEMORY_RANGES_MAX);
	memory_map_finish(&map);
	free(text);
}

static void without_backends_ram_is_what_looks_like_it(void **state)
{
	(void)state;
	struct memory_map map;

	assert_int_equal(memory_map_parse(&map, mtree), 0);
	memory_map_mark_likely(&map);
	assert_true(map.ranges[0].flags & SONDE_REGION_RAM);
	assert_false(map.ranges[3].flags & SONDE_REGION_RAM); /* video memory */
	assert_false(map.ranges[4].flags & SONDE_REGION_RAM); /* firmware     */
	memory_map_finish(&map);
}

static void host_addresses_are_read_from_the_monitor(void **state)
{
	(void)state;
	uint64_t hva = 1;

	assert_true(memory_map_hva("Host virtual address for 0x0 (pc.ram) is 0x7fbd77fff000\r\n",
				   &hva));
	assert_int_equal(hva, 0x7fbd77fff000);
	assert_false(memory_map_hva("Memory at address 0xa0000is not RAM\r\n", &hva));
	assert_false(memory_map_hva("x) is 0x", &hva));
	assert_false(memory_map_hva("x) is 0x0", &hva));
	assert_false(memory_map_hva("", &hva));
}

/* Sources of the expected cuts: qemu 7.2 hw/i386/pc_q35.c, pc_piix.c, hw/arm/virt.c. */
static const struct {
	const char *program, *machine;
	uint64_t memory;
	size_t n;
	uint64_t first, low, high;
} guesses[] = {
	{ "qemu-system-x86_64", "q35", 0x20000000, 1, 0, 0x20000000, 0 },
	{ "qemu-system-x86_64", "pc-q35-7.2", 0xb0000000, 2, 0, 0x80000000, 0x30000000 },
	{ "qemu-system-x86_64", "", 0xb0000000, 1, 0, 0xb0000000, 0 },
	{ "qemu-kvm", "pc", UINT64_C(0x200000000), 2, 0, 0xc0000000, UINT64_C(0x140000000) },
	{ "qemu-system-aarch64", "virt", 0x20000000, 1, 0x40000000, 0x20000000, 0 },
	{ "qemu-system-riscv64", "virt", 0x20000000, 1, 0x80000000, 0x20000000, 0 },
};

static void a_known_machine_can_be_guessed(void **state)
{
	(void)state;
	struct guest *guest = calloc(1, sizeof(*guest));
	struct memory_map map;

	for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
		strcpy(guest->program, guesses[i].program);
		strcpy(guest->machine, guesses[i].machine);
		guest->memory = guesses[i].memory;
		assert_int_equal(memory_map_guess(&map, guest, 0x7f0000000000), 0);
		assert_int_equal(map.n, guesses[i].n);
		assert_int_equal(map.ranges[0].addr, guesses[i].first);
		assert_int_equal(map.ranges[0].len, guesses[i].low);
		assert_int_equal(map.ranges[0].hva, 0x7f0000000000);
		if (guesses[i].high) {
			assert_int_equal(map.ranges[1].addr, UINT64_C(1) << 32);
			assert_int_equal(map.ranges[1].len, guesses[i].high);
			assert_int_equal(map.ranges[1].hva, 0x7f0000000000 + guesses[i].low);
		}
		memory_map_finish(&map);
	}
	strcpy(guest->program, "qemu-system-mips");
	strcpy(guest->machine, "malta");
	assert_int_equal(memory_map_guess(&map, guest, 0x7f0000000000), SONDE_E_UNSUPPORTED);
	memory_map_finish(&map);
	free(guest);
}

/* ---- registers ---- */

static const char wide[] =
	"\r\nCPU#0\r\n"
	"RAX=000000000001ad40 RBX=0000000000000001 RCX=0000000000000020 RDX=4000000000000000\r\n"
	"RSI=0000000000000083 RDI=0000000000002854 RBP=ffffffff83c1aa40 RSP=ffffffff83c03e98\r\n"
	"R8 =ffff8b931f022e80 R9 =000000003457aed4 R10=00000000fffffffb R11=0000000000000000\r\n"
	"R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 R15=0000000000014790\r\n"
	"RIP=ffffffff82c17a0b RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n"
	"ES =0000 0000000000000000 00000000 00000000\r\n"
	"GS =0000 ffff8b931f000000 00000000 00000000\r\n"
	"GDT=     fffffe0000001000 0000007f\r\nIDT=     fffffe0000000000 00000fff\r\n"
	"CR0=80050033 CR2=0000000035365000 CR3=000000001ff48000 CR4=000006b0\r\n"
	"EFER=0000000000000d01\r\n";

static struct full_cpu full; /* what was parsed last */

static int parse_registers(const char *text, struct sonde_cpu *cpu)
{
	full = (struct full_cpu){ .cpu = *cpu };
	int told = registers_parse(text, &full);
	*cpu = full.cpu;
	return told;
}

/* The note of what was parsed last, read again. */
static void note_says_upper(const char *begin)
{
	struct full_cpu back = { .cpu.arch = full.cpu.arch };
	char text[1024];
	int64_t len = full_cpu_note(&full, text, sizeof(text) - 1);

	assert_true(len > 0 && len < (int64_t)sizeof(text));
	assert_int_equal(full_cpu_note(&full, NULL, 0), len);
	text[len] = '\0';
	assert_memory_equal(text, begin, strlen(begin));
	full_cpu_parse(&back, text);
	assert_int_equal(back.n_upper, full.n_upper);
	assert_memory_equal(back.upper, full.upper, full.n_upper * sizeof(full.upper[0]));
	text[len - 18] = '\0'; /* one is missing */
	full_cpu_parse(&back, text);
	assert_int_equal(back.n_upper, 0);
}

static void registers_of_a_64_bit_processor(void **state)
{
	(void)state;
	struct sonde_cpu cpu = { .arch = SONDE_ARCH_X86_64 };

	assert_true(parse_registers(wide, &cpu));
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES |
					    SONDE_CPU_GS | SONDE_CPU_EFER);
	assert_int_equal(cpu.arch, SONDE_ARCH_X86_64);
	assert_int_equal(cpu.general[0], 0x1ad40);
	assert_int_equal(cpu.general[8], 0xffff8b931f022e80);
	assert_int_equal(cpu.general[15], 0x14790);
	assert_int_equal(cpu.sp, 0xffffffff83c03e98);
	assert_int_equal(cpu.pc, 0xffffffff82c17a0b);
	assert_int_equal(cpu.flags, 0x246);
	assert_int_equal(cpu.cr[0], 0x80050033);
	assert_int_equal(cpu.cr[3], 0x1ff48000);
	assert_int_equal(cpu.gs_base, 0xffff8b931f000000);
	assert_int_equal(cpu.gdt_base, 0xfffffe0000001000);
	assert_int_equal(cpu.idt_base, 0xfffffe0000000000);
	assert_int_equal(cpu.efer, 0xd01);
}

static void registers_of_a_32_bit_processor(void **state)
{
	(void)state;
	static const char text[] = "EAX=00000001 EBX=00000002 ECX=00000003 EDX=00000004\r\n"
				   "ESI=00000005 EDI=00000006 EBP=00000007 ESP=c1f03f20\r\n"
				   "EIP=c1234567 EFL=00000246 [---Z-P-] CPL=0\r\nGS =00e0 c2000000 "
				   "00000018 00409100 DPL=0\r\n"
				   "GDT=     ff801000 000000ff\r\nIDT=     ff800000 000007ff\r\n"
				   "CR0=80050033 CR2=b7f00000 CR3=02000000 CR4=000006f0\r\n";
	struct sonde_cpu cpu = { .arch = SONDE_ARCH_I386 };

	assert_true(parse_registers(text, &cpu));
	assert_int_equal(cpu.pc, 0xc1234567);
	assert_int_equal(cpu.sp, 0xc1f03f20);
	assert_int_equal(cpu.gs_base, 0xc2000000);
	assert_int_equal(cpu.cr[3], 0x2000000);
	assert_int_equal(cpu.valid & SONDE_CPU_EFER, 0);
}

static void registers_cut_anywhere_are_valid_only_where_whole(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(wide); cut++) {
		char *text = malloc(cut + 1);
		struct sonde_cpu cpu = { .arch = SONDE_ARCH_X86_64 };
		memcpy(text, wide, cut);
		text[cut] = '\0';
		int told = parse_registers(text, &cpu);
		assert_int_equal(told, cpu.valid != 0);
		/* A number may be cut, a whole line missing: then its group is not valid. */
		if (!strstr(text, "RFL=0"))
			assert_int_equal(cpu.valid & SONDE_CPU_GENERAL, 0);
		if (!strstr(text, "CR4=0"))
			assert_int_equal(cpu.valid & SONDE_CPU_CONTROL, 0);
		free(text);
	}
	struct sonde_cpu cpu = { .arch = SONDE_ARCH_AARCH64 };
	assert_false(parse_registers("PC=ffff800008000000 X00=0000000000000000\r\n", &cpu));
	cpu.arch = SONDE_ARCH_NONE;
	assert_false(parse_registers(wide, &cpu));
}

static void registers_of_an_aarch64_processor(void **state)
{
	(void)state;
	static const char text[] =
		"\r\nCPU#1\r\n PC=ffffdc362e5af4fc X00=0000000000000005 X01=ffff023e4ff49558\r\n"
		"X02=00000000000f9109 X03=0000000000000000 X04=ffff260821070000\r\n"
		"X05=4000000000000000 X06=00000001bc1314bc X07=0000000000000000\r\n"
		"X08=ffff023e42210c20 X09=ffffdc362daf734c X10=0000000000000bc0\r\n"
		"X11=00000000000000c0 X12=0000000000000001 X13=ffffdc362f21e9b0\r\n"
		"X14=ffffffffffffffff X15=0000000000000001 X16=0000000000000001\r\n"
		"X17=0000000000000017 X18=0000000000000018 X19=ffffdc362f20ae08\r\n"
		"X20=0000000000000001 X21=ffff023e42210000 X22=ffffdc362f20af80\r\n"
		"X23=0000000000000000 X24=ffffdc362e5b1cf0 X25=0000000000000000\r\n"
		"X26=0000000000000000 X27=0000000000000000 X28=0000000000000000\r\n"
		"X29=ffff8000080c3de0 X30=ffffdc362e5af514  SP=ffff8000080c3de0\r\n"
		"PSTATE=400000c5 -Z-- EL1h     FPCR=00000000 FPSR=00000000\r\n";
	struct sonde_cpu cpu = { .arch = SONDE_ARCH_AARCH64 };

	assert_true(parse_registers(text, &cpu));
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL);
	assert_true(cpu.pc == UINT64_C(0xffffdc362e5af4fc));
	assert_true(cpu.sp == UINT64_C(0xffff8000080c3de0));
	assert_int_equal(cpu.flags, 0x400000c5);
	assert_int_equal(cpu.general[0], 5);
	assert_true(cpu.general[14] == UINT64_MAX);
	assert_int_equal(cpu.general[15], 1);
	assert_int_equal(full.n_upper, 15);
	assert_int_equal(full.upper[1], 0x17);
	assert_true(full.upper[14] == UINT64_C(0xffffdc362e5af514));
	note_says_upper("x16=1 x17=17 x18=18 x19=ffffdc362f20ae08 ");
}

/* sstatus is what is the supervisor's of mstatus; vsstatus and hstatus are others. */
#define RISCV                                                                                      \
	"\r\nCPU#0\r\n V      =   0\r\n pc       ffffffff80a73f30\r\n"                             \
	" mhartid  0000000000000000\r\n hstatus  0000000200000000\r\n"                             \
	" vsstatus 0000000a00000000\r\n mstatus  8000000a000000a2\r\n"                             \
	" vstvec   0000000000000000\r\n stvec    ffffffff80a81240\r\n"                             \
	" mepc     ffffffff808078c4\r\n sepc     ffffffff80a75bd4\r\n"                             \
	" mcause   8000000000000003\r\n scause   8000000000000005\r\n"                             \
	" mtval    0000000000000000\r\n stval    0000000000000010\r\n"
#define RISCV_SATP " satp     a000100000088b02\r\n"
#define RISCV_GENERAL                                                                              \
	" x0/zero  0000000000000000 x1/ra    ffffffff80a75bc4 x2/sp    ffffffff81c03de0 "          \
	"x3/gp    ffffffff81db6e50\r\n x4/tp    ffffffff81c10180 x5/t0    0000000000018992 "       \
	"x6/t1    0000000000000001 x7/t2    0000000000018992\r\n x8/s0    ffffffff81c03df0 "       \
	"x9/s1    0000000000000000 x10/a0   00000000000186cc x11/a1   ff6000008f125000\r\n "       \
	"x12/a2   ffffffff81c10180 x13/a3   0000000000000000 x14/a4   ff6000008f125000 "           \
	"x15/a5   ff6000000ffba3d8\r\n"

#define RISCV_UPPER                                                                                \
	" x16/a6   0000000000000016 x17/a7   0000000000000017 x18/s2   0000000000000018 "          \
	"x19/s3   0000000000000019\r\n x20/s4   0000000000000020 x21/s5   0000000000000021 "       \
	"x22/s6   0000000000000022 x23/s7   0000000000000023\r\n x24/s8   0000000000000024 "       \
	"x25/s9   0000000000000025 x26/s10  0000000000000026 x27/s11  0000000000000027\r\n "       \
	"x28/t3   0000000000000028 x29/t4   0000000000000029 x30/t5   0000000000000030 "           \
	"x31/t6   ffffffff81c03e31\r\n"

static void registers_of_a_riscv64_processor(void **state)
{
	(void)state;
	struct sonde_cpu cpu = { .arch = SONDE_ARCH_RISCV64 };

	assert_true(parse_registers(RISCV RISCV_SATP RISCV_GENERAL, &cpu));
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES);
	assert_true(cpu.pc == UINT64_C(0xffffffff80a73f30));
	assert_true(cpu.sp == UINT64_C(0xffffffff81c03de0));
	assert_true(cpu.general[10] == 0x186cc);
	assert_true(cpu.general[15] == UINT64_C(0xff6000000ffba3d8));
	assert_true(cpu.cr[SONDE_CR_SATP] == UINT64_C(0xa000100000088b02));
	assert_true(cpu.cr[SONDE_CR_SSTATUS] == UINT64_C(0x8000000200000022));
	assert_true(cpu.cr[SONDE_CR_SCAUSE] == UINT64_C(0x8000000000000005));
	assert_true(cpu.cr[SONDE_CR_SEPC] == UINT64_C(0xffffffff80a75bd4));
	assert_true(cpu.cr[SONDE_CR_STVAL] == 0x10);
	assert_true(cpu.idt_base == UINT64_C(0xffffffff80a81240));

	/* Without S mode there is no satp; the general ones are whole or not there. */
	cpu = (struct sonde_cpu){ .arch = SONDE_ARCH_RISCV64 };
	assert_true(parse_registers(RISCV RISCV_GENERAL, &cpu));
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_TABLES);
	assert_int_equal(full.n_upper, 0);
	cpu = (struct sonde_cpu){ .arch = SONDE_ARCH_RISCV64 };
	assert_true(parse_registers(RISCV_GENERAL RISCV_UPPER RISCV, &cpu));
	assert_int_equal(full.n_upper, 16);
	assert_int_equal(full.upper[0], 0x16);
	assert_true(full.upper[15] == UINT64_C(0xffffffff81c03e31));
	note_says_upper("a6=16 a7=17 ");
	cpu = (struct sonde_cpu){ .arch = SONDE_ARCH_RISCV64 };
	assert_true(parse_registers(RISCV RISCV_SATP, &cpu));
	assert_int_equal(cpu.valid, SONDE_CPU_CONTROL | SONDE_CPU_TABLES);
}

static void a_note_of_registers_names_a_processor(void **state)
{
	(void)state;
	static const char *const none[] = { "",
					    "SONDE_REGISTERS",
					    "SONDE_REGISTERS:",
					    "VMCOREINFO",
					    "SONDE_REGISTERS:x",
					    "SONDE_REGISTERS:1x",
					    "SONDE_REGISTERS:-1",
					    "SONDE_REGISTERS:4294967296",
					    "SONDE_REGISTERS: 1" };
	uint32_t index = 7;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(full_cpu_asked(none[i], &index));
	assert_true(full_cpu_asked("SONDE_REGISTERS:0", &index));
	assert_int_equal(index, 0);
	assert_true(full_cpu_asked("SONDE_REGISTERS:4294967295", &index));
	assert_int_equal(index, UINT32_MAX);
	struct full_cpu x86 = { .cpu.arch = SONDE_ARCH_X86_64 };
	assert_int_equal(full_cpu_note(&x86, NULL, 0), SONDE_E_NOT_FOUND);
}

/* ---- mappings ---- */

static void lines_of_maps_are_read(void **state)
{
	(void)state;
	struct maps_line map;
	char shared[] = "7fbd77fff000-7fbd97fff000 rw-s 00001000 fe:00 10986617                   "
			"/tmp/a b\\012c\\134d (deleted)";
	char bare[] = "7f0000000000-7f0000001000 r--p 00000000 00:00 0 ";
	char vsyscall[] = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                 "
			  " [vsyscall]";

	assert_true(maps_parse(shared, &map));
	assert_int_equal(map.start, 0x7fbd77fff000);
	assert_int_equal(map.end, 0x7fbd97fff000);
	assert_int_equal(map.flags, SONDE_REGION_READ | SONDE_REGION_WRITE | SONDE_REGION_SHARED);
	assert_int_equal(map.off, 0x1000);
	assert_int_equal(map.inode, 10986617);
	assert_string_equal(map.path, "/tmp/a b\nc\\d (deleted)");
	assert_true(maps_parse(bare, &map));
	assert_string_equal(map.path, "");
	assert_true(maps_parse(vsyscall, &map));
	assert_int_equal(map.flags, SONDE_REGION_EXEC);
	assert_string_equal(map.path, "[vsyscall]");
}

static void lines_that_are_none_are_not_believed(void **state)
{
	(void)state;
	static const char *const lies[] = {
		"",
		"x",
		"1000-1000 rw-p 0 0:0 0",
		"2000-1000 rw-p 0 0:0 0 ",
		"1000-2000 rw 0 0:0 0 ",
		"1000-2000 rw-p",
		"1000 2000 rw-p 0 0:0 0 ",
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		char line[64];
		struct maps_line map;
		strcpy(line, lies[i]);
		if (maps_parse(line, &map))
			fail_msg("'%s' was taken for a mapping", lies[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines_say_name_monitor_and_memory),
		cmocka_unit_test(the_uuid_is_kept_as_it_stands),
		cmocka_unit_test(the_program_says_the_architecture),
		cmocka_unit_test(other_programs_are_no_guests),
		cmocka_unit_test(more_sockets_than_are_kept_are_left_out),
		cmocka_unit_test(the_flat_view_of_memory_becomes_ranges),
		cmocka_unit_test(broken_views_are_refused_or_read_in_part),
		cmocka_unit_test(a_map_is_cut_without_harm_at_any_byte),
		cmocka_unit_test(too_many_ranges_are_a_limit),
		cmocka_unit_test(without_backends_ram_is_what_looks_like_it),
		cmocka_unit_test(host_addresses_are_read_from_the_monitor),
		cmocka_unit_test(a_known_machine_can_be_guessed),
		cmocka_unit_test(registers_of_a_64_bit_processor),
		cmocka_unit_test(registers_of_a_32_bit_processor),
		cmocka_unit_test(registers_of_an_aarch64_processor),
		cmocka_unit_test(registers_of_a_riscv64_processor),
		cmocka_unit_test(a_note_of_registers_names_a_processor),
		cmocka_unit_test(registers_cut_anywhere_are_valid_only_where_whole),
		cmocka_unit_test(lines_of_maps_are_read),
		cmocka_unit_test(lines_that_are_none_are_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
