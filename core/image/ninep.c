/* SPDX-License-Identifier: MIT */
/*
 * By the client of sonde/fs_remote.h, on a thread and a loop of its own: images are read from any thread, loops are
 * not. The thread does one job at a time, and whoever gave it waits; LANES reads are under way at once.
 */
#include <pthread.h>
#include <sonde/fs_remote.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "image/ranges.h"
#include "image/url.h"

#define LANES 16u
#define CONNECT_NS (10 * UINT64_C(1000000000))

struct ninep;

/* One read at a time. */
struct lane {
	struct ninep *ninep;
	struct image_range *range;
	uint32_t got;
	struct sonde_fs_io io;
};

struct ninep {
	struct range_source source;
	pthread_t thread;
	pthread_mutex_t lock; /* of job                                     */
	pthread_cond_t news;
	void (*job)(struct ninep *ninep); /* NULL: it has been done                     */
	char *address, *tree;             /* tree: the folder the file is in            */
	const char *path, *leaf, *shown;  /* in the server's tree; its last name; in messages */
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	int32_t file;
	struct image_range *ranges; /* [n] */
	size_t n, n_begun;
	struct sonde_error why; /* the first failure of a job; code 0 none    */
	struct lane lanes[LANES];
};

static struct ninep *of_source(struct range_source *source)
{
	return (struct ninep *)(void *)source;
}

/* ---- the thread --------------------------------------------------------------------------------- */

static void leave(struct ninep *ninep)
{
	sonde_fs_destroy(ninep->fs);
	sonde_loop_destroy(ninep->loop);
}

static void *work(void *arg)
{
	struct ninep *ninep = arg;
	void (*job)(struct ninep * ninep) = NULL;

	pthread_mutex_lock(&ninep->lock);
	while (job != leave) {
		while (!ninep->job)
			pthread_cond_wait(&ninep->news, &ninep->lock);
		job = ninep->job;
		job(ninep);
		ninep->job = NULL;
		pthread_cond_broadcast(&ninep->news);
	}
	pthread_mutex_unlock(&ninep->lock);
	return NULL;
}

/* Returns the code of the first failure. */
static int give(struct ninep *ninep, void (*job)(struct ninep *ninep))
{
	pthread_mutex_lock(&ninep->lock);
	ninep->why = (struct sonde_error){ 0 };
	ninep->job = job;
	pthread_cond_broadcast(&ninep->news);
	while (ninep->job)
		pthread_cond_wait(&ninep->news, &ninep->lock);
	pthread_mutex_unlock(&ninep->lock);
	return ninep->why.code;
}

/* ---- reads -------------------------------------------------------------------------------------- */

static int fail(struct ninep *ninep, int code, const char *what)
{
	if (ninep->why.code)
		return code;
	return sonde_error_set(&ninep->why, code, "'%.300s': %s", ninep->shown, what);
}

static void read_ended(struct sonde_fs_io *io);

/* What is missing of the lane's range. Returns 0, or it is not under way. */
static int ask(struct lane *lane)
{
	const struct image_range *range = lane->range;

	lane->io = (struct sonde_fs_io){
		.op = SONDE_FS_READ,
		.file = lane->ninep->file,
		.off = range->off + lane->got,
		.buf = (char *)range->buf + lane->got,
		.len = range->len - lane->got,
		.done = read_ended,
		.user = lane,
	};
	lane->ninep->source.requests++;
	return sonde_fs_submit(lane->ninep->fs, &lane->io);
}

/* The next range, if any: none is asked for once one has failed. */
static void begin_next(struct lane *lane)
{
	struct ninep *ninep = lane->ninep;

	while (ninep->n_begun < ninep->n) {
		lane->range = &ninep->ranges[ninep->n_begun++];
		lane->range->err = ninep->why.code;
		lane->got = 0;
		if (ninep->why.code)
			continue;
		lane->range->err = ask(lane);
		if (!lane->range->err)
			return;
		fail(ninep, lane->range->err, sonde_strerror(lane->range->err));
	}
}

static void read_ended(struct sonde_fs_io *io)
{
	struct lane *lane = io->user;
	struct image_range *range = lane->range;
	struct ninep *ninep = lane->ninep;
	int r = io->result;

	if (r > 0) {
		lane->got += (uint32_t)r;
		ninep->source.bytes += (uint32_t)r;
		r = lane->got < range->len ? ask(lane) : 0;
		if (lane->got < range->len && r == 0)
			return;
	} else if (r == 0) {
		r = fail(ninep, SONDE_E_CHANGED,
			 "the file on the server has become shorter: open it anew");
	}
	range->err = r;
	if (r < 0)
		fail(ninep, r, sonde_strerror(r));
	begin_next(lane);
}

static void read_all(struct ninep *ninep)
{
	ninep->n_begun = 0;
	for (size_t i = 0; i < LANES; i++)
		begin_next(&ninep->lanes[i]);
	sonde_loop_run(ninep->loop);
}

static int ninep_fetch(struct range_source *source, struct image_range *ranges, size_t n,
		       struct sonde_error *err)
{
	struct ninep *ninep = of_source(source);

	ninep->ranges = ranges;
	ninep->n = n;
	int r = give(ninep, read_all);
	if (r && err)
		*err = ninep->why;
	return r;
}

/* ---- opening ------------------------------------------------------------------------------------ */

