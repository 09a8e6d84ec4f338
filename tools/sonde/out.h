/* SPDX-License-Identifier: MIT */
/*
 * Buffered output to a descriptor, and a growing byte string. The first write error is
 * kept and everything behind it dropped; whoever owns the output asks once, at the end.
 */
#ifndef SONDE_TOOL_OUT_H
#define SONDE_TOOL_OUT_H

#include <stddef.h>
#include <stdint.h>

struct out {
	int fd;
	int err;      /* errno of the first write that failed, 0 none */
	size_t used;  /* bytes of buf that wait                       */
	uint64_t all; /* bytes ever put in                            */
	char buf[1 << 16];
};

void out_init(struct out *out, int fd);
void out_bytes(struct out *out, const void *bytes, size_t len);
void out_str(struct out *out, const char *str);
void out_char(struct out *out, char c);
void out_spaces(struct out *out, size_t n);
void out_printf(struct out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Write what waits. Returns 0 or the errno that was kept. */
int out_flush(struct out *out);

/* A byte string that grows. Running out of memory ends the program with a message. */
struct buf {
	char *bytes;
	size_t len, cap;
};

void buf_bytes(struct buf *buf, const void *bytes, size_t len);
void buf_str(struct buf *buf, const char *str);
void buf_char(struct buf *buf, char c);
void buf_u64(struct buf *buf, uint64_t value);
/* Lower-case hex, at least digits wide, no 0x. */
void buf_hex(struct buf *buf, uint64_t value, unsigned digits);
/* Two digits a byte. */
void buf_hex_bytes(struct buf *buf, const void *bytes, size_t len);
void buf_finish(struct buf *buf);

/* realloc that ends the program with a message where there is no memory. */
void *grow(void *old, size_t n, size_t size);

#endif
