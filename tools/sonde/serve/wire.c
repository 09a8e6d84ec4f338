/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { RECORD_MAX = 16 << 10 };

int wire_open(struct wire *ret, struct sonde_loop *loop, int fd)
{
	*ret = (struct wire){ .loop = loop, .fd = fd };
	ret->in = malloc(WIRE_IN);
	ret->out = malloc(WIRE_OUT);
	return ret->in && ret->out ? 0 : SONDE_E_NO_MEMORY;
}

void wire_finish(struct sonde_task *self, struct wire *wire)
{
	sonde_fd_close(self, wire->loop, wire->fd);
	tls_destroy(wire->tls);
	free(wire->tls_in);
	free(wire->tls_out);
	free(wire->in);
	free(wire->out);
}

void wire_cut(struct wire *wire)
{
	shutdown(wire->fd, SHUT_RDWR);
}

/* ---- the socket ----------------------------------------------------------------------------------- */

static int move(struct sonde_task *self, struct wire *wire, uint32_t op, void *buf, size_t len,
		uint64_t by_ns)
{
	struct sonde_fd_io io = {
		.fd = wire->fd, .op = op, .buf = buf, .len = (uint32_t)len, .deadline_ns = by_ns
	};

	return sonde_fd_run(self, wire->loop, &io);
}

static int receive(struct sonde_task *self, struct wire *wire, void *buf, size_t len,
		   uint64_t by_ns)
{
	int n = move(self, wire, SONDE_FD_READ, buf, len, by_ns);

	return n == 0 ? SONDE_E_TRUNCATED : n;
}

/* ---- TLS ------------------------------------------------------------------------------------------- */

/* Records leave in the order in which they were made: they are taken out and submitted in one go. */
static int send_records(struct sonde_task *self, struct wire *wire, uint8_t *scratch,
			uint64_t by_ns)
{
	int n, r = 0;

	while (r >= 0 && (n = tls_take_out(wire->tls, scratch, WIRE_TLS)) > 0)
		r = move(self, wire, SONDE_FD_WRITE_ALL, scratch, (size_t)n, by_ns);
	return r < 0 ? r : 0;
}

static int receive_records(struct sonde_task *self, struct wire *wire, uint64_t by_ns)
{
	int n = send_records(self, wire, wire->tls_in, by_ns);

	if (n == 0)
		n = receive(self, wire, wire->tls_in, WIRE_TLS, by_ns);
	if (n < 0)
		return n;
	return tls_put_in(wire->tls, wire->tls_in, n) == 0 ? 0 : SONDE_E_NO_MEMORY;
}

int wire_secure(struct sonde_task *self, struct wire *wire, struct tls_server *server,
		uint64_t by_ns)
{
	int step = TLS_WANTS, r = 0;

	if (wire->in_at < wire->in_len) /* sent before it could be secret: of whom? */
		return SONDE_E_BAD_FORMAT;
	wire->tls = tls_create(server);
	wire->tls_in = malloc(WIRE_TLS);
	wire->tls_out = malloc(WIRE_TLS);
	if (!wire->tls || !wire->tls_in || !wire->tls_out)
		return SONDE_E_NO_MEMORY;
	while (r == 0 && (step = tls_handshake(wire->tls)) == TLS_WANTS)
		r = receive_records(self, wire, by_ns);
	int sent = send_records(self, wire, wire->tls_in, by_ns);
	return r < 0 ? r : step < 0 ? SONDE_E_BAD_FORMAT : sent;
}

static int receive_secret(struct sonde_task *self, struct wire *wire, void *buf, size_t len,
			  uint64_t by_ns)
{
	int r = 0;

	for (;;) {
		int n = tls_read(wire->tls, buf, (int)len);
		if (n != TLS_WANTS)
			return n > 0 ? n : n == TLS_END ? SONDE_E_TRUNCATED : SONDE_E_BAD_FORMAT;
		r = receive_records(self, wire, by_ns);
		if (r < 0)
			return r;
	}
}

static int send_secret(struct sonde_task *self, struct wire *wire, const uint8_t *bytes, size_t len,
		       uint64_t by_ns)
{
	int r = 0;

	for (size_t n; r == 0 && len > 0; bytes += n, len -= n) {
		n = len < RECORD_MAX ? len : RECORD_MAX;
		r = tls_write(wire->tls, bytes, (int)n) == 0 ? 0 : SONDE_E_IO;
		if (r == 0)
			r = send_records(self, wire, wire->tls_out, by_ns);
	}
	return r;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static int receive_some(struct sonde_task *self, struct wire *wire, void *buf, size_t len,
			uint64_t by_ns)
{
	return wire->tls ? receive_secret(self, wire, buf, len, by_ns)
			 : receive(self, wire, buf, len, by_ns);
}

int wire_await(struct sonde_task *self, struct wire *wire, uint64_t by_ns)
{
	if (wire->in_at < wire->in_len)
		return 0;
	int n = receive_some(self, wire, wire->in, WIRE_IN, by_ns);
	wire->in_at = 0;
	wire->in_len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? n : 0;
}

int wire_take(struct sonde_task *self, struct wire *wire, void *buf, size_t len, uint64_t by_ns)
{
	uint8_t *at = buf;

	while (len > 0) {
		size_t ready = wire->in_len - wire->in_at;
		int n = (int)(ready < len ? ready : len);
		if (n > 0) {
			memcpy(at, wire->in + wire->in_at, (size_t)n);
			wire->in_at += (size_t)n;
		} else {
			n = len >= WIRE_IN ? receive_some(self, wire, at, len, by_ns)
					   : wire_await(self, wire, by_ns);
			if (n < 0)
				return n;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static int send_all(struct sonde_task *self, struct wire *wire, const uint8_t *bytes, size_t len,
		    uint64_t sends_ns)
{
	int r = 0;

	for (size_t n; r >= 0 && len > 0; bytes += n, len -= n) {
		uint64_t by_ns = sonde_now_ns() + sends_ns;
		n = len < WIRE_OUT ? len : WIRE_OUT;
		r = wire->tls ? send_secret(self, wire, bytes, n, by_ns)
			      : move(self, wire, SONDE_FD_WRITE_ALL, (void *)(uintptr_t)bytes, n,
				     by_ns);
	}
	return r < 0 ? r : 0;
}

int wire_flush(struct sonde_task *self, struct wire *wire, uint64_t sends_ns)
{
	size_t n = wire->n_out;

	wire->n_out = 0;
	return send_all(self, wire, wire->out, n, sends_ns);
}

int wire_put(struct sonde_task *self, struct wire *wire, const void *bytes, size_t len,
	     uint64_t sends_ns)
{
	int r = 0;

	if (len > WIRE_OUT - wire->n_out)
		r = wire_flush(self, wire, sends_ns);
	if (r < 0)
		return r;
	if (len > WIRE_OUT / 2)
		return send_all(self, wire, bytes, len, sends_ns);
	memcpy(wire->out + wire->n_out, bytes, len);
	wire->n_out += len;
	return 0;
}
