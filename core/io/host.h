/* SPDX-License-Identifier: MIT */
/*
 * What a loop needs of the machine under it: threads to tell apart, and a way to wait. host_linux.c
 * is Linux's; a program without an operating system brings these functions of its own
 * (docs/design.md, "Freestanding"), beside sonde_now_ns.
 */
#ifndef SONDE_IO_HOST_H
#define SONDE_IO_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct sonde_error;
struct sonde_io;
struct sonde_loop;

/* Work that comes home from another thread; run is called on the loop's thread. */
struct loop_post {
	struct loop_post *next;
	void (*run)(struct loop_post *post);
};

/* A fragment told by another thread, kept until the loop's own thread accounts for it. */
struct loop_fragment {
	struct sonde_io *io;
	uint32_t piece, off, len;
	int32_t err;
};

/* Is this the thread the loop belongs to? Where there is one thread only: yes. */
bool loop_is_here(const struct sonde_loop *loop);

/* Any thread: run post->run on the loop's own, and end its sleep. */
void loop_post(struct sonde_loop *loop, struct loop_post *post);
/* As loop_post of all from oldest to newest, which leads to it by next; the sleep ends once. */
void loop_post_list(struct sonde_loop *loop, struct loop_post *newest, struct loop_post *oldest);
/* Any thread but the loop's: account for a fragment before its request is posted; ends the sleep. */
void loop_post_fragment(struct sonde_loop *loop, const struct loop_fragment *fragment);
/* The loop's thread: account for all fragments told, then run all that was posted. Returns how many. */
int loop_run_posts(struct sonde_loop *loop);

/*
 * Wait up to timeout_ns (UINT64_MAX: no limit) for a post, a wake or something for the engine to
 * reap. May end early.
 */
void loop_sleep(struct sonde_loop *loop, uint64_t timeout_ns);

/*
 * Called only while loop->embedded, which sonde_loop_fd sets. Disarm: a turn begins, what was signalled
 * is answered. Arm: signal at the next timer, and at once where loop_has_work.
 */
void loop_disarm(struct sonde_loop *loop);
void loop_arm(struct sonde_loop *loop);

/*
 * Linux: account for all fragments told so far, which loop_run_posts does before it runs anything. For who learns
 * in what was posted of more that has ended meanwhile. Returns how many.
 */
int loop_run_fragments(struct sonde_loop *loop);

/* Linux: the eventfd that ends a sleep. */
int loop_wake_fd(const struct sonde_loop *loop);

/* loop->source->fd was opened: a foreign loop has to see it too. Returns 0 or -errno. */
int loop_source_opened(struct sonde_loop *loop);

/* What create.c asks of a host: loop->host, made and freed. Close takes what open left half done. */
int host_open(struct sonde_loop *loop, struct sonde_error *err);
void host_close(struct sonde_loop *loop);

#endif
