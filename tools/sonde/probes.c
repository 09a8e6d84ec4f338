/* SPDX-License-Identifier: MIT */
#include "probes.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	RING_PA = 0x2000, /* within the first 64 KiB, and not the first page, which firmware uses */
	PAGE = 4096,
	STACK_MAX = 32768, /* THREAD_SIZE, with KASAN; else half of it */
	UNDO_TRIES = 200,
	UNDO_WAIT_MS = 50,
};

struct probes_state *probes_state_create(void)
{
	void *at = mmap(NULL, sizeof(struct probes_state), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void probes_state_destroy(struct probes_state *state)
{
	if (state)
		munmap(state, sizeof(*state));
}

/* ---- where ------------------------------------------------------------------------------------- */

static int refuse(struct sonde_error *err, const char *what)
{
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "no probes in this kernel: %s; without --write breakpoints do",
			       what);
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

/* All pages of the ring are nobody's: v6.6 include/linux/page-flags.h, PG_reserved. */
static bool is_reserved(struct sonde_os *os)
{
	const struct sonde_types *types = sonde_os_types(os);
	uint64_t map = variable(os, "vmemmap_base", UINT64_C(0xffffea0000000000)), flags;
	struct sonde_member member;
	int64_t bit, size;
	uint32_t type;

	if (!sonde_type_find(types, "struct page", &type) ||
	    !sonde_type_member(types, type, "flags", &member) ||
	    !sonde_type_enumerator(types, "PG_reserved", &bit) || bit < 0 || bit > 63 ||
	    (size = sonde_type_size(types, type)) <= 0)
		return false;
	for (uint64_t pfn = RING_PA / PAGE; pfn <= (RING_PA + PROBE_RING_LEN - 1) / PAGE; pfn++) {
		uint64_t at = map + pfn * (uint64_t)size + member.bit_off / 8;
		if (sonde_space_u64(sonde_os_kernel_memory(os), at, &flags) < 0 ||
		    !(flags >> bit & 1))
			return false;
	}
	return true;
}

static int find_ring(struct probes_state *state, struct sonde_os *os, struct sonde_error *err)
{
	uint64_t pa;

	state->ring_pa = RING_PA;
	state->ring = variable(os, "page_offset_base", UINT64_C(0xffff888000000000)) + RING_PA;
	if (place(os, state->ring, PROBE_RING_LEN, &pa) < 0 || pa != RING_PA)
		return refuse(err, "its map of all memory was not found");
	return is_reserved(os) ? 0 : refuse(err, "its first 64 KiB are not marked as reserved");
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
	int room = probe_room(head, sizeof(head));
	uint64_t skip = room < 0 ? 0 : (uint64_t)room + PROBE_CALL_LEN;
	places->code = state->code = unused.addr + skip;
	state->code_len = (uint32_t)probe_code(places, state->code_is, state->doors);
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

static int find_code(struct probes_state *state, struct sonde_os *os, struct sonde_error *err)
{
	struct probe_places places = { .ring = state->ring, .copy_text = text_copier(os) };

	if (!per_cpu(os, "current_task", "current_task", &places.current_task) ||
	    !per_cpu(os, "cpu_number", "cpu_number", &places.cpu_number))
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
		room = probe_room(head, sizeof(head));
	if (room < 0)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"'%s': does not begin with room for a probe, five bytes that do nothing: "
			"the kernel cannot trace it "
			"itself, or does so already; without --write a breakpoint does",
			function->name);
	uint64_t addr = function->addr + (uint64_t)room;
	bool has_text = function->text >= 0 && function->text < PROBE_ARGUMENTS;
	uint8_t door = state->doors[has_text ? function->text : PROBE_ARGUMENTS];
	if (!probe_call(addr, state->code + door, state->calls[state->n].is) ||
	    place(os, addr, PROBE_CALL_LEN, &state->calls[state->n].pa) < 0)
		return refuse(err, "its code is too far from the function");
	memcpy(state->calls[state->n].was, head + room, PROBE_CALL_LEN);
	state->calls[state->n].function = function->addr;
	state->calls[state->n].returns_to = addr + PROBE_CALL_LEN;
	state->n++;
	return 0;
}

int probes_find(struct probes_state *state, struct sonde_os *os,
		const struct probes_function *functions, uint32_t n, struct sonde_error *err)
{
	struct sonde_kernel kernel;
	struct sonde_symbol khz;

	sonde_os_kernel(os, &kernel);
	if (strcmp(kernel.family, "linux") != 0 || kernel.arch != SONDE_ARCH_X86_64)
		return refuse(err, "probes are for Linux on x86-64");
	if (symbol(os, "tsc_khz", &khz))
		sonde_space_u32(sonde_os_kernel_memory(os), khz.addr, &state->khz);
	int r = find_ring(state, os, err);
	if (r == 0)
		r = find_code(state, os, err);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = find_call(state, os, &functions[i], err);
	return r;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

/* The guest stands still until it is closed. */
static int open_stub(struct sonde_loop *loop, const char *name, struct sonde_target **ret,
		     struct sonde_error *err)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };

	return sonde_target_open(loop, name, &options, ret, err);
}

static int write_all(struct sonde_target *stub, struct sonde_xfer *pieces, size_t n,
		     struct sonde_error *err)
{
	int done = sonde_space_write_verified(sonde_target_memory(stub), pieces, n, 0, NULL, NULL);

