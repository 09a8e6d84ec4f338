/* SPDX-License-Identifier: MIT */
/*
 * A space is anything addressable by a 64-bit byte address: physical memory, the
 * virtual memory of a process, a file. It is sparse: it has regions, the rest are
 * holes. A batch of scattered pieces goes down, an outcome per piece comes up.
 *
 * This header is the blocking door; io.h has the completion door, task.h the task door.
 */
#ifndef SONDE_SPACE_H
#define SONDE_SPACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_space; /* handle; belongs to the thread of its loop */
struct sonde_loop;
struct sonde_error;

/* One piece of a scattered transfer. The caller owns the array and every buf. */
struct sonde_xfer {
	uint64_t addr;    /* in:  first byte, in the space's own addresses           */
	void *buf;        /* in:  len bytes; zero-filled where nothing could be read */
	uint32_t len;     /* in:  1 .. 2^31-1 bytes; may cross pages and holes       */
	uint32_t done;    /* out: bytes transferred; holes not counted               */
	int32_t err;      /* out: 0, or the error of the lowest failing byte         */
	uint32_t err_off; /* out: offset of that byte; len when err is 0             */
};

/*
 * Read n pieces in one trip to the target.
 *
 * Pieces may overlap and come in any order. Each has its own outcome: a hole
 * hides neither the bytes behind it nor the other pieces. An address range that
 * wraps past 2^64 ends there: the rest is a hole.
 *
 * Returns   how many pieces were read in full, 0..n;
 *           SONDE_E_BAD_ARG  a len of 0 or above 2^31-1, a NULL buf, or n above 2^31-1:
 *                            nothing was tried, no out field set;
 *           SONDE_E_BUSY     called from a completion callback: it would block the loop.
 * Per piece SONDE_E_NOT_MAPPED, _PAGED_OUT, _NOT_SAVED, _TRUNCATED, _IO, _NO_ACCESS, _GONE.
 * Context   plain code: blocks the thread and pumps the space's loop meanwhile.
 *           A task: parks it. Only on the thread of the space's loop. Allocates nothing
 *           once the loop has warmed up.
 */
int sonde_space_read(struct sonde_space *space, struct sonde_xfer *xfers, size_t n);

/*
 * Write n pieces; as sonde_space_read, and per piece also SONDE_E_READ_ONLY. Where pieces overlap, in one
 * batch or in several that are in flight together, which of them stays is not defined.
 */
int sonde_space_write(struct sonde_space *space, struct sonde_xfer *xfers, size_t n);

/* What became of a whole batch. Offsets count over its pieces in order, as if they were one. */
struct sonde_total {
	uint64_t len;       /* bytes asked for                                          */
	uint64_t done;      /* bytes transferred; holes not counted                     */
	uint64_t err_off;   /* offset of the lowest byte that failed; len when err is 0 */
	uint64_t err_piece; /* index of the piece it lies in; n when err is 0           */
	int32_t err;        /* 0, or why that byte failed                               */
	uint32_t pad;       /* 0                                                        */
};

/*
 * Sum the outcomes of n pieces up.
 *
 * Returns   0: every byte was transferred; else ret->err. ret may be NULL.
 * Context   any; the pieces belong to no request in flight.
 */
int sonde_xfers_total(const struct sonde_xfer *xfers, size_t n, struct sonde_total *ret);

/*
 * As sonde_space_read and sonde_space_write, but all or an error.
 *
 * Returns   0: every byte of every piece was transferred; else the error of the lowest piece
 *           that has one (the pieces tell the rest), or what sonde_space_read refuses.
 */
int sonde_space_read_all(struct sonde_space *space, struct sonde_xfer *xfers, size_t n);
int sonde_space_write_all(struct sonde_space *space, struct sonde_xfer *xfers, size_t n);

/*
 * One contiguous read: all len bytes or an error.
 *
 * Returns   0, or the error of the lowest byte that failed (buf is then zero there and
 *           whatever could be read stands in the rest); SONDE_E_BAD_ARG as above.
 */
int sonde_space_get(struct sonde_space *space, uint64_t addr, void *buf, size_t len);
int sonde_space_put(struct sonde_space *space, uint64_t addr, const void *buf, size_t len);

/*
 * One unsigned integer of size bytes (1..8; a target's pointer has the size of its word), in order
 * (enum sonde_order, sonde/types.h). Of put, the bytes of value above size are dropped.
 *
 * Returns   as sonde_space_get; *ret is written only on success. SONDE_E_BAD_ARG also for another
 *           size or order.
 */
int sonde_space_uint(struct sonde_space *space, uint64_t addr, uint32_t size, uint32_t order,
		     uint64_t *ret);
int sonde_space_put_uint(struct sonde_space *space, uint64_t addr, uint32_t size, uint32_t order,
			 uint64_t value);

