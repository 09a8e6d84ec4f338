/* SPDX-License-Identifier: MIT */
/*
 * Live processes: a child with a known stretch of memory that has a hole and a page nobody may
 * touch, read by the system call and by /proc/PID/mem, written, stopped, and killed midway.
 */
#include "../../connectors/common/procmem.h"
#include "plug/host.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE PROCMEM_PAGE
#define PAGES 8
#define HOLE 2   /* unmapped in the child           */
#define BARRED 5 /* mapped there, but not readable: by /proc/PID/mem only */
#define CONST 6  /* mapped there, but not writable  */

static uint8_t *memory; /* [PAGES * PAGE], at the same address in the child */
static pid_t child;
static struct sonde_loop *loop;

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i / 16 + i / PAGE);
}

/* The barred page is read the way a debugger does. */
static int readable(size_t i)
{
	return i / PAGE != HOLE;
}

static void live(int ready)
{
	munmap(memory + HOLE * PAGE, PAGE);
	mprotect(memory + BARRED * PAGE, PAGE, PROT_NONE);
	mprotect(memory + CONST * PAGE, PAGE, PROT_READ);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	for (;;) /* counts in the last bytes of the last page */
		__atomic_fetch_add((uint64_t *)(void *)(memory + PAGES * PAGE - 8), 1,
				   __ATOMIC_RELAXED);
}

static int start_child(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	if (pipe(ready) < 0)
		return -1;
	child = fork();
	if (child == 0)
		live(ready[1]);
	close(ready[1]);
	ssize_t n = read(ready[0], &byte, 1);
	close(ready[0]);
	return n == 1 ? 0 : -1;
}

static int end_child(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

static struct sonde_target *open_child(int write)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = (uint32_t)write };
	struct sonde_target *target;
	struct sonde_error err;
	char name[32];

	snprintf(name, sizeof(name), "process:%d", (int)child);
	if (sonde_target_open(loop, name, &options, &target, &err) < 0)
		fail_msg("%s", err.text);
	return target;
}

/* What a read of [at, at + len) of the stretch must have given. */
static void check_piece(const struct sonde_xfer *x, size_t at)
{
	uint32_t done = 0, first = x->len;

	for (uint32_t i = 0; i < x->len; i++) {
		int ok = readable(at + i);
		uint8_t want = ok ? byte_at(at + i) : 0;
		if (((uint8_t *)x->buf)[i] != want)
			fail_msg("piece at %zu: byte %u is %u, want %u", at, i,
				 ((uint8_t *)x->buf)[i], want);
		done += (uint32_t)ok;
		if (!ok && first == x->len)
			first = i;
	}
	assert_int_equal(x->done, done);
	assert_int_equal(x->err, first == x->len ? 0 : SONDE_E_NOT_MAPPED);
	assert_int_equal(x->err_off, first);
}

static void every_readable_page_comes_past_the_holes(void **state)
{
	(void)state;
	struct sonde_target *target = open_child(0);
	static uint8_t buf[PAGES * PAGE - 16];
	struct sonde_xfer x = { .addr = (uintptr_t)memory, .buf = buf, .len = sizeof(buf) };

	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(sonde_space_read(sonde_target_memory(target), &x, 1), 0);
	check_piece(&x, 0);
	sonde_target_close(target);
}

/* A fixed sequence: the same pieces in every run. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223; /* Numerical Recipes, "quick and dirty" */
	return *seed >> 8;
}

enum { N_PIECES = 500 };

static struct sonde_xfer pieces[N_PIECES];
static size_t piece_at[N_PIECES];
static uint8_t piece_buf[N_PIECES][3 * PAGE];

static void scatter(uint32_t seed, uint32_t longest)
{
	for (size_t i = 0; i < N_PIECES; i++) {
		uint32_t len = 1 + next_random(&seed) % longest;
		piece_at[i] = next_random(&seed) % (PAGES * PAGE - 16 - len);
		memset(piece_buf[i], 0xee, len);
		pieces[i] = (struct sonde_xfer){ .addr = (uintptr_t)memory + piece_at[i],
						 .buf = piece_buf[i],
						 .len = len };
	}
}

static void scattered_pieces_are_merged_and_each_has_its_outcome(void **state)
{
	(void)state;
	static const uint32_t longest[] = { 8, 64, 3 * PAGE };
	struct sonde_target *target = open_child(0);

	for (size_t k = 0; k < 3; k++) {
		scatter(1 + (uint32_t)k, longest[k]);
		int n = sonde_space_read(sonde_target_memory(target), pieces, N_PIECES), whole = 0;
		for (size_t i = 0; i < N_PIECES; i++) {
			check_piece(&pieces[i], piece_at[i]);
			whole += pieces[i].err == 0;
		}
		assert_int_equal(n, whole);
		assert_true(whole > 0 && whole < N_PIECES);
	}
	sonde_target_close(target);
}

