/* SPDX-License-Identifier: MIT */
/*
 * Everything here is under the link's lock but io_done, which may lead to a submit. No memory is allocated: what
 * finds no request free is not taken, and what finds no flight free waits in the window.
 */
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	MEMORY_HEAD = 32, /* "X", an address, a comma, a length, a colon */
	MEMORY_PACKET_MIN = 128,
};

/* ---- telling -------------------------------------------------------------------------------- */

static void tell(struct memory *memory, struct memory_request *request, uint32_t piece,
		 uint32_t off, uint32_t len, int32_t err)
{
	sonde_progress(memory->host, request->io, piece, off, len, err);
	request->left -= len;
}

/* Once everything of it is cut and told. It has left first..last by then. */
static void finish_if_over(struct memory *memory, struct memory_request *request)
{
	if (request->left || request->piece < request->io->n)
		return;
	request->over = 1;
	request->next = memory->over;
	memory->over = request;
}

/* What is over goes home, with the lock free. */
static void settle(void *user)
{
	struct memory *memory = user;
	struct sonde_io *ios[MEMORY_REQUESTS];
	size_t n = 0;

	pthread_mutex_lock(&memory->link->lock);
	while (memory->over) {
		struct memory_request *request = memory->over;
		memory->over = request->next;
		ios[n++] = request->io;
		request->io = NULL;
	}
	pthread_mutex_unlock(&memory->link->lock);
	for (size_t i = 0; i < n; i++)
		memory->host->io_done(ios[i]);
}

/* ---- requests to parts ----------------------------------------------------------------------- */

/* How much from addr on is one part or one answer of our own; returns what is known of it. */
static int32_t part_limit(const struct memory *memory, uint32_t op, uint64_t addr, uint64_t left,
			  uint32_t *ret_len)
{
	uint32_t max = op == SONDE_IO_READ ? memory->read_max - (uint32_t)(addr % memory->read_max)
					   : memory->write_max;
	uint64_t len = left;
	int32_t err = 0;

	if (memory->ranges)
		err = ranges_limit(memory->ranges, addr, left, &len);
	if (!err && op == SONDE_IO_WRITE && !memory->writable)
		err = SONDE_E_READ_ONLY;
	if (!err && len > max)
		len = max;
	*ret_len = (uint32_t)len;
	return err;
}

/* The next part of a request into the window, or its refusal. Behind 2^64 there is nothing. */
static void cut_part(struct memory *memory, struct memory_request *request)
{
	const struct sonde_xfer *x = &request->io->xfers[request->piece];
	uint32_t off = request->off, piece = request->piece, len = x->len - off;
	uint64_t addr = x->addr + off;
	int32_t err = SONDE_E_NOT_MAPPED;

	if (addr >= x->addr) {
		uint64_t room = UINT64_MAX - addr;
		err = part_limit(memory, request->io->op, addr,
				 len - 1 > room ? room + 1 : (uint64_t)len, &len);
	}
	request->off += len;
	if (request->off == x->len) {
		request->off = 0;
		request->piece++;
	}
	if (err)
		tell(memory, request, piece, off, len, err);
	else
		memory->window[memory->window_n++] = (struct memory_part){
			.of = request, .addr = addr, .piece = piece, .off = off, .len = len
		};
}

static void cut_request(struct memory *memory, struct memory_request *request)
{
	while (request->piece < request->io->n && memory->window_n < MEMORY_WINDOW)
		cut_part(memory, request);
	if (request->piece < request->io->n)
		return;
	memory->first = request->next;
	if (!memory->first)
		memory->last = NULL;
	finish_if_over(memory, request);
}

/* By address; of one address, the longest first. In order already as a rule, so by insertion. */
static void sort_window(struct memory *memory)
{
	struct memory_part *parts = memory->window;

	for (uint32_t k = 1; k < memory->window_n; k++) {
		struct memory_part part = parts[k];
		uint32_t at = k;
		for (; at > 0 && parts[at - 1].addr > part.addr; at--)
			parts[at] = parts[at - 1];
		parts[at] = part;
	}
}

