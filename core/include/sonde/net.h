/* SPDX-License-Identifier: MIT */
/*
 * Streams over TCP and Unix sockets: listening and connecting by an address in text, and what a
 * socket can be told. All of it makes descriptors, whose life is fd.h: READ, WRITE, ACCEPT or an
 * acceptor, SHUTDOWN (half-close), CLOSE, by the same three doors.
 *
 *	127.0.0.1:80             TCP; to listen, port 0 takes one that is free: sonde_net_own says which
 *	[::1]:80  [fe80::1%eth0]:80
 *	unix:/run/probe          a socket in the file system, path of 1..107 bytes
 *	unix:@probe              an abstract one (Linux): no file, gone with its last descriptor
 *
 * Addresses are numbers. Looking up a name waits for servers elsewhere, which has no part in a
 * loop: who has one asks getaddrinfo(3) where waiting does no harm, and tries what it answers.
 */
#ifndef SONDE_NET_H
#define SONDE_NET_H

#include <sonde/error.h>
#include <sonde/fd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_NET_TEXT 128u /* bytes that hold any address in text, terminated */

enum sonde_net_flag {
	SONDE_NET_NODELAY = 1u << 0,       /* TCP: a small write does not wait for the answer to
					    * the one before                                    */
	SONDE_NET_REUSE_ADDRESS = 1u << 1, /* listen, TCP: although connections of a listener
					    * that ended have not died down yet                 */
	SONDE_NET_REUSE_PORT = 1u << 2,    /* listen, TCP: beside others that say so, each of
					    * which gets a share: a loop a thread               */
	SONDE_NET_RESET = 1u << 3,         /* closing drops what was not delivered, and the
					    * other side sees GONE (linger of no time). Another
					    * time would have close wait, and the loop with it:
					    * SHUTDOWN, then read to the end                    */
};

/* Zero it, set size and what is wanted. A listener's go over to its connections. */
struct sonde_net_options {
	uint32_t size;           /* sizeof(struct sonde_net_options)                      */
	uint32_t flags;          /* enum sonde_net_flag                                   */
	uint32_t backlog;        /* listen: connections that wait to be accepted; 0: 4096;
				  * Linux has a limit of its own: net.core.somaxconn      */
	uint32_t keepalive_s;    /* TCP: a connection idle so long is asked whether the other
				  * side is there; 0: never                               */
	uint32_t receive_buffer; /* bytes the kernel holds, which makes twice of it for its  */
	uint32_t send_buffer;    /* own books; 0: the system's, which grow with the need     */
	uint64_t deadline_ns;    /* connect: 0, or sonde_now_ns() time: then TIMED_OUT    */
};

/*
 * Listen. options may be NULL: all defaults.
 *
 * Returns   a descriptor, close-on-exec and non-blocking, the caller's.
 * Errors    BAD_ARG (not an address as above; options out of range), IN_USE (somebody listens
 *           there; of a Unix socket the file may be what a listener left), NO_ACCESS (a port below
 *           1024, a folder), NOT_FOUND (no such folder, no interface has the address), EXHAUSTED,
 *           others as sonde_error_os gives them.
 * Context   never blocks.
 */
int sonde_net_listen(const char *address, const struct sonde_net_options *options,
		     struct sonde_error *err);

/*
 * Connect, and wait until that has succeeded or failed.
 *
 * Returns   a descriptor, as sonde_net_listen.
 * Errors    REFUSED (nobody listens there), UNREACHABLE, TIMED_OUT (deadline_ns, or the system's
 *           patience), NOT_FOUND (no such Unix socket), NO_ACCESS, BAD_ARG, EXHAUSTED; BUSY (of a
 *           Unix socket: its backlog is full, try again; or as sonde_fd_run), CANCELLED.
 * Context   parks self, or the running task where self is NULL; in plain code pumps the loop.
 */
int sonde_net_connect(struct sonde_task *self, struct sonde_loop *loop, const char *address,
		      const struct sonde_net_options *options, struct sonde_error *err);

/*
 * The same for the completion door: begin to connect. A SONDE_FD_CONNECT request on the descriptor
 * is done when that has succeeded or failed, which may be at once; its deadline_ns counts, not that
 * of options. Returns, errors as sonde_net_connect. Never blocks.
 */
int sonde_net_begin(const char *address, const struct sonde_net_options *options,
		    struct sonde_error *err);

/* Tell a socket what options say of connections. Returns 0; BAD_ARG: it is no socket. */
int sonde_net_set(int fd, const struct sonde_net_options *options, struct sonde_error *err);

/*
 * The address of a socket's own end, and of its other end, as above, into text, [cap], cap at least
 * SONDE_NET_TEXT. What is not a printing character in the name of a Unix socket is '?'; one that
 * has no name is "unix:".
 *
 * Returns   0; SONDE_E_BAD_ARG: cap, no socket, not connected; SONDE_E_UNSUPPORTED: neither TCP
 *           nor Unix. text is a string in any case, if cap is not 0.
 */
int sonde_net_own(int fd, char *text, size_t cap);
int sonde_net_peer(int fd, char *text, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
