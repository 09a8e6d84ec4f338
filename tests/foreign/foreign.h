/* SPDX-License-Identifier: MIT */
/*
 * Event loops of others, as test_foreign.c needs them: one descriptor is watched, a timer ticks,
 * and it runs for a while or until told to quit. A new one is a file beside this one and a line in
 * test_foreign.c.
 */
#ifndef TESTS_FOREIGN_FOREIGN_H
#define TESTS_FOREIGN_FOREIGN_H

struct watched {
	int fd;
	void (*ready)(struct watched *watched); /* fd is readable                        */
	void (*tick)(struct watched *watched);  /* every millisecond; NULL: no timer     */
};

struct foreign {
	const char *name;
	void *(*open)(struct watched *watched);
	void (*run)(void *state, unsigned limit_ms); /* ... or until quit */
	void (*quit)(void *state);
	void (*close)(void *state);
};

extern const struct foreign foreign_epoll, foreign_glib, foreign_libuv;

#endif