	if (done == (int)n)
		return 0;
	return sonde_error_set(err, done < 0 ? done : SONDE_E_IO,
			       "%d of %zu places in the guest could not be written",
			       done < 0 ? 0 : done, n);
}

static int write_calls(struct probes_state *state, struct sonde_target *stub, bool in,
		       struct sonde_error *err)
{
	struct sonde_xfer pieces[PROBES_MAX];

	for (uint32_t i = 0; i < state->n; i++)
		pieces[i] = (struct sonde_xfer){
			.addr = state->calls[i].pa,
			.buf = in ? state->calls[i].is : state->calls[i].was,
			.len = PROBE_CALL_LEN,
		};
	return write_all(stub, pieces, state->n, err);
}

static int write_places(struct probes_state *state, struct sonde_target *stub, uint8_t *code,
			uint8_t *ring, struct sonde_error *err)
{
	struct sonde_xfer pieces[] = {
		{ .addr = state->ring_pa, .buf = ring, .len = PROBE_RING_LEN },
		{ .addr = state->code_pa, .buf = code, .len = state->code_len },
	};

	return write_all(stub, pieces, 2, err);
}

/* What is there now; of the calls it is known already, and has to be that still. */
static int keep(struct probes_state *state, struct sonde_target *stub, struct sonde_error *err)
{
	uint8_t now[PROBES_MAX][PROBE_CALL_LEN];
	struct sonde_xfer pieces[PROBES_MAX + 2];
	size_t n = 0;

	for (; n < state->n; n++)
		pieces[n] = (struct sonde_xfer){ .addr = state->calls[n].pa,
						 .buf = now[n],
						 .len = PROBE_CALL_LEN };
	pieces[n++] = (struct sonde_xfer){ .addr = state->ring_pa,
					   .buf = state->ring_was,
					   .len = PROBE_RING_LEN };
	pieces[n++] = (struct sonde_xfer){ .addr = state->code_pa,
					   .buf = state->code_was,
					   .len = state->code_len };
	if (sonde_space_read(sonde_target_memory(stub), pieces, n) != (int)n)
		return sonde_error_set(err, SONDE_E_IO,
				       "the places for probes cannot be read by the stub");
	for (uint32_t i = 0; i < state->n; i++) {
		if (memcmp(now[i], state->calls[i].was, PROBE_CALL_LEN) != 0)
			return sonde_error_set(
				err, SONDE_E_CHANGED,
				"somebody else has just changed a function that is to be "
				"traced: try again");
	}
	return 0;
}

/* ---- is anybody in the code? ------------------------------------------------------------------------- */

struct look {
	const struct probes_state *state;
	struct sonde_os *os;
	struct sonde_target *stub;
	struct sonde_member stack, sp; /* of struct task_struct */
	uint64_t idle;                 /* per-CPU: the processor's idle thread; 0: not known */
};

static bool is_inside(const struct look *look, uint64_t addr)
{
	return addr - look->state->code < look->state->code_len;
}

static bool look_begin(struct look *look)
{
	const struct sonde_types *types = sonde_os_types(look->os);
	struct sonde_symbol idle;
	uint32_t type;

	look->idle = symbol(look->os, "idle_threads", &idle) ? idle.addr : 0;
	return sonde_type_find(types, "struct task_struct", &type) &&
	       sonde_type_member(types, type, "stack", &look->stack) &&
	       sonde_type_member(types, type, "thread.sp", &look->sp);
}

/*
 * A thread that was interrupted in the code and had to leave its processor has an address of it on its stack. What lies below the
 * stack pointer that it left with is of the past.
 */
static bool stack_is_free(const struct look *look, uint64_t task)
{
	struct sonde_space *memory = sonde_os_kernel_memory(look->os);
	uint64_t stack, sp, words[512];

	if (sonde_space_u64(memory, task + look->stack.bit_off / 8, &stack) < 0 || stack == 0 ||
	    sonde_space_u64(memory, task + look->sp.bit_off / 8, &sp) < 0)
		return true; /* it has ended meanwhile */
	uint64_t from = sp - stack < STACK_MAX ? sp & ~UINT64_C(7) : stack;
	uint64_t end = stack + (sp - stack < STACK_MAX / 2 ? STACK_MAX / 2 : STACK_MAX);
	for (uint64_t at = from; at < end; at += sizeof(words)) {
		uint64_t len = end - at < sizeof(words) ? end - at : sizeof(words);
		struct sonde_xfer piece = { .addr = at, .buf = words, .len = (uint32_t)len };
		sonde_space_read(memory, &piece, 1); /* what is missing is zero */
		for (size_t i = 0; i < len / 8; i++) {
			if (is_inside(look, sonde_le64(&words[i])))
				return false;
		}
	}
	return true;
}

static bool processors_are_free(const struct look *look)
{
	struct sonde_cpu cpu;

	for (uint32_t i = 0; sonde_target_cpu(look->stub, i, &cpu) == 0; i++) {
		uint64_t base = cpu.gs_base >> 63 ? cpu.gs_base : cpu.kernel_gs_base, task;
		if (!(cpu.valid & SONDE_CPU_GENERAL) || is_inside(look, cpu.pc))
			return false;
		if (look->idle && base &&
		    sonde_space_u64(sonde_os_kernel_memory(look->os), base + look->idle, &task) ==
			    0 &&
		    task >> 63 && !stack_is_free(look, task))
			return false;
	}
	return true;
}

static bool threads_are_free(const struct look *look)
{
	struct sonde_processes *list;
	bool free = true;

	if (sonde_os_threads(look->os, 0, SONDE_PROCESS_IDENTITY, &list, NULL) < 0)
		return false;
	for (size_t i = 0; free && i < sonde_processes_count(list); i++)
		free = stack_is_free(look, sonde_processes_at(list, i)->addr);
	free = free && !sonde_processes_damage(list);
	sonde_processes_destroy(list);
	return free;
}

/* Neither a processor nor a thread is in it. */
static bool code_is_free(const struct probes_state *state, struct sonde_os *os,
			 struct sonde_target *stub)
{
	struct look look = { .state = state, .os = os, .stub = stub };

