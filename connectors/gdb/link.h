/* SPDX-License-Identifier: MIT */
/*
 * The connection to a stub: packets out, answers in, several on their way where the stub allows it.
 * A thread of the link's own does all of the socket's work. What is asked lives in its owner as a
 * struct exchange; memory.c has those of requests, link_call makes one that is waited for.
 *
 *	        c sent                  0x03 sent
 *	STOPPED ──────▶ RUNNING ───────────────────▶ STOPPING
 *	   ▲               │ stop told, unasked         │ stop told
 *	   └───────────────┴────────────────────────────┘
 *
 * Packets leave only while the target is STOPPED, or at any time where the stub is in non-stop mode.
 */
#ifndef GDB_LINK_H
#define GDB_LINK_H

#include "packet.h"

#include <pthread.h>
#include <sonde/plugin.h>

#define LINK_DEPTH_MAX 64
#define LINK_PACKET_MAX                                                                            \
	(16u << 10) /* bytes of data sent in one packet, however many the stub would take */
#define LINK_CALL_MAX                                                                              \
	(1u << 20) /* bytes of one call's answer, console output of a command included */

enum exchange_verdict {
	EXCHANGE_DONE,  /* it is over; the exchange may be used anew */
	EXCHANGE_MORE,  /* the next packet belongs to it as well     */
	EXCHANGE_AGAIN, /* it has something else to send             */
};

/* One packet and what is answered to it. Both functions run on the link's thread, its lock held. */
struct exchange {
	/* Write the packet's data, packet_size bytes at most; once more when it has to be sent again. */
	size_t (*write)(struct exchange *exchange, uint8_t *out);
	/* err 0: data is the answer. < 0: there will be none; the verdict is not asked for. */
	enum exchange_verdict (*answer)(struct exchange *exchange, int err, const uint8_t *data,
					size_t len);
	struct exchange *next; /* the link's from here on */
	uint8_t console; /* of the owner: it wants what the target prints ("O" packets) as well */
	uint8_t stop;    /* of the owner: it wants what is told of a stop                       */
	uint8_t acked;
	uint8_t n_tries; /* how often it was sent with no answer that came whole */
};

struct exchange_queue {
	struct exchange *first, *last;
	uint32_t n;
};

/* Where packets come from that nobody waits for in a call. */
struct link_source {
	struct exchange *(*next)(void *user); /* lock held; NULL: there is none now             */
	void (*broken)(void *user, int err);  /* lock held; nothing is answered any more        */
	void (*settle)(void *user);           /* the thread, no lock held, after each round     */
	void *user;
};

/* Who wants to know of a target that stops while it is to run. */
struct link_listener {
	/* Lock held. asked: it was made to stop, so that the stub would answer. data as it came. */
	void (*stopped)(void *user, int asked, const uint8_t *data, size_t len);
	void (*broken)(void *user, int err); /* lock held; nothing is told any more    */
	void (*settle)(void *user);          /* the thread, no lock held, after each round */
	void *user;
};

enum link_run { LINK_STOPPED, LINK_RUNNING, LINK_STOPPING };

struct link {
	const struct sonde_host *host;
	const char *where; /* for messages; kept until close                                      */
	int fd, wake;
	uint64_t timeout_ns; /* from one answer to the next                                       */
	pthread_t thread;
	int has_thread;
	pthread_mutex_t lock; /* of everything below, and of what the source keeps                */
	pthread_cond_t called; /* a call is over                                                  */
	struct link_source source;
	struct link_listener listener;
	uint32_t depth;       /* packets on their way at most, 1..LINK_DEPTH_MAX                  */
	uint32_t packet_size; /* bytes of data that the stub takes, LINK_PACKET_MAX at most       */
	int acks;             /* each packet is acknowledged                                      */
	int nonstop;          /* it answers while the target runs                                 */
	int keep_running;     /* STOPPED only for as long as there is something to ask            */
	int at_once;          /* ... and not a moment longer                                      */
	char go_on[32];       /* the packet by which it runs next; "" c                           */
	enum link_run run;
	struct exchange_queue waiting, sent;
	int32_t err; /* enum sonde_err: broken, and why                                  */
	char why[240];
	uint64_t heard_ns; /* when the last answer came, or the first of sent left             */
	int stop;
	size_t out_at, out_len; /* of out, still to be sent                                       */
	uint8_t out[4 * LINK_PACKET_MAX];
	uint8_t text[LINK_PACKET_MAX]; /* of the packet that is being made                        */
	uint8_t in[LINK_PACKET_MAX];   /* as it came                                              */
	struct packet_reader reader;
};

/*
 * Begin on a connected socket, which is taken; *ret but for its source is zero. where is kept. Until it is told otherwise the link
 * acknowledges and has one packet on its way, of 400 bytes: what every stub takes.
 *
 * Returns   0; SONDE_E_NO_MEMORY, SONDE_E_EXHAUSTED.
 * Owns      *ret: link_close, also after an error.
 */
int link_open(struct link *ret, const struct sonde_host *host, int fd, const char *where,
	      uint64_t timeout_ms, struct sonde_error *err);
/*
 * What was asked is answered first; what is to run is let go. last_words, as they are sent, NULL none, are for a stub whose
 * link broke though the connection stands: they may reach it, and nothing is waited for.
 */
void link_close(struct link *link, const char *last_words);

/* What the stub turned out to take: bytes of a packet's data, with acknowledgements or without, and how many packets. */
void link_allow(struct link *link, uint32_t packet_size, int acks, uint32_t depth);

/* It agreed to answer while the target runs. */
void link_nonstop(struct link *link);

/* Bytes of an answer, ended by a NUL that len does not count. */
struct reply {
	uint8_t *data;
	size_t len, cap;
};
void reply_finish(struct reply *reply);
/* Returns 0, SONDE_E_NO_MEMORY, SONDE_E_LIMIT (LINK_CALL_MAX). */
int reply_add(struct reply *reply, const void *bytes, size_t len);

/*
 * Ask, and wait. The answer replaces what is in *ret; one of an unknown packet is empty.
 *
 * Returns   0; SONDE_E_GONE, SONDE_E_TIMED_OUT, SONDE_E_IO (the link is broken), _NO_MEMORY, _LIMIT.
 * Context   any thread but the link's.
 */
int link_call(struct link *link, const char *text, struct reply *ret, struct sonde_error *err);
/* The same for a command of the stub's monitor: its output, which "OK" ends. UNSUPPORTED: it has no such. */
int link_monitor(struct link *link, const char *command, struct reply *ret,
		 struct sonde_error *err);

/* Let the target run whenever nothing is asked; or not any more, and then it has stopped when this returns. */
int link_keep_running(struct link *link, int on, struct sonde_error *err);

/* From now on. */
void link_listen(struct link *link, struct link_listener listener);
/* Lock held: the target is to run, at once when nothing is asked, by this packet ("c", "vCont;s:1"). */
void link_go(struct link *link, const char *packet);
/* Lock held: it is to stand still from its next stop on, or where it stands. */
void link_stay(struct link *link);
/* Lock held: not 0: it is to go on when what is asked has been answered. */
int link_is_kept(const struct link *link);
/* Lock held: what is asked behind all that waits. */
void link_ask(struct link *link, struct exchange *exchange);

/* The source has something new. */
void link_wake(struct link *link);

#endif
