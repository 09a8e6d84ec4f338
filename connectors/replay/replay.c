/* SPDX-License-Identifier: MIT */
/*
 * replay: a target that is a recording of one (the layer record made it): what was read is read again, the
 * first time as it was the first time, the second as the second. No target is needed, and none is touched.
 */
#include "recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 256 };

/* How often something has been asked. */
struct asked {
	char name[NAME_MAX_LEN]; /* of a note; "" for a processor or the regions */
	uint32_t type, key;
	uint64_t n;
	struct asked *next;
};

struct replay {
	const struct sonde_host *host;
	struct asked *asked;
	struct recording recording;
};

/* How often this was asked before, and once more from now on. Without memory: as if never. */
static uint64_t ask(struct replay *replay, uint32_t type, uint32_t key, const char *name)
{
	struct asked *asked = replay->asked;

	while (asked &&
	       (asked->type != type || asked->key != key || strcmp(asked->name, name) != 0))
		asked = asked->next;
	if (asked)
		return asked->n++;
	asked = calloc(1, sizeof(*asked));
	if (!asked)
		return 0;
	asked->type = type;
	asked->key = key;
	memcpy(asked->name, name, strlen(name) + 1);
	asked->n = 1;
	asked->next = replay->asked;
	replay->asked = asked;
	return 0;
}

/* ---- bytes ------------------------------------------------------------------------------------------------ */

struct telling {
	const struct sonde_host *host;
	struct sonde_io *io;
	uint32_t piece;
};

static void tell(void *user, uint32_t off, uint32_t len, int32_t err)
{
	const struct telling *telling = user;

	sonde_progress(telling->host, telling->io, telling->piece, off, len, err);
}

static void replay_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct replay *replay = conn;

	for (size_t k = 0; k < n; k++) {
		struct telling telling = { .host = replay->host, .io = ios[k] };
		for (uint32_t i = 0; i < ios[k]->n; i++) {
			const struct sonde_xfer *x = &ios[k]->xfers[i];
			telling.piece = i;
			if (ios[k]->op == SONDE_IO_READ)
				recording_piece(&replay->recording, x->addr, x->buf, x->len, tell,
						&telling);
			else
				tell(&telling, 0, x->len, SONDE_E_READ_ONLY);
		}
	}
}

/* ---- what else is asked --------------------------------------------------------------------------------------- */

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* The region at *off of an answer's payload, its name into name. Returns 0, -1: there is none. */
static int read_region(const struct recording *recording, const struct answer *answer,
		       uint64_t *off, struct sonde_region *ret, char name[NAME_MAX_LEN])
{
	uint8_t bytes[RECORDING_REGION];
	uint64_t left = answer->len - *off;

	if (left < sizeof(bytes) ||
	    recfile_get(&recording->file, answer->off + *off, bytes, sizeof(bytes)) < 0)
		return -1;
	size_t name_len = recfile_u32(bytes + 20);
	left -= sizeof(bytes);
	if (padded(name_len) > left)
		return -1;
	size_t kept = name_len < NAME_MAX_LEN ? name_len : NAME_MAX_LEN - 1;
	if (recfile_get(&recording->file, answer->off + *off + sizeof(bytes), name, kept) < 0)
		return -1;
	name[kept] = '\0';
	*ret = (struct sonde_region){ .addr = recfile_u64(bytes),
				      .len = recfile_u64(bytes + 8),
				      .flags = recfile_u32(bytes + 16),
				      .name = name };
	*off += sizeof(bytes) + padded(name_len);
	return ret->len && ret->len - 1 <= UINT64_MAX - ret->addr ? 0 : -1;
}

