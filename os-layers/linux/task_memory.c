/* SPDX-License-Identifier: MIT */
/* How much memory a process has. A processor's share of a counter that is lost costs the sizes only. */
#include <stdlib.h>

#include "linux/task.h"

#define PAGES_MAX (UINT64_C(1) << 40)  /* more than 52 bits of bytes */
#define SHARES_MAX (UINT64_C(1) << 22) /* more: rss without them, as older kernels show it */

/* linux v6.6 include/linux/mm_types_task.h: MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES. */
enum { MM_FILE = 0, MM_ANON = 1, MM_SHMEM = 3 };
static const uint32_t rss_counters[] = { MM_FILE, MM_ANON, MM_SHMEM };
#define N_RSS (sizeof(rss_counters) / sizeof(rss_counters[0]))

/* Counter k of process i without what its processors keep: where it is in rss_stat, NULL if
 * nowhere. */
static const uint8_t *rss_counter(const struct tasks *f, size_t i, size_t k, struct field field,
				  int32_t *ret_err)
{
	const struct layout *l = &f->lx->layout;
	uint32_t stride = l->rss_percpu ? l->rss_counter_size : 8;
	uint32_t at = rss_counters[k] * stride + field.off;
	const uint8_t *stat = rows_bytes(&f->mm, i, l->mm_rss_stat, ret_err);

	if (stat && at + 8 > l->mm_rss_stat.size) {
		*ret_err = SONDE_E_NO_TYPES;
		return NULL;
	}
	return stat ? stat + at : NULL;
}

/*
 * From v6.2 on a processor keeps up to a few dozen pages of a counter to itself (linux v6.6
 * lib/percpu_counter.c). Small processes would show next to nothing without them.
 */
static int want_shares(struct tasks *f, size_t i)
{
	struct field field = f->lx->layout.percpu_counters;
	int32_t err;
	int r = SONDE_OK;

	for (size_t k = 0; k < N_RSS; k++) {
		const uint8_t *counter = rss_counter(f, i, k, field, &err);
		for (uint32_t cpu = 0; counter && cpu < f->percpu.n && r == SONDE_OK; cpu++) {
			size_t at = (i * N_RSS + k) * f->percpu.n + cpu;
			r = sonde_batch_add(f->batch, f->lx->os.kernel_memory,
					    sonde_le64(counter) + f->percpu.off[cpu],
					    f->shares + 4 * at, 4, &f->share_errs[at]);
		}
	}
	return r;
}

static int fetch_shares(struct tasks *f)
{
	int r = percpu_read(f->lx, &f->percpu);
	size_t n = f->n * N_RSS * f->percpu.n;

	if (r < 0 || !n || n > SHARES_MAX)
		return r;
	f->shares = calloc(n, 4);
	f->share_errs = calloc(n, sizeof(*f->share_errs));
	if (!f->shares || !f->share_errs)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++)
		r = want_shares(f, i);
	return r < 0 ? r : sonde_batch_run(f->batch);
}

/* One counter in pages; the kernel shows a negative one as 0 as well. */
static int add_rss(const struct tasks *f, size_t i, size_t k, uint64_t *pages)
{
	struct field first =
		f->lx->layout.rss_percpu ? f->lx->layout.percpu_count : (struct field){ 0 };
	int32_t err;
	const uint8_t *counter = rss_counter(f, i, k, first, &err);

	if (!counter)
		return err;
	uint64_t sum = sonde_le64(counter);
	for (uint32_t cpu = 0; f->shares && cpu < f->percpu.n; cpu++) {
		size_t at = (i * N_RSS + k) * f->percpu.n + cpu;
		if (f->share_errs[at])
			return f->share_errs[at];
		sum += (uint64_t)(int64_t)(int32_t)sonde_le32(f->shares + 4 * at);
	}
	*pages += sum < PAGES_MAX ? sum : 0;
	return SONDE_OK;
}

static void set_memory(struct tasks *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t vsize, rss = 0;

	if (task_take(&f->mm, i, l->mm_total_vm, p, SONDE_PROCESS_MEMORY, &vsize) &&
	    vsize < PAGES_MAX)
		p->vsize = vsize << linux_page_shift(f->lx);
	for (size_t k = 0; k < N_RSS; k++) {
		int r = add_rss(f, i, k, &rss);
		if (r < 0) {
			task_fail(p, SONDE_PROCESS_MEMORY, r);
			return;
		}
	}
	p->rss = rss << linux_page_shift(f->lx);
}

int task_memory(struct tasks *f)
{
	const struct layout *l = &f->lx->layout;
	int r = l->rss_percpu && has(l->percpu_counters) ? fetch_shares(f) : SONDE_OK;

	for (size_t i = 0; i < f->n && r != SONDE_E_NO_MEMORY; i++) {
		struct sonde_process *p = &f->list->items[i];
		if (!task_pointer(f, i, l->task_mm))
			continue;
		set_memory(f, i, p);
		if (r < 0)
			task_fail(p, SONDE_PROCESS_MEMORY, r);
	}
	return r == SONDE_E_NO_MEMORY ? r : SONDE_OK;
}
