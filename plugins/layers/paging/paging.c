/* SPDX-License-Identifier: MIT */
/*
 * paging: what page tables in the space below map. With a hypervisor's tables (EPT, NPT) in front of a host's
 * memory that is the physical memory of a guest inside, for an operating system to be found in. It only says
 * which tables; the core walks them.
 */
#include <sonde/plugin.h>

#include <stdlib.h>

struct paging {
	const struct sonde_host *host;
	void *below; /* what the tables map */
};

static int paging_tables(const struct sonde_host *host, const struct sonde_args *args,
			 struct sonde_tables *ret, struct sonde_error *err)
{
	ret->format = host->arg(args, "format");
	if (!ret->format || !host->arg(args, "root"))
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"paging: which tables? Write paging,format=ept4,root=0x1234000");
	int r = host->arg_u64(args, "root", &ret->root, err);
	if (r >= 0)
		r = host->arg_u64(args, "high", &ret->high_root, err);
	return r < 0 ? r : 0;
}

static int paging_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		       void **ret_conn, struct sonde_error *err)
{
	struct paging *paging = calloc(1, sizeof(*paging));

	(void)args;
	if (!paging)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	paging->host = host;
	paging->below = below;
	*ret_conn = paging;
	return 0;
}

static void paging_close(void *conn)
{
	free(conn);
}

static void paging_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	const struct paging *paging = conn;

	paging->host->forward(paging->below, ios, n);
}

static uint32_t paging_traits(void *conn)
{
	(void)conn;
	return SONDE_LAYER_INLINE | SONDE_LAYER_SAME_BYTES; /* below is what the tables map */
}

/* Processors and notes are those of the machine outside. */
static int paging_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	(void)conn, (void)index, (void)ret;
	return SONDE_E_UNSUPPORTED;
}

static int64_t paging_note(void *conn, const char *name, void *buf, size_t cap)
{
	(void)conn, (void)name, (void)buf, (void)cap;
	return SONDE_E_NOT_FOUND;
}

static void paging_info(void *conn, struct sonde_target_info *info)
{
	(void)conn;
	info->n_cpus = 0;
}

static int paging_clone(void *conn, const struct sonde_host *host, const struct sonde_args *args,
			void *below, void **ret_conn, struct sonde_error *err)
{
	(void)conn; /* nothing but what open is given */
	return paging_open(host, args, below, ret_conn, err);
}

static const struct sonde_layer_ops paging_ops = {
	.size = sizeof(paging_ops),
	.open = paging_open,
	.close = paging_close,
	.submit = paging_submit,
	.traits = paging_traits,
	.cpu = paging_cpu,
	.note = paging_note,
	.info = paging_info,
	.tables = paging_tables,
	.clone = paging_clone,
};

SONDE_PLUGIN(.name = "paging", .summary = "what page tables map: a guest inside a host's memory",
	     .args_help =
		     "format=NAME  of the tables: ept4 ept5 npt4 npt5 x86-64-4 ... (required)\n"
		     "root=N       as the register has it: an EPT pointer, CR3 (required)\n"
		     "high=N       of arm64, the root of the upper half: TTBR1 (0)\n",
	     .layer = &paging_ops);
