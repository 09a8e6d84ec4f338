/* SPDX-License-Identifier: MIT */
/* The command channel: frames with a length and a CRC-32, on a serial line. README.md has the protocol. */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "base.h"

#define FRAME_MAX 32768u
#define N_SENDS 8      /* of one frame, when nobody says that it came */
#define ANSWER_MS 5000 /* to wait for that */

struct channel chan = { .fd = -1 };
static uint32_t crc_table[256];

/* What came on the line, as far as its end. */
static struct {
	char text[4096];
	size_t len;
	bool skip; /* it is too long: thrown away whole */
	bool kept; /* whole, and not yet given to anybody */
} line;

/* CRC-32 with the reflected polynomial of IEEE 802.3, as in zlib's crc32(). */
void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? UINT32_C(0xedb88320) ^ (c >> 1) : c >> 1;
		crc_table[i] = c;
	}
}

uint32_t crc32_of(const unsigned char *p, size_t len)
{
	uint32_t c = UINT32_MAX;

	while (len--)
		c = crc_table[(c ^ *p++) & 0xff] ^ (c >> 8);
	return ~c;
}

/* One byte of the line; true when it ends one that has something in it. */
static bool line_take(char c)
{
	bool whole = false;

	if (c == '\n' || c == '\r') {
		line.text[line.len] = '\0';
		whole = !line.skip && line.len;
		line.len = 0;
		line.skip = false;
	} else if (line.len < sizeof(line.text) - 1) {
		line.text[line.len++] = c;
	} else {
		line.skip = true;
	}
	return whole;
}

char *chan_line(int timeout_ms)
{
	struct pollfd waits = { .fd = chan.fd, .events = POLLIN };

	while (!line.kept) {
		char c;

		if (poll(&waits, 1, timeout_ms) == 0)
			return NULL;
		if (read(chan.fd, &c, 1) == 1)
			line.kept = line_take(c);
		else
			nap_ms(100);
	}
	line.kept = false;
	return line.text;
}

bool chan_was_heard(void)
{
	struct pollfd waits = { .fd = chan.fd, .events = POLLIN };

	return poll(&waits, 1, 0) > 0;
}

bool chan_is_repeat(const char *command)
{
	size_t len = strlen(chan.id);

	return len && !strncmp(command, chan.id, len) && command[len] == ' ';
}

/* True when the other side has the frame that was sent last; what else it says is the next command. */
static bool frame_came(void)
{
	const char *said;

	while ((said = chan_line(ANSWER_MS))) {
		if (chan_is_repeat(said))
			continue;
		if (*said != '+' && *said != '-')
			break;
		if (strtoul(said + 1, NULL, 10) == chan.seq)
			return *said == '+';
	}
	line.kept = chan.given_up = said;
	return false;
}

/* The line loses bytes now and then: a frame is sent until the other side has it. */
static void send_frame(const void *data, size_t len)
{
	bool came = chan.given_up;

	for (int i = 0; i < N_SENDS && !came && !chan.given_up; i++) {
		char head[80];
		int n = snprintf(head, sizeof(head), "\n@@LAB %s %u %zu %08x\n", chan.id, chan.seq,
				 len, crc32_of(data, len));

		write_all(chan.fd, head, (size_t)n);
		write_all(chan.fd, data, len);
		came = frame_came();
	}
	chan.given_up |= !came;
	chan.seq++;
}

void chan_flush(void)
{
	if (chan.len)
		send_frame(chan.buf, chan.len);
	chan.len = 0;
}

void emit(const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len) {
		size_t n = FRAME_MAX - chan.len;

		if (n > len)
			n = len;
		memcpy(chan.buf + chan.len, p, n);
		chan.len += n;
		p += n;
		len -= n;
		if (chan.len == FRAME_MAX)
			chan_flush();
	}
}

__attribute__((format(printf, 1, 2))) void emitf(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		emit(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* A reply ends with a frame of length zero. */
void chan_end(void)
{
	chan_flush();
	send_frame("", 0);
}

/* One record of the truth: "TAG NUMBER LENGTH\n", the bytes, "\n". */
void record(const char *tag, long num, const void *data, size_t len)
{
	emitf("%s %ld %zu\n", tag, num, len);
	emit(data, len);
	emit("\n", 1);
}

void record_file(const char *tag, long num, const char *path)
{
	ssize_t n = read_file(path, scratch, SCRATCH_MAX);

	if (n == SCRATCH_MAX - 1)
		record("truncated", num, path, strlen(path));
	if (n >= 0)
		record(tag, num, scratch, (size_t)n);
}

void record_link(const char *tag, long num, const char *path)
{
	ssize_t n = readlink(path, scratch, SCRATCH_MAX);

	if (n >= 0)
		record(tag, num, scratch, (size_t)n);
}

/* Open the command channel: the terminal that lab.tty= on the kernel command line names. */
bool open_channel(void)
{
	char line[4096], path[64] = "/dev/ttyS0";
	struct termios t;
	char *p;

	if (read_file("/proc/cmdline", line, sizeof(line)) > 0 && (p = strstr(line, "lab.tty=")))
		snprintf(path, sizeof(path), "/dev/%.*s", (int)strcspn(p + 8, " \n"), p + 8);
	chan.fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (chan.fd < 0) {
		klog("channel %s: %s", path, strerror(errno));
		return false;
	}
	if (!tcgetattr(chan.fd, &t)) {
		cfmakeraw(&t);
		t.c_cflag |= CLOCAL | CREAD;
		cfsetspeed(&t, B115200);
		tcsetattr(chan.fd, TCSANOW, &t);
	}
	return true;
}

void chan_begin(const char *id)
{
	snprintf(chan.id, sizeof(chan.id), "%.23s", id);
	chan.seq = 0;
	chan.len = 0;
	chan.given_up = false;
}

/* Populated now, so that telling the truth does not change our size. */
bool chan_make_buffer(void)
{
	chan.buf = map_anon(FRAME_MAX, MAP_PRIVATE | MAP_POPULATE);
	if (chan.buf)
		madvise(chan.buf, FRAME_MAX, MADV_DONTFORK);
	return chan.buf;
}
