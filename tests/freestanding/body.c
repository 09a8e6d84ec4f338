/* SPDX-License-Identifier: MIT */
/*
 * Checks of the library on a machine without a C library: tasks that wait for a device make one trip, page tables
 * are walked level by level, layers stand in between, deadlines pass, memory is given back.
 */
#include "body.h"

#include <sonde/batch.h>
#include <sonde/task.h>

#include "check.h"
#include "device.h"

#define N_TASKS 200u
#define SHORT_NS UINT64_C(1000000)

static const struct machine *machine;
static int n_checks, n_failed;

static void print(const char *text)
{
	machine->print(text);
}

static void print_number(int n)
{
	char digits[12], *at = &digits[sizeof(digits) - 1];

	*at = '\0';
	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	print(at);
}

void check(bool good, const char *what)
{
	print(good ? "ok      " : "FAILED  ");
	print(what);
	print("\n");
	n_checks++;
	n_failed += !good;
}

void *memory_at(const struct machine *of, uint64_t pa)
{
	for (size_t i = 0; i < of->n_ranges; i++) {
		const struct sonde_bare_range *range = &of->ranges[i];
		if (pa >= range->addr && pa - range->addr < range->len)
			return (char *)range->at + (pa - range->addr);
	}
	return NULL;
}

static bool is_text(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* ---- memory of the machine ---------------------------------------------------------------------- */

/* Each of another page. */
static uint64_t byte_pa(uint32_t i)
{
	return machine->pool + i * UINT64_C(4099);
}

static int count_region(void *user, const struct sonde_region *region)
{
	*(uint64_t *)user += region->len;
	return 0;
}

static void memory_is_a_space(struct sonde_space *phys)
{
	const struct sonde_bare_range *first = &machine->ranges[0];
	uint64_t value = 0, end = first->addr + first->len, all = 0, told = 0;
	uint8_t bytes[16], *there = memory_at(machine, end - 8);

	for (size_t i = 0; i < machine->n_ranges; i++)
		all += machine->ranges[i].len;
	sonde_store(memory_at(machine, machine->pool), 8, SONDE_LITTLE, 0x1122334455667788);
	check(sonde_space_u64(phys, machine->pool, &value) == 0 && value == 0x1122334455667788,
	      "physical memory is read");
	check(sonde_space_borrow(phys, machine->pool, 64) == memory_at(machine, machine->pool),
	      "and lent");
	check(sonde_space_regions(phys, count_region, &told) == 0 && told == all,
	      "its regions are all there is");
	struct sonde_xfer x = { .addr = end - 8, .buf = bytes, .len = sizeof(bytes) };
	check(sonde_space_read(phys, &x, 1) == 0 && x.done == 8 && x.err == SONDE_E_NOT_MAPPED &&
		      x.err_off == 8 && bytes[7] == there[7] && bytes[8] == 0,
	      "behind its end is a hole, in front of it is not");
	x.addr = UINT64_MAX - 3;
	check(sonde_space_read(phys, &x, 1) == 0 && x.done == 0, "a piece that wraps has no end");
	struct sonde_bare_range twice[] = { *first, *first };
	struct sonde_space *space;
	check(sonde_bare_memory(NULL, twice, 2, &space) == SONDE_E_BAD_ARG,
	      "ranges that overlap are refused");
}

/* ---- tasks -------------------------------------------------------------------------------------- */

struct job {
	struct sonde_space *space;
	uint64_t addr;
};

static int read_byte(struct sonde_task *task, void *arg)
{
	const struct job *job = arg;
	uint8_t byte = 0;
	struct sonde_xfer x = { .addr = job->addr, .buf = &byte, .len = 1 };
	int r = sonde_task_read(task, job->space, &x, 1);

	return r == 1 ? byte : r < 0 ? r : x.err;
}

static void tasks_share_one_trip(struct sonde_loop *loop, struct sonde_space *space,
				 const struct device *device)
{
	static struct job jobs[N_TASKS];
	static struct sonde_task *tasks[N_TASKS];
	uint64_t trips = device->trips, requests = device->requests;
	uint32_t n = 0, right = 0;

	for (; n < N_TASKS; n++) {
		jobs[n] = (struct job){ space, byte_pa(n) };
		*(uint8_t *)memory_at(machine, byte_pa(n)) = (uint8_t)(n ^ 0x5a);
		if (sonde_task_spawn(loop, read_byte, &jobs[n], &tasks[n]) < 0)
			break;
	}
	for (uint32_t i = 0; i < n; i++)
		right += sonde_task_join(NULL, tasks[i]) == (uint8_t)(i ^ 0x5a);
	check(right == N_TASKS, "each of 200 tasks reads its own byte");
	check(device->requests - requests == N_TASKS, "the device is asked for each");
	check(device->trips - trips == 1, "what they wait for is one trip");
}

/* A wake that nobody waited for; a read that blocks is brought to its end by idle all the same. */
static void a_wake_holds_nothing_up(struct sonde_loop *loop, struct sonde_space *space)
{
	uint8_t byte = 0, there = *(uint8_t *)memory_at(machine, byte_pa(1));

	sonde_loop_wake(loop);
	check(sonde_space_u8(space, byte_pa(1), &byte) == 0 && byte == there,
	      "a read that blocks goes on after a wake");
}

static int sleep_twice(struct sonde_task *task, void *arg)
{
	uint64_t *woke = arg;

	for (int i = 0; i < 2; i++) {
		if (sonde_task_sleep(task, SHORT_NS) < 0)
			return -1;
		woke[i] = sonde_now_ns();
	}
	return 0;
}

static void tasks_sleep_by_the_clock(struct sonde_loop *loop)
{
	uint64_t start = sonde_now_ns(), woke[2] = { 0 };

	check(sonde_task_spawn(loop, sleep_twice, woke, NULL) == 0 && sonde_loop_run(loop) == 0,
	      "the loop runs until nothing is left");
	check(woke[0] >= start + SHORT_NS && woke[1] >= woke[0] + SHORT_NS,
	      "a task sleeps as long as it asked");
}

static unsigned n_looks; /* idle was told not to wait */

/* A wake ends one sleep: whoever goes on pumping for something else idles then. */
static void a_wake_is_answered_once(struct sonde_loop *loop)
{
	uint64_t woke[2];
	struct sonde_task *task;

	sonde_loop_wake(loop);
	n_looks = 0;
	check(sonde_task_spawn(loop, sleep_twice, woke, &task) == 0 &&
		      sonde_task_join(NULL, task) == 0,
	      "a task that sleeps is waited for after a wake");
	check(n_looks <= 1, "the processor idles meanwhile");
}

static int read_in_time(struct sonde_task *task, void *arg)
{
	return sonde_task_timeout(task, sonde_now_ns() + SHORT_NS, read_byte, arg);
}

static void done_nothing(struct sonde_io *io)
{
	(void)io;
}

static void deadlines_pass(struct sonde_loop *loop, struct sonde_space *space,
			   struct device *device)
{
	struct job job = { space, machine->pool };
	struct sonde_task *task;
	uint8_t byte = 1;
	struct sonde_xfer x = { .addr = machine->pool, .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done_nothing };
	uint64_t start = sonde_now_ns();

	device->dead = 1;
	check(sonde_task_spawn(loop, read_in_time, &job, &task) == 0 &&
		      sonde_task_join(NULL, task) == SONDE_E_TIMED_OUT,
	      "a task that waits for a dead device ends at its deadline");
	check(sonde_now_ns() >= start + SHORT_NS, "not before it");
	io.deadline_ns = sonde_now_ns() + SHORT_NS;
	check(sonde_io_submit(space, &io) == 0 &&
		      sonde_task_await(NULL, &io) == SONDE_E_TIMED_OUT && byte == 0,
	      "so does a request, and its bytes are zero");
	device->dead = 0;
	check(device->n_held == 0, "the device holds nothing any more");
}

/* ---- layers -------------------------------------------------------------------------------------- */

static void pages_are_kept(struct sonde_space *space, const struct device *device)
{
	const struct sonde_bare_arg args[] = { { "mb", "1" }, { "ms", "0" } };
	struct sonde_bare_layer layer = {
		.plugin = &sonde_bare_cache, .args = args, .n_args = 2, .below = space
	};
	struct sonde_space *cache = NULL;
	struct sonde_error err = { 0 };
	uint64_t trips = device->trips, *there = memory_at(machine, machine->pool), got[3] = { 0 };

	*there = 1;
	check(sonde_bare_layer_open(&layer, &cache, &err) == 0, "a cache opens");
	if (!cache)
		return;
	sonde_space_u64(cache, machine->pool, &got[0]);
	*there = 2;
	sonde_space_u64(cache, machine->pool, &got[1]);
	check(device->trips - trips == 1 && got[1] == 1, "a page is fetched once");
	sonde_space_invalidate(cache);
	sonde_space_u64(cache, machine->pool, &got[2]);
	check(device->trips - trips == 2 && got[0] == 1 && got[2] == 2,
	      "and again after it was invalidated");
	sonde_space_close(cache);
}

static void writes_stay_in_an_overlay(struct sonde_space *phys)
{
	const struct sonde_bare_arg args[] = { { "mb", "1" } };
	struct sonde_bare_layer layer = {
		.plugin = &sonde_bare_overlay, .args = args, .n_args = 1, .below = phys, .write = 1
	};
	struct sonde_space *overlay = NULL;
	uint64_t at = machine->pool + 4092, *there = memory_at(machine, at), was = 0x55aa, got = 0;

	sonde_store(there, 8, SONDE_LITTLE, was);
	check(sonde_bare_layer_open(&layer, &overlay, NULL) == 0, "an overlay opens");
	if (!overlay)
		return;
	check(sonde_space_put_u64(overlay, at, 0x0102030405060708) == 0, "it is written to");
	check(sonde_space_u64(overlay, at, &got) == 0 && got == 0x0102030405060708,
	      "over a page's end, and read there");
	check(sonde_load(there, 8, SONDE_LITTLE) == was, "memory is what it was");
	check(sonde_space_put_u64(overlay, UINT64_C(1) << 60, 1) == SONDE_E_NOT_MAPPED,
	      "where nothing is below it is not written");
	sonde_space_close(overlay);
}

static void layers_say_what_they_do_not_take(struct sonde_space *phys)
{
	static const char no_files[] = "overlay: file=a.ovl: there are no files here: leave it out";
	static const char no_number[] =
		"cache: 'mb=many': not a number: write it decimal or 0x hex, with k, M, G or T "
		"behind it";
	static const char too_much[] = "cache: mb=2097152: 1 to 1048576";
	const struct sonde_bare_arg args[] = {
		{ "file", "a.ovl" }, { "mb", "many" }, { "mb", "2M" }, { "size", "1" }
	};
	struct sonde_bare_layer layer = {
		.plugin = &sonde_bare_overlay, .args = &args[0], .n_args = 1, .below = phys
	};
	struct sonde_space *space;
	struct sonde_error err;

	check(sonde_bare_layer_open(&layer, &space, &err) == SONDE_E_UNSUPPORTED &&
		      is_text(err.text, no_files),
	      "an overlay has no file, and says so");
	layer.plugin = &sonde_bare_cache;
	layer.args = &args[1];
	check(sonde_bare_layer_open(&layer, &space, &err) == SONDE_E_BAD_ARG &&
		      is_text(err.text, no_number),
	      "what is no number is told");
	layer.args = &args[2];
	check(sonde_bare_layer_open(&layer, &space, &err) == SONDE_E_BAD_ARG &&
		      is_text(err.text, too_much),
	      "and what is too large a one");
	layer.args = &args[3];
	check(sonde_bare_layer_open(&layer, &space, &err) == SONDE_E_BAD_ARG,
	      "an argument that is none is refused");
	layer.args = &args[1];
	layer.n_args = 2;
	check(sonde_bare_layer_open(&layer, &space, &err) == SONDE_E_BAD_ARG,
	      "and one that is given twice");
}

static void pieces_change_places(struct sonde_loop *loop, struct sonde_space *phys)
{
	uint64_t a = machine->pool, b = machine->pool + 0x10000, got[3] = { 0 };
	const struct sonde_stretch stretches[] = { { 0, 0x1000, phys, b }, { 0x2000, 8, phys, a } };
	struct sonde_space *space = NULL;

	*(uint64_t *)memory_at(machine, a) = 0xa;
	*(uint64_t *)memory_at(machine, b) = 0xb;
	check(sonde_space_remap(loop, stretches, 2, &space) == 0, "a space is made of pieces");
	if (!space)
		return;
	check(sonde_space_u64(space, 0, &got[0]) == 0 && got[0] == 0xb &&
		      sonde_space_u64(space, 0x2000, &got[1]) == 0 && got[1] == 0xa,
	      "each is where it was put");
	check(sonde_space_u64(space, 0x1ffc, &got[2]) == SONDE_E_NOT_MAPPED,
	      "between them is a hole");
	sonde_space_close(space);
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void idle(void *user, uint64_t timeout_ns)
{
	(void)user;
	n_looks += timeout_ns == 0;
	device_interrupt();
	machine->relax(timeout_ns);
}

static int start(size_t len)
{
	const struct sonde_bare_platform platform = { .size = sizeof(platform),
						      .now_ns = machine->now_ns,
						      .idle = idle,
						      .fail = machine->fail };

	return sonde_bare_start(&platform, machine->heap, len);
}

static void little_memory_is_no_accident(void)
{
	struct sonde_loop *loop = NULL;
	struct job job = { 0 };

	check(start(100) == SONDE_E_NO_MEMORY, "a host of 100 bytes is refused");
	check(start(65536) == SONDE_OK && sonde_loop_create(NULL, &loop, NULL) == 0,
	      "64 KiB are enough for a loop");
	check(loop && sonde_task_spawn(loop, read_byte, &job, NULL) == SONDE_E_NO_MEMORY,
	      "and not for a task");
	sonde_loop_destroy(loop);
}

static void run_on(struct sonde_loop *loop, struct sonde_space *phys)
{
	static struct device device;
	struct sonde_space *slow = NULL;

	memory_is_a_space(phys);
	check(device_open(&device, phys, &slow) == 0, "a layer of the program opens");
	if (!slow)
		return;
	tasks_share_one_trip(loop, slow, &device);
	a_wake_holds_nothing_up(loop, slow);
	tasks_sleep_by_the_clock(loop);
	a_wake_is_answered_once(loop);
	deadlines_pass(loop, slow, &device);
	pages_are_kept(slow, &device);
	sonde_space_close(slow);
	writes_stay_in_an_overlay(phys);
	layers_say_what_they_do_not_take(phys);
	pieces_change_places(loop, phys);
	check_tables(machine, loop, phys);
}

static void all(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_space *phys = NULL;
	struct sonde_bare_usage usage;

	little_memory_is_no_accident();
	check(start(HEAP_LEN) == SONDE_OK && sonde_loop_create(NULL, &loop, NULL) == SONDE_OK &&
		      sonde_bare_memory(loop, machine->ranges, machine->n_ranges, &phys) == 0,
	      "a loop, and a space of this machine's memory");
	if (phys)
		run_on(loop, phys);
	sonde_space_close(phys);
	sonde_loop_destroy(loop);
	sonde_bare_usage(&usage);
	check(usage.used == 0 && usage.most_used > N_TASKS * 65536, "all memory is given back");
}

int body_run(const struct machine *of)
{
	machine = of;
	print("machine ");
	print(machine->name);
	print("\n");
	all();
	print(n_failed ? "verdict: FAILED " : "verdict: ok ");
	print_number(n_failed ? n_failed : n_checks);
	print(" checks\n");
	return n_failed;
}