/* The way of old kernels and sandboxes, on the same pieces. */
static void proc_mem_gives_the_same_answers(void **state)
{
	(void)state;
	static struct procmem pm;
	struct sonde_host host;
	struct sonde_error err;

	host_init(&host);
	assert_int_equal(procmem_open(&pm, &host, "test", child, 0, &err), 0);
	pm.by_file = 1;
	scatter(4, 3 * PAGE);
	for (size_t i = 0; i < N_PIECES; i++)
		pieces[i].err_off = pieces[i].len;
	struct sonde_io io = { .xfers = pieces, .n = N_PIECES, .op = SONDE_IO_READ };
	for (uint32_t i = 0; i < N_PIECES; i++)
		procmem_add(&pm, &io, i, 0, pieces[i].len, pieces[i].addr);
	procmem_flush(&pm);
	for (size_t i = 0; i < N_PIECES; i++)
		check_piece(&pieces[i], piece_at[i]);
	procmem_close(&pm);
}

/* Whole pages side by side leave as one stretch of the process, each into a buffer of its own. */
static void pages_side_by_side_come_whole_around_the_hole(void **state)
{
	(void)state;
	static uint8_t bufs[PAGES][PAGE];
	struct sonde_target *target = open_child(0);
	struct sonde_xfer x[PAGES];

	for (size_t i = 0; i < PAGES; i++) {
		uint32_t len = i == PAGES - 1 ? PAGE - 16 : PAGE;
		x[i] = (struct sonde_xfer){ .addr = (uintptr_t)memory + i * PAGE,
					    .buf = bufs[i],
					    .len = len };
		memset(bufs[i], 0xee, PAGE);
	}
	assert_int_equal(sonde_space_read(sonde_target_memory(target), x, PAGES), PAGES - 1);
	for (size_t i = 0; i < PAGES; i++)
		check_piece(&x[i], i * PAGE);
	sonde_target_close(target);
}

static void addresses_that_wrap_or_lie_nowhere_are_holes(void **state)
{
	(void)state;
	static const uint64_t addrs[] = { 0, UINT64_MAX - 3, UINT64_MAX, UINT64_C(1) << 63,
					  0x800000000000 };
	struct sonde_target *target = open_child(0);

	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		uint8_t buf[8] = { 1, 1, 1, 1, 1, 1, 1, 1 }, zeros[8] = { 0 };
		struct sonde_xfer x = { .addr = addrs[i], .buf = buf, .len = 8 };
		assert_int_equal(sonde_space_read(sonde_target_memory(target), &x, 1), 0);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		assert_int_equal(x.err_off, 0);
		assert_int_equal(x.done, 0);
		assert_memory_equal(buf, zeros, 8);
	}
	sonde_target_close(target);
}

static void writing_needs_asking_for_and_reaches_constant_pages(void **state)
{
	(void)state;
	uint8_t text[2 * PAGE], back[2 * PAGE];
	struct sonde_target *target = open_child(0);
	struct sonde_xfer x = { .addr = (uintptr_t)memory, .buf = text, .len = 16 };

	memset(text, 0x77, sizeof(text));
	assert_int_equal(sonde_space_write(sonde_target_memory(target), &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_READ_ONLY);
	sonde_target_close(target);

	target = open_child(1);
	/* The constant page and the beginning of the next: as a debugger writes. */
	x = (struct sonde_xfer){ .addr = (uintptr_t)memory + CONST * PAGE + 8,
				 .buf = text,
				 .len = PAGE };
	assert_int_equal(sonde_space_write(sonde_target_memory(target), &x, 1), 1);
	assert_int_equal(sonde_space_get(sonde_target_memory(target), x.addr, back, PAGE), 0);
	assert_memory_equal(back, text, PAGE);
	/* The end of one page, then a hole. */
	x = (struct sonde_xfer){ .addr = (uintptr_t)memory + HOLE * PAGE - 8,
				 .buf = text,
				 .len = 16 };
	assert_int_equal(sonde_space_write(sonde_target_memory(target), &x, 1), 0);
	assert_int_equal(x.done, 8);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, 8);
	sonde_target_close(target);
}

