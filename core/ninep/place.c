/* SPDX-License-Identifier: MIT */
/*
 * From a path to a fid: up to 16 names a message. The server follows no link; the way stops at one,
 * its text goes in front of what is left of the path, and every link counts against one bound.
 */
#include <errno.h>

#include "base/mem.h"
#include "ninep/remote.h"

#define LINKS_MAX 40u /* as linux: include/linux/namei.h, MAXSYMLINKS */

/* ---- texts --------------------------------------------------------------------------------------- */

static size_t name_length(const char *text)
{
	size_t len = 0;

	while (text[len] && text[len] != '/')
		len++;
	return len;
}

static char *skip_slashes(char *text)
{
	while (*text == '/')
		text++;
	return text;
}

static bool is_up(const char *text, size_t len)
{
	return len == 2 && text[0] == '.' && text[1] == '.';
}

static bool is_here(const char *text, size_t len)
{
	return len == 1 && text[0] == '.';
}

/* ---- where it is --------------------------------------------------------------------------------- */

static void drop(struct place *place)
{
	if (place->owns_fid)
		ninep_clunk(place->client, place->fid);
	place->owns_fid = false;
	place->fid = NINEP_NO_FID;
}

static void stand_at(struct place *place, uint32_t fid, bool owns_fid, struct ninep_qid qid)
{
	drop(place);
	place->fid = fid;
	place->owns_fid = owns_fid;
	place->qid = qid;
}

static const struct ninep_qid directory_qid = { .type = NINEP_QID_DIRECTORY };

/* What the rest begins with. */
static int32_t begin_rest(struct place *place)
{
	place->rest = place->text;
	if (*place->rest == '/' && place->beneath)
		return -EACCES;
	if (*place->rest == '/') {
		stand_at(place, place->root, false, directory_qid);
		place->depth = 0;
	}
	return 0;
}

int32_t place_begin(struct place *place, struct remote *remote, int32_t dir, const char *path,
		    uint32_t flags)
{
	const struct remote_handle *handle = dir < 0 ? NULL : remote_handle(remote, dir);
	size_t len = 0;

	*place = (struct place){ .client = &remote->client,
				 .root = remote->root,
				 .fid = handle ? handle->dir : remote->root,
				 .qid = directory_qid,
				 .beneath = (flags | remote->flags) & SONDE_FS_BENEATH };
	if (dir >= 0 && !handle)
		return -EBADF;
	if (place->fid == NINEP_NO_FID)
		return -ENOTDIR;
	while (len <= SONDE_FS_PATH_MAX && path[len])
		len++;
	if (len == 0 || len > SONDE_FS_PATH_MAX)
		return len ? -ENAMETOOLONG : -ENOENT;
	place->text = mem_alloc(2, SONDE_FS_PATH_MAX + 1);
	if (!place->text)
		return -ENOMEM;
	place->scratch = place->text + SONDE_FS_PATH_MAX + 1;
	memcpy(place->text, path, len + 1);
	return begin_rest(place);
}

void place_finish(struct place *place)
{
	drop(place);
	mem_release(place->text < place->scratch ? place->text : place->scratch);
}

int32_t place_take(struct place *place, uint32_t *ret)
{
	uint16_t n = 0;

	if (!place->owns_fid)
		return place_walk(place->client, place->fid, NULL, &n, NULL, ret);
	*ret = place->fid;
	place->owns_fid = false;
	return 0;
}

/* ---- one message --------------------------------------------------------------------------------- */

