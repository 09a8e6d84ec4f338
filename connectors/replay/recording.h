/* SPDX-License-Identifier: MIT */
/*
 * A recording, read into an index: where each piece, region list, register set and note stands in the file.
 * The file may say anything: what does not agree with itself is refused, record by record. The bytes stay in
 * the file; they are fetched when they are asked for.
 */
#ifndef REPLAY_RECORDING_H
#define REPLAY_RECORDING_H

#include <sonde/plugin.h>
#include <stdbool.h>

#include "../../plugins/common/recfile.h"
#include "../../plugins/common/recording.h"

/* A piece that was read; its index in pieces is when, counted in pieces. */
struct piece {
	uint64_t addr, data; /* data: where in the file its bytes are          */
	uint32_t len, n_bad; /* of the stretches that failed                   */
	uint64_t first_bad;  /* index into bads                                */
	uint64_t n_served;   /* by_addr: how many of this one's kind have been */
};

struct bad {
	uint32_t off, len;
	int32_t err;
};

enum { RECORDING_SHARE = 4096, RECORDING_CPUS_MAX = 65536 };

/* A page's share of a piece: for reads that nobody made like that. */
struct share {
	uint64_t page;
	uint64_t piece;
};

/* One of regions, registers, notes: a payload whose head has been checked. */
struct answer {
	uint64_t off, len;  /* payload in the file */
	uint32_t type, key; /* key: of a processor, its index */
};

struct recording {
	struct recfile_reader file;
	struct sonde_target_info info; /* detail: below */
	char detail[1024];
	struct piece *pieces;   /* [n_pieces] in the order in which they came back */
	uint64_t *by_addr;      /* [n_pieces] by address, length, time             */
	struct bad *bads;       /* [n_bads] */
	struct share *shares;   /* [n_shares] by page, time */
	struct answer *answers; /* [n_answers] in their order */
	size_t n_pieces, cap_pieces, n_bads, cap_bads, n_shares, cap_shares, n_answers, cap_answers;
	uint64_t at; /* this point of the run: the latest piece that was found, plus one */
	uint64_t n_exact, n_made,
		n_missing; /* pieces served as recorded, made of others; bytes not there */
	bool damaged;      /* the file goes on behind what could be read */
	/* A page while it is put together of several pieces: too much for a task's stack. */
	uint8_t known[RECORDING_SHARE], bytes[RECORDING_SHARE];
	int32_t errs[RECORDING_SHARE];
};

/*
 * Read a file that recfile_open has opened into ret->file.
 * Returns 0; SONDE_E_NO_MEMORY; SONDE_E_BAD_FORMAT: a whole record that contradicts itself, at *ret_off.
 */
int recording_read(struct recording *ret, uint64_t *ret_off);
void recording_finish(struct recording *recording); /* and closes the file */

/*
 * What stands for a piece at this point of the run; the run goes on. Told are all its bytes, in
 * stretches: tell(user, off, len, err), the bytes of good ones are in buf.
 */
typedef void recording_tell_fn(void *user, uint32_t off, uint32_t len, int32_t err);
void recording_piece(struct recording *recording, uint64_t addr, void *buf, uint32_t len,
		     recording_tell_fn *tell, void *user);

/*
 * The nth answer (from 0) of a type and key, the last where there are not that many. NULL: there is none. A
 * note's key is compared by the caller: RECORDING_NOTE takes any.
 */
const struct answer *recording_answer(const struct recording *recording, uint32_t type,
				      uint32_t key, uint64_t nth);

#endif