static int replay_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct replay *replay = conn;
	const struct recording *recording = &replay->recording;
	uint64_t nth = ask(replay, RECORDING_REGIONS, 0, ""), off = RECORDING_REGIONS_HEAD,
		 next_free = 0;
	const struct answer *answer = recording_answer(recording, RECORDING_REGIONS, 0, nth);
	uint8_t head[RECORDING_REGIONS_HEAD];

	if (!answer)
		return SONDE_E_UNSUPPORTED;
	if (recfile_get(&recording->file, answer->off, head, sizeof(head)) < 0)
		return SONDE_E_TRUNCATED;
	for (uint32_t i = recfile_u32(head + 4); i > 0; i--) {
		struct sonde_region region;
		char name[NAME_MAX_LEN];
		if (read_region(recording, answer, &off, &region, name) < 0)
			return SONDE_E_CORRUPT;
		/* Rising and not overlapping, as everybody who asks may rely on. */
		if (region.addr < next_free)
			return SONDE_E_CORRUPT;
		next_free = region.addr + (region.len - 1);
		next_free += next_free < UINT64_MAX;
		int r = fn(user, &region);
		if (r)
			return r;
	}
	int32_t result = (int32_t)recfile_u32(head);
	return result < 0 ? result : 0;
}

static int replay_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct replay *replay = conn;
	const struct recording *recording = &replay->recording;
	const struct answer *answer = recording_answer(recording, RECORDING_CPU, index, 0);
	uint8_t bytes[RECORDING_CPU_LEN], *at = bytes + RECORDING_CPU_HEAD;

	if (answer)
		answer = recording_answer(recording, RECORDING_CPU, index,
					  ask(replay, RECORDING_CPU, index, ""));
	if (!answer || recfile_get(&recording->file, answer->off, bytes, sizeof(bytes)) < 0)
		return SONDE_E_NOT_FOUND;
	int32_t result = (int32_t)recfile_u32(bytes + 4);
	if (result != 0)
		return result < 0 ? result : SONDE_E_CORRUPT;
	uint64_t *const first[] = { &ret->pc, &ret->sp, &ret->flags };
	uint64_t *const last[] = { &ret->gdt_base, &ret->idt_base, &ret->gs_base,
				   &ret->kernel_gs_base, &ret->efer };
	ret->arch = recfile_u32(bytes + 8);
	ret->valid = recfile_u32(bytes + 12);
	for (int i = 0; i < 3; i++, at += 8)
		*first[i] = recfile_u64(at);
	for (int i = 0; i < 16; i++, at += 8)
		ret->general[i] = recfile_u64(at);
	for (int i = 0; i < 5; i++, at += 8)
		ret->cr[i] = recfile_u64(at);
	for (int i = 0; i < 5; i++, at += 8)
		*last[i] = recfile_u64(at);
	return 0;
}

/* A note's head, and whether it is of this name. */
static bool is_note(const struct recording *recording, const struct answer *answer,
		    const char *name, int64_t *ret_result, uint64_t *ret_off, uint32_t *ret_len)
{
	uint8_t head[RECORDING_NOTE_HEAD], got[NAME_MAX_LEN];
	size_t name_len = strlen(name);

	if (recfile_get(&recording->file, answer->off, head, sizeof(head)) < 0 ||
	    recfile_u32(head + 8) != name_len || padded(name_len) > answer->len - sizeof(head) ||
	    recfile_get(&recording->file, answer->off + sizeof(head), got, name_len) < 0 ||
	    memcmp(got, name, name_len) != 0)
		return false;
	*ret_result = (int64_t)recfile_u64(head);
	*ret_len = recfile_u32(head + 12);
	*ret_off = answer->off + sizeof(head) + padded(name_len);
	return *ret_len <= answer->len - sizeof(head) - padded(name_len) &&
	       (*ret_result < 0 || *ret_result == *ret_len);
}

