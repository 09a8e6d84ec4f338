/* SPDX-License-Identifier: MIT */
/*
 * Requests on their way to a server: a thread of the link's own cuts them into commands, keeps up to depth of those in
 * flight, and tells each stretch as its reply comes. libnbd's handle is the thread's from link_start on.
 */
#ifndef NBD_LINK_H
#define NBD_LINK_H

#include <libnbd.h>
#include <pthread.h>
#include <sonde/plugin.h>

#include "pace.h"

enum {
	LINK_ORDERS = 1024,         /* requests taken at once      */
	LINK_DEPTH_MAX = 4096,      /* commands in flight at most  */
	LINK_COMMAND_MAX = 1 << 20, /* bytes of one command  */
};

struct regions;
struct order; /* a request that was taken      */
struct part;  /* a command: a stretch of one   */

struct link {
	/* Set between link_init, of zeros but for host, and link_start. */
	const struct sonde_host *host;
	struct nbd_handle *nbd; /* connected; the link's, closed when it breaks or is closed */
	uint64_t size;          /* bytes of the export                                       */
	uint32_t depth;         /* commands in flight, 1..LINK_DEPTH_MAX                     */
	uint32_t command_max;   /* bytes of one that the server takes                        */
	uint64_t timeout_ns;    /* without a word from a server that owes one                */
	int holes_are_none;     /* a hole is no memory; 0: it is zeros                       */
	int writable;
	const struct regions
		*regions; /* what writes are held against; NULL: the server will tell */

	pthread_t thread;
	int has_thread, wake;
	pthread_mutex_t lock;              /* of what follows, up to asleep                  */
	struct order *orders;              /* [LINK_ORDERS]                                  */
	struct order *free, *first, *last; /* unused; taken, in their order      */
	int stop, asleep;   /* asleep: or about to be; who brings an order must end it */
	struct order *over; /* the thread's, like the rest: to be told to their owners    */
	uint32_t n_over;
	struct part *parts, *idle; /* [depth]; those not in flight           */
	uint32_t n_flight;
	int more_wait;     /* orders, for the pace */
	struct pace pace;  /* how many may be            */
	uint64_t heard_ns; /* when something came last, or the first command left */
	int32_t err;       /* enum sonde_err: broken, and why                     */
};

/* Returns 0; SONDE_E_NO_MEMORY, _EXHAUSTED. Owns what it holds, nbd too, also then: link_close. */
int link_init(struct link *link, struct sonde_error *err);
int link_start(struct link *link, struct sonde_error *err);
void link_close(struct link *link);

/* Has it broken? Returns enum sonde_err. */
int32_t link_failure(struct link *link);

/* As the slots of a connector. */
size_t link_submit(struct link *link, struct sonde_io *const *ios, size_t n);
void link_cancel(struct link *link, struct sonde_io *io, int32_t why);

/* The code of an errno that NBD or the connection gives. */
int32_t link_code(int os_code);

/* Wait until the handle has something to do, by_ns at the latest, and have it do that. Returns 1 it did; 0 there was nothing; -1: it failed. */
int link_pump(struct nbd_handle *nbd, const struct sonde_host *host, int wake, uint64_t by_ns);

#endif