int32_t place_walk(struct ninep_client *client, uint32_t from, const struct ninep_text *names,
		   uint16_t *n, struct ninep_qid *qids, uint32_t *ret)
{
	struct ninep_msg msg = { .type = NINEP_TWALK, .fid = from, .n_names = *n };
	uint32_t fid = msg.other_fid = ninep_take_fid(client);

	if (*n)
		memcpy(msg.names, names, *n * sizeof(*names));
	int32_t r = ninep_ask(client, &msg, &msg);
	if (r == 0 && msg.n_qids > *n)
		r = -EPROTO;
	if (r < 0) {
		if (r != -ECANCELED) /* whether there is one now is not known */
			ninep_put_fid(client, fid);
		return r;
	}
	if (msg.n_qids < *n)
		ninep_put_fid(client, fid);
	else
		*ret = fid;
	*n = msg.n_qids;
	if (*n)
		memcpy(qids, msg.qids, *n * sizeof(*qids));
	return 0;
}

/* ---- links --------------------------------------------------------------------------------------- */

static int32_t read_link(struct place *place, uint32_t link, size_t *ret_len)
{
	struct ninep_msg msg = { .type = NINEP_TREADLINK, .fid = link };
	struct ninep_call call = { .data = place->scratch, .cap = SONDE_FS_PATH_MAX };
	int32_t r = ninep_call_begin(place->client, &msg, &call);

	if (r == 0)
		r = ninep_call_end(&call);
	*ret_len = call.count;
	if (r == 0 && (!call.count || mem_find(place->scratch, 0, call.count)))
		r = -ENOENT;
	return r;
}

/* The text of the link in front of what is left of the path, which begins with '/' where anything is. */
static int32_t follow(struct place *place, uint32_t link, const char *rest)
{
	size_t len, more = strlen(rest);
	char *text = place->scratch;
	int32_t r = ++place->n_links > LINKS_MAX ? -ELOOP : read_link(place, link, &len);

	ninep_clunk(place->client, link);
	if (r < 0)
		return r;
	if (more > SONDE_FS_PATH_MAX - len)
		return -ENAMETOOLONG;
	memcpy(text + len, rest, more + 1);
	place->scratch = place->text;
	place->text = text;
	return begin_rest(place);
}

int32_t place_follow_last(struct place *place, uint32_t link)
{
	return follow(place, link, place->rest);
}

/* ---- names --------------------------------------------------------------------------------------- */

/* Names of one message; after[i] is what stands behind names[i]. */
struct step {
	struct ninep_text names[NINEP_NAMES];
	char *after[NINEP_NAMES];
	uint16_t n;
};

/*
 * ".." goes alone: that it begins at a directory is known then. "." goes nowhere, but what is in front
 * of it is not the end. Returns -ENAMETOOLONG, -ENOTDIR, or 0.
 */
static int32_t gather(struct place *place, bool keep_last, struct step *step)
{
	char *at = skip_slashes(place->rest);

	step->n = 0;
	while (*at && step->n < NINEP_NAMES) {
		size_t len = name_length(at);
		bool special = is_here(at, len) || is_up(at, len);
		if (len > SONDE_FS_NAME_MAX)
			return -ENAMETOOLONG;
		if (special && step->n == 0 && !(place->qid.type & NINEP_QID_DIRECTORY))
			return -ENOTDIR;
		if (special ? step->n > 0 : keep_last && !*skip_slashes(at + len))
			break;
		if (!is_here(at, len)) {
			step->names[step->n] = (struct ninep_text){ at, (uint16_t)len };
			step->after[step->n++] = at + len;
		}
		if (is_up(at, len))
			break;
		at = skip_slashes(at + len);
	}
	if (step->n == 0)
		place->rest = at;
	return 0;
}

/* n names of a step lie behind it now. */
static void advance(struct place *place, const struct step *step, uint16_t n, uint32_t fid,
		    struct ninep_qid qid)
{
	stand_at(place, fid, true, qid);
	place->depth += n;
	place->rest = step->after[n - 1];
}

