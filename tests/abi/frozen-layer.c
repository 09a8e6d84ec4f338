/* SPDX-License-Identifier: MIT */
/* A layer as it was built when interface 1 came out: what was added since, the core does without it. */
#include "plugin_v1.h"

struct layer {
	const struct v1_host *host;
	void *below;
};

static struct layer only;

static int layer_open(const struct v1_host *host, const struct v1_args *args, void *below,
		      void **ret_conn, struct v1_error *err)
{
	(void)args, (void)err;
	only = (struct layer){ host, below };
	*ret_conn = &only;
	return 0;
}

static void layer_close(void *conn)
{
	((struct layer *)conn)->host = 0;
}

static void layer_submit(void *conn, struct v1_io *const *ios, size_t n)
{
	struct layer *layer = conn;

	layer->host->forward(layer->below, ios, n);
}

static const struct v1_layer_ops ops = {
	.size = sizeof(ops), .open = layer_open, .close = layer_close, .submit = layer_submit
};

extern V1_EXPORT const struct v1_plugin sonde_plugin;
V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1,
	.size = sizeof(sonde_plugin),
	.name = "frozen-layer",
	.summary = "a layer built on interface 1",
	.layer = &ops,
};