static void fill_window(struct memory *memory)
{
	memory->window_at = memory->window_n = 0;
	if (memory->first)
		memory->window_op = memory->first->io->op;
	while (memory->first && memory->window_n < MEMORY_WINDOW &&
	       memory->first->io->op == memory->window_op)
		cut_request(memory, memory->first);
	if (memory->window_op == SONDE_IO_READ)
		sort_window(memory);
}

/* ---- parts to flights -------------------------------------------------------------------------- */

/* Does the part go with a flight that ends with last? Not over a page that nobody asked for. */
static int joins(const struct memory *memory, const struct memory_flight *flight, uint64_t last,
		 const struct memory_part *part)
{
	if (flight->n_parts == MEMORY_PARTS ||
	    part->addr - flight->addr + part->len > memory->read_max)
		return 0;
	return part->addr <= last || part->addr - last == 1 ||
	       part->addr / MEMORY_PAGE == last / MEMORY_PAGE;
}

static void load_flight(struct memory *memory, struct memory_flight *flight)
{
	const struct memory_part *part = &memory->window[memory->window_at];
	uint64_t last = part->addr;

	flight->addr = part->addr;
	flight->op = memory->window_op;
	flight->n_parts = 0;
	do {
		uint64_t part_last = part->addr + (part->len - 1);
		flight->parts[flight->n_parts++] = *part;
		last = part_last > last ? part_last : last;
		part = &memory->window[++memory->window_at];
	} while (memory->window_at < memory->window_n && part->of && flight->op == SONDE_IO_READ &&
		 joins(memory, flight, last, part));
	flight->at = 0;
	flight->len = flight->ask = (uint32_t)(last - flight->addr) + 1;
}

static struct exchange *next_flight(void *user)
{
	struct memory *memory = user;
	struct memory_flight *flight = memory->flights;

	while (flight->n_parts)
		if (++flight == memory->flights + LINK_DEPTH_MAX)
			return NULL;
	for (;;) {
		while (memory->window_at < memory->window_n &&
		       !memory->window[memory->window_at].of)
			memory->window_at++;
		if (memory->window_at < memory->window_n)
			break;
		if (!memory->first)
			return NULL;
		fill_window(memory);
	}
	load_flight(memory, flight);
	return &flight->exchange;
}

/* ---- flights to packets -------------------------------------------------------------------------- */

static int __attribute__((format(printf, 2, 3))) format(uint8_t *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf((char *)out, MEMORY_HEAD, fmt, args);
	va_end(args);
	return n;
}

/* A write that was cancelled before it could be sent, or sent again, becomes one of nothing. */
static size_t write_packet(struct exchange *exchange, uint8_t *out)
{
	struct memory_flight *flight = (struct memory_flight *)exchange;
	const struct memory *memory = flight->memory;
	const struct memory_part *part = &flight->parts[0];
	unsigned long long addr = flight->addr + flight->at;

	if (flight->op == SONDE_IO_READ)
		return (size_t)format(out, "%c%llx,%x", memory->binary_read ? 'x' : 'm', addr,
				      flight->ask);
	uint32_t n = part->of ? flight->ask : 0;
	uint8_t *at = out + format(out, "%c%llx,%x:", memory->binary_write ? 'X' : 'M', addr, n);
	if (n == 0)
		return (size_t)(at - out);
	const uint8_t *bytes =
		(const uint8_t *)part->of->io->xfers[part->piece].buf + part->off + flight->at;
	if (!memory->binary_write) {
		hex_write(at, bytes, n);
		return (size_t)(at + 2 * n - out);
	}
	memcpy(at, bytes, n);
	return (size_t)(at + n - out);
}

/* Bytes as an answer has them. */
struct answer {
	const uint8_t *text; /* two digits a byte, or one byte  */
	int binary;
	uint32_t n; /* bytes of the target */
};

/* Returns 0 and what came (at most what was asked for); < 0 why nothing did. */
static int read_answer(const struct memory_flight *flight, const uint8_t *data, size_t len,
		       struct answer *ret)
{
	int binary = flight->memory->binary_read;

