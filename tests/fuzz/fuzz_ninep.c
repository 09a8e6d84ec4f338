/* SPDX-License-Identifier: MIT */
/*
 * 9P2000.L. The first byte chooses: bytes as one message, which is the same when it is written again;
 * as entries of a directory; as all that a client says to a server of files in memory, which has to be
 * left with no session and no handle.
 */
#include <sonde/fs_remote.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ninep/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* ---- messages ------------------------------------------------------------------------------------ */

static void check_message(const uint8_t *bytes, size_t len)
{
	struct ninep_msg msg;

	if (!ninep_decode(bytes, len, &msg))
		return;
	uint8_t *again = malloc(len);
	if (ninep_encode(&msg, again, len) != len || memcmp(again, bytes, len) != 0)
		abort();
	if (ninep_encode(&msg, again, len - 1) != 0)
		abort();
	free(again);
}

static void check_entries(const uint8_t *bytes, size_t len)
{
	struct ninep_entry entry;
	size_t n;

	for (; (n = ninep_decode_entry(bytes, len, &entry)) > 0; bytes += n, len -= n) {
		uint8_t *again = malloc(n);
		if (n > len || ninep_encode_entry(&entry, again, n) != n ||
		    memcmp(again, bytes, n) != 0)
			abort();
		free(again);
	}
}

/* ---- sessions ------------------------------------------------------------------------------------ */

struct session {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	struct sonde_fs_server *server;
	int listener, client;
};

static void make_files(struct sonde_fs *fs)
{
	int file = sonde_fs_open(NULL, fs, SONDE_FS_ROOT, "file",
				 SONDE_FS_FOR_WRITE | SONDE_FS_CREATE, 0644);

	sonde_fs_write(NULL, fs, file, 0, "text", 4);
	sonde_fs_close(NULL, fs, file);
	sonde_fs_mkdir(NULL, fs, SONDE_FS_ROOT, "dir", 0755);
	sonde_fs_symlink(NULL, fs, SONDE_FS_ROOT, "link", "../file");
}

static void open_session(struct session *s)
{
	const struct sonde_fs_memory_options limits = { .size = sizeof(limits),
							.max_bytes = 1 << 20,
							.max_nodes = 256 };
	const struct sonde_fs_server_options options = { .size = sizeof(options),
							 .flags = SONDE_FS_SERVER_WRITES };
	const struct sonde_loop_options sync = { .size = sizeof(sync),
						 .engine = SONDE_ENGINE_SYNC };
	char address[SONDE_NET_TEXT];

	s->listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);
	if (sonde_net_own(s->listener, address, sizeof(address)) < 0 ||
	    sonde_loop_create(&sync, &s->loop, NULL) < 0 ||
	    sonde_fs_memory(s->loop, &limits, &s->fs) < 0)
		abort();
	make_files(s->fs);
	if (sonde_fs_server_start(s->loop, s->fs, s->listener, &options, &s->server) < 0)
		abort();
	s->client = sonde_net_connect(NULL, s->loop, address, NULL, NULL);
	if (s->client < 0)
		abort();
}

static uint64_t n_sessions(const struct session *s, uint64_t *ret_accepted)
{
	struct sonde_fs_server_figures figures;

	sonde_fs_server_figures(s->server, &figures);
	*ret_accepted = figures.accepted;
	return figures.now;
}

/* All of it is said, and nobody listens to the answers; the session ends behind the last message. */
static void check_session(const uint8_t *bytes, size_t len)
{
	enum { MOST = 16 << 10 }; /* what a socket takes without being read */
	struct session s = { 0 };
	uint64_t accepted = 0;

	open_session(&s);
	if (send(s.client, bytes, len < MOST ? len : MOST, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		len = 0;
	shutdown(s.client, SHUT_WR);
	while (n_sessions(&s, &accepted) || !accepted)
		sonde_loop_wait(s.loop, UINT64_MAX);
	close(s.client);
	sonde_fs_server_stop(NULL, s.server);
	sonde_fs_destroy(s.fs);
	sonde_loop_destroy(s.loop);
	close(s.listener);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	if (bytes[0] % 3 == 0)
		check_message(bytes + 1, len - 1);
	else if (bytes[0] % 3 == 1)
		check_entries(bytes + 1, len - 1);
	else
		check_session(bytes + 1, len - 1);
	return 0;
}