static void of_overlapping_writes_the_last_one_stands(void **state)
{
	(void)state;
	struct sonde_target *target = open_child(1);
	uint8_t text[3] = { 1, 2, 3 }, byte;
	struct sonde_xfer x[3];

	for (int i = 0; i < 3; i++)
		x[i] = (struct sonde_xfer){ .addr = (uintptr_t)memory + 40,
					    .buf = &text[i],
					    .len = 1 };
	assert_int_equal(sonde_space_write(sonde_target_memory(target), x, 3), 3);
	assert_int_equal(sonde_space_u8(sonde_target_memory(target), (uintptr_t)memory + 40, &byte),
			 0);
	assert_int_equal(byte, 3);
	sonde_target_close(target);
}

static void a_process_killed_midway_is_gone_and_leaves_zeros(void **state)
{
	(void)state;
	struct sonde_target *target = open_child(0);
	uint8_t buf[64], zeros[64] = { 0 };
	struct sonde_xfer x = { .addr = (uintptr_t)memory, .buf = buf, .len = sizeof(buf) };

	assert_int_equal(sonde_space_read(sonde_target_memory(target), &x, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(sonde_space_read(sonde_target_memory(target), &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_GONE);
	assert_int_equal(x.done, 0);
	assert_memory_equal(buf, zeros, sizeof(buf));

	struct sonde_error err;
	assert_int_equal(sonde_target_pause(target, &err), SONDE_E_GONE);
	sonde_target_close(target);
	start_child(state);
}

struct seen {
	int n, hole, memory_flags;
	uint64_t last_end;
	char exe[4096];
	int exe_seen;
};

static int see_region(void *user, const struct sonde_region *region)
{
	struct seen *seen = user;
	uint64_t hole = (uintptr_t)memory + HOLE * PAGE;

	seen->n++;
	assert_true(region->addr >= seen->last_end);
	seen->last_end = region->addr + region->len;
	if (hole >= region->addr && hole - region->addr < region->len)
		seen->hole = 1;
	/* The kernel may have merged it with a neighbour of the same kind. */
	if ((uintptr_t)memory >= region->addr && (uintptr_t)memory - region->addr < region->len)
		seen->memory_flags = (int)region->flags;
	if (strcmp(region->name, seen->exe) == 0 && (region->flags & SONDE_REGION_EXEC))
		seen->exe_seen = 1;
	return 0;
}

static void regions_are_its_mappings_with_paths(void **state)
{
	(void)state;
	struct sonde_target *target = open_child(0);
	struct seen seen = { 0 };
	ssize_t n = readlink("/proc/self/exe", seen.exe, sizeof(seen.exe) - 1);

	assert_true(n > 0);
	assert_int_equal(sonde_space_regions(sonde_target_memory(target), see_region, &seen), 0);
	assert_true(seen.n > 10);
	assert_false(seen.hole);
	assert_true(seen.exe_seen);
	assert_int_equal(seen.memory_flags, SONDE_REGION_READ | SONDE_REGION_WRITE);
	sonde_target_close(target);
}

static uint64_t counter(struct sonde_target *target)
{
	uint64_t value = 0;

	assert_int_equal(sonde_space_u64(sonde_target_memory(target),
					 (uintptr_t)memory + PAGES * PAGE - 8, &value),
			 0);
	return value;
}

static void await_progress(struct sonde_target *target)
{
	uint64_t before = counter(target), until = sonde_now_ns() + UINT64_C(10000000000);

	while (counter(target) == before)
		assert_true(sonde_now_ns() < until);
}

static void a_paused_process_stands_still_and_goes_on(void **state)
{
	(void)state;
	struct sonde_target *target = open_child(0);
	struct sonde_error err;

	await_progress(target);
	if (sonde_target_pause(target, &err) < 0)
		fail_msg("%s", err.text);
	uint64_t value = counter(target);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(counter(target), value);
	assert_int_equal(sonde_target_resume(target, &err), 0);
	await_progress(target);

	/* What was paused and never resumed goes on when the target is closed. */
	assert_int_equal(sonde_target_pause(target, &err), 0);
	sonde_target_close(target);
	target = open_child(0);
	await_progress(target);
	sonde_target_close(target);
}

/* ---- processes that cannot be opened ---- */

static void expect_refusal(const char *name, int want, const char *text)
{
	struct sonde_target *target;
	struct sonde_error err = { 0 };
	int r = sonde_target_open(loop, name, NULL, &target, &err);

	if (r != want || !strstr(err.text, text))
		fail_msg("%s: got %d '%s', want %d '%s'", name, r, err.text, want, text);
}

static void what_is_no_process_is_refused(void **state)
{
	(void)state;
	expect_refusal("process:", SONDE_E_BAD_ARG, "write process:PID");
	expect_refusal("process:no-such-name", SONDE_E_NOT_FOUND, "no process is called so");
	expect_refusal("process:0x10", SONDE_E_NOT_FOUND, "no process is called so");
	expect_refusal("process:1,name=init", SONDE_E_BAD_ARG, "exclude each other");
	expect_refusal("process:0", SONDE_E_NOT_FOUND, "no such process");
	expect_refusal("process:2147483647", SONDE_E_NOT_FOUND, "no such process");
	expect_refusal("process:99999999999999999999", SONDE_E_NOT_FOUND, "no such process");
	expect_refusal("process:4294967297", SONDE_E_NOT_FOUND, "no such process");
}

/* A child that waits under a name, which every byte of is this test's. */
static pid_t start_named(const char *name)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_name_finds_the_one_process_that_has_it(void **state)
{
	(void)state;
	char name[16], target_name[48], want[32];
	struct sonde_target *target;
	struct sonde_target_info info;
	struct sonde_error err = { 0 };

	snprintf(name, sizeof(name), "one-%d", (int)getpid());
	pid_t pid = start_named(name);
	snprintf(target_name, sizeof(target_name), "process:%s", name);
	if (sonde_target_open(loop, target_name, NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(target, &info);
	snprintf(want, sizeof(want), "live process %d '", (int)pid);
	assert_memory_equal(info.detail, want, strlen(want));
	sonde_target_close(target);
	end(pid);
	expect_refusal(target_name, SONDE_E_NOT_FOUND, "no process is called so");
}

static void a_name_that_two_have_lists_both(void **state)
{
	(void)state;
	char name[16], target_name[48], number[2][16];
	pid_t pids[2];

	snprintf(name, sizeof(name), "two-%d", (int)getpid());
	snprintf(target_name, sizeof(target_name), "process:%s", name);
	for (int i = 0; i < 2; i++) {
		pids[i] = start_named(name);
		snprintf(number[i], sizeof(number[i]), "%d (", (int)pids[i]);
	}
	expect_refusal(target_name, SONDE_E_AMBIGUOUS, "2 processes are called so");
	expect_refusal(target_name, SONDE_E_AMBIGUOUS, number[0]);
	expect_refusal(target_name, SONDE_E_AMBIGUOUS, number[1]);
	end(pids[0]);
	end(pids[1]);
}

static void a_name_of_digits_is_asked_for_as_a_name(void **state)
{
	(void)state;
	struct sonde_target *target;
	struct sonde_error err = { 0 };
	pid_t pid = start_named("2147483646");

	if (sonde_target_open(loop, "process:name=2147483646", NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_close(target);
	end(pid);
}

/* /proc/PID/mem is of the address space that was there when it was opened. */
static void a_process_that_has_executed_another_program_is_read_on_by_file(void **state)
{
	(void)state;
	static struct procmem pm;
	struct sonde_host host;
	struct sonde_error err;
	char comm[16] = "";
	int go[2];
	uint8_t byte;

	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) == 0)
			execlp("sleep", "sleep", "60", NULL);
		_exit(1);
	}
	close(go[0]);
	host_init(&host);
	assert_int_equal(procmem_open(&pm, &host, "test", pid, 0, &err), 0);
	pm.by_file = 1;
	assert_int_equal(procmem_get(&pm, (uintptr_t)memory, &byte, 1), 0);
	close(go[1]);
	for (int ms = 0; ms < 10000 && strcmp(comm, "sleep\n") != 0; ms++) {
		int fd = procmem_open_proc(&pm, "comm");
		assert_true(fd >= 0);
		comm[read(fd, comm, sizeof(comm) - 1)] = '\0';
		close(fd);
		usleep(1000);
	}
	assert_int_equal(procmem_get(&pm, (uintptr_t)memory, &byte, 1), SONDE_E_NOT_MAPPED);
	end(pid);
	assert_int_equal(procmem_get(&pm, (uintptr_t)memory, &byte, 1), SONDE_E_GONE);
	procmem_close(&pm);
}

/* The folder in /proc stays that of the first owner of a number, whoever has it later. */
static void its_files_in_proc_end_with_the_process(void **state)
{
	(void)state;
	static struct procmem pm;
	struct sonde_host host;
	struct sonde_error err;
	pid_t pid = start_named("short-lived");

	host_init(&host);
	assert_int_equal(procmem_open(&pm, &host, "test", pid, 0, &err), 0);
	close(pm.pidfd); /* as on a kernel that has none */
	pm.pidfd = -1;
	assert_true(procmem_alive(&pm));
	end(pid);
	assert_true(procmem_open_proc(&pm, "maps") < 0);
	assert_false(procmem_alive(&pm));
	procmem_close(&pm);
}

static void one_that_has_ended_is_gone_even_if_nobody_waited(void **state)
{
	(void)state;
	char name[32];
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	snprintf(name, sizeof(name), "process:%d", (int)pid);
	expect_refusal(name, SONDE_E_GONE, "has ended");
	waitpid(pid, NULL, 0);
	expect_refusal(name, SONDE_E_NOT_FOUND, "no such process");
}

static void a_kernel_thread_has_no_memory(void **state)
{
	(void)state;
	char text[64] = "";
	FILE *comm = fopen("/proc/2/comm", "r");

	if (comm && !fgets(text, sizeof(text), comm))
		text[0] = '\0';
	if (comm)
		fclose(comm);
	if (strcmp(text, "kthreadd\n") != 0 || geteuid() != 0) {
		print_message("no kernel thread to be seen here, or not root\n");
		skip();
	}
	expect_refusal("process:2", SONDE_E_UNSUPPORTED,
		       "a kernel thread has no memory of its own");
}

/* As a user with no rights over the child; the answer comes home as an exit status. */
static int open_as_nobody(void)
{
	static struct procmem pm;
	struct sonde_host host;
	struct sonde_error err = { 0 };

	host_init(&host);
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 2;
	int r = procmem_open(&pm, &host, "process", child, 0, &err);
	procmem_close(&pm);
	return r == SONDE_E_NO_ACCESS && strstr(err.text, "not allowed to read its memory") &&
			       strstr(err.text, "CAP_SYS_PTRACE") &&
			       strstr(err.text, "/proc/sys/kernel/yama/ptrace_scope is")
		       ? 0
		       : 1;
}

static void no_permission_names_what_would_give_it(void **state)
{
	(void)state;
	int status;

	if (geteuid() != 0) {
		print_message("not root: cannot become somebody else\n");
		skip();
	}
	pid_t pid = fork();
	if (pid == 0)
		_exit(open_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int set_up(void **state)
{
	(void)state;
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < PAGES * PAGE; i++)
		memory[i] = byte_at(i);
	memset(memory + PAGES * PAGE - 8, 0, 8);
	return sonde_loop_create(NULL, &loop, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	sonde_loop_destroy(loop);
	return 0;
}

#define WITH_CHILD(test) cmocka_unit_test_setup_teardown(test, start_child, end_child)

/* Under user emulation addresses of this program are not those the kernel knows. */
static int sees_itself(void)
{
	static struct procmem pm;
	struct sonde_host host;
	uint64_t value = 0x0123456789abcdef, back = 0;

	host_init(&host);
	int r = procmem_open(&pm, &host, "test", getpid(), 0, NULL);
	if (r == 0)
		r = procmem_get(&pm, (uintptr_t)&value, &back, sizeof(back));
	procmem_close(&pm);
	return r == 0 && back == value;
}

int main(void)
{
	if (!sees_itself()) {
		printf("SKIP: this process cannot read its own memory: emulated, or not allowed "
		       "to\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		WITH_CHILD(every_readable_page_comes_past_the_holes),
		WITH_CHILD(scattered_pieces_are_merged_and_each_has_its_outcome),
		WITH_CHILD(proc_mem_gives_the_same_answers),
		WITH_CHILD(pages_side_by_side_come_whole_around_the_hole),
		WITH_CHILD(addresses_that_wrap_or_lie_nowhere_are_holes),
		WITH_CHILD(writing_needs_asking_for_and_reaches_constant_pages),
		WITH_CHILD(of_overlapping_writes_the_last_one_stands),
		WITH_CHILD(a_process_killed_midway_is_gone_and_leaves_zeros),
		WITH_CHILD(regions_are_its_mappings_with_paths),
		WITH_CHILD(a_paused_process_stands_still_and_goes_on),
		cmocka_unit_test(what_is_no_process_is_refused),
		cmocka_unit_test(a_name_finds_the_one_process_that_has_it),
		cmocka_unit_test(a_name_that_two_have_lists_both),
		cmocka_unit_test(a_name_of_digits_is_asked_for_as_a_name),
		cmocka_unit_test(a_process_that_has_executed_another_program_is_read_on_by_file),
		cmocka_unit_test(its_files_in_proc_end_with_the_process),
		cmocka_unit_test(one_that_has_ended_is_gone_even_if_nobody_waited),
		cmocka_unit_test(a_kernel_thread_has_no_memory),
		WITH_CHILD(no_permission_names_what_would_give_it),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
