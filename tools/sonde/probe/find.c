/* SPDX-License-Identifier: MIT */
/* Where probes may go: the ring, the code, the calls. Nothing is written. */
#include "probes.h"

#include <string.h>

enum { PAGE = 4096 };

/* Then a guest may be KVM's, whose processors keep old instructions until they are told: Arm ARM DDI 0487, B2.4.4. */
#ifdef __aarch64__
#define RUNS_ON_AARCH64 1
#else
#define RUNS_ON_AARCH64 0
#endif

static int refuse(struct sonde_error *err, const char *what)
{
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "no probes in this kernel: %s; without --write breakpoints do",
			       what);
}

int probes_are_there(struct sonde_error *err)
{
	return sonde_error_set(
		err, SONDE_E_BUSY,
		"there are probes in this kernel already: somebody else traces it with "
		"--write, or could not take them out; without --write breakpoints do");
}

static bool symbol(struct sonde_os *os, const char *name, struct sonde_symbol *ret)
{
	return sonde_symbol_find(sonde_os_symbols(os), name, ret);
}

/* The value of a u64 variable of the kernel, else what it is where there is no such variable. */
static uint64_t variable(struct sonde_os *os, const char *name, uint64_t fixed)
{
	struct sonde_symbol at;
	uint64_t value;

	if (!symbol(os, name, &at) ||
	    sonde_space_u64(sonde_os_kernel_memory(os), at.addr, &value) < 0)
		return fixed;
	return value;
}

/* len bytes at va lie together; where. */
static int place(struct sonde_os *os, uint64_t va, uint64_t len, uint64_t *ret_pa)
{
	struct sonde_translation first, last;
	int r = sonde_os_translate(os, 0, va, &first, NULL);

	if (r == 0)
		r = sonde_os_translate(os, 0, va + len - 1, &last, NULL);
	*ret_pa = first.pa;
	return r < 0 ? r : last.pa - first.pa == len - 1 ? 0 : SONDE_E_UNSUPPORTED;
}

/* v6.1 arch/x86/include/asm/current.h and smp.h; v6.6 keeps both in struct pcpu_hot. */
static bool per_cpu(struct sonde_os *os, const char *alone, const char *hot_name, int32_t *ret)
{
	struct sonde_symbol at, hot;
	struct sonde_member member = { 0 };
	uint32_t type;
	uint64_t off;

	if (symbol(os, alone, &at))
		off = at.addr;
	else if (symbol(os, "pcpu_hot", &hot) &&
		 sonde_type_find(sonde_os_types(os), "struct pcpu_hot", &type) &&
		 sonde_type_member(sonde_os_types(os), type, hot_name, &member))
		off = hot.addr + member.bit_off / 8;
	else
		return false;
	*ret = (int32_t)off;
	return (int64_t)off == *ret;
}

/* Nobody is given any page of the ring. */
static int check_reserved(struct sonde_os *os, uint64_t pa, struct sonde_error *err)
{
	uint8_t uses[PROBE_RING_LEN / PAGE + 2];
	struct sonde_frames *frames;
	int r = sonde_os_frames_open(os, &frames, err);

	if (r < 0)
		return r;
	const uint64_t first = pa / sonde_frames_size(frames);
	const size_t n =
		(size_t)((pa + PROBE_RING_LEN - 1) / sonde_frames_size(frames) - first) + 1;
	r = n <= sizeof(uses) ? sonde_frames_read(frames, first, uses, n) : SONDE_E_UNSUPPORTED;
	if (r < 0)
		sonde_error_set(err, r, "which of its pages are reserved cannot be read: %s",
				sonde_strerror(r));
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (uses[i] != SONDE_FRAME_RESERVED)
			r = refuse(err, "the place for what they note is not marked as reserved");
	}
	sonde_frames_close(frames);
	return r;
}

/* The kernel has all memory mapped from base on; there it may write. */
static bool is_mapped(struct sonde_os *os, uint64_t va, uint64_t pa, uint64_t len)
{
	struct sonde_translation first;
	uint64_t at;

	return place(os, va, len, &at) == 0 && at == pa &&
	       sonde_os_translate(os, 0, va, &first, NULL) == 0 && first.flags & SONDE_PAGE_WRITE;
}

/*
 * x86-64: the first 64 KiB, which the kernel gives to nobody (linux v6.6 arch/x86/kernel/setup.c, trim_low_memory_range), without the
 * first pages, which firmware uses.
 */
static int find_ring_x86_64(struct probes_state *state, struct sonde_os *os,
			    struct sonde_error *err)
{
	state->ring_pa = 0x2000;
	state->ring =
		variable(os, "page_offset_base", UINT64_C(0xffff888000000000)) + state->ring_pa;
	return is_mapped(os, state->ring, state->ring_pa, PROBE_RING_LEN)
		       ? 0
		       : refuse(err, "its map of all memory was not found");
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)sonde_load(at, 4, SONDE_BIG);
}

