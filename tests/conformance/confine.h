/* SPDX-License-Identifier: MIT */
/* A sandbox of one rule: io_uring_setup is refused, or what a ring is told to keep. */
#ifndef TESTS_CONFORMANCE_CONFINE_H
#define TESTS_CONFORMANCE_CONFINE_H

/* From now on io_uring_setup fails with os_code. Returns 0, or -1 where seccomp itself is refused. */
int confine_uring(int os_code);

/* ... io_uring_register does, for all but the question what a ring can do; probe_too: for that as well. */
int confine_tables(int os_code, int probe_too);

/*
 * SONDE_TEST_NO_URING=EPERM or ENOSYS in the environment: confine io_uring_setup so; =tables: io_uring_register. 0, or
 * -1 as above.
 */
int confine_as_asked(void);

#endif
