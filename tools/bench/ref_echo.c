/* SPDX-License-Identifier: MIT */
/*
 * Reference: an echo server by hand on io_uring, as short as it can be. One multishot accept, then
 * either a multishot receive a connection into buffers the kernel picks, each sent from where it
 * came and handed back; or a receive and a send in turn, into a buffer a connection.
 */
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "echo.h"

#define DEPTH 4096u
#define N_BUFS 4096u /* a power of two */
#define FDS_MAX 65536u

enum { ACCEPT = 0, RECEIVE, SEND };

struct hand {
	struct io_uring ring;
	struct io_uring_buf_ring *picks; /* several: what the kernel picks from      */
	uint8_t (*bufs)[ECHO_BYTES];     /* several: [N_BUFS], else [FDS_MAX], by fd */
};

static uint64_t pack(unsigned what, unsigned buf, int fd)
{
	return (uint64_t)what << 56 | (uint64_t)buf << 32 | (uint32_t)fd;
}

static struct io_uring_sqe *next(struct hand *hand)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&hand->ring)))
		io_uring_submit(&hand->ring);
	return sqe;
}

static void receive(struct hand *hand, int fd)
{
	struct io_uring_sqe *sqe = next(hand);

	if (hand->picks) {
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = 0;
	} else {
		io_uring_prep_recv(sqe, fd, hand->bufs[fd], ECHO_BYTES, 0);
	}
	sqe->user_data = pack(RECEIVE, 0, fd);
}

static void send_back(struct hand *hand, unsigned buf, int fd, unsigned len)
{
	struct io_uring_sqe *sqe = next(hand);

	io_uring_prep_send(sqe, fd, hand->bufs[buf], len, MSG_NOSIGNAL);
	sqe->user_data = pack(SEND, buf, fd);
}

static void give_buffer(struct hand *hand, unsigned buf)
{
	io_uring_buf_ring_add(hand->picks, hand->bufs[buf], ECHO_BYTES, (unsigned short)buf,
			      io_uring_buf_ring_mask(N_BUFS), 0);
	io_uring_buf_ring_advance(hand->picks, 1);
}

static void completed(struct hand *hand, const struct io_uring_cqe *cqe)
{
	int fd = (int)(uint32_t)cqe->user_data;
	unsigned buf = (cqe->user_data >> 32) & 0xffffff;

	switch (cqe->user_data >> 56) {
	case ACCEPT:
		if (cqe->res >= 0)
			receive(hand, cqe->res);
		break;
	case RECEIVE:
		if (cqe->res > 0)
			send_back(hand,
				  hand->picks ? cqe->flags >> IORING_CQE_BUFFER_SHIFT
					      : (unsigned)fd,
				  fd, (unsigned)cqe->res);
		if (hand->picks && !(cqe->flags & IORING_CQE_F_MORE) &&
		    (cqe->res > 0 || cqe->res == -ENOBUFS))
			receive(hand, fd);
		break;
	default:
		if (hand->picks)
			give_buffer(hand, buf);
		else if (cqe->res > 0)
			receive(hand, fd);
	}
}

static int prepare_picks(struct hand *hand)
{
	struct io_uring_buf_reg reg = { .ring_entries = N_BUFS };

	hand->picks = aligned_alloc(4096, N_BUFS * sizeof(struct io_uring_buf));
	if (!hand->picks)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)hand->picks;
	int r = io_uring_register_buf_ring(&hand->ring, &reg, 0);
	if (r < 0)
		return r;
	io_uring_buf_ring_init(hand->picks);
	for (unsigned i = 0; i < N_BUFS; i++)
		give_buffer(hand, i);
	return 0;
}

static int serve(int listener, bool several)
{
	struct hand hand = { .bufs = calloc(FDS_MAX, ECHO_BYTES) };
	struct io_uring_cqe *cqe;
	int r = io_uring_queue_init(DEPTH, &hand.ring,
				    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	if (r == 0 && several)
		r = prepare_picks(&hand);
	if (r < 0 || !hand.bufs)
		return r < 0 ? r : -ENOMEM;
	io_uring_register_ring_fd(&hand.ring);
	io_uring_prep_multishot_accept(next(&hand), listener, NULL, NULL, 0);
	for (;;) {
		unsigned head, n = 0;
		r = io_uring_submit_and_wait(&hand.ring, 1);
		if (r < 0 && r != -EINTR)
			return r;
		io_uring_for_each_cqe(&hand.ring, head, cqe)
		{
			completed(&hand, cqe);
			n++;
		}
		io_uring_cq_advance(&hand.ring, n);
	}
}

int echo_by_hand(int listener)
{
	return serve(listener, true);
}

int echo_by_hand_single(int listener)
{
	return serve(listener, false);
}
