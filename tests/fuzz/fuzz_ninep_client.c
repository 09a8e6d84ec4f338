/* SPDX-License-Identifier: MIT */
/*
 * A server of 9P2000.L that lies to a client. Each message of the client takes a byte of the input, which
 * says what comes back: what was asked for with fields from the input, another type, another tag, an error, bytes that
 * are no message, nothing yet. Whatever it is, every request of the client ends, once, within what it asked for.
 */
#include <sonde/fd.h>
#include <sonde/fs_remote.h>
#include <sonde/loop.h>
#include <sonde/task.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ninep/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { MSIZE = 8192, READ_LEN = 20000, QUIET_NS = 1000 * 1000 };

struct liar {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	int listener, fd;
	const uint8_t *at; /* of the input: what is left */
	size_t left;
	uint8_t in[MSIZE], out[MSIZE];
};

/* ---- what it says -------------------------------------------------------------------------------- */

static uint8_t draw(struct liar *liar)
{
	if (liar->left == 0)
		return 0;
	liar->left--;
	return *liar->at++;
}

static void say(struct sonde_task *self, struct liar *liar, size_t len)
{
	sonde_fd_write_all(self, liar->loop, liar->fd, liar->out, len);
}

static void put_head(struct liar *liar, uint32_t size, uint8_t type, uint16_t tag)
{
	for (int i = 0; i < 4; i++)
		liar->out[i] = (uint8_t)(size >> 8 * i);
	liar->out[4] = type;
	liar->out[5] = (uint8_t)tag;
	liar->out[6] = (uint8_t)(tag >> 8);
}

/* Fields of an answer from the input: as they stand there. */
static size_t put_fields(struct liar *liar)
{
	size_t n = draw(liar) * 2u;

	n = n < liar->left ? n : liar->left;
	memcpy(liar->out + NINEP_HEAD, liar->at, n);
	liar->at += n;
	liar->left -= n;
	return NINEP_HEAD + n;
}

static void say_fields(struct sonde_task *self, struct liar *liar, uint8_t type, uint16_t tag)
{
	size_t len = put_fields(liar);

	put_head(liar, (uint32_t)len, type, tag);
	say(self, liar, len);
}

/* As a server would, so that the client goes on to what it does next. */
static void agree(struct sonde_task *self, struct liar *liar, const struct ninep_msg *msg)
{
	struct ninep_msg answer = { .type = msg->type + 1,
				    .tag = msg->tag,
				    .msize = MSIZE,
				    .name = { NINEP_VERSION, sizeof(NINEP_VERSION) - 1 },
				    .n_qids = msg->n_names };

	if (msg->type == NINEP_TATTACH)
		answer.qid.type = NINEP_QID_DIRECTORY;
	for (uint16_t i = 0; i < msg->n_names; i++)
		answer.qids[i].type = draw(liar);
	if (msg->type == NINEP_TREAD || msg->type == NINEP_TREADDIR) {
		answer.data = liar->at;
		answer.count = liar->left < msg->count ? (uint32_t)liar->left : msg->count;
	} else if (msg->type == NINEP_TWRITE) {
		answer.count = msg->count;
	}
	say(self, liar, ninep_encode(&answer, liar->out, sizeof(liar->out)));
}

static void answer(struct sonde_task *self, struct liar *liar, const struct ninep_msg *msg)
{
	uint8_t how = draw(liar);

	switch (how % 8) {
	case 0:
	case 1:
		agree(self, liar, msg);
		break;
	case 2:
	case 3:
		say_fields(self, liar, msg->type + 1, msg->tag);
		break;
	case 4:
		say_fields(self, liar, NINEP_RLERROR, msg->tag);
		break;
	case 5:
		say_fields(self, liar, draw(liar), draw(liar));
		break;
	case 6: /* a size that lies */
		put_head(liar, draw(liar) | (uint32_t)draw(liar) << 24, msg->type + 1, msg->tag);
		say(self, liar, put_fields(liar));
		break;
	default: /* nothing yet */
		break;
	}
}

/* ---- what it hears ------------------------------------------------------------------------------- */

static int hear(struct sonde_task *self, struct liar *liar, void *buf, size_t len)
{
	struct sonde_fd_io io = { .fd = liar->fd,
				  .op = SONDE_FD_READ_ALL,
				  .buf = buf,
				  .len = (uint32_t)len,
				  .deadline_ns = sonde_now_ns() + QUIET_NS };

	return sonde_fd_run(self, liar->loop, &io);
}

