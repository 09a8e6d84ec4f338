/* SPDX-License-Identifier: MIT */
/* From an address to a file system: connect, agree on the version, attach. */
#include <errno.h>
#include <sonde/error.h>
#include <unistd.h>

#include "base/mem.h"
#include "ninep/remote.h"

static int32_t ask_by(struct remote *remote, struct ninep_msg *msg, struct ninep_call *call)
{
	int32_t r = ninep_call_begin(&remote->client, msg, call);

	return r < 0 ? r : ninep_call_end(call);
}

static int refused(struct sonde_error *err, int32_t r, uint64_t deadline_ns, const char *what)
{
	if (r == -ETIMEDOUT)
		return sonde_error_set(err, SONDE_E_TIMED_OUT, "%s: the server says nothing", what);
	if (r == -EPIPE)
		return sonde_error_set(err, SONDE_E_GONE, "%s: it hung up", what);
	if (r == -ECANCELED && deadline_ns && sonde_now_ns() >= deadline_ns)
		return sonde_error_set(err, SONDE_E_TIMED_OUT, "%s: no answer in time", what);
	return sonde_error_os(err, -r, "%s", what);
}

static int agree(struct remote *remote, uint64_t deadline_ns, struct sonde_error *err)
{
	static const struct ninep_text ours = { NINEP_VERSION, sizeof(NINEP_VERSION) - 1 };
	char theirs[16] = "";
	struct ninep_msg msg = { .type = NINEP_TVERSION,
				 .msize = remote->client.msize,
				 .name = ours };
	struct ninep_call call = { .answer = &msg,
				   .data = theirs,
				   .cap = sizeof(theirs) - 1,
				   .deadline_ns = deadline_ns };
	int32_t r = ask_by(remote, &msg, &call);

	if (r < 0)
		return refused(err, r, deadline_ns, "version");
	if (strcmp(theirs, NINEP_VERSION) != 0)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "it speaks '%s', not " NINEP_VERSION, theirs);
	if (msg.msize < NINEP_MSIZE_MIN || msg.msize > remote->client.msize)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "messages of %u bytes, where %u to %u were offered",
				       msg.msize, NINEP_MSIZE_MIN, remote->client.msize);
	remote->client.msize = msg.msize;
	return SONDE_OK;
}

static int attach(struct remote *remote, const struct sonde_fs_remote_options *options,
		  struct sonde_error *err)
{
	const char *user = options->user ? options->user : "", *tree = options->tree;
	struct ninep_msg msg = { .type = NINEP_TATTACH,
				 .fid = remote->root,
				 .other_fid = NINEP_NO_FID,
				 .name = { user, (uint16_t)strlen(user) },
				 .other_name = { tree, tree ? (uint16_t)strlen(tree) : 0 },
				 .uid = options->has_uid ? options->uid : UINT32_MAX };
	struct ninep_call call = { .answer = &msg, .deadline_ns = options->deadline_ns };
	int32_t r = ask_by(remote, &msg, &call);

	if (r < 0)
		return refused(err, r, options->deadline_ns, tree ? tree : "attach");
	if (!(msg.qid.type & NINEP_QID_DIRECTORY))
		return sonde_error_set(err, SONDE_E_NOT_DIRECTORY, "%s: is no directory",
				       tree ? tree : "the tree");
	return SONDE_OK;
}

#define SECOND_NS UINT64_C(1000000000)

static int check(const struct sonde_fs_remote_options *options, struct sonde_error *err)
{
	if (options->flags & ~(uint32_t)SONDE_FS_BENEATH)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "flags: 0 or SONDE_FS_BENEATH");
	if (options->msize &&
	    (options->msize < NINEP_MSIZE_MIN || options->msize > NINEP_MSIZE_MAX))
		return sonde_error_set(err, SONDE_E_BAD_ARG, "msize: %u to %u, not %u",
				       NINEP_MSIZE_MIN, NINEP_MSIZE_MAX, options->msize);
	if ((options->user && strlen(options->user) > SONDE_FS_NAME_MAX) ||
	    (options->tree && strlen(options->tree) > SONDE_FS_PATH_MAX))
		return sonde_error_set(err, SONDE_E_BAD_ARG, "user or tree is too long");
	return SONDE_OK;
}

/* Over a connection that is there; fd is taken. */
static int open_over(struct sonde_task *self, struct sonde_loop *loop, int fd,
		     const struct sonde_fs_remote_options *options, struct sonde_fs **ret,
		     struct sonde_error *err)
{
	struct remote *remote = mem_alloc(1, sizeof(*remote));
	int r;

	if (!remote) {
		close(fd);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	r = ninep_client_open(&remote->client, loop, fd,
			      options->msize ? options->msize : NINEP_MSIZE_MAX);
	remote->client.patience_ns = options->patience_ns ? options->patience_ns : SECOND_NS;
	remote->client.silence_ns = options->silence_ns ? options->silence_ns : 30 * SECOND_NS;
	remote->last = &remote->first;
	remote->flags = options->flags;
	remote->root = ninep_take_fid(&remote->client);
	if (r == 0)
		r = agree(remote, options->deadline_ns, err);
	if (r == 0)
		r = attach(remote, options, err);
	if (r == 0)
		r = sonde_fs_create(loop, &remote_ops, remote, ret);
	if (r < 0)
		remote_finish(self, remote);
	return r;
}

int sonde_fs_remote(struct sonde_task *self, struct sonde_loop *loop, const char *address,
		    const struct sonde_fs_remote_options *options, struct sonde_fs **ret,
		    struct sonde_error *err)
{
	struct sonde_fs_remote_options own = { 0 };
	struct sonde_net_options net = { .size = sizeof(net), .flags = SONDE_NET_NODELAY };
	int fd, r;

	if (options)
		memcpy(&own, options, options->size < sizeof(own) ? options->size : sizeof(own));
	r = check(&own, err);
	if (r < 0)
		return sonde_error_prefix(err, "9p: '%s'", address);
	net.keepalive_s = own.keepalive_s ? own.keepalive_s : 60;
	net.deadline_ns = own.deadline_ns;
	fd = sonde_net_connect(self, loop, address, &net, err);
	if (fd < 0)
		return fd;
	r = open_over(self, loop, fd, &own, ret, err);
	if (r < 0)
		sonde_error_prefix(err, "9p: '%s'", address);
	return r;
}
