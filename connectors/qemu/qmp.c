/* SPDX-License-Identifier: MIT */
/* The wire side of QMP: lines in, lines out, never longer than allowed and never waiting for ever.
 */
#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define QMP_EVENTS_MAX 10000 /* skipped while waiting for one answer */

static int closed(struct qmp *qmp, struct sonde_error *err)
{
	return qmp->host->error_set(err, SONDE_E_GONE, "qemu: QMP '%s': the connection was closed",
				    qmp->where);
}

static int too_slow(struct qmp *qmp, struct sonde_error *err)
{
	return qmp->host->error_set(
		err, SONDE_E_TIMED_OUT,
		"qemu: QMP '%s': no answer within %d ms: another client may hold it "
		"(a QMP socket serves one at a time), or the guest's main loop hangs",
		qmp->where, qmp->timeout_ms);
}

/* Wait until fd is ready for events, at the latest until deadline. Returns 0 or the failure. */
static int wait_ready(struct qmp *qmp, short events, uint64_t deadline_ns, struct sonde_error *err)
{
	struct pollfd poller = { .fd = qmp->fd, .events = events };

	for (;;) {
		uint64_t now = qmp->host->now_ns();
		if (now >= deadline_ns)
			return too_slow(qmp, err);
		int r = poll(&poller, 1, (int)((deadline_ns - now) / 1000000) + 1);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return qmp->host->error_os(err, errno, "qemu: QMP '%s'", qmp->where);
	}
}

static uint64_t deadline_of(const struct qmp *qmp)
{
	return qmp->host->now_ns() + (uint64_t)qmp->timeout_ms * 1000000;
}

static int make_room(struct qmp *qmp, struct sonde_error *err)
{
	if (qmp->used < qmp->cap)
		return 0;
	if (qmp->cap >= QMP_LINE_MAX)
		return qmp->host->error_set(err, SONDE_E_LIMIT,
					    "qemu: QMP '%s': an answer is longer than %u bytes",
					    qmp->where, QMP_LINE_MAX);
	size_t cap = qmp->cap ? qmp->cap * 2 : 4096;
	char *buf = realloc(qmp->buf, cap);
	if (!buf)
		return qmp->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	qmp->buf = buf;
	qmp->cap = cap;
	return 0;
}

/* The next line, without its end; stays until the one after it is asked for. */
static int read_line(struct qmp *qmp, uint64_t deadline_ns, const char **ret, size_t *ret_len,
		     struct sonde_error *err)
{
	size_t seen = 0;
	int r;

