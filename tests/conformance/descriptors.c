/* SPDX-License-Identifier: MIT */
/*
 * Every case of descriptors (descriptor_moves.c, descriptor_accept.c) on every kind of them,
 * blocking and not, every engine and every door. Some engines stand here twice: as an older kernel,
 * which lacks a part, would have them.
 *
 * Prints each failure with its case, kind, engine, door, got and want; at the end a count. With a
 * word on the command line only engines whose name holds it are run.
 */
#include <fcntl.h>
#include <poll.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine.h"
#include "descriptor.h"
#include "io/fd.h"

#define WAIT_NS UINT64_C(20000000000)

static unsigned n_passed, n_failed, n_skipped;

static const struct engine_case {
	const char *name, *engine;
	uint32_t lost; /* bit s: the ring takes no enum fd_step s            */
	bool no_nowait, no_nosignal;
} engines[] = {
	{ "sync", "sync", 0, false, false },
	{ "direct", "direct", 0, false, false },
	{ "epoll", "epoll", 0, false, false },
	{ "epoll, no RWF_NOSIGNAL", "epoll", 0, false, true },
	{ "epoll, no RWF_NOWAIT", "epoll", 0, true, true },
	{ "threads", "threads", 0, false, false },
	{ "io_uring", "io_uring", 0, false, false },
	{ "io_uring, no multishot", "io_uring", 1u << FD_ACCEPT_MANY, false, false },
	{ "io_uring, no RWF_NOSIGNAL", "io_uring", 1u << FD_SEND, false, true },
	{ "io_uring, polls only", "io_uring", ~(1u << FD_POLL), false, false },
	{ "io_uring, files only", "io_uring", ~0u, true, true },
	{ "auto", "auto", 0, false, false },
};
#define N_ENGINES (sizeof(engines) / sizeof(engines[0]))

/* ---- doors ---------------------------------------------------------------------------------- */

static const char *const doors[N_DOORS] = { "completion", "task", "blocking" };

struct in_task {
	struct bench *bench;
	peer_fn *peer; /* NULL: the request under test */
};

static int task_main(struct sonde_task *task, void *arg)
{
	struct in_task *in = arg;

	if (!in->peer)
		return sonde_fd_run(task, in->bench->loop, &in->bench->io);
	in->peer(task, in->bench);
	return 0;
}

static void count_done(struct sonde_fd_io *io)
{
	((struct bench *)io->user)->n_done++;
}

static int32_t submit(struct bench *bench, struct in_task *peer, struct sonde_task **ret_peer)
{
	bench->io.done = count_done;
	bench->io.user = bench;
	int r = sonde_fd_submit(bench->loop, &bench->io);

	if (r == 0 && bench->n_done)
		return -1000; /* called back inside submit */
	if (r == 0 && peer->peer)
		r = sonde_task_spawn(bench->loop, task_main, peer, ret_peer);
	while (!bench->n_done && r >= 0)
		r = sonde_loop_wait(bench->loop, WAIT_NS);
	return r < 0 ? r : bench->io.result;
}

int32_t perform(struct bench *bench, peer_fn *peer)
{
	struct in_task main_task = { bench, NULL }, peer_task = { bench, peer };
	struct sonde_task *main_one, *peer_one = NULL;
	int32_t r = 0;

	bench->n_done = bench->step = 0;
	if (bench->door == BY_TASK)
		r = sonde_task_spawn(bench->loop, task_main, &main_task, &main_one);
	if (bench->door != BY_COMPLETION && peer && r == 0)
		r = sonde_task_spawn(bench->loop, task_main, &peer_task, &peer_one);
	if (r < 0)
		return r;
	if (bench->door == BY_COMPLETION)
		r = submit(bench, &peer_task, &peer_one);
	else if (bench->door == BY_TASK)
		r = sonde_task_join(NULL, main_one);
	else
		r = sonde_fd_run(NULL, bench->loop, &bench->io);
	if (peer_one)
		sonde_task_join(NULL, peer_one);
	if (bench->door == BY_COMPLETION)
		WANT(bench, "callbacks", bench->n_done, 1);
	return r;
}

/* A flush waits for ready tasks, but no longer than 64 passes. */
void settle(struct sonde_task *task)
{
	for (int i = 0; i < 70; i++)
		sonde_task_yield(task);
}

void ask(struct bench *bench, uint32_t op, int fd, void *buf, uint32_t len)
{
	bench->io = (struct sonde_fd_io){ .fd = fd, .op = op, .buf = buf, .len = len };
}

/* ---- one case -------------------------------------------------------------------------------- */