/* tree NULL: what the server has, and the file's path begins there. */
static int connect_to(struct ninep *ninep, const char *tree)
{
	const struct sonde_fs_remote_options options = { .size = sizeof(options),
							 .tree = tree,
							 .user = "",
							 .uid = geteuid(),
							 .has_uid = 1,
							 .deadline_ns =
								 sonde_now_ns() + CONNECT_NS };

	return sonde_fs_remote(NULL, ninep->loop, ninep->address, &options, &ninep->fs,
			       &ninep->why);
}

static int open_file(struct ninep *ninep, const char *path)
{
	struct sonde_fs_info info;
	int r = sonde_fs_stat(NULL, ninep->fs, SONDE_FS_ROOT, path, 0, &info);

	if (r == 0 && info.kind != SONDE_KIND_FILE)
		return fail(ninep, SONDE_E_BAD_FORMAT, "is no regular file: name one");
	if (r == 0 && info.length == 0)
		return fail(ninep, SONDE_E_BAD_FORMAT, "is empty");
	if (r == 0)
		r = sonde_fs_open(NULL, ninep->fs, SONDE_FS_ROOT, path, SONDE_FS_FOR_READ, 0);
	if (r < 0)
		return fail(ninep, r, sonde_strerror(r));
	ninep->file = r;
	ninep->source.size = info.length;
	return 0;
}

/* Ours has one tree, whatever the path; diod has as many as it exports folders, and those in them. */
static void open_all(struct ninep *ninep)
{
	const struct sonde_loop_options options = { .size = sizeof(options),
						    .engine = SONDE_ENGINE_EPOLL };
	int r = sonde_loop_create(&options, &ninep->loop, &ninep->why);

	if (r == 0)
		r = connect_to(ninep, NULL);
	if (r == 0) {
		open_file(ninep, ninep->path);
	} else if (r == SONDE_E_NO_ACCESS || r == SONDE_E_NOT_FOUND) {
		ninep->why = (struct sonde_error){ 0 };
		if (connect_to(ninep, ninep->tree) == 0)
			open_file(ninep, ninep->leaf);
	}
}

/* "9p://ADDRESS/PATH": an address that has slashes stands in brackets. */
static int parse(struct ninep *ninep, const char *url)
{
	const char *at = url + strlen("9p://"), *end = at + strcspn(at, "/");

	ninep->path = end;
	if (strncasecmp(at, "[unix:", 6) == 0 && (end = strstr(++at, "]/")) != NULL)
		ninep->path = end + 1;
	if (!end || end == at || *ninep->path != '/')
		return SONDE_E_BAD_ARG;
	ninep->leaf = strrchr(ninep->path, '/') + 1;
	if (!*ninep->leaf)
		return SONDE_E_BAD_ARG;
	ninep->address = strndup(at, (size_t)(end - at));
	ninep->tree = strndup(ninep->path, (size_t)(ninep->leaf - ninep->path));
	return ninep->address && ninep->tree ? 0 : SONDE_E_NO_MEMORY;
}

static void destroy(struct ninep *ninep)
{
	pthread_cond_destroy(&ninep->news);
	pthread_mutex_destroy(&ninep->lock);
	free(ninep->address);
	free(ninep->tree);
	free(ninep);
}

static void ninep_close(struct range_source *source)
{
	struct ninep *ninep = of_source(source);

	give(ninep, leave);
	pthread_join(ninep->thread, NULL);
	destroy(ninep);
}

static const struct range_source_ops ops = { .how = "9P reads",
					     .fetch = ninep_fetch,
					     .close = ninep_close };

static int start(struct ninep *ninep, const char *url, struct sonde_error *err)
{
	int r = parse(ninep, url);

	if (r == SONDE_E_BAD_ARG)
		return sonde_error_set(
			err, r, "'%.300s': write 9p://HOST:PORT/FILE, or 9p://[unix:SOCKET]/FILE",
			url);
	if (r < 0 || pthread_create(&ninep->thread, NULL, work, ninep))
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	return 0;
}

/* As much of the head as there is. */
static int64_t take_head(struct ninep *ninep, void *head, uint32_t cap, struct sonde_error *err)
{
	uint64_t size = ninep->source.size;
	struct image_range range = { .len = size < cap ? (uint32_t)size : cap, .buf = head };
	int r = ninep_fetch(&ninep->source, &range, 1, err);

	return r < 0 ? r : (int64_t)range.len;
}

int64_t ninep_open(const char *url, const char *shown, void *head, uint32_t cap,
		   struct range_source **ret, struct sonde_error *err)
{
	struct ninep *ninep = calloc(1, sizeof(*ninep));

	if (!ninep)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	pthread_mutex_init(&ninep->lock, NULL);
	pthread_cond_init(&ninep->news, NULL);
	ninep->source.ops = &ops;
	ninep->shown = shown;
	for (size_t i = 0; i < LANES; i++)
		ninep->lanes[i].ninep = ninep;
	int64_t n = start(ninep, url, err);
	if (n < 0) {
		destroy(ninep);
		return n;
	}
	n = give(ninep, open_all);
	if (n < 0 && err)
		*err = ninep->why;
	if (n == 0)
		n = take_head(ninep, head, cap, err);
	if (n < 0)
		ninep_close(&ninep->source);
	else
		*ret = &ninep->source;
	return n;
}