/* One integer, little-endian; *ret is written only on success. */
int sonde_space_u8(struct sonde_space *space, uint64_t addr, uint8_t *ret);
int sonde_space_u16(struct sonde_space *space, uint64_t addr, uint16_t *ret);
int sonde_space_u32(struct sonde_space *space, uint64_t addr, uint32_t *ret);
int sonde_space_u64(struct sonde_space *space, uint64_t addr, uint64_t *ret);

/* ... and big-endian. */
int sonde_space_u16be(struct sonde_space *space, uint64_t addr, uint16_t *ret);
int sonde_space_u32be(struct sonde_space *space, uint64_t addr, uint32_t *ret);
int sonde_space_u64be(struct sonde_space *space, uint64_t addr, uint64_t *ret);

/* Write one integer, little-endian and big-endian; as sonde_space_put. */
int sonde_space_put_u8(struct sonde_space *space, uint64_t addr, uint8_t value);
int sonde_space_put_u16(struct sonde_space *space, uint64_t addr, uint16_t value);
int sonde_space_put_u32(struct sonde_space *space, uint64_t addr, uint32_t value);
int sonde_space_put_u64(struct sonde_space *space, uint64_t addr, uint64_t value);
int sonde_space_put_u16be(struct sonde_space *space, uint64_t addr, uint16_t value);
int sonde_space_put_u32be(struct sonde_space *space, uint64_t addr, uint32_t value);
int sonde_space_put_u64be(struct sonde_space *space, uint64_t addr, uint64_t value);

/*
 * A C string of at most cap-1 bytes into buf, always terminated. A page is read at a time, so a
 * hole behind the one with the terminator is never met.
 *
 * Returns   its length; SONDE_E_LIMIT when no terminator lies within cap bytes (buf then
 *           holds the first cap-1); the error of the first unreadable byte before one
 *           (buf then holds what came in front of it); SONDE_E_BAD_ARG for a cap of 0 or above
 *           2^31-1, with buf untouched.
 */
int sonde_space_string(struct sonde_space *space, uint64_t addr, char *buf, size_t cap);

/* What a region is; flags of struct sonde_region. */
enum sonde_region_flag {
	SONDE_REGION_READ = 1u << 0,
	SONDE_REGION_WRITE = 1u << 1,
	SONDE_REGION_EXEC = 1u << 2,
	SONDE_REGION_SHARED = 1u << 3,
	SONDE_REGION_RAM = 1u << 4,    /* main memory, worth searching             */
	SONDE_REGION_DEVICE = 1u << 5, /* firmware, video memory: readable, not RAM */
};

struct sonde_region {
	uint64_t addr;    /* first byte                                            */
	uint64_t len;     /* bytes, > 0; addr + len - 1 never wraps                */
	uint32_t flags;   /* enum sonde_region_flag                                */
	uint32_t pad;     /* 0                                                     */
	const char *name; /* path or label, "" for none; borrowed for the callback */
};

/* Called once a region, in rising order; any result but 0 stops and is handed back. */
typedef int sonde_region_fn(void *user, const struct sonde_region *region);

/*
 * Visit the regions of a space, lowest first, not overlapping.
 *
 * Returns   0, what fn returned to stop, SONDE_E_UNSUPPORTED where the space cannot
 *           tell, or SONDE_E_IO/_GONE/_NO_ACCESS when asking the target failed; SONDE_E_LIMIT
 *           where hostile page tables have no end.
 * Context   as sonde_space_read: may block; over page tables it may park a task.
 */
int sonde_space_regions(struct sonde_space *space, sonde_region_fn *fn, void *user);

/*
 * Borrow the host's own pointer to len bytes of a space, without a copy: where they are mapped memory below all
 * layers and translations. A layer that has to see every read, or that holds it up, lends nothing.
 *
 * Returns   the pointer, to be read only; NULL where the range does not lie in one stretch of such
 *           memory, or that cannot be told without waiting: read instead.
 * Context   the thread of the space's loop, callbacks and watchers of fragments too; never waits. Other threads may read
 *           what the pointer leads to.
 * Owns      nothing. The memory stays until the lowest space, or the target it belongs to, is closed: neither
 *           sonde_space_trim nor closing a space above takes it away.
 *           It shows what a read of addr gives until the space, or one below it, is invalidated or written to, or
 *           the guest changes its page tables: then other memory may be what stands at addr.
 *           A file that is truncated under the map makes the pointer fault (SIGBUS) behind the file's new
 *           end: read instead where that can happen, or scan (scan.h), which survives it.
 */
const void *sonde_space_borrow(struct sonde_space *space, uint64_t addr, size_t len);

/*
 * As sonde_space_borrow, of as many of the next cap bytes as lie in one stretch.
 *
 * Returns   the pointer, and 1..cap in *ret_len; NULL where not even the first can be borrowed (*ret_len is
 *           not touched then), and for a cap of 0.
 */
const void *sonde_space_borrow_run(struct sonde_space *space, uint64_t addr, size_t cap,
				   size_t *ret_len);

/*
 * Give back the host memory that pages mapped by earlier reads take up; a hint for sweeps over
 * a whole target. Their contents stay readable.
 */
void sonde_space_trim(struct sonde_space *space);

