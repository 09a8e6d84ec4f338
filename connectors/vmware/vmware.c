/* SPDX-License-Identifier: MIT */
/*
 * vmware: a guest that VMware suspended or took a snapshot of: its state (.vmss, .vmsn) and its memory, which is in that file or
 * in one beside it (.vmem). Either finds the other. tags.c reads the state's container, state.c and registers.c what it says; the
 * bytes are moved by the engines, from where the extents told here lie.
 */
#include "../common/image_file.h"
#include "state.h"

#include <sonde/plugin.h>

#include <stdio.h>
#include <stdlib.h>

#define GIB (UINT64_C(1) << 30)
/* Where a guest without a state file has no memory if it has more than that: LeechCore device_vmware.c. */
#define HOLE (3 * GIB)
#define HOLE_END (4 * GIB)

struct vmware {
	const struct sonde_host *host;
	const struct sonde_args *args;
	struct image_file state;  /* image NULL: there is none          */
	struct image_file memory; /* image NULL: it is in the state     */
	struct vmware_state told;
	int writable;
	int is_guess;                                /* nobody said where memory is */
	int is_cut;                                  /* it is not all in the file   */
	struct image_stretch at[VMWARE_REGIONS_MAX]; /* [n] */
	size_t n;
	char detail[256];
};

/* ---- the two files --------------------------------------------------------------------------------- */

/* The name with another ending; "" where it has not the first one, or is too long. */
static void other_name(char *ret, size_t cap, const char *name, const char *from, const char *to)
{
	size_t len = strlen(name), from_len = strlen(from);
	int fits = len > from_len && strcmp(name + len - from_len, from) == 0 &&
		   len - from_len + strlen(to) < cap;

	ret[0] = '\0';
	if (fits)
		snprintf(ret, cap, "%.*s%s", (int)(len - from_len), name, to);
}

static int take_state(struct vmware *v, struct sonde_error *err)
{
	struct source source = image_file_source(&v->state);
	const char *why;
	int r = vmware_state_read(&v->told, &source, &why);

	return r < 0 ? image_file_refuse(&v->state, "vmware", r, why, err) : 0;
}

/* Beside a memory file there may be a state; which one there is, is asked. */
static int find_state(struct vmware *v, const char *path, struct sonde_error *err)
{
	static const char *const endings[] = { ".vmss", ".vmsn" };
	char name[4096];

	for (size_t i = 0; i < 2; i++) {
		other_name(name, sizeof(name), path, ".vmem", endings[i]);
		int r = image_file_open_name(&v->state, v->host, v->args, name, err);
		if (r == 0)
			return take_state(v, err);
		if (r != SONDE_E_NOT_FOUND)
			return r;
	}
	return 0;
}

static int refuse_packed(const struct vmware *v, struct sonde_error *err)
{
	return v->host->error_set(err, SONDE_E_UNSUPPORTED,
				  "vmware: '%.200s': holds the memory packed, which is not read "
				  "here: VMware's vmss2core makes a core of it, or say where it is "
				  "unpacked: vmem=FILE",
				  image_file_name(&v->state));
}

static int find_memory(struct vmware *v, const char *path, struct sonde_error *err)
{
	const char *given = v->host->arg(v->args, "vmem");
	char name[4096];

	if (given)
		return image_file_open_name(&v->memory, v->host, v->args, given, err);
	if (v->told.memory_len)
		return v->told.packed ? refuse_packed(v, err) : 0;
	other_name(name, sizeof(name), path, ".vmss", ".vmem");
	if (!name[0])
		other_name(name, sizeof(name), path, ".vmsn", ".vmem");
	int r = name[0] ? image_file_open_name(&v->memory, v->host, v->args, name, err)
			: SONDE_E_NOT_FOUND;
	if (r != SONDE_E_NOT_FOUND)
		return r;
	return v->host->error_set(
		err, r,
		"vmware: '%.200s': does not hold the memory, and no file of its "
		"name with .vmem for its ending is beside it: say which one does: "
		"vmem=FILE",
		image_file_name(&v->state));
}

/* What path names is the state, or, by its ending, the memory. */
static int open_files(struct vmware *v, struct sonde_error *err)
{
	const char *path = v->host->arg(v->args, "path");
	uint8_t head[VMSS_HEAD_SIZE];
	char name[4096];
	int r = image_file_open(&v->state, v->host, v->args, "vmware", err);

	if (r < 0)
		return r;
	int64_t n = image_file_read(&v->state, 0, head, sizeof(head));
	if (n == (int64_t)sizeof(head) && vmss_probe(head, sizeof(head)))
		return (r = take_state(v, err)) < 0 ? r : find_memory(v, path, err);
	other_name(name, sizeof(name), path, ".vmem", "");
	if (!name[0] || v->host->arg(v->args, "vmem"))
		return image_file_refuse(&v->state, "vmware", SONDE_E_BAD_FORMAT,
					 "is no state file of VMware (.vmss, .vmsn); a memory file "
					 "without one is called .vmem",
					 err);
	v->memory = v->state;
	v->state = (struct image_file){ .host = v->host, .fd = -1 };
	return find_state(v, path, err);
}

/* ---- which memory is where ------------------------------------------------------------------------- */

static const struct image_file *memory_file(const struct vmware *v)
{
	return v->memory.image ? &v->memory : &v->state;
}

