/* SPDX-License-Identifier: MIT */
/* sonde serve --9p: the files below a directory, by 9P2000.L. */
#ifndef SONDE_SERVE_TREE_H
#define SONDE_SERVE_TREE_H

#include <sonde/sonde.h>
#include <stdbool.h>

enum { TREE_PORT = 5640 }; /* of TCP; the one that is registered, 564, is root's */

struct tree {
	struct sonde_fs *fs;
	struct sonde_fs_server *server;
};

/* Nobody gets out of folder. Returns 0; as sonde_fs_native. Owns *ret, also then: tree_close. */
int tree_open(struct sonde_loop *loop, const char *folder, int listener, bool writable,
	      struct tree *ret, struct sonde_error *err);
void tree_close(struct tree *tree);

#endif