/*
 * Forget what this space and those below it keep of their contents: pages of a cache, translations.
 * What is read next is what is there now. Requests in flight bring what they bring.
 */
void sonde_space_invalidate(struct sonde_space *space);

/* A stretch of a space that is made of pieces of others. */
struct sonde_stretch {
	uint64_t addr;             /* first byte in the new space                              */
	uint64_t len;              /* bytes, > 0; neither addr + len - 1 nor at + len - 1 wraps */
	struct sonde_space *space; /* where its bytes are; kept until the new space is closed  */
	uint64_t at;               /* ... and from which address on                            */
};

/*
 * Make a space of stretches of others, all of the same loop. What no stretch covers is a hole; a
 * stretch has the holes of the space it lies in. Reads and writes go straight to where the bytes are.
 *
 * Returns   0; SONDE_E_BAD_ARG (an empty or wrapping stretch, two that overlap, a NULL space or one
 *           of another loop), SONDE_E_LIMIT (more than 2^20 stretches), SONDE_E_NO_MEMORY.
 * Owns      *ret: sonde_space_close. stretches is copied, its spaces are borrowed.
 */
int sonde_space_remap(struct sonde_loop *loop, const struct sonde_stretch *stretches, size_t n,
		      struct sonde_space **ret);

/* Page tables that lie in a space. */
struct sonde_tables {
	/*
	 * "x86-64-4" "x86-64-5" "x86-32" "x86-pae" "sv39" "sv48" "sv57"; "arm64-4k-39" and so on by granule and bits
	 * of an address (4k: 39 48 52, 16k: 36 47 48 52, 64k: 42 48 52); of guest-physical addresses "ept4" "ept5"
	 * "npt4" "npt5" "sv39x4" "sv48x4" "sv57x4"
	 */
	const char *format;
	uint64_t root; /* as the register has it: CR3, TTBR0, satp, the EPT pointer, nCR3, hgatp */
	uint64_t high_root; /* arm64: TTBR1; else ignored                              */
	uint64_t forget_ns; /* translations are used for so long; 0: for ever (a dump)  */
};

/*
 * Make a space of what page tables in phys map: virtual memory, or with the tables of a hypervisor a guest's
 * physical memory (its regions are RAM), over which guest's tables span another such space.
 *
 * Returns   0; SONDE_E_BAD_ARG (no such format), SONDE_E_NO_MEMORY. A root that leads nowhere maps nothing.
 * Per piece SONDE_E_NOT_MAPPED (not present, a reserved bit, an EPT misconfiguration), SONDE_E_PAGED_OUT; what
 *           reading a table in phys said.
 * Owns      *ret: sonde_space_close, before phys. *tables is copied.
 */
int sonde_space_tables(struct sonde_space *phys, const struct sonde_tables *tables,
		       struct sonde_space **ret);

/*
 * Open a second space over the same bytes, for the thread of another loop: what lies below is cloned first, then the
 * layer, the page tables or the stretches in front of it. Files and maps are shared; translations and the pages of a
 * cache are each one's own. A connector that moves bytes by calls is called by one thread at a time.
 *
 * Returns   0; SONDE_E_BAD_ARG (NULL); SONDE_E_NO_MEMORY; what a connector's or layer's opening refuses;
 *           SONDE_E_UNSUPPORTED: a connector with a queue of its own, or a layer whose state is one
 *           thread's (trace, record, fault, throttle, an overlay that holds writes or takes them).
 * Context   the thread of loop, while no request of the space, or of one below it, is in flight, and no
 *           other thread uses one of them. Afterwards each may be used by its own thread at the same time.
 * Owns      *ret: sonde_space_close, on its thread, before the space itself, and what that one needs, is closed.
 *           Its connector is shared: registers and notes are to be asked of the target.
 */
int sonde_space_clone(struct sonde_space *space, struct sonde_loop *loop, struct sonde_space **ret,
		      struct sonde_error *err);

/* Let go of a space got from a call that says "close it"; NULL is allowed. No request in flight. */
void sonde_space_close(struct sonde_space *space);

/*
 * Which way the bytes of a space go now and why ("copied from maps: 64 of 64 sampled pages are in memory"): up
 * to cap bytes of text, always terminated where cap is not 0.
 *
 * Returns   the length of the whole text; 0 where there was nothing to choose.
 */
size_t sonde_space_how(const struct sonde_space *space, char *text, size_t cap);

/* Counts since the space was opened; for --stats and tests. */
struct sonde_space_stats {
	uint64_t trips;  /* batches sent to what lies below          */
	uint64_t pieces; /* pieces in them                           */
	uint64_t bytes;  /* bytes asked for                          */
	uint64_t failed; /* pieces that came back with an error      */
	uint64_t
		moves; /* operations that the engine was given for them; 0: all was copied here      */
	uint64_t
		moved; /* bytes of those: below bytes what is shared, above what lies between pieces */
};
void sonde_space_stats(const struct sonde_space *space, struct sonde_space_stats *ret);

#ifdef __cplusplus
}
#endif
#endif
