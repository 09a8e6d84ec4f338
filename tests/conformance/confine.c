/* SPDX-License-Identifier: MIT */
/* Source: seccomp(2), linux v6.1 include/uapi/linux/seccomp.h and filter.h. */
#include "confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425 /* the same on every architecture since 5.1 */
#endif

#ifndef __NR_io_uring_register
#define __NR_io_uring_register 427 /* likewise */
#endif
#define REGISTER_PROBE 8 /* linux v6.1 include/uapi/linux/io_uring.h: IORING_REGISTER_PROBE */

static int confine(struct sock_filter *code, size_t n)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		printf("skipped: seccomp is refused here: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

int confine_uring(int os_code)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)os_code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return confine(code, sizeof(code) / sizeof(code[0]));
}

/* The second argument says what is to be registered; its low half comes first on little-endian machines. */
int confine_tables(int os_code, int probe_too)
{
	unsigned low = offsetof(struct seccomp_data, args[1]) +
		       (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_register, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, probe_too ? UINT32_MAX : REGISTER_PROBE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)os_code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return confine(code, sizeof(code) / sizeof(code[0]));
}

int confine_as_asked(void)
{
	const char *asked = getenv("SONDE_TEST_NO_URING");

	if (!asked)
		return 0;
	if (strcmp(asked, "tables") == 0)
		return confine_tables(EPERM, 0);
	return confine_uring(strcmp(asked, "ENOSYS") == 0 ? ENOSYS : EPERM);
}