/* Where a device tree has nothing any more, to its end. Devicetree specification 0.4, 5.2. false: this is none. */
static bool tail_of_tree(const uint8_t head[40], uint64_t *ret_from, uint64_t *ret_end)
{
	uint32_t end = be32(head + 4), from = 40;

	if (be32(head) != 0xd00dfeed || be32(head + 20) != 17 || end > 2u << 20)
		return false;
	const uint64_t parts[] = { (uint64_t)be32(head + 8) + be32(head + 36),
				   (uint64_t)be32(head + 12) + be32(head + 32),
				   (uint64_t)be32(head + 16) + PAGE };
	*ret_from = from;
	*ret_end = end;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i] > end)
			return false;
		*ret_from = parts[i] > *ret_from ? parts[i] : *ret_from;
	}
	return true;
}

static bool is_zero(struct sonde_space *memory, uint64_t pa, uint64_t len)
{
	uint8_t bytes[PAGE];

	for (uint64_t at = pa; at < pa + len; at += sizeof(bytes)) {
		if (sonde_space_get(memory, at, bytes, sizeof(bytes)) < 0)
			return false;
		for (size_t i = 0; i < sizeof(bytes); i++) {
			if (bytes[i])
				return false;
		}
	}
	return true;
}

static bool has_ring(struct sonde_space *memory, uint64_t pa)
{
	uint8_t head[PROBE_BUSY_AT];

	return sonde_space_get(memory, pa, head, sizeof(head)) == 0 && probe_ring_is_there(head);
}

struct tree {
	struct sonde_space *memory;
	uint64_t ring_pa; /* 0: not found yet */
};