	if (len == 0)
		return SONDE_E_UNSUPPORTED;
	if (data[0] == 'E' && (len == 3 || (len > 1 && data[1] == '.')))
		return SONDE_E_NOT_MAPPED;
	if (flight->op == SONDE_IO_WRITE) {
		ret->n = flight->ask;
		return len == 2 && memcmp(data, "OK", 2) == 0 ? 0 : SONDE_E_IO;
	}
	if (binary && data[0] != 'b')
		return SONDE_E_IO;
	ret->binary = binary;
	ret->text = data + binary;
	size_t n = binary ? len - 1 : len / 2;
	if (n > flight->ask || (!binary && len % 2))
		return SONDE_E_IO;
	for (size_t i = 0; !binary && i < len; i++) {
		if (hex_digit(data[i]) < 0)
			return SONDE_E_IO;
	}
	ret->n = (uint32_t)n;
	return n ? 0 : SONDE_E_NOT_MAPPED;
}

/* What of a part lies in the n bytes behind flight->at: its first byte in the part, and in *ret_len how many. */
static uint32_t overlap(const struct memory_flight *flight, const struct memory_part *part,
			uint32_t n, uint32_t *ret_len)
{
	uint32_t begin = (uint32_t)(part->addr - flight->addr), end = begin + part->len;
	uint32_t from = flight->at > begin ? flight->at : begin;
	uint32_t to = flight->at + n < end ? flight->at + n : end;

	*ret_len = from < to ? to - from : 0;
	return from - begin;
}

/* The next n bytes of a flight are final: answer has them, or they failed with err. */
static void tell_flight(struct memory_flight *flight, uint32_t n, int32_t err,
			const struct answer *answer)
{
	for (uint32_t i = 0; i < flight->n_parts; i++) {
		struct memory_part *part = &flight->parts[i];
		uint32_t len, off = overlap(flight, part, n, &len);
		if (!part->of || len == 0)
			continue;
		uint8_t *to = (uint8_t *)part->of->io->xfers[part->piece].buf + part->off + off;
		uint64_t from = part->addr + off - flight->addr - flight->at;
		if (!err && flight->op == SONDE_IO_READ && answer->binary)
			memcpy(to, answer->text + from, len);
		else if (!err && flight->op == SONDE_IO_READ)
			hex_read(to, answer->text + 2 * from, len);
		tell(flight->memory, part->of, part->piece, part->off + off, len, err);
		finish_if_over(flight->memory, part->of);
	}
	flight->at += n;
}

/* Bytes up to the page boundary nearest to the middle of what was asked for; all of it, if in one page. */
static uint32_t half(const struct memory_flight *flight)
{
	uint64_t first = flight->addr + flight->at, last = first + (flight->ask - 1);
	uint64_t first_page = first / MEMORY_PAGE, last_page = last / MEMORY_PAGE;
	uint64_t middle = first_page + (last_page - first_page + 1) / 2;

	return first_page == last_page ? flight->ask : (uint32_t)(middle * MEMORY_PAGE - first);
}

static int anybody_waits(const struct memory_flight *flight)
{
	for (uint32_t i = 0; i < flight->n_parts; i++) {
		if (flight->parts[i].of)
			return 1;
	}
	return 0;
}

static enum exchange_verdict take_answer(struct exchange *exchange, int err, const uint8_t *data,
					 size_t len)
{
	struct memory_flight *flight = (struct memory_flight *)exchange;
	struct answer answer = { 0 };

	if (err) { /* what is in no flight is ended by end_all */
		tell_flight(flight, flight->len - flight->at, err, NULL);
		flight->n_parts = 0;
		return EXCHANGE_DONE;
	}
	err = read_answer(flight, data, len, &answer);
	uint32_t part = half(flight);
	if (err == SONDE_E_NOT_MAPPED && part < flight->ask) {
		flight->ask = part;
		return EXCHANGE_AGAIN;
	}
	tell_flight(flight, err ? flight->ask : answer.n, err, &answer);
	flight->ask = flight->len - flight->at;
	if (flight->ask && anybody_waits(flight))
		return EXCHANGE_AGAIN;
	flight->n_parts = 0;
	return EXCHANGE_DONE;
}

/* ---- ending early ------------------------------------------------------------------------------------ */

static void leave_list(struct memory *memory, const struct memory_request *request)
{
	struct memory_request **at = &memory->first, *before = NULL;

	while (*at && *at != request) {
		before = *at;
		at = &before->next;
	}
	if (!*at)
		return; /* cut to its end */
	*at = request->next;
	if (memory->last == request)
		memory->last = before;
}

