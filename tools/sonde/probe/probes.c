/* SPDX-License-Identifier: MIT */
#include "probes.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
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

static bool symbol(struct sonde_os *os, const char *name, struct sonde_symbol *ret)
{
	return sonde_symbol_find(sonde_os_symbols(os), name, ret);
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
			.len = state->arch->call_len,
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
	uint8_t now[PROBES_MAX][PROBE_CALL_MAX];
	struct sonde_xfer pieces[PROBES_MAX + 2];
	size_t n = 0;

	for (; n < state->n; n++)
		pieces[n] = (struct sonde_xfer){ .addr = state->calls[n].pa,
						 .buf = now[n],
						 .len = state->arch->call_len };
	pieces[n++] = (struct sonde_xfer){ .addr = state->ring_pa,
					   .buf = state->ring_was,
					   .len = PROBE_RING_LEN };
	pieces[n++] = (struct sonde_xfer){ .addr = state->code_pa,
					   .buf = state->code_was,
					   .len = state->code_len };
	if (sonde_space_read(sonde_target_memory(stub), pieces, n) != (int)n)
		return sonde_error_set(err, SONDE_E_IO,
				       "the places for probes cannot be read by the stub");
	if (probe_ring_is_there(state->ring_was))
		return probes_are_there(err);
	for (uint32_t i = 0; i < state->n; i++) {
		if (memcmp(now[i], state->calls[i].was, state->arch->call_len) != 0)
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
	struct sonde_member stack, sp; /* of struct task_struct                              */
	struct sonde_member on_cpu;    /* ... where knows_on_cpu                              */
	bool knows_on_cpu;
	uint64_t idle; /* x86-64, per-CPU: the processor's idle thread; 0: not known */
	/* aarch64, where idle threads cannot be found: on which stacks processors are that nobody has been found for. */
	uint64_t sps[PROBE_CPUS_MAX];
	uint32_t n_sps;
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
	if (!sonde_type_find(types, "struct task_struct", &type))
		return false;
	look->knows_on_cpu = sonde_type_member(types, type, "on_cpu", &look->on_cpu);
	return sonde_type_member(types, type, "stack", &look->stack) &&
	       (sonde_type_member(types, type, "thread.sp", &look->sp) ||
		sonde_type_member(types, type, "thread.cpu_context.sp", &look->sp));
}

/* Those that are on this thread's. */
static void found_stack(struct look *look, uint64_t stack)
{
	for (uint32_t i = 0; i < look->n_sps;) {
		if (look->sps[i] - stack < STACK_MAX)
			look->sps[i] = look->sps[--look->n_sps];
		else
			i++;
	}
}

/* What is asked of a thread, in one request: the guest stands still meanwhile. false: it has ended. */
static bool read_thread(const struct look *look, uint64_t task, uint64_t *ret_stack,
			uint64_t *ret_sp, bool *ret_runs)
{
	uint8_t bytes[2][8], on_cpu[4] = { 0 };
	struct sonde_xfer pieces[] = {
		{ .addr = task + look->stack.bit_off / 8, .buf = bytes[0], .len = 8 },
		{ .addr = task + look->sp.bit_off / 8, .buf = bytes[1], .len = 8 },
		{ .addr = task + look->on_cpu.bit_off / 8, .buf = on_cpu, .len = 4 },
	};
	const size_t n = look->knows_on_cpu ? 3 : 2;

	if (sonde_space_read(sonde_os_kernel_memory(look->os), pieces, n) != (int)n)
		return false;
	*ret_stack = sonde_le64(bytes[0]);
	*ret_sp = sonde_le64(bytes[1]);
	*ret_runs = sonde_le32(on_cpu) != 0;
	return *ret_stack != 0;
}

/*
 * A thread that was interrupted in the code has an address of it on its stack. What lies below the stack pointer that it left its
 * processor with is of the past, unless it is back.
 */
static bool stack_is_free(struct look *look, uint64_t task)
{
	struct sonde_space *memory = sonde_os_kernel_memory(look->os);
	uint64_t stack, sp, words[512];
	bool runs;

	if (!read_thread(look, task, &stack, &sp, &runs))
		return true;
	found_stack(look, stack);
	uint64_t from = sp - stack < STACK_MAX && !runs ? sp & ~UINT64_C(7) : stack;
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

static bool idle_thread_is_free(struct look *look, const struct sonde_cpu *cpu)
{
	uint64_t base = cpu->gs_base >> 63 ? cpu->gs_base : cpu->kernel_gs_base, task;

	return !look->idle || !base ||
	       sonde_space_u64(sonde_os_kernel_memory(look->os), base + look->idle, &task) < 0 ||
	       !(task >> 63) || stack_is_free(look, task);
}

/* In user code (EL0: Arm ARM DDI 0487, C5.2.20, PSTATE.M), or waiting for an interrupt. */
static bool is_elsewhere(const struct look *look, const struct sonde_cpu *cpu)
{
	struct sonde_symbol idle;

	return (cpu->flags & 0xf) == 0 || (symbol(look->os, "cpu_do_idle", &idle) &&
					   cpu->pc - idle.addr < (idle.size ? idle.size : 1));
}

/* One that is in the kernel is on the stack of a thread that is still to be found, or handles an interrupt: of whom is not known. */
static bool note_stack(struct look *look, const struct sonde_cpu *cpu)
{
	if (is_elsewhere(look, cpu))
		return true;
	if (look->n_sps == PROBE_CPUS_MAX)
		return false;
	look->sps[look->n_sps++] = cpu->sp;
	return true;
}

static bool processors_are_free(struct look *look)
{
	struct sonde_cpu cpu;

	for (uint32_t i = 0; sonde_target_cpu(look->stub, i, &cpu) == 0; i++) {
		if (!(cpu.valid & SONDE_CPU_GENERAL) || is_inside(look, cpu.pc))
			return false;
		if (look->state->arch->arch == SONDE_ARCH_X86_64 ? !idle_thread_is_free(look, &cpu)
								 : !note_stack(look, &cpu))
			return false;
	}
	return true;
}

static bool threads_are_free(struct look *look)
{
	struct sonde_processes *list;
	bool free = true;

	if (sonde_os_threads(look->os, 0, SONDE_PROCESS_IDENTITY, &list, NULL) < 0)
		return false;
	for (size_t i = 0; free && i < sonde_processes_count(list); i++)
		free = stack_is_free(look, sonde_processes_at(list, i)->addr);
	free = free && !sonde_processes_damage(list) && look->n_sps == 0;
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
	static uint8_t ring[PROBE_RING_LEN];
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
		probe_ring_begin(ring);
		r = write_places(state, target, state->code_is, ring, err);
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
