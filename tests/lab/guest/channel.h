/* SPDX-License-Identifier: MIT */
/* The command channel: replies are cut into frames, each with its length and CRC-32. */
#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel {
	int fd;
	char id[24];
	unsigned seq;
	bool given_up; /* nobody waits for the rest of this reply */
	size_t len;
	unsigned char *buf; /* [FRAME_MAX] */
};

extern struct channel chan;

void crc_init(void);
uint32_t crc32_of(const unsigned char *p, size_t len);

bool chan_make_buffer(void);
/* Open the terminal that lab.tty= on the kernel command line names. */
bool open_channel(void);
/* The next line with something in it, valid until the next call; NULL when the line is silent for so long (-1: for ever). */
char *chan_line(int timeout_ms);
/* Something was said that nobody has read yet. */
bool chan_was_heard(void);
/* The line is the command that was begun last, said once more: the other side saw nothing of its reply yet. */
bool chan_is_repeat(const char *command);
/* A reply begins, to the command with this ID. */
void chan_begin(const char *id);
/* What was emitted so far goes out. */
void chan_flush(void);
/* A reply ends with a frame of length zero. */
void chan_end(void);

void emit(const void *data, size_t len);
__attribute__((format(printf, 1, 2))) void emitf(const char *fmt, ...);
/* One record of the truth: "TAG NUMBER LENGTH\n", the bytes, "\n". */
void record(const char *tag, long num, const void *data, size_t len);
void record_file(const char *tag, long num, const char *path);
void record_link(const char *tag, long num, const char *path);

#endif