static int64_t replay_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct replay *replay = conn;
	const struct recording *recording = &replay->recording;
	int64_t result = SONDE_E_NOT_FOUND, one;
	uint64_t off = 0, one_off, nth;
	uint32_t len = 0, one_len;

	if (strlen(name) >= NAME_MAX_LEN)
		return SONDE_E_NOT_FOUND;
	nth = ask(replay, RECORDING_NOTE, 0, name);
	for (size_t i = 0; i < recording->n_answers; i++) {
		const struct answer *answer = &recording->answers[i];
		if (answer->type != RECORDING_NOTE ||
		    !is_note(recording, answer, name, &one, &one_off, &one_len))
			continue;
		result = one < -127 ? SONDE_E_CORRUPT : one;
		off = one_off;
		len = one_len;
		if (nth-- == 0)
			break;
	}
	if (result > 0 && recfile_get(&recording->file, off, buf, len < cap ? len : cap) < 0)
		return SONDE_E_TRUNCATED;
	return result;
}

static void replay_info(void *conn, struct sonde_target_info *ret)
{
	const struct replay *replay = conn;

	ret->detail = replay->recording.info.detail;
	ret->arch = replay->recording.info.arch;
	ret->flags = replay->recording.info.flags;
	ret->n_cpus = replay->recording.info.n_cpus;
}

static int replay_probe(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return head_len >= RECFILE_HEAD && memcmp(head, "SONDEREC", 8) == 0 &&
			       recfile_u32(head + 12) == RECFILE_RECORDING
		       ? 90
		       : 0;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void replay_close(void *conn)
{
	struct replay *replay = conn;

	while (replay->asked) {
		struct asked *next = replay->asked->next;
		free(replay->asked);
		replay->asked = next;
	}
	recording_finish(&replay->recording);
	free(replay);
}

static int read_all(struct replay *replay, const char *path, struct sonde_error *err)
{
	struct recording *recording = &replay->recording;
	uint64_t off = 0;
	int r = recording_read(recording, &off);

	if (r == SONDE_E_BAD_FORMAT)
		return replay->host->error_set(
			err, r, "replay: '%s': the record at 0x%llx contradicts itself", path,
			(unsigned long long)off);
	if (r < 0)
		return replay->host->error_set(err, r, NULL);
	if (!recording->n_pieces && !recording->n_answers)
		return replay->host->error_set(err, SONDE_E_BAD_FORMAT,
					       recording->damaged
						       ? "replay: '%s': damaged from the start"
						       : "replay: '%s': nothing was recorded in it",
					       path);
	/* A person is to know that the end of the run is missing. */
	if (recording->damaged) {
		size_t used = strlen(recording->detail);
		snprintf(recording->detail + used, sizeof(recording->detail) - used,
			 "%s(cut off or damaged at byte %llu of %llu)", used ? " " : "",
			 (unsigned long long)recording->file.at,
			 (unsigned long long)recording->file.size);
	}
	return 0;
}

static int replay_open(const struct sonde_host *host, const struct sonde_args *args,
		       void **ret_conn, struct sonde_error *err)
{
	const char *path = host->arg(args, "file");
	struct replay *replay;

	if (!path || !*path)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "replay: which file? Write replay:FILE");
	replay = calloc(1, sizeof(*replay));
	if (!replay)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	replay->host = host;
	int r = recfile_open(host, "replay", path, RECFILE_RECORDING, &replay->recording.file, err);
	if (r < 0) {
		free(replay);
		return r;
	}
	r = read_all(replay, path, err);
	if (r < 0) {
		replay_close(replay);
		return r;
	}
	*ret_conn = replay;
	return 0;
}

static const struct sonde_connector_ops replay_ops = {
	.size = sizeof(replay_ops),
	.open = replay_open,
	.close = replay_close,
	.info = replay_info,
	.transfer = replay_transfer,
	.regions = replay_regions,
	.cpu = replay_cpu,
	.note = replay_note,
	.probe = replay_probe,
};

SONDE_PLUGIN(.name = "replay", .summary = "a run that the layer record wrote down, again",
	     .main_arg = "file", .args_help = "file=FILE  the recording (required)\n",
	     .connector = &replay_ops);