/* A tree begins with 2 MiB: linux v6.1 Documentation/arm64/booting.rst asks for 8 bytes, QEMU gives that (7.2 hw/arm/boot.c). */
static int look_for_tree(void *user, const struct sonde_region *region)
{
	const uint64_t step = 2u << 20;
	struct tree *tree = user;
	uint8_t head[40];
	uint64_t from, end;

	for (uint64_t at = (region->addr + step - 1) & ~(step - 1); at - region->addr < region->len;
	     at += step) {
		if (sonde_space_get(tree->memory, at, head, sizeof(head)) < 0 ||
		    !tail_of_tree(head, &from, &end))
			continue;
		from = (from + 2 * PAGE - 1) & ~(uint64_t)(PAGE - 1);
		uint64_t room = (PROBE_RING_LEN + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		if (from + room > end ||
		    (!has_ring(tree->memory, at + from) && !is_zero(tree->memory, at + from, room)))
			continue;
		tree->ring_pa = at + from;
		return 1;
	}
	return 0;
}

/*
 * aarch64: what the device tree that the machine was given has of room at its end: QEMU gives one of 1 MiB, and the kernel keeps all of it
 * (linux v6.1 drivers/of/fdt.c, early_init_fdt_reserve_self). Where all memory is mapped: v6.1 arch/arm64/include/asm/memory.h,
 * __phys_to_virt.
 */
static int find_ring_arm64(struct probes_state *state, struct sonde_os *os,
			   struct sonde_space *memory, struct sonde_error *err)
{
	static const uint8_t va_bits[] = { 48, 52, 39, 47, 42, 36 };
	struct tree tree = { .memory = memory };
	uint64_t start = variable(os, "memstart_addr", UINT64_MAX);

	int r = sonde_space_regions(tree.memory, look_for_tree, &tree);
	if (r < 0 || !tree.ring_pa)
		return refuse(err, "the machine gave it no device tree with room at its end");
	state->ring_pa = tree.ring_pa;
	for (size_t i = 0; i < sizeof(va_bits); i++) {
		state->ring = (tree.ring_pa - start) | -(UINT64_C(1) << va_bits[i]);
		if (is_mapped(os, state->ring, state->ring_pa, PROBE_RING_LEN))
			return 0;
	}
	return refuse(err, "its map of all memory was not found");
}

static int find_ring(struct probes_state *state, struct sonde_os *os, struct sonde_space *memory,
		     struct sonde_error *err)
{
	int r = state->arch->arch == SONDE_ARCH_X86_64 ? find_ring_x86_64(state, os, err)
						       : find_ring_arm64(state, os, memory, err);

	if (r == 0 && has_ring(memory, state->ring_pa))
		r = probes_are_there(err);
	return r == 0 ? check_reserved(os, state->ring_pa, err) : r;
}

/* Of one of them no byte is run any more, and code fits. Returns 0, or why not. */
static int fit(struct probes_state *state, struct sonde_os *os, const char *name,
	       struct probe_places *places)
{
	struct sonde_symbol unused;
	uint8_t head[16];

	if (!symbol(os, name, &unused))
		return SONDE_E_NOT_FOUND;
	struct sonde_xfer piece = { .addr = unused.addr, .buf = head, .len = sizeof(head) };
	if (sonde_space_read(sonde_os_kernel_memory(os), &piece, 1) != 1)
		return piece.err;
	int room = state->arch->room(head, sizeof(head));
	uint64_t skip = room < 0 ? 0 : (uint64_t)room + state->arch->call_len;
	places->code = state->code = unused.addr + skip;
	state->code_len = (uint32_t)state->arch->code(places, state->code_is, state->doors);
	if (unused.size < skip + state->code_len)
		return SONDE_E_LIMIT;
	return place(os, state->code, state->code_len, &state->code_pa);
}

/* strncpy_from_user_nofault: v6.1 mm/maccess.c; a processor has a byte of the ring while it is in it. */
static uint64_t text_copier(struct sonde_os *os)
{
	struct sonde_symbol copier, cpus;
	uint32_t n = 0;

	if (!symbol(os, "strncpy_from_user_nofault", &copier) || !symbol(os, "nr_cpu_ids", &cpus) ||
	    sonde_space_u32(sonde_os_kernel_memory(os), cpus.addr, &n) < 0 || n > PROBE_CPUS_MAX)
		return 0;
	return copier.addr;
}

/* aarch64: v6.1 arch/arm64/include/asm/thread_info.h; until v5.15 it is the task's own. */
static bool find_current(const struct probes_state *state, struct sonde_os *os,
			 struct probe_places *places)
{
	const struct sonde_types *types = sonde_os_types(os);
	struct sonde_member cpu;
	uint32_t type;

	if (state->arch->arch == SONDE_ARCH_X86_64)
		return per_cpu(os, "current_task", "current_task", &places->current_task) &&
		       per_cpu(os, "cpu_number", "cpu_number", &places->cpu_number);
	if (!sonde_type_find(types, "struct task_struct", &type) ||
	    (!sonde_type_member(types, type, "thread_info.cpu", &cpu) &&
	     !sonde_type_member(types, type, "cpu", &cpu)))
		return false;
	places->cpu_number = (int32_t)(cpu.bit_off / 8);
	return cpu.bit_off % 32 == 0 && cpu.bit_off / 32 < 4096;
}

static int find_code(struct probes_state *state, struct sonde_os *os, struct sonde_error *err)
{
	struct probe_places places = { .ring = state->ring, .copy_text = text_copier(os) };

	if (!find_current(state, os, &places))
		return refuse(err, "where it keeps its running task was not found");
	if (fit(state, os, "kernel_init", &places) == 0 ||
	    fit(state, os, "rest_init", &places) == 0)
		return 0;
	places.copy_text = 0;
	if (fit(state, os, "rest_init", &places) == 0 ||
	    fit(state, os, "kernel_init", &places) == 0)
		return 0;
	return refuse(err, "neither its rest_init nor its kernel_init has room for their code");
}

static int find_call(struct probes_state *state, struct sonde_os *os,
		     const struct probes_function *function, struct sonde_error *err)
{
	uint8_t head[16];
	struct sonde_xfer piece = { .addr = function->addr, .buf = head, .len = sizeof(head) };
	int room = -1;

	if (sonde_space_read(sonde_os_kernel_memory(os), &piece, 1) == 1)
		room = state->arch->room(head, sizeof(head));
	if (room < 0)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"'%s': does not begin with room for a probe, as functions do that can be "
			"traced: "
			"the kernel cannot trace it "
			"itself, or does so already; without --write a breakpoint does",
			function->name);
	uint64_t addr = function->addr + (uint64_t)room;
	bool has_text = function->text >= 0 && function->text < PROBE_ARGUMENTS;
	uint8_t door = state->doors[has_text ? function->text : PROBE_ARGUMENTS];
	if (!state->arch->call(addr, state->code + door, state->calls[state->n].is) ||
	    place(os, addr, state->arch->call_len, &state->calls[state->n].pa) < 0)
		return refuse(err, "its code is too far from the function");
	memcpy(state->calls[state->n].was, head + room, state->arch->call_len);
	state->calls[state->n].function = function->addr;
	state->calls[state->n].returns_to = addr + state->arch->call_len;
	state->n++;
	return 0;
}

int probes_find(struct probes_state *state, struct sonde_os *os, struct sonde_space *memory,
		const struct probes_function *functions, uint32_t n, struct sonde_error *err)
{
	struct sonde_kernel kernel;
	struct sonde_symbol khz;

	sonde_os_kernel(os, &kernel);
	state->arch = probe_arch(kernel.arch);
	if (strcmp(kernel.family, "linux") != 0 || !state->arch)
		return refuse(err, "probes are for Linux on x86-64 and aarch64");
	if (state->arch->arch == SONDE_ARCH_AARCH64 && RUNS_ON_AARCH64)
		return refuse(err, "this machine's processor may run the guest itself, and would "
				   "not notice that its code is another");
	if (symbol(os, "tsc_khz", &khz))
		sonde_space_u32(sonde_os_kernel_memory(os), khz.addr, &state->khz);
	int r = find_ring(state, os, memory, err);
	if (r == 0)
		r = find_code(state, os, err);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = find_call(state, os, &functions[i], err);
	return r;
}
