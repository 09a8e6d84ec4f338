/* SPDX-License-Identifier: MIT */
#include "tree.h"

int tree_open(struct sonde_loop *loop, const char *folder, int listener, bool writable,
	      struct tree *ret, struct sonde_error *err)
{
	const struct sonde_fs_server_options options = { .size = sizeof(options),
							 .flags = writable ? SONDE_FS_SERVER_WRITES
									   : 0 };

	*ret = (struct tree){ 0 };
	int r = sonde_fs_native(loop, folder, SONDE_FS_BENEATH, &ret->fs, err);
	if (r < 0)
		return r;
	r = sonde_fs_server_start(loop, ret->fs, listener, &options, &ret->server);
	return r < 0 ? sonde_error_set(err, r, NULL) : 0;
}

void tree_close(struct tree *tree)
{
	sonde_fs_server_stop(NULL, tree->server);
	sonde_fs_destroy(tree->fs);
}