/* base, size: of the memory in its file. */
static void add(struct vmware *v, uint64_t base, uint64_t size, const struct vmware_region *region)
{
	uint64_t left = region->off < size ? size - region->off : 0;
	struct image_stretch stretch = { .addr = region->addr,
					 .len = region->len,
					 .off = base + region->off,
					 .have = region->len < left ? region->len : left };

	v->is_cut |= stretch.have < stretch.len;
	v->at[v->n++] = stretch;
}

static void lay_out(struct vmware *v)
{
	const struct vmware_state *told = &v->told;
	uint64_t base = v->memory.image ? 0 : told->memory_off;
	uint64_t in_file = memory_file(v)->size > base ? memory_file(v)->size - base : 0;
	uint64_t size = v->memory.image || in_file < told->memory_len ? in_file : told->memory_len;

	for (uint32_t i = 0; i < told->n_regions; i++)
		add(v, base, size, &told->regions[i]);
	if (told->n_regions || told->n_refused || !size)
		return;
	v->is_guess = !told->has_count && size > HOLE;
	uint64_t first = v->is_guess ? HOLE : size;
	add(v, base, size, &(struct vmware_region){ .len = first });
	if (v->is_guess)
		add(v, base, size,
		    &(struct vmware_region){ .addr = HOLE_END, .off = HOLE, .len = size - HOLE });
}

static void describe(struct vmware *v)
{
	const struct vmware_state *told = &v->told;
	char refused[48] = "";

	if (told->n_refused)
		snprintf(refused, sizeof(refused), ", %u refused: they lie", told->n_refused);
	snprintf(v->detail, sizeof(v->detail), "VMware guest, %s, %zu region%s%s, %u CPU%s%s%s",
		 !v->state.image   ? "memory without a .vmss or .vmsn beside it"
		 : v->memory.image ? "state and memory"
				   : "state that holds the memory",
		 v->n, v->n == 1 ? "" : "s", refused, told->n_cpus, told->n_cpus == 1 ? "" : "s",
		 v->is_cut || told->cut ? ", cut off" : "",
		 v->is_guess
			 ? ", no memory from 3 to 4 GiB: assumed, for nothing says it; if that is "
			   "wrong say flat:FILE,regions=LIST"
			 : "");
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void vmware_close(void *conn)
{
	struct vmware *v = conn;

	vmware_state_finish(&v->told);
	image_file_close(&v->state);
	image_file_close(&v->memory);
	free(v);
}

static int open_all(struct vmware *v, struct sonde_error *err)
{
	int r = open_files(v, err);

	if (r < 0)
		return r;
	lay_out(v);
	if (!v->n)
		return image_file_refuse(memory_file(v), "vmware", SONDE_E_CORRUPT,
					 "no region of memory that is told is sound", err);
	describe(v);
	return 0;
}

static int vmware_open(const struct sonde_host *host, const struct sonde_args *args,
		       void **ret_conn, struct sonde_error *err)
{
	struct vmware *v = calloc(1, sizeof(*v));

	if (!v)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	v->host = host;
	v->args = args;
	v->writable = host->arg_write(args);
	int r = open_all(v, err);
	if (r < 0) {
		vmware_close(v);
		return r;
	}
	*ret_conn = v;
	return 0;
}

static void vmware_info(void *conn, struct sonde_target_info *ret)
{
	const struct vmware *v = conn;

	ret->detail = v->detail;
	ret->arch = v->told.arch;
	ret->flags = SONDE_TARGET_PHYSICAL | (v->writable ? SONDE_TARGET_WRITABLE : 0);
	ret->n_cpus = v->told.n_cpus;
}

static int vmware_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct vmware *v = conn;
	uint32_t flags =
		SONDE_REGION_READ | SONDE_REGION_RAM | (v->writable ? SONDE_REGION_WRITE : 0);
	int r = 0;

	(void)err;
	for (int missing = 0; missing < 2; missing++) {
		for (size_t i = 0; r == 0 && i < v->n; i++)
			r = image_file_tell(memory_file(v), &v->at[i], flags, missing, fn, user);
	}
	return r;
}

static int vmware_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	const struct vmware_state *told = &((const struct vmware *)conn)->told;

	if (index >= told->n_cpus)
		return told->n_cpus ? SONDE_E_NOT_FOUND : SONDE_E_UNSUPPORTED;
	*ret = told->cpus[index].cpu;
	return 0;
}

static int vmware_is(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return vmss_probe(head, head_len) ? 90 : 0;
}

static const struct sonde_connector_ops vmware_ops = {
	.size = sizeof(vmware_ops),
	.open = vmware_open,
	.close = vmware_close,
	.info = vmware_info,
	.extents = vmware_extents,
	.cpu = vmware_cpu,
	.probe = vmware_is,
};

SONDE_PLUGIN(.name = "vmware",
	     .summary = "suspended guest of VMware, or a snapshot: .vmss, .vmsn, .vmem",
	     .main_arg = "path",
	     .args_help =
		     "path=FILE  its state (.vmss, .vmsn) or memory (.vmem), or the URL "
		     "(required)\n"
		     "vmem=FILE  its memory, or the URL (that of the state's name, beside it)\n",
	     .connector = &vmware_ops);