static void end_part(struct memory *memory, struct memory_part *part, uint32_t done, int32_t err)
{
	tell(memory, part->of, part->piece, part->off + done, part->len - done, err);
	part->of = NULL;
}

static void end_flights(struct memory *memory, const struct memory_request *request, int32_t err)
{
	for (struct memory_flight *flight = memory->flights;
	     flight < memory->flights + LINK_DEPTH_MAX; flight++) {
		for (uint32_t i = 0; i < flight->n_parts; i++) {
			struct memory_part *part = &flight->parts[i];
			uint32_t begin = (uint32_t)(part->addr - flight->addr);
			uint32_t told = flight->at > begin ? flight->at - begin : 0;
			if (part->of == request && told < part->len)
				end_part(memory, part, told, err);
		}
	}
}

/* Tell what is left of it, wherever it is; whatever comes for it later has nowhere to go. */
static void end_request(struct memory *memory, struct memory_request *request, int32_t err)
{
	leave_list(memory, request);
	end_flights(memory, request, err);
	for (uint32_t i = memory->window_at; i < memory->window_n; i++) {
		if (memory->window[i].of == request)
			end_part(memory, &memory->window[i], 0, err);
	}
	for (; request->piece < request->io->n; request->piece++, request->off = 0)
		tell(memory, request, request->piece, request->off,
		     request->io->xfers[request->piece].len - request->off, err);
	finish_if_over(memory, request);
}

/* Flights have ended by then: their exchanges were told first. */
static void end_all(void *user, int err)
{
	struct memory *memory = user;

	for (struct memory_request *request = memory->requests;
	     request < memory->requests + MEMORY_REQUESTS; request++) {
		if (request->io && !request->over)
			end_request(memory, request, err);
	}
	memory->window_at = memory->window_n = 0;
}

void memory_cancel(struct memory *memory, struct sonde_io *io, int32_t why)
{
	int found = 0;

	pthread_mutex_lock(&memory->link->lock);
	for (struct memory_request *request = memory->requests;
	     request < memory->requests + MEMORY_REQUESTS && !found; request++) {
		found = request->io == io && !request->over;
		if (found)
			end_request(memory, request, why);
	}
	pthread_mutex_unlock(&memory->link->lock);
	if (found)
		link_wake(memory->link);
}

/* ---- the connector's slots ----------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct sonde_io *io)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < io->n; i++)
		n += io->xfers[i].len;
	return n;
}

static void add_request(struct memory *memory, struct memory_request *request, struct sonde_io *io)
{
	*request = (struct memory_request){ .io = io, .left = bytes_of(io) };
	if (memory->last)
		memory->last->next = request;
	else
		memory->first = request;
	memory->last = request;
}

size_t memory_submit(struct memory *memory, struct sonde_io *const *ios, size_t n)
{
	size_t taken = 0;

	pthread_mutex_lock(&memory->link->lock);
	for (int i = 0; i < MEMORY_REQUESTS && taken < n; i++) {
		if (!memory->requests[i].io)
			add_request(memory, &memory->requests[i], ios[taken++]);
	}
	pthread_mutex_unlock(&memory->link->lock);
	if (taken)
		link_wake(memory->link);
	return taken;
}

void memory_size(struct memory *memory, uint32_t packet_size)
{
	/* An answer is not longer than a packet may be. A power of two, so that packets end where pages do. */
	memory->read_max = 16;
	while (memory->read_max * 2 * 2 <= packet_size)
		memory->read_max *= 2;
	memory->write_max = (packet_size - MEMORY_HEAD) / 2; /* in hex, or each byte escaped */
}

void memory_init(struct memory *memory)
{
	for (int i = 0; i < LINK_DEPTH_MAX; i++)
		memory->flights[i] = (struct memory_flight){ .exchange = { .write = write_packet,
									   .answer = take_answer },
							     .memory = memory };
	memory_size(memory, MEMORY_PACKET_MIN);
}

struct link_source memory_source(struct memory *memory)
{
	return (struct link_source){
		.next = next_flight, .broken = end_all, .settle = settle, .user = memory
	};
}
