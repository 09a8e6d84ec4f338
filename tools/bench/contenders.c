/* SPDX-License-Identifier: MIT */
/* Who takes part, by name. A new file of contenders is one line here and one in contenders.h. */
#include "contenders.h"

#include <stdio.h>
#include <string.h>

static const struct contender *const arrays[] = {
	contenders_ours,   contenders_ram,     contenders_image, contenders_task,
	contenders_layer,  contenders_calls,   contenders_pread, contenders_mmap,
	contenders_memcpy, contenders_switch,  contenders_fio,   contenders_scan,
	contenders_memchr, contenders_process, contenders_open,
#ifdef HAVE_KDUMP
	contenders_kdump,
#endif
#ifdef HAVE_LIBNBD
	contenders_nbd,
#endif
#ifdef HAVE_URING
	contenders_uring,  contenders_echo,
#endif
#ifdef HAVE_LIBUV
	contenders_libuv,
#endif
};

const struct contender *contender_find(const char *name)
{
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		for (const struct contender *c = arrays[i]; c->name; c++) {
			if (strcmp(c->name, name) == 0)
				return c;
		}
	}
	return NULL;
}

int bench_skip(const struct contender *contender, const char *why)
{
	fprintf(stderr, "bench: without %s: %s\n", contender->name, why);
	return BENCH_SKIPPED;
}