	memmove(qmp->buf, qmp->buf + qmp->line, qmp->used - qmp->line);
	qmp->used -= qmp->line;
	qmp->line = 0;
	for (;;) {
		char *end = memchr(qmp->buf + seen, '\n', qmp->used - seen);
		if (end) {
			*ret = qmp->buf;
			*ret_len = (size_t)(end - qmp->buf);
			qmp->line = *ret_len + 1;
			return 0;
		}
		seen = qmp->used;
		if ((r = make_room(qmp, err)) < 0 ||
		    (r = wait_ready(qmp, POLLIN, deadline_ns, err)) < 0)
			return r;
		ssize_t n = recv(qmp->fd, qmp->buf + qmp->used, qmp->cap - qmp->used, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return closed(qmp, err);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return qmp->host->error_os(err, errno, "qemu: QMP '%s'", qmp->where);
		qmp->used += n > 0 ? (size_t)n : 0;
	}
}

static int read_object(struct qmp *qmp, uint64_t deadline_ns, json_t **ret, struct sonde_error *err)
{
	const char *line = "";
	size_t len = 0;
	json_error_t why;
	int r = make_room(qmp, err);

	if (r == 0)
		r = read_line(qmp, deadline_ns, &line, &len, err);
	if (r < 0)
		return r;
	json_t *object = json_loadb(line, len, 0, &why);
	if (!json_is_object(object)) {
		json_decref(object);
		return qmp->host->error_set(err, SONDE_E_BAD_FORMAT,
					    "qemu: QMP '%s': what answers there does not speak QMP",
					    qmp->where);
	}
	*ret = object;
	return 0;
}

/* As send; a descriptor goes with the first byte, unless it is -1. */
static ssize_t send_with(int to, const char *text, size_t len, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { .head = { .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec piece = { .iov_base = (void *)(uintptr_t)text, .iov_len = len };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
	}
	return sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int write_all(struct qmp *qmp, const char *text, size_t len, int fd, struct sonde_error *err)
{
	uint64_t deadline_ns = deadline_of(qmp);

	while (len > 0) {
		ssize_t n = send_with(qmp->fd, text, len, fd);
		if (n < 0 && errno == EAGAIN) {
			int r = wait_ready(qmp, POLLOUT, deadline_ns, err);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return closed(qmp, err);
		text += n;
		len -= (size_t)n;
		fd = -1;
	}
	return 0;
}

static int send_command(struct qmp *qmp, const char *command, json_t *arguments, int fd,
			struct sonde_error *err)
{
	json_t *object = json_pack("{s:s, s:I, s:o*}", "execute", command, "id", ++qmp->id,
				   "arguments", arguments);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int r = SONDE_E_NO_MEMORY;

	if (text) { /* one send a line: the terminator gives way to the newline */
		size_t len = strlen(text);
		text[len] = '\n';
		r = write_all(qmp, text, len + 1, fd, err);
	} else {
		qmp->host->error_set(err, r, NULL);
	}
	free(text);
	json_decref(object);
	return r;
}

static int refused(struct qmp *qmp, const char *command, const json_t *error,
		   struct sonde_error *err)
{
	const char *text = json_string_value(json_object_get(error, "desc"));

	return qmp->host->error_set(err, SONDE_E_UNSUPPORTED,
				    "qemu: QMP '%s': '%s' was refused: %.200s", qmp->where, command,
				    text ? text : "no reason given");
}

/* Events are none, and neither is what comes late for a command that was given up. What cannot be read has no id. */
static int is_answer(const struct qmp *qmp, const json_t *object)
{
	const json_t *id = json_object_get(object, "id");

	return (json_object_get(object, "return") || json_object_get(object, "error")) &&
	       (!id || json_integer_value(id) == qmp->id);
}

static int run(struct qmp *qmp, const char *command, json_t *arguments, int fd, json_t **ret,
	       struct sonde_error *err)
{
	int r = send_command(qmp, command, arguments, fd, err);
	uint64_t deadline_ns = deadline_of(qmp);

	for (int skipped = 0; r == 0 && skipped < QMP_EVENTS_MAX; skipped++) {
		json_t *object;
		r = read_object(qmp, deadline_ns, &object, err);
		if (r < 0)
			return r;
		if (!is_answer(qmp, object)) {
			json_decref(object);
			continue;
		}
		json_t *error = json_object_get(object, "error");
		if (error)
			r = refused(qmp, command, error, err);
		else if (ret)
			*ret = json_incref(json_object_get(object, "return"));
		json_decref(object);
		return r;
	}
	return r < 0 ? r : too_slow(qmp, err);
}

int qmp_run(struct qmp *qmp, const char *command, json_t *arguments, json_t **ret,
	    struct sonde_error *err)
{
	return run(qmp, command, arguments, -1, ret, err);
}

int qmp_give_fd(struct qmp *qmp, const char *name, int fd, struct sonde_error *err)
{
	return run(qmp, "getfd", json_pack("{s:s}", "fdname", name), fd, NULL, err);
}

int qmp_monitor(struct qmp *qmp, const char *line, uint32_t cpu, char **ret,
		struct sonde_error *err)
{
	json_t *answer = NULL;
	json_t *arguments =
		json_pack("{s:s, s:I}", "command-line", line, "cpu-index", (json_int_t)cpu);
	if (!arguments)
		return qmp->host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	int r = qmp_run(qmp, "human-monitor-command", arguments, &answer, err);
	if (r < 0)
		return r;
	const char *text = json_string_value(answer);
	*ret = strdup(text ? text : "");
	json_decref(answer);
	return *ret ? 0 : qmp->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
}

int qmp_start(struct qmp *ret, const struct sonde_host *host, int fd, const char *where,
	      int timeout_ms, struct sonde_error *err)
{
	json_t *greeting = NULL;

	*ret = (struct qmp){ .host = host, .fd = fd, .timeout_ms = timeout_ms };
	snprintf(ret->where, sizeof(ret->where), "%s", where);
	int r = read_object(ret, deadline_of(ret), &greeting, err);
	if (r < 0)
		return r;
	int known = json_is_object(json_object_get(greeting, "QMP"));
	json_decref(greeting);
	if (!known)
		return host->error_set(
			err, SONDE_E_BAD_FORMAT,
			"qemu: QMP '%s': what answers there does not greet as QMP does",
			ret->where);
	return qmp_run(ret, "qmp_capabilities", NULL, NULL, err);
}

/* Through an O_PATH descriptor, because sun_path is only 108 bytes long. Does not wait for accept.
 */
static int connect_to(const char *path, int fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int at = open(path, O_PATH | O_CLOEXEC);

	if (at < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	int r = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	close(at);
	return r;
}

/* The listener's queue holds very few: others are served before we are let in. */
static int connect_in_turn(struct qmp *qmp, const char *path)
{
	const struct timespec step = { .tv_nsec = 5000000 };
	uint64_t deadline_ns = deadline_of(qmp);
	int r;

	while ((r = connect_to(path, qmp->fd)) == -EAGAIN && qmp->host->now_ns() < deadline_ns)
		nanosleep(&step, NULL);
	return r;
}

int qmp_open(struct qmp *ret, const struct sonde_host *host, const char *path, int timeout_ms,
	     struct sonde_error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*ret = (struct qmp){ .host = host, .fd = fd, .timeout_ms = timeout_ms };
	snprintf(ret->where, sizeof(ret->where), "%s", path);
	if (fd < 0)
		return host->error_os(err, errno, "qemu: socket");
	int r = connect_in_turn(ret, path);
	if (r == -EAGAIN)
		return too_slow(ret, err);
	if (r == -ECONNREFUSED)
		return host->error_set(err, SONDE_E_GONE,
				       "qemu: QMP '%s': nobody listens there: its QEMU has ended",
				       path);
	if (r < 0)
		return host->error_os(err, -r, "qemu: QMP socket '%s'", path);
	return qmp_start(ret, host, fd, path, timeout_ms, err);
}

void qmp_close(struct qmp *qmp)
{
	if (qmp->fd >= 0)
		close(qmp->fd);
	free(qmp->buf);
	qmp->fd = -1;
	qmp->buf = NULL;
}

pid_t qmp_peer(const struct qmp *qmp)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	return getsockopt(qmp->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.pid : 0;
}

int qmp_state(struct qmp *qmp, char *ret, size_t cap, struct sonde_error *err)
{
	json_t *status = NULL;
	int r = qmp_run(qmp, "query-status", NULL, &status, err);
	const char *state = json_string_value(json_object_get(status, "status"));

	snprintf(ret, cap, "%s", state ? state : "");
	json_decref(status);
	return r;
}
