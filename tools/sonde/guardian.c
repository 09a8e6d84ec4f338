/* SPDX-License-Identifier: MIT */
#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sonde/loop.h>
#include <sonde/target.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum order { STOP = 's', GO_ON = 'g', WATCH = 'w', DISMISS = 'd' };

/* A stub serves one debugger at a time, and notices only after a while that the last one has gone. */
enum { RESCUES = 50, RESCUE_MS = 200 };

struct answer {
	int32_t code;
	uint64_t at_ns; /* sonde_now_ns() before the target stopped, or after it went on */
	char text[sizeof(((struct sonde_error *)0)->text)];
};

/* ---- the guardian --------------------------------------------------------------------------------- */

struct held {
	struct sonde_loop *loop;
	struct sonde_target *target;
};

/* Nothing that ends a tool at a terminal ends it, and nobody waits for the end of what it inherited. */
static void live_apart(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_IGN);
	setsid();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
}

/* false: the tool is gone. */
static bool next_order(int fd, char *ret)
{
	ssize_t n;

	do
		n = recv(fd, ret, 1, 0);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static void reply(int fd, int code, uint64_t at_ns, const struct sonde_error *err)
{
	struct answer answer = { .code = code, .at_ns = at_ns };

	if (code < 0)
		memcpy(answer.text, err->text, sizeof(answer.text));
	send(fd, &answer, sizeof(answer), MSG_NOSIGNAL);
}

/* As sonde_target_pause. */
static int stop(struct held *held, const char *name, uint64_t *ret_at_ns, struct sonde_error *err)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_SYNC };
	int r = sonde_loop_create(&options, &held->loop, err);

	if (r == 0)
		r = sonde_target_open(held->loop, name, NULL, &held->target, err);
	*ret_at_ns = sonde_now_ns();
	return r < 0 ? r : sonde_target_pause(held->target, err);
}

/* Closing does the same; this one tells how it went. */
static int go_on(struct held *held, bool is_ours, struct sonde_error *err)
{
	return is_ours ? sonde_target_resume(held->target, err) : 0;
}

/* To attach to a stub is to stop its target and to remove all breakpoints; to leave it lets it go on. */
static int rescue(const char *name)
{
	int r = SONDE_E_BUSY;

	for (int i = 0; i < RESCUES && (r == SONDE_E_BUSY || r == SONDE_E_TIMED_OUT); i++) {
		struct held held = { 0 };
		uint64_t at_ns;
		if (i > 0)
			poll(NULL, 0, RESCUE_MS);
		r = stop(&held, name, &at_ns, NULL);
		sonde_target_close(held.target);
		sonde_loop_destroy(held.loop);
	}
	return r < 0;
}

static int watch(int fd, const char *name, struct probes_state *probes)
{
	char order;

	reply(fd, 0, sonde_now_ns(), NULL);
	if (next_order(fd, &order))
		return 0;
	int failed = rescue(name);
	return probes && probes->is_set ? probes_rescue(probes, name) < 0 : failed;
}

static int guard(int fd, const char *name, struct probes_state *probes)
{
	struct held held = { 0 };
	struct sonde_error err = { 0 };
	uint64_t at_ns;
	char order;

	if (!next_order(fd, &order))
		return 0;
	if (order == WATCH)
		return watch(fd, name, probes);
	int r = stop(&held, name, &at_ns, &err);
	bool is_ours = r == 0;
	reply(fd, r, at_ns, &err);
	bool is_asked = next_order(fd, &order);
	r = go_on(&held, is_ours, &err);
	if (is_asked)
		reply(fd, r, sonde_now_ns(), &err);
	sonde_target_close(held.target);
	sonde_loop_destroy(held.loop);
	return r < 0;
}

int guardian_start(struct guardian *guardian, const char *target, struct probes_state *probes)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		live_apart();
		_exit(guard(ends[1], target, probes));
	}
	int code = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return code;
	}
	*guardian = (struct guardian){ .pid = pid, .fd = ends[0] };
	return 0;
}

/* ---- the tool ----------------------------------------------------------------------------------------- */

static int ask(struct guardian *guardian, char order, uint64_t *ret_at_ns, struct sonde_error *err)
{
	struct answer answer;
	ssize_t n = -1;

	if (send(guardian->fd, &order, 1, MSG_NOSIGNAL) == 1) {
		do
			n = recv(guardian->fd, &answer, sizeof(answer), 0);
		while (n < 0 && errno == EINTR);
	}
	if (n != sizeof(answer)) {
		*err = (struct sonde_error){ .text = "the process that was to do it has ended" };
		return SONDE_E_GONE;
	}
	memcpy(err->text, answer.text, sizeof(err->text));
	*ret_at_ns = answer.at_ns;
	return answer.code;
}

int guardian_pause(struct guardian *guardian, struct sonde_error *err)
{
	int r = ask(guardian, STOP, &guardian->since_ns, err);

	guardian->has_stopped = r == 0;
	return r < 0 ? r : 0;
}

static void end(struct guardian *guardian)
{
	close(guardian->fd);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){ 0 };
}

int guardian_watch(struct guardian *guardian, struct sonde_error *err)
{
	uint64_t at_ns;

	return ask(guardian, WATCH, &at_ns, err);
}

void guardian_dismiss(struct guardian *guardian)
{
	char order = DISMISS;

	if (!guardian->pid)
		return;
	send(guardian->fd, &order, 1, MSG_NOSIGNAL);
	end(guardian);
}

int guardian_release(struct guardian *guardian, uint64_t *ret_ns, struct sonde_error *err)
{
	uint64_t until_ns;
	int r = 0;

	*ret_ns = 0;
	if (!guardian->pid)
		return 0;
	if (guardian->since_ns) {
		r = ask(guardian, GO_ON, &until_ns, err);
		*ret_ns = r == 0 ? until_ns - guardian->since_ns : 0;
	}
	end(guardian);
	return r;
}
