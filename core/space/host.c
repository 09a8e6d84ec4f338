/* SPDX-License-Identifier: MIT */
/* What spaces and loops lend to plugins: the middle of the host table. */
#include "space/backed.h"

#include "space/layer.h"
#include "space/space.h"

static void io_done_here(struct sonde_io *io)
{
	const struct space_ops *ops = io_core(io)->space->ops;

	if (ops->io_done)
		ops->io_done(io);
	else
		io_finish(io);
}

static void io_home(struct loop_post *post)
{
	struct io_core *core = (struct io_core *)((char *)post - offsetof(struct io_core, post));
	struct sonde_io *io = (struct sonde_io *)((char *)core - offsetof(struct sonde_io, core));

	io_done_here(io);
}

/* From another thread they are posted as one. */
static void host_ios_done(struct sonde_io *const *ios, size_t n)
{
	struct sonde_loop *loop = n ? io_core(ios[0])->space->loop : NULL;
	struct loop_post *newest = NULL;

	if (n && loop_is_here(loop)) {
		for (size_t i = 0; i < n; i++)
			io_done_here(ios[i]);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct loop_post *post = &io_core(ios[i])->post;
		*post = (struct loop_post){ newest, io_home };
		newest = post;
	}
	if (n)
		loop_post_list(loop, newest, &io_core(ios[0])->post);
}

static void host_io_done(struct sonde_io *io)
{
	host_ios_done(&io, 1);
}

static void host_fragment(struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len, int32_t err)
{
	struct sonde_loop *loop = io_core(io)->space->loop;
	struct loop_fragment fragment = { io, i, off, len, err };

	if (err > 0 || err < -127)
		fragment.err = SONDE_E_IO; /* no code, or none that was ever given out */
	if (i >= io->n || off > io->xfers[i].len || len > io->xfers[i].len - off)
		return; /* a stretch outside its piece is not told: the piece ends as SONDE_E_IO */
	if (!io_is_watched(io) || loop_is_here(loop))
		io_account(io, i, off, len, fragment.err);
	else
		loop_post_fragment(loop, &fragment);
}

const struct sonde_host space_host = {
	.size = sizeof(struct sonde_host),
	.abi = SONDE_PLUGIN_ABI,
	.error_set = sonde_error_set,
	.error_os = sonde_error_os,
	.io_done = host_io_done,
	.fragment = host_fragment,
	.forward = layer_forward,
	.loop = layer_loop,
	.timer_start = sonde_timer_start,
	.timer_stop = sonde_timer_stop,
	.now_ns = sonde_now_ns,
	.issue = layer_issue,
	.follow = layer_follow,
	.cancel = space_stop,
	.resident = layer_below_resident,
	.regions = layer_below_regions,
	.borrow = layer_below_borrow,
	.cpu = layer_below_cpu,
	.note = layer_below_note,
	.borrow_run = layer_below_borrow_run,
	.ios_done = host_ios_done,
};
