/* SPDX-License-Identifier: MIT */
/* A sandbox of one rule: io_uring_setup is refused. */
#ifndef TESTS_CONFORMANCE_CONFINE_H
#define TESTS_CONFORMANCE_CONFINE_H

/* From now on io_uring_setup fails with os_code. Returns 0, or -1 where seccomp itself is refused. */
int confine_uring(int os_code);

/* SONDE_TEST_NO_URING=EPERM or ENOSYS in the environment: confine so. 0, or -1 as above. */
int confine_as_asked(void);

#endif
