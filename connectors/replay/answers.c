/* SPDX-License-Identifier: MIT */
/* What a recording answers, and how the run goes on; docs/record-format.md says by which rule. */
#include "recording.h"

#include <string.h>

/* ---- as it was ------------------------------------------------------------------------------------------ */

/* Where in by_addr the pieces of this address and length begin; n_pieces: there is none. */
static size_t find_kind(const struct recording *recording, uint64_t addr, uint32_t len)
{
	size_t low = 0, high = recording->n_pieces;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct piece *piece = &recording->pieces[recording->by_addr[mid]];
		if (piece->addr < addr || (piece->addr == addr && piece->len < len))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_kind(const struct recording *recording, size_t place, uint64_t addr, uint32_t len)
{
	if (place >= recording->n_pieces)
		return false;
	const struct piece *piece = &recording->pieces[recording->by_addr[place]];
	return piece->addr == addr && piece->len == len;
}

/* Bytes of a good stretch come from the file; if they are not there any more, they are TRUNCATED. */
static void tell_good(const struct recording *recording, const struct piece *piece, uint8_t *buf,
		      uint32_t off, uint32_t end, recording_tell_fn *tell, void *user)
{
	if (off == end)
		return;
	int r = recfile_get(&recording->file, piece->data + off, buf + off, end - off);
	tell(user, off, end - off, r < 0 ? SONDE_E_TRUNCATED : 0);
}

static void tell_as_it_was(const struct recording *recording, const struct piece *piece,
			   uint8_t *buf, recording_tell_fn *tell, void *user)
{
	uint32_t off = 0;

	for (uint32_t i = 0; i < piece->n_bad; i++) {
		const struct bad *bad = &recording->bads[piece->first_bad + i];
		tell_good(recording, piece, buf, off, bad->off, tell, user);
		tell(user, bad->off, bad->len, bad->err);
		off = bad->off + bad->len;
	}
	tell_good(recording, piece, buf, off, piece->len, tell, user);
}

/* ---- made of others --------------------------------------------------------------------------------------- */

/* A stretch within one page while it is put together. */
struct made {
	struct recording *recording; /* known and errs: of each byte */
	uint64_t addr;
	uint8_t *buf;
	uint32_t len, n_known;
};

static void know(struct made *made, uint32_t i, uint8_t byte, int32_t err)
{
	struct recording *recording = made->recording;

	if (recording->known[i])
		return;
	recording->known[i] = 1;
	recording->errs[i] = err;
	made->buf[i] = err ? 0 : byte;
	made->n_known++;
}

/* The first failed stretch of a piece that ends behind off. */
static uint32_t first_bad(const struct recording *recording, const struct piece *piece,
			  uint32_t off)
{
	uint32_t low = 0, high = piece->n_bad;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct bad *bad = &recording->bads[piece->first_bad + mid];
		if (bad->off + bad->len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Bytes [off, off + n) of a piece failed where it says so: these are no bytes of it. */
static void take_bad(struct made *made, const struct piece *piece, uint32_t at, uint32_t off,
		     uint32_t n)
{
	for (uint32_t i = first_bad(made->recording, piece, off); i < piece->n_bad; i++) {
		const struct bad *bad = &made->recording->bads[piece->first_bad + i];
		uint32_t from = bad->off > off ? bad->off - off : 0;
		if (bad->off >= off && bad->off - off >= n)
			return;
		for (uint32_t k = from; k < n && off + k - bad->off < bad->len; k++)
			know(made, at + k, 0, bad->err);
	}
}

static void take_from(struct made *made, const struct piece *piece)
{
	uint64_t from = piece->addr > made->addr ? piece->addr : made->addr;
	uint64_t last = made->addr + (made->len - 1), piece_last = piece->addr + (piece->len - 1);
	uint8_t *bytes = made->recording->bytes;

	if (piece_last < piece->addr)
		piece_last = UINT64_MAX;
	last = piece_last < last ? piece_last : last;
	if (from > last)
		return;
	uint32_t n = (uint32_t)(last - from) + 1, off = (uint32_t)(from - piece->addr);
	uint32_t at = (uint32_t)(from - made->addr);
	take_bad(made, piece, at, off, n);
	int lost = recfile_get(&made->recording->file, piece->data + off, bytes, n) < 0;
	for (uint32_t i = 0; i < n; i++)
		know(made, at + i, bytes[i], lost ? SONDE_E_TRUNCATED : 0);
}

/* The first share that is of a later page, or of this one and not before a piece. */
static size_t find_share(const struct recording *recording, uint64_t page, uint64_t piece)
{
	size_t low = 0, high = recording->n_shares;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct share *share = &recording->shares[mid];
		if (share->page < page || (share->page == page && share->piece < piece))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Each byte: the last read before this point of the run, else the first after it. */
static void put_together(struct made *made)
{
	const struct recording *recording = made->recording;
	uint64_t page = made->addr / RECORDING_SHARE;
	size_t from = find_share(recording, page, 0),
	       here = find_share(recording, page, recording->at);
	size_t to = find_share(recording, page, UINT64_MAX);

	for (size_t i = here; i-- > from && made->n_known < made->len;)
		take_from(made, &recording->pieces[recording->shares[i].piece]);
	for (size_t i = here; i < to && made->n_known < made->len; i++)
		take_from(made, &recording->pieces[recording->shares[i].piece]);
}

static int32_t error_of(const struct recording *recording, uint32_t i)
{
	return recording->known[i] ? recording->errs[i] : SONDE_E_NOT_SAVED;
}

static void tell_made(const struct made *made, uint32_t off, recording_tell_fn *tell, void *user)
{
	struct recording *recording = made->recording;

	for (uint32_t i = 0, end; i < made->len; i = end) {
		int32_t err = error_of(recording, i);
		for (end = i + 1; end < made->len; end++) {
			int32_t next = error_of(recording, end);
			if (next != err)
				break;
		}
		if (err == SONDE_E_NOT_SAVED)
			recording->n_missing += end - i;
		tell(user, off + i, end - i, err);
	}
}

static void make_piece(struct recording *recording, uint64_t addr, uint8_t *buf, uint32_t len,
		       recording_tell_fn *tell, void *user)
{
	struct made made;

	for (uint32_t off = 0; off < len; off += made.len) {
		uint32_t room = RECORDING_SHARE - (uint32_t)((addr + off) % RECORDING_SHARE);
		if (addr + off < addr) { /* past 2^64 */
			tell(user, off, len - off, SONDE_E_NOT_MAPPED);
			return;
		}
		made = (struct made){ .recording = recording,
				      .addr = addr + off,
				      .buf = buf + off };
		made.len = room < len - off ? room : len - off;
		memset(recording->known, 0, made.len);
		put_together(&made);
		tell_made(&made, off, tell, user);
	}
}

/* ---- doors ------------------------------------------------------------------------------------------------ */

void recording_piece(struct recording *recording, uint64_t addr, void *buf, uint32_t len,
		     recording_tell_fn *tell, void *user)
{
	size_t place = find_kind(recording, addr, len);

	if (is_kind(recording, place, addr, len)) {
		struct piece *kind = &recording->pieces[recording->by_addr[place]];
		size_t next = place + kind->n_served;
		if (is_kind(recording, next, addr, len)) {
			uint64_t index = recording->by_addr[next];
			kind->n_served++;
			recording->n_exact++;
			if (recording->at <= index)
				recording->at = index + 1;
			tell_as_it_was(recording, &recording->pieces[index], buf, tell, user);
			return;
		}
	}
	recording->n_made++;
	make_piece(recording, addr, buf, len, tell, user);
}

const struct answer *recording_answer(const struct recording *recording, uint32_t type,
				      uint32_t key, uint64_t nth)
{
	const struct answer *last = NULL;

	for (size_t i = 0; i < recording->n_answers; i++) {
		const struct answer *answer = &recording->answers[i];
		if (answer->type != type || answer->key != key)
			continue;
		last = answer;
		if (nth-- == 0)
			break;
	}
	return last;
}