	if (!look_begin(&look))
		return false;
	sonde_space_invalidate(sonde_os_kernel_memory(os));
	return processors_are_free(&look) && threads_are_free(&look);
}

/* ---- in and out, all of it ----------------------------------------------------------------------- */

int probes_set(struct probes_state *state, struct sonde_loop *loop, struct sonde_os *os,
	       const char *stub, struct sonde_error *err)
{
	static uint8_t zeros[PROBE_RING_LEN];
	struct sonde_target *target = NULL;
	int r = open_stub(loop, stub, &target, err);

	if (r == 0 && !code_is_free(state, os, target))
		r = sonde_error_set(err, SONDE_E_BUSY,
				    "the kernel has not come to the end of its beginning: try "
				    "again when it has");
	if (r == 0)
		r = keep(state, target, err);
	if (r == 0) {
		state->is_set = 1;
		r = write_places(state, target, state->code_is, zeros, err);
	}
	if (r == 0)
		r = write_calls(state, target, true, err);
	if (r < 0 && state->is_set && write_calls(state, target, false, NULL) == 0 &&
	    write_places(state, target, state->code_was, state->ring_was, NULL) == 0)
		state->is_set = 0;
	sonde_target_close(target);
	return r;
}

/* After a while in which nobody could get in any more. */
static int remove_places(struct probes_state *state, struct sonde_loop *loop, struct sonde_os *os,
			 const char *stub, struct sonde_error *err)
{
	struct sonde_target *target = NULL;
	int r = open_stub(loop, stub, &target, err);

	if (r == 0 && !code_is_free(state, os, target))
		r = sonde_error_set(
			err, SONDE_E_BUSY,
			"it makes no calls of probes any more, but their code stays, for a thread "
			"may be in it yet");
	if (r == 0)
		r = write_places(state, target, state->code_was, state->ring_was, err);
	sonde_target_close(target);
	return r;
}

static int remove_calls(struct probes_state *state, struct sonde_loop *loop, const char *stub,
			struct sonde_error *err)
{
	struct sonde_target *target = NULL;
	int r = open_stub(loop, stub, &target, err);

	if (r == 0)
		r = write_calls(state, target, false, err);
	sonde_target_close(target);
	return r;
}

/* A stub takes a while to notice that its last client has left. */
static bool is_passing(int r)
{
	return r == SONDE_E_BUSY || r == SONDE_E_TIMED_OUT;
}

int probes_undo(struct probes_state *state, struct sonde_loop *loop, struct sonde_os *os,
		const char *stub, struct sonde_error *err)
{
	int r = state->is_set ? SONDE_E_BUSY : 0;

	for (int i = 0; is_passing(r) && i < UNDO_TRIES; i++) {
		r = remove_calls(state, loop, stub, err);
		if (r < 0)
			poll(NULL, 0, UNDO_WAIT_MS);
	}
	if (r < 0 || !state->is_set)
		return r;
	r = SONDE_E_BUSY;
	for (int i = 0; is_passing(r) && i < UNDO_TRIES; i++) {
		poll(NULL, 0, UNDO_WAIT_MS);
		r = remove_places(state, loop, os, stub, err);
	}
	state->is_set = r < 0;
	return r;
}

int probes_rescue(struct probes_state *state, const char *stub)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_SYNC };
	struct sonde_target *target = NULL;
	struct sonde_loop *loop = NULL;
	struct sonde_os *os = NULL;
	int r = sonde_loop_create(&options, &loop, NULL);

	if (r == 0)
		r = sonde_target_open(loop, strchr(stub, ':') + 1, NULL, &target, NULL);
	if (r == 0)
		r = sonde_os_attach(target, NULL, &os, NULL);
	if (r == 0)
		r = probes_undo(state, loop, os, stub, NULL);
	sonde_os_detach(os);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return r;
}