static void set_nonblocking(int fd, bool nonblocking)
{
	if (fd >= 0 && nonblocking)
		fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int bench_open(struct bench *b)
{
	int ends[2];

	if (b->kind->make(ends))
		return -1;
	b->in = ends[0];
	b->out = ends[1];
	b->listener = b->kind->can & LISTENS ? b->kind->listen() : -1;
	set_nonblocking(b->in, b->nonblocking);
	set_nonblocking(b->out, b->nonblocking);
	set_nonblocking(b->listener, b->nonblocking);
	return 0;
}

static void bench_close(struct bench *b)
{
	if (b->in >= 0)
		close(b->in);
	if (b->out >= 0 && b->out != b->in)
		close(b->out);
	if (b->listener >= 0)
		close(b->listener);
}

static void run_case(struct bench *b, const struct descriptor_case *c, const char *engine)
{
	b->text[0] = 0;
	if (getenv("SONDE_TEST_TRACE"))
		printf("%s: %s, engine %s, door %s\n", c->name, b->kind->name, engine,
		       doors[b->door]);
	if (bench_open(b)) {
		snprintf(b->text, sizeof(b->text), "got no descriptors");
	} else {
		c->run(b);
		sonde_loop_run(b->loop);
		bench_close(b);
	}
	if (b->text[0]) {
		n_failed++;
		printf("FAIL %s: %s%s, engine %s, door %s: %s\n", c->name, b->kind->name,
		       b->nonblocking ? " (non-blocking)" : "", engine, doors[b->door], b->text);
	} else {
		n_passed++;
	}
}

static void run_list(struct sonde_loop *loop, const struct kind *kind,
		     const struct descriptor_case *list, unsigned n, const char *engine)
{
	for (unsigned i = 0; i < n; i++) {
		if ((kind->can & list[i].needs) != list[i].needs || kind->can & list[i].lacks)
			continue;
		for (unsigned way = 0; way < 2 * N_DOORS; way++) {
			struct bench b = { .loop = loop,
					   .kind = kind,
					   .door = way % N_DOORS,
					   .nonblocking = way >= N_DOORS };
			run_case(&b, &list[i], engine);
		}
	}
}

/* ---- many at once, and a foreign loop -------------------------------------------------------- */

static void verdict(const char *name, const char *engine, const char *text)
{
	if (!*text) {
		n_passed++;
		return;
	}
	n_failed++;
	printf("FAIL %s: engine %s: %s\n", name, engine, text);
}

static void count_int(struct sonde_fd_io *io)
{
	*(int *)io->user += 1;
}

/*
 * Ten thousand reads wait, each for a descriptor of its own; half of them get a word, half are
 * called off.
 */
static const char *many(struct sonde_loop *loop, int n, int *fds, struct sonde_fd_io *ios,
			uint64_t *words)
{
	int n_done = 0;

	for (int i = 0; i < n; i++) {
		ios[i] = (struct sonde_fd_io){ .fd = fds[i],
					       .op = SONDE_FD_READ_ALL,
					       .buf = &words[i],
					       .len = 8,
					       .done = count_int,
					       .user = &n_done };
		if (sonde_fd_submit(loop, &ios[i]) < 0)
			return "got a submit that was refused";
	}
	sonde_loop_turn(loop);
	if (n_done)
		return "got callbacks, want none yet";
	for (int i = 0; i < n; i++) {
		uint64_t word = (uint64_t)i + 1;
		if (i % 2 ? !sonde_fd_cancel(&ios[i]) : write(fds[i], &word, 8) != 8)
			return "got a cancel or write that failed";
	}
	sonde_loop_run(loop);
	for (int i = 0; i < n; i++) {
		int32_t want = i % 2 ? SONDE_E_CANCELLED : 8;
		if (ios[i].result != want || (i % 2 == 0 && words[i] != (uint64_t)i + 1))
			return "got a wrong result or word";
	}
	return n_done == n ? "" : "got another number of callbacks";
}

static void run_many(struct sonde_loop *loop, const char *engine)
{
	struct rlimit limit;
	int n = 10000, n_made = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < limit.rlim_max && limit.rlim_cur < 11000) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < 11000)
		n = (int)limit.rlim_cur - 100;
	int *fds = calloc((size_t)n, sizeof(*fds));
	struct sonde_fd_io *ios = calloc((size_t)n, sizeof(*ios));
	uint64_t *words = calloc((size_t)n, sizeof(*words));
	while (fds && n_made < n && (fds[n_made] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n_made++;
	verdict("ten thousand wait", engine,
		fds && ios && words ? many(loop, n_made, fds, ios, words) : "got no memory");
	while (n_made > 0)
		close(fds[--n_made]);
	free(fds);
	free(ios);
	free(words);
}

static bool is_ready(struct sonde_loop *loop, int timeout_ms)
{
	struct pollfd p = { .fd = sonde_loop_fd(loop), .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

/* A foreign loop's part: wait for the one descriptor, turn; so often at most. */
static bool turn_until(struct sonde_loop *loop, const int *n_done, int want)
{
	for (int i = 0; i < 20 && *n_done < want; i++) {
		if (!is_ready(loop, 10000))
			return false;
		sonde_loop_turn(loop);
	}
	return *n_done == want;
}

/* When nothing is to be done it must not stay readable, or the foreign loop would spin. */
static bool calms_down(struct sonde_loop *loop)
{
	for (int i = 0; i < 20; i++) {
		if (!is_ready(loop, 0))
			return true;
		sonde_loop_turn(loop);
	}
	return false;
}

static const char *foreign(struct sonde_loop *loop, int ends[2])
{
	int n_done = 0;
	char got[16];
	struct sonde_fd_io io = { .fd = ends[0],
				  .op = SONDE_FD_READ,
				  .buf = got,
				  .len = sizeof(got),
				  .done = count_int,
				  .user = &n_done };

	if (!calms_down(loop))
		return "got a descriptor that stays readable, idle";
	sonde_fd_submit(loop, &io);
	if (!calms_down(loop))
		return "got a descriptor that stays readable while a read waits";
	if (write(ends[1], "x", 1) != 1 || !turn_until(loop, &n_done, 1) || io.result != 1)
		return "got no end of the read";
	sonde_fd_submit(loop, &io);
	if (!calms_down(loop) || !sonde_fd_cancel(&io) || !turn_until(loop, &n_done, 2))
		return "got no end of the cancelled read";
	if (write(ends[1], "y", 1) != 1 || !calms_down(loop))
		return "got a descriptor that stays readable for nobody";
	sonde_fd_submit(loop, &io); /* ready at once */
	if (!turn_until(loop, &n_done, 3) || got[0] != 'y')
		return "got no end of the ready read";
	sonde_fd_submit(loop, &io);
	close(ends[1]);
	ends[1] = -1;
	if (!turn_until(loop, &n_done, 4) || io.result != 0)
		return "got no end of the stream";
	return calms_down(loop) ? "" : "got a descriptor that stays readable afterwards";
}

static void run_foreign(struct sonde_loop *loop, const struct kind *kind, const char *engine)
{
	char name[64];
	int ends[2];

	snprintf(name, sizeof(name), "foreign loop, %s", kind->name);
	if (kind->make(ends)) {
		verdict(name, engine, "got no descriptors");
		return;
	}
	verdict(name, engine, foreign(loop, ends));
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
}

/* ---- engines --------------------------------------------------------------------------------- */

static struct sonde_loop *open_engine(const struct engine_case *e)
{
	struct sonde_loop_options options = { .size = sizeof(options), .depth = 16 };
	struct sonde_error err = { 0 };
	struct sonde_loop *loop = NULL;

	sonde_engine_parse(e->engine, &options.engine);
	int r = sonde_loop_create(&options, &loop, &err);
	if (r == SONDE_E_NO_ACCESS || r == SONDE_E_UNSUPPORTED) {
		n_skipped++;
		printf("skipped: engine %s: %s\n", e->name, err.text);
		return NULL;
	}
	struct fds *fds = r < 0 ? NULL : fds_of(loop);
	if (!fds) {
		n_failed++;
		printf("FAIL loop: engine %s: got %s\n", e->name, err.text);
		return NULL;
	}
	fds->steps = e->lost & 1u << FD_POLL ? 0 : fds->steps & ~e->lost;
	fds->hints.no_nowait = e->no_nowait;
	fds->hints.no_nosignal = e->no_nosignal;
	fds->poller.no_sleep = e->no_nowait; /* a limit in ns came later than RWF_NOWAIT */
	return loop;
}

static void run_engine(const struct engine_case *e)
{
	struct sonde_loop *loop = open_engine(e);

	if (!loop)
		return;
	for (unsigned k = 0; k < n_kinds; k++) {
		run_list(loop, &kinds[k], move_cases, n_move_cases, e->name);
		run_list(loop, &kinds[k], accept_cases, n_accept_cases, e->name);
	}
	run_many(loop, e->name);
	sonde_loop_destroy(loop);
	loop = open_engine(e);
	for (unsigned k = 0; loop && k < n_kinds; k++) {
		if (kinds[k].can & ENDS)
			run_foreign(loop, &kinds[k], e->name);
	}
	sonde_loop_destroy(loop);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(280); /* something waits for ever */
	if (confine_as_asked() < 0)
		return 77;
	for (size_t i = 0; i < N_ENGINES; i++) {
		if (argc < 2 || strstr(engines[i].name, argv[1]))
			run_engine(&engines[i]);
	}
	printf("%u passed, %u failed, %u skipped\n", n_passed, n_failed, n_skipped);
	return n_failed ? 1 : 0;
}
