/* SPDX-License-Identifier: MIT */
/*
 * The inside of a connector's space, shared by connector.c (opening, and the two ways in which the
 * connector moves bytes), by_extents.c and by_engine.c (the two in which we do: copying, sending).
 *
 * A request's cursor (io_core.piece, .off) is the next byte that has not been sent.
 */
#ifndef SONDE_SPACE_CONNECTOR_SPACE_H
#define SONDE_SPACE_CONNECTOR_SPACE_H

#include <sonde/plugin.h>
#include <stdbool.h>

#include "base/copy.h"
#include "io/engine.h"
#include "space/extents.h"
#include "space/file_map.h"
#include "space/residency.h"
#include "space/space.h"
#include "space/turns.h"

/* Copying or sending what is mapped: by_auto.c. */
struct by_auto {
	bool copies;           /* the way of the next batch; always true where there is no choice */
	struct residency seen; /* the last sample                                          */
	uint64_t seed;
	uint64_t faults;        /* of the thread, when it was last looked at */
	uint64_t pieces, moves; /* of space.stats, likewise                  */
};

/* What is asked of a mapped extent for each piece: by itself, so that it stays in registers. All 0: nothing lies there. */
struct mapped {
	uint64_t addr, span; /* last byte - addr */
	uintptr_t at;        /* its first byte, a number: to no pointer nothing may be added */
};

struct connector_space {
	struct sonde_space space;
	struct sonde_connector_ops ops;
	void *conn;
	bool is_clone;       /* conn, turns and maps are the original's  */
	struct turns *turns; /* NULL: one thread only                    */
	struct extents extents;
	struct file_maps maps;
	size_t hint;
	struct copier copier;
	struct by_auto choice;
	bool guarded;                             /* copies may meet a truncated file           */
	struct singles *singles;                  /* by_extents_single.c; NULL: none are kept   */
	struct by_image *images;                  /* by_image.c; NULL: there are none           */
	struct feed *feed;                        /* by_engine.c; NULL: nothing is ever sent    */
	struct sonde_io *backlog, **backlog_tail; /* not sent, or not taken yet            */
	struct sonde_io *working;                 /* transfer: the batch a worker thread has    */
	struct file_op work;                      /* ... and what carries it there and back     */
	size_t n_taken;                           /* submit: requests the connector has         */
	size_t took;                              /* ... and how many this offer gave it        */
	bool submitting;
};

static inline struct connector_space *of_space(struct sonde_space *space)
{
	return (struct connector_space *)(void *)space;
}

static inline void backlog_add(struct connector_space *cs, struct sonde_io *io)
{
	io_core(io)->next = NULL;
	*cs->backlog_tail = io;
	cs->backlog_tail = &io_core(io)->next;
}

static inline struct sonde_io *backlog_take(struct connector_space *cs)
{
	struct sonde_io *io = cs->backlog;

	if (!io)
		return NULL;
	cs->backlog = io_core(io)->next;
	if (!cs->backlog)
		cs->backlog_tail = &cs->backlog;
	return io;
}

/* space_ops.submit where every stretch is served in the call. */
void by_extents_inline(struct sonde_space *space, struct sonde_io *list);
/* ... of one request; and of a list as far as those go that are of one piece. Returns the first that is not. */
void by_extents_move(struct connector_space *cs, struct sonde_io *io);
struct sonde_io *by_extents_move_singles(struct connector_space *cs, struct sonde_io *list);
/*
 * ... and of reads that are mapped memory's when they are submitted, between open and close: kept for as long as
 * by_extents_keep is called once a pass. Without memory none is.
 */
void by_extents_open(struct connector_space *cs);
void by_extents_keep(struct connector_space *cs);
int by_extents_submit_at_once(struct sonde_space *space, struct sonde_io *io);
void by_extents_submit_kept(struct sonde_space *space);
/* What is kept, to be served in another way: a list as submit gets it. */
struct sonde_io *by_extents_take_kept(struct connector_space *cs);
void by_extents_close(struct connector_space *cs);
/* ... and where some go through the loop's engine, between these two; open again is nothing. SONDE_E_NO_MEMORY. */
int by_engine_open(struct connector_space *cs);
void by_engine_submit(struct sonde_space *space, struct sonde_io *list);
int by_engine_submit_at_once(struct sonde_space *space, struct sonde_io *io);
void by_engine_close(struct connector_space *cs);
/* ... and where some are in images. SONDE_E_NO_MEMORY. */
int by_image_open(struct connector_space *cs);
void by_image_submit(struct sonde_space *space, struct sonde_io *list);
/* ... and where all is mapped and either would do. How: for --stats, as snprintf. */
void by_auto_open(struct connector_space *cs);
void by_auto_open_like(struct connector_space *cs, const struct connector_space *from);
void by_auto_submit(struct sonde_space *space, struct sonde_io *list);
int by_auto_submit_at_once(struct sonde_space *space, struct sonde_io *io);
void by_auto_submit_kept(struct sonde_space *space);
size_t by_auto_how(const struct connector_space *cs, char *text, size_t cap);

#endif
