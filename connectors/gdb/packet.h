/* SPDX-License-Identifier: MIT */
/*
 * Packets of GDB's remote serial protocol as bytes: framing, checksums, escapes, runs.
 *
 *	$data#cs      cs: the sum of data's bytes as they are sent, modulo 256, two hex digits
 *	%data#cs      a notification, which is not acknowledged
 *	+  -          the last packet came whole, came damaged
 *	} c           c ^ 0x20
 *	c * n         c, and n - 29 more of it
 *
 * Source: "Debugging with GDB" (13), appendix E.1 Overview, E.6 Notification Packets.
 */
#ifndef GDB_PACKET_H
#define GDB_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX (64u << 10) /* data bytes of a packet, runs expanded */
#define PACKET_FRAME 4         /* "$", "#", checksum                    */

enum packet_event {
	PACKET_NONE,   /* all bytes were taken, and nothing is whole yet      */
	PACKET_DATA,   /* data[0 .. len) came whole                           */
	PACKET_NOTICE, /* a notification                                      */
	PACKET_BAD,    /* a packet with a wrong checksum, run or length       */
	PACKET_ACK,    /* +                                                   */
	PACKET_NAK,    /* -                                                   */
};

enum packet_state {
	PACKET_OUTSIDE,
	PACKET_INSIDE,
	PACKET_ESCAPE, /* behind } */
	PACKET_RUN,    /* behind * */
	PACKET_SUM_HIGH,
	PACKET_SUM_LOW,
};

/* Zero it before its first use. */
struct packet_reader {
	enum packet_state state;
	uint8_t notice;     /* of the packet that has begun                      */
	uint8_t bad;        /* it broke a rule already                           */
	uint8_t has_last;   /* last can be repeated                              */
	uint8_t last;       /* byte as it came                                   */
	uint8_t sum, given; /* checksums: counted, sent along                    */
	uint32_t len;       /* of data                                           */
	uint8_t data[PACKET_MAX];
};

/*
 * Take bytes up to the end of what they make whole. Bytes outside of packets that mean nothing are dropped; a
 * '$' inside a packet begins it anew, for what was before was cut off.
 *
 * Returns   how many of the n bytes were taken: all with PACKET_NONE. data stays until the next call.
 */
size_t packet_take(struct packet_reader *reader, const uint8_t *bytes, size_t n,
		   enum packet_event *ret);

/* Room that packet_write needs at most for len bytes of data. */
static inline size_t packet_room(size_t len)
{
	return 2 * len + PACKET_FRAME;
}

/* Frame data, escaping what has to be. Returns the bytes written to out, packet_room(len) at most. */
size_t packet_write(uint8_t *out, const uint8_t *data, size_t len);

/* The value of a hex digit; -1 for anything else. */
int hex_digit(uint8_t c);
/* n bytes of 2 * n digits. Returns 0, -1 where one is none. */
int hex_read(uint8_t *out, const uint8_t *digits, size_t n);
/* 2 * n digits of n bytes. */
void hex_write(uint8_t *out, const uint8_t *bytes, size_t n);
/* A number of 1..16 hex digits at *at, before end. Returns 0 and *at behind it; -1: there is none. */
int hex_number(const uint8_t **at, const uint8_t *end, uint64_t *ret);
/*
 * As hex_number, the number of a thread: "2", or "p1.2" with its process in front. QEMU goes on to say that to everybody
 * once a client has asked for it ("multiprocess+", 7.2 gdbstub.c), as gdb does.
 */
int thread_number(const uint8_t **at, const uint8_t *end, uint64_t *ret);

#endif
