/* SPDX-License-Identifier: MIT */
#include "device.h"

static struct device *opened;

static int on_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		   void **ret_conn, struct sonde_error *err)
{
	(void)args, (void)err;
	opened->host = host;
	opened->below = below;
	*ret_conn = opened;
	return SONDE_OK;
}

static void on_close(void *conn)
{
	(void)conn;
	opened = NULL;
}

static void on_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct device *device = conn;

	device->trips++;
	device->requests += n;
	for (size_t i = 0; i < n; i++) {
		if (device->n_held < sizeof(device->held) / sizeof(device->held[0]))
			device->held[device->n_held++] = ios[i];
		else
			device->host->forward(device->below, &ios[i], 1);
	}
}

static void on_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct device *device = conn;

	(void)why;
	for (size_t i = 0; i < device->n_held; i++) {
		if (device->held[i] != io)
			continue;
		device->held[i] = device->held[--device->n_held];
		device->host->forward(device->below, &io, 1);
		return;
	}
}

void device_interrupt(void)
{
	size_t n = opened && !opened->dead ? opened->n_held : 0;

	if (!n)
		return;
	opened->n_held = 0;
	opened->host->forward(opened->below, opened->held, n);
}

int device_open(struct device *device, struct sonde_space *below, struct sonde_space **ret)
{
	static const struct sonde_layer_ops ops = { .size = sizeof(ops),
						    .open = on_open,
						    .close = on_close,
						    .submit = on_submit,
						    .cancel = on_cancel };
	static const struct sonde_plugin plugin = {
		.abi = SONDE_PLUGIN_ABI, .size = sizeof(plugin), .name = "device", .layer = &ops
	};

	*device = (struct device){ .layer = { .plugin = &plugin, .below = below } };
	opened = device;
	return sonde_bare_layer_open(&device->layer, ret, NULL);
}
