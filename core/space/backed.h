/* SPDX-License-Identifier: MIT */
/*
 * Spaces that plugins stand behind: a connector's memory, and a layer in front of another space.
 */
#ifndef SONDE_SPACE_BACKED_H
#define SONDE_SPACE_BACKED_H

#include <sonde/plugin.h>

/* A space whose bytes come from a connector. ops is the zero-padded copy of the plugin's table, kept. */
int space_from_connector(struct sonde_loop *loop, const struct sonde_connector_ops *ops, void *conn,
			 struct sonde_space **ret, struct sonde_error *err);

/*
 * A space in front of below, by a layer plugin. The layer is opened here and closed with the
 * space; below is neither owned nor closed.
 */
int space_from_layer(struct sonde_loop *loop, const struct sonde_layer_ops *ops,
		     const struct sonde_host *host, const struct sonde_args *args,
		     struct sonde_space *below, struct sonde_space **ret, struct sonde_error *err);

/* Of a space from space_from_layer: what its plugin has kept, and what it changes in *info. */
int space_layer_stats(struct sonde_space *space, sonde_stat_fn *fn, void *user);
void space_layer_info(struct sonde_space *space, struct sonde_target_info *info);

/* The slots of the host table that are spaces' business; the arg slots are NULL. */
extern const struct sonde_host space_host;

#endif