static int32_t go_up(struct place *place, const struct step *step)
{
	struct ninep_qid qid;
	uint16_t n = 1;
	uint32_t fid;

	if (place->beneath && place->depth == 0)
		return -EACCES;
	int32_t r = place_walk(place->client, place->fid, step->names, &n, &qid, &fid);
	if (r < 0 || n != 1)
		return r < 0 ? r : -EPROTO;
	stand_at(place, fid, true, qid);
	place->depth -= place->depth > 0;
	place->rest = step->after[0];
	return 0;
}

/* Is the i-th of a step's names a link to be followed? Not at the end, unless asked. */
static bool stops_at(const struct step *step, uint16_t i, const struct ninep_qid *qid, bool follow)
{
	return qid->type & NINEP_QID_SYMLINK && (follow || *step->after[i]);
}

/* To the first n names of a step, which were seen before; n 0: stay. */
static int32_t go_again(struct place *place, const struct step *step, uint16_t n)
{
	struct ninep_qid qids[NINEP_NAMES];
	uint16_t gone = n;
	uint32_t fid;

	if (n == 0)
		return 0;
	int32_t r = place_walk(place->client, place->fid, step->names, &gone, qids, &fid);
	if (r < 0 || gone < n)
		return r < 0 ? r : -ENOENT;
	advance(place, step, n, fid, qids[n - 1]);
	return 0;
}

/* The i-th name is a link: to the directory it is in, and on from there. */
static int32_t go_through(struct place *place, const struct step *step, uint16_t i)
{
	int32_t r = go_again(place, step, i);
	struct ninep_qid qid;
	uint16_t n = 1;
	uint32_t link;

	if (r == 0)
		r = place_walk(place->client, place->fid, &step->names[i], &n, &qid, &link);
	if (r < 0 || n != 1)
		return r < 0 ? r : -EPROTO;
	return follow(place, link, step->after[i]);
}

static int32_t go(struct place *place, const struct step *step, bool follow)
{
	struct ninep_qid qids[NINEP_NAMES];
	uint16_t n = step->n;
	uint32_t fid = NINEP_NO_FID;

	if (is_up(step->names[0].at, step->names[0].len))
		return go_up(place, step);
	int32_t r = place_walk(place->client, place->fid, step->names, &n, qids, &fid);
	if (r < 0)
		return r;
	for (uint16_t i = 0; i < n; i++) {
		if (!stops_at(step, i, &qids[i], follow))
			continue;
		if (fid != NINEP_NO_FID)
			ninep_clunk(place->client, fid);
		return go_through(place, step, i);
	}
	if (n == step->n)
		advance(place, step, n, fid, qids[n - 1]);
	else if (n == 0)
		return -EPROTO;
	else /* why the next one fails is told where it is the first */
		return go_again(place, step, n);
	return 0;
}

static int32_t walk(struct place *place, bool keep_last, bool follow)
{
	struct step step;
	int32_t r;

	while ((r = gather(place, keep_last, &step)) == 0 && step.n) {
		r = go(place, &step, follow);
		if (r < 0)
			return r;
	}
	return r;
}

int32_t place_parent(struct place *place)
{
	int32_t r = walk(place, true, true);
	size_t len = name_length(place->rest);

	if (r < 0)
		return r;
	if (!(place->qid.type & NINEP_QID_DIRECTORY))
		return -ENOTDIR;
	place->last = (struct ninep_text){ place->rest, (uint16_t)len };
	place->rest += len;
	place->slash = *place->rest == '/';
	return 0;
}

int32_t place_end(struct place *place, bool follow)
{
	size_t len = strlen(place->text);
	bool slash = place->text[len - 1] == '/';
	int32_t r = walk(place, false, follow);

	if (r == 0 && slash && !(place->qid.type & NINEP_QID_DIRECTORY))
		r = -ENOTDIR;
	return r;
}

int32_t place_look(struct place *place, uint32_t *ret, struct ninep_qid *qid)
{
	uint16_t n = 1;
	int32_t r = place_walk(place->client, place->fid, &place->last, &n, qid, ret);

	return r == 0 && n != 1 ? -EPROTO : r;
}
