/* SPDX-License-Identifier: MIT */
/*
 * For programs without an operating system and without a C library: kernels, hypervisors, firmware. libsonde-bare.a
 * holds spaces, requests, tasks, batches, page tables and the layers cache and overlay, and what they need of a
 * host, made of a stretch of memory and a clock that the program hands in. docs/freestanding.md has an
 * example. libsonde.so does not have these functions, and of the other headers there is here:
 *
 *	error.h  space.h  io.h  task.h  batch.h  channel.h  select.h  fragments.h  cursor.h  fields.h  write.h  plugin.h
 *	loop.h   but for engines, descriptors (sonde_loop_fd) and registered memory
 *
 * All of it is for one processor at a time, and no interrupt handler calls any of it but sonde_loop_wake.
 */
#ifndef SONDE_BARE_H
#define SONDE_BARE_H

#include <sonde/error.h>
#include <sonde/loop.h>
#include <sonde/plugin.h>
#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What only the program knows of its machine. */
struct sonde_bare_platform {
	uint32_t size; /* sizeof(this) */
	uint32_t pad;  /* 0            */
	/* Required: a clock in ns that never goes back: that of deadlines and timers (sonde_now_ns). */
	uint64_t (*now_ns)(void *user);
	/*
	 * Optional: nothing can be done for timeout_ns (0: look only; UINT64_MAX: for ever) unless an interrupt brings work. May
	 * return at any time, and has to after an interrupt that called sonde_loop_wake, also where that came just before. On the
	 * thread of the loop: requests that a layer of the program holds may be ended here (host->io_done). NULL: the loop
	 * goes on looking.
	 */
	void (*idle)(void *user, uint64_t timeout_ns);
	/* Required: a bug of ours was met, "what" did not hold. Does not return. */
	void (*fail)(void *user, const char *what, const char *file, int line);
	void *user; /* handed to each of them */
};

/*
 * Begin: before any other call of the library, and again to begin anew, which forgets all there was. platform is
 * copied; memory is kept, and everything that the library allocates lies in it.
 *
 * Returns   0; SONDE_E_BAD_ARG: no clock or no fail; SONDE_E_NO_MEMORY: len is below 4 KiB. A task takes 64 KiB
 *           and a page, a cache its mb=.
 */
int sonde_bare_start(const struct sonde_bare_platform *platform, void *memory, size_t len);

struct sonde_bare_usage {
	uint64_t total;     /* bytes that were handed in                        */
	uint64_t used;      /* ... of which this is in use now, heads included  */
	uint64_t most_used; /* ... and was at most                              */
};
void sonde_bare_usage(struct sonde_bare_usage *ret);

/* A stretch of memory, where a space shows it and where the program sees it. */
struct sonde_bare_range {
	uint64_t addr;    /* first byte in the space                                        */
	uint64_t len;     /* bytes, > 0; addr + len - 1 does not wrap                       */
	void *at;         /* [len] where the program sees them; 0 is an address as any other */
	uint32_t flags;   /* enum sonde_region_flag; without _WRITE writing is refused      */
	uint32_t pad;     /* 0                                                              */
	const char *name; /* of its region; NULL: ""; kept until the space is closed        */
};

/*
 * Make a space of memory that the program sees: physical memory of its own machine. It is resident: reads are
 * copies in the calling function. What no range covers is a hole.
 *
 * Returns   0; SONDE_E_BAD_ARG (an empty or wrapping range, two that overlap), SONDE_E_NO_MEMORY.
 * Owns      *ret: sonde_space_close. ranges is copied.
 */
int sonde_bare_memory(struct sonde_loop *loop, const struct sonde_bare_range *ranges, size_t n,
		      struct sonde_space **ret);

struct sonde_bare_arg {
	const char *key, *value; /* "mb", "1" */
};

/* A layer to open: the caller's struct, kept with all it names until the space is closed. */
struct sonde_bare_layer {
	const struct sonde_plugin *plugin; /* one of the two below, or one of the program's own  */
	const struct sonde_bare_arg *args; /* [n_args] as "key=value,..." behind a layer's name   */
	size_t n_args;
	struct sonde_space *below; /* in front of this; closed behind the layer                   */
	uint64_t write;            /* not 0: what is written through it is taken                  */
	uint64_t core[8];          /* the library's                                               */
};

/* Pages kept of what is slow to reach: plugins/layers/cache. */
extern const struct sonde_plugin sonde_bare_cache;
/* Writes kept over what is left alone: plugins/layers/overlay, without file=. */
extern const struct sonde_plugin sonde_bare_overlay;

/*
 * Put a layer in front of a space.
 *
 * Returns   0; SONDE_E_BAD_ARG: no layer, an argument that it does not take or that is given twice; SONDE_E_ABI: built
 *           for another interface; SONDE_E_NO_MEMORY; what the layer's opening refuses. err says which.
 * Owns      *ret: sonde_space_close, before what is below.
 */
int sonde_bare_layer_open(struct sonde_bare_layer *layer, struct sonde_space **ret,
			  struct sonde_error *err);

#ifdef __cplusplus
}
#endif
#endif