/* Until its text has come to an end, or the client says nothing: then it hangs up. */
static int lie(struct sonde_task *self, void *arg)
{
	struct liar *liar = arg;
	struct ninep_msg msg;

	liar->fd = sonde_fd_accept(self, liar->loop, liar->listener);
	while (liar->fd >= 0 && liar->left && hear(self, liar, liar->in, 4) >= 0) {
		uint32_t size = ninep_size(liar->in);
		if (size < NINEP_HEAD || size > MSIZE)
			abort();
		if (hear(self, liar, liar->in + 4, size - 4) < 0)
			break;
		if (!ninep_decode(liar->in, size, &msg) || msg.type % 2)
			abort();
		answer(self, liar, &msg);
	}
	if (liar->fd >= 0)
		sonde_fd_close(self, liar->loop, liar->fd);
	return 0;
}

/* ---- what the client does ------------------------------------------------------------------------ */

static void check_list(const char *buf, int n)
{
	for (int at = 0; at < n;) {
		const struct sonde_fs_entry *entry = (const void *)(buf + at);
		if (entry->size < sizeof(*entry) || entry->size > n - at || !entry->name[0] ||
		    strchr(entry->name, '/'))
			abort();
		at += entry->size;
	}
}

static void use_file(struct sonde_fs *fs, char *buf)
{
	struct sonde_fs_info info;
	int file = sonde_fs_open(NULL, fs, SONDE_FS_ROOT, "a/../b",
				 SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_CREATE, 0644);

	if (file < 0)
		return;
	if (sonde_fs_read(NULL, fs, file, 1, buf, READ_LEN) > READ_LEN ||
	    sonde_fs_write(NULL, fs, file, 1, buf, READ_LEN) > READ_LEN)
		abort();
	sonde_fs_stat(NULL, fs, file, NULL, 0, &info);
	sonde_fs_set_length(NULL, fs, file, 7);
	sonde_fs_sync(NULL, fs, file, 0);
	sonde_fs_close(NULL, fs, file);
}

static void use_directory(struct sonde_fs *fs, char *buf)
{
	int dir = sonde_fs_open(NULL, fs, SONDE_FS_ROOT, "dir",
				SONDE_FS_FOR_READ | SONDE_FS_DIRECTORY, 0);

	if (dir < 0)
		return;
	struct sonde_fs_io list = { .op = SONDE_FS_LIST, .file = dir, .buf = buf, .len = 2048 };
	int n = sonde_fs_run(NULL, fs, &list);
	if (n > 2048)
		abort();
	check_list(buf, n);
	sonde_fs_mkdir(NULL, fs, dir, "new", 0755);
	sonde_fs_rename(NULL, fs, dir, "new", SONDE_FS_ROOT, "other", SONDE_FS_NO_REPLACE);
	sonde_fs_remove(NULL, fs, dir, "old", 0);
	sonde_fs_close(NULL, fs, dir);
}

static void use_names(struct sonde_fs *fs, char *buf)
{
	struct sonde_fs_info info;

	sonde_fs_stat(NULL, fs, SONDE_FS_ROOT, "link/under", 0, &info);
	int n = sonde_fs_read_link(NULL, fs, SONDE_FS_ROOT, "link", buf, 100);
	if (n > 100)
		abort();
	sonde_fs_symlink(NULL, fs, SONDE_FS_ROOT, "made", "text");
	sonde_fs_link(NULL, fs, SONDE_FS_ROOT, "made", SONDE_FS_ROOT, "again");
	sonde_fs_set_mode(NULL, fs, SONDE_FS_ROOT, "made", 0600);
}

/* The first byte: which of them, and in what order. */
static void use(struct sonde_fs *fs, uint8_t order)
{
	static void (*const uses[])(struct sonde_fs *, char *) = { use_file, use_directory,
								   use_names };
	char *buf = calloc(1, READ_LEN);

	for (unsigned i = 0; i < 3; i++)
		uses[(order + i) % 3](fs, buf);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct sonde_loop_options sync = { .size = sizeof(sync),
						 .engine = SONDE_ENGINE_SYNC };
	const struct sonde_fs_remote_options options = { .size = sizeof(options),
							 .msize = MSIZE,
							 .patience_ns = QUIET_NS };
	struct liar *liar = len ? calloc(1, sizeof(*liar)) : NULL;
	char address[SONDE_NET_TEXT];

	if (!liar)
		return 0;
	liar->at = bytes + 1;
	liar->left = len - 1;
	liar->listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);
	struct sonde_task *task;
	if (sonde_net_own(liar->listener, address, sizeof(address)) < 0 ||
	    sonde_loop_create(&sync, &liar->loop, NULL) < 0 ||
	    sonde_task_spawn(liar->loop, lie, liar, &task) < 0)
		abort();
	if (sonde_fs_remote(NULL, liar->loop, address, &options, &liar->fs, NULL) == 0) {
		use(liar->fs, bytes[0]);
		sonde_fs_destroy(liar->fs);
	}
	sonde_task_join(NULL, task);
	sonde_loop_destroy(liar->loop);
	close(liar->listener);
	free(liar);
	return 0;
}
