/* SPDX-License-Identifier: MIT */
/*
 * Which Linux kernel runs in this memory. RAM keeps remnants of earlier boots, whole kernels
 * among them, so everything found is a candidate and has to prove itself:
 *
 *   1. what a processor runs on: its page-table root leads to the image (on aarch64 and riscv64 with the help of its
 *      exception vectors), the image to its symbols, those to vmcoreinfo. A processor does not run on a remnant.
 *   2. the VMCOREINFO note
 *   3. every page of RAM that begins like vmcoreinfo; of those that pass, one whose init_task is a
 *      member of its own list, and of those the one whose clock is latest
 *
 * Proof: the tables map _stext, the banner agrees with OSRELEASE, vmcoreinfo_data points back to
 * the page, BTF parses.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ram_pages.h"
#include "linux/arch.h"
#include "linux/image.h"
#include "linux/kernel.h"
#include "sym/symbols.h"
#include "sym/types.h"
#include "sym/vmlinux.h"

#define PROCESSORS_MAX 64u /* that are looked at */
#define PAGES_MAX                                                                                  \
	4096u /* that begin like vmcoreinfo: more copies than any number of reboots leaves */
#define LIVE_TLB_NS UINT64_C(100000000) /* how old a translation of a live guest may be */

struct detect {
	struct sonde_target *target;
	const struct sonde_os_options *options;
	struct sonde_space *phys;
	uint32_t arch; /* enum sonde_arch: what the target says it is, or NONE */
	bool live;
	uint32_t candidates;
	char story[320]; /* why the candidates so far were refused */
	int worst;       /* SONDE_E_NO_TYPES outweighs "not found" */
	bool bad_types;  /* a candidate fell because its own types are damaged */
};

/* Why a candidate fell, for the error of a search that finds nothing. */
static void refuse(struct detect *d, const char *what, int code, const struct sonde_error *why)
{
	size_t used = strlen(d->story);

	if (code == SONDE_E_NO_TYPES)
		d->worst = code;
	snprintf(d->story + used, sizeof(d->story) - used, "%s%s: %s", used ? "; " : "", what,
		 why->text[0] ? why->text : sonde_strerror(code));
}

static void linux_free(struct linux_os *lx)
{
	if (!lx)
		return;
	types_destroy(lx->os.types);
	symbols_destroy(lx->os.symbols);
	data_symbols_finish(&lx->data_symbols);
	sonde_space_close(lx->os.kernel_memory);
	vmlinux_close(lx->vmlinux);
	free(lx->btf);
	arena_finish(&lx->arena);
	free(lx);
}

static struct linux_os *linux_new(const struct detect *d, const struct linux_arch *arch)
{
	struct linux_os *lx = calloc(1, sizeof(*lx));

	if (!lx)
		return NULL;
	lx->os.layer = &os_linux;
	lx->arch = arch;
	lx->target = d->target;
	lx->loop = sonde_target_loop(d->target);
	lx->phys = d->phys;
	lx->is_live = d->live;
	lx->tlb_ns = d->live ? LIVE_TLB_NS : 0;
	return lx;
}

int linux_symbol(const struct linux_os *lx, const char *name, uint64_t *ret)
{
	struct sonde_symbol symbol;

	if (!lx->os.symbols || !sonde_symbol_find(lx->os.symbols, name, &symbol))
		return data_symbol_get(&lx->data_symbols, name, ret);
	*ret = symbol.addr;
	return 1;
}

bool linux_since(const struct linux_os *lx, unsigned major, unsigned minor)
{
	unsigned own_major = 0, own_minor = 0;

	if (!lx->kernel.release || sscanf(lx->kernel.release, "%u.%u", &own_major, &own_minor) != 2)
		return true;
	return own_major > major || (own_major == major && own_minor >= minor);
}

bool linux_pointer_plausible(const struct linux_os *lx, uint64_t pointer)
{
	return (pointer & 7) == 0 && (int64_t)pointer < 0 && paging_canonical(lx->paging, pointer);
}

/* ---- proof ------------------------------------------------------------------------------------ */

static int set_root(struct linux_os *lx, const struct paging *paging, uint64_t root,
		    struct sonde_error *err)
{
	sonde_space_close(lx->os.kernel_memory);
	lx->os.kernel_memory = NULL;
	lx->paging = paging;
	lx->root = root;
	int r = paging_space(lx->phys, linux_kernel_map(lx), lx->tlb_ns, &lx->os.kernel_memory);
	return r < 0 ? sonde_error_set(err, r, NULL) : SONDE_OK;
}

/* The kernel's own root, not that of whichever process ran when the processor was looked at. */
static int prefer_own_root(struct linux_os *lx, struct sonde_error *err)
{
	struct sonde_translation at;
	uint64_t va;

	if (!linux_symbol(lx, "init_top_pgt", &va) && !linux_symbol(lx, "swapper_pg_dir", &va))
		return SONDE_OK;
	if (paging_translate(lx->phys, linux_kernel_map(lx), va, &at) < 0 || at.pa == lx->root)
		return SONDE_OK;
	return set_root(lx, lx->paging, at.pa, err);
}

/*
 * The kernel's own pointer to its vmcoreinfo must lead to this page. A copy of the text elsewhere still
 * leads to the kernel it speaks of, which then has the original: the same text.
 */
static int prove_page(struct linux_os *lx, uint64_t page, struct sonde_error *err)
{
	struct sonde_translation at;
	uint8_t bytes[VMCOREINFO_MAX];
	struct vmcoreinfo own;
	uint64_t pointer, va;

	if (page == UINT64_MAX || !linux_symbol(lx, "vmcoreinfo_data", &pointer))
		return SONDE_OK;
	if (sonde_space_u64(lx->os.kernel_memory, pointer, &va) == SONDE_OK &&
	    paging_translate(lx->phys, linux_kernel_map(lx), va, &at) == SONDE_OK) {
		if (at.pa == page)
			return SONDE_OK;
		if (sonde_space_get(lx->phys, at.pa & ~(SONDE_PAGE_SIZE - 1), bytes,
				    sizeof(bytes)) == SONDE_OK &&
		    vmcoreinfo_parse(bytes, sizeof(bytes), &own, NULL) == SONDE_OK &&
		    own.len == lx->info.len && memcmp(own.text, lx->info.text, own.len) == 0)
			return SONDE_OK;
	}
	return sonde_error_set(err, SONDE_E_CORRUPT, "its kernel keeps another vmcoreinfo");
}

/* "Linux version RELEASE (builder) ..." */
static int prove_banner(struct linux_os *lx, struct sonde_error *err)
{
	char release[128];

	lx->kernel.version = image_banner(lx, err);
	if (!lx->kernel.version)
		return SONDE_E_CORRUPT;
	const char *own = lx->kernel.version + strlen("Linux version ");
	lx->kernel.release = arena_strndup(&lx->arena, own, strcspn(own, " "));
	if (!lx->kernel.release)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (!lx->info.len || !vmcoreinfo_text(&lx->info, "OSRELEASE", release, sizeof(release)))
		return SONDE_OK;
	size_t len = strlen(release);
	if (strncmp(own, release, len) != 0 || own[len] != ' ')
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "vmcoreinfo says release '%s', the banner '%.40s'", release,
				       own);
	return SONDE_OK;
}

/*
 * A list of one's own: the neighbour behind points back. In a kernel that runs it does not only where
 * the list was damaged, and all the rest of it may still be read; so this decides between
 * candidates and refuses none.
 */
static bool init_task_is_linked(struct linux_os *lx)
{
	uint64_t task, next, back;
	uint32_t tasks = lx->layout.task_tasks.off;

	if (!linux_symbol(lx, "init_task", &task))
		return true; /* kernels without data symbols cannot be asked */
	return sonde_space_u64(lx->os.kernel_memory, task + tasks, &next) == SONDE_OK &&
	       sonde_space_u64(lx->os.kernel_memory, next + 8, &back) == SONDE_OK &&
	       back == task + tasks;
}

static bool same_build(const struct linux_os *lx, const struct vmlinux_id *id, char *own,
		       size_t cap)
{
	char hex[2 * sizeof(id->bytes) + 1];

	if (!id->len || !vmcoreinfo_text(&lx->info, "BUILD-ID", own, cap))
		return true; /* nothing to compare with */
	for (uint32_t i = 0; i < id->len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id->bytes[i]);
	return strcmp(hex, own) == 0;
}

static int types_from_file(struct linux_os *lx, const char *path, struct sonde_error *err)
{
	struct vmlinux_id id;
	char own[160];
	int r = vmlinux_open(path, &lx->vmlinux, err);

	if (r < 0)
		return r;
	vmlinux_build_id(lx->vmlinux, &id);
	if (!same_build(lx, &id, own, sizeof(own)))
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "symbols: '%s' is of another build: the guest runs %s", path,
				       own);
	return vmlinux_types(lx->vmlinux, &lx->os.types, err);
}

static int load_types(struct detect *d, struct linux_os *lx, struct sonde_error *err)
{
	int r = SONDE_OK;

	if (!d->options->symbols) {
		r = image_types(lx, err);
		if (r == SONDE_E_NO_TYPES) {
			sonde_error_prefix(err, "%.60s: no types", lx->kernel.version);
			size_t used = strlen(err->text);
			snprintf(err->text + used, sizeof(err->text) - used,
				 ": give a vmlinux of this build with --symbols FILE");
		} else if (r < 0) {
			d->bad_types = true;
		}
		return r;
	}
	return types_from_file(lx, d->options->symbols, err);
}

/*
 * Everything after the root and, where known, vmcoreinfo are set. page: where that lay in RAM, UINT64_MAX: nowhere that
 * was looked for.
 */
static int prove(struct detect *d, struct linux_os *lx, const struct image *image, uint64_t page,
		 struct sonde_error *err)
{
	int r = lx->os.symbols ? SONDE_OK : image_symbols(lx, image, err);

	if (r == SONDE_OK)
		r = data_symbols_find(lx);
	if (r == SONDE_OK)
		r = prefer_own_root(lx, err);
	if (r == SONDE_OK)
		r = prove_page(lx, page, err);
	if (r == SONDE_OK)
		r = prove_banner(lx, err);
	if (r == SONDE_OK)
		r = load_types(d, lx, err);
	if (r == SONDE_OK)
		r = layout_resolve(lx->os.types, &lx->layout, err);
	if (r == SONDE_OK)
		r = data_symbols_find_by_types(lx);
	if (r == SONDE_OK) {
		lx->arch->settle(lx);
		lx->doubtful = !init_task_is_linked(lx);
	}
	return r;
}

/* ---- 1. from a processor -------------------------------------------------------------------- */

/* vmcoreinfo_data points to the page; a kernel without it has none, which is allowed. */
static void read_own_vmcoreinfo(struct linux_os *lx)
{
	uint8_t page[VMCOREINFO_MAX];
	uint64_t pointer, at;

	if (!linux_symbol(lx, "vmcoreinfo_data", &pointer) ||
	    sonde_space_u64(lx->os.kernel_memory, pointer, &at) < 0 ||
	    sonde_space_get(lx->os.kernel_memory, at, page, sizeof(page)) < 0 ||
	    vmcoreinfo_parse(page, sizeof(page), &lx->info, NULL) < 0)
		lx->info.len = 0;
}

/* The first place whose tables map the image's text where it should be. */
static int settle_place(struct linux_os *lx, const struct linux_place *places, int n,
			struct sonde_error *err)
{
	struct sonde_translation at;
	uint64_t stext = 0;

	vmcoreinfo_symbol(&lx->info, "_stext", &stext);
	for (int i = 0; i < n; i++) {
		int r = set_root(lx, places[i].paging, places[i].root, err);
		if (r < 0)
			return r;
		lx->image_slide = places[i].slide;
		r = paging_translate(lx->phys, linux_kernel_map(lx), stext, &at);
		if (r == SONDE_OK && stext - at.pa == places[i].slide)
			return SONDE_OK;
	}
	return sonde_error_set(err, SONDE_E_CORRUPT,
			       "its page tables (at 0x%" PRIx64 ") do not map its _stext",
			       lx->root);
}

/*
 * A processor that leads to the image's text leads to vmcoreinfo as well, which tells how such a kernel is mapped: the
 * tables have to agree.
 */
static int place_by_own_vmcoreinfo(struct linux_os *lx, struct sonde_error *err)
{
	struct linux_place places[LINUX_PLACES_MAX];
	uint64_t slide = lx->image_slide;

	if (!lx->info.len)
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "its page tables at 0x%" PRIx64
				       " lead to an image without vmcoreinfo",
				       lx->root);
	int n = lx->arch->places_of_info(&lx->info, places, err);
	int r = n < 0 ? n : settle_place(lx, places, n, err);
	if (r < 0 || lx->image_slide == slide)
		return r;
	return sonde_error_set(err, SONDE_E_CORRUPT,
			       "its vmcoreinfo is of an image that lies elsewhere");
}

static int try_root(struct detect *d, const struct linux_arch *arch,
		    const struct linux_place *place, struct linux_os **ret, struct sonde_error *err)
{
	struct linux_os *lx = linux_new(d, arch);
	struct image image;
	int r;

	if (!lx)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	lx->image_text = place->text;
	r = set_root(lx, place->paging, place->root, err);
	if (r == SONDE_OK) {
		r = place->above ? image_find_text(lx, place->above) : SONDE_OK;
		if (r == SONDE_OK)
			r = image_find(lx, &image);
		if (r < 0)
			sonde_error_set(err, r,
					"its page tables at 0x%" PRIx64 " map no kernel image",
					place->root);
	}
	if (r == SONDE_OK)
		r = image_symbols(lx, &image, err);
	if (r == SONDE_OK)
		r = data_symbols_find_vmcoreinfo(lx);
	if (r == SONDE_OK) {
		read_own_vmcoreinfo(lx);
		r = place->text ? place_by_own_vmcoreinfo(lx, err) : SONDE_OK;
	}
	if (r == SONDE_OK)
		r = prove(d, lx, &image, UINT64_MAX, err);
	if (r < 0) {
		linux_free(lx);
		return r;
	}
	*ret = lx;
	return SONDE_OK;
}

static int try_cpu(struct detect *d, uint32_t index, const struct linux_arch *arch,
		   const struct linux_place *places, uint32_t n, struct linux_os **ret)
{
	struct sonde_error err = { 0 };
	char what[64];

	d->candidates++;
	int r = try_root(d, arch, &places[0], ret, &err);
	for (uint32_t i = 1; i < n && r < 0 && r != SONDE_E_NO_TYPES; i++)
		r = try_root(d, arch, &places[i], ret, &err);
	snprintf(what, sizeof(what), "processor %u", index);
	if (r < 0) {
		refuse(d, what, r, &err);
		return r;
	}
	(*ret)->by_cpu = true;
	(*ret)->kernel.found_by = arena_printf(
		&(*ret)->arena, "%s's page tables (at 0x%" PRIx64 ") lead to its image and symbols",
		what, places[0].root);
	return SONDE_OK;
}

static int from_cpus(struct detect *d, struct linux_os **ret)
{
	struct sonde_cpu cpu;
	int r = SONDE_E_NOT_FOUND;

	for (uint32_t i = 0; i < PROCESSORS_MAX && sonde_target_cpu(d->target, i, &cpu) == SONDE_OK;
	     i++) {
		const struct linux_arch *arch = linux_arch_of(cpu.arch);
		struct linux_place places[LINUX_PLACES_MAX];
		uint32_t n = arch ? arch->places_of_cpu(&cpu, places) : 0;
		if (!n)
			continue;
		r = try_cpu(d, i, arch, places, n, ret);
		if (r == SONDE_OK || r == SONDE_E_NO_TYPES)
			break;
	}
	return r;
}

/* ---- 2. and 3. from vmcoreinfo ------------------------------------------------------------------ */

/* page: where the text lay in RAM, or UINT64_MAX for a note. */
static int try_arch(struct detect *d, const struct linux_arch *arch, const struct vmcoreinfo *info,
		    uint64_t page, struct linux_os **ret, struct sonde_error *err)
{
	struct linux_os *lx = linux_new(d, arch);
	struct linux_place places[LINUX_PLACES_MAX];

	if (!lx)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	lx->info = *info;
	int r = arch->places_of_info(info, places, err);
	if (r > 0)
		r = settle_place(lx, places, r, err);
	if (r == SONDE_OK)
		r = prove(d, lx, NULL, page, err);
	if (r < 0) {
		linux_free(lx);
		return r;
	}
	*ret = lx;
	return SONDE_OK;
}

/* By the target's architecture; where it has none, a raw image, by whichever the text is of. */
static int try_info(struct detect *d, const void *bytes, size_t len, uint64_t page,
		    struct linux_os **ret, struct sonde_error *err)
{
	const struct linux_arch *arch;
	struct vmcoreinfo info;
	int r = vmcoreinfo_parse(bytes, len, &info, err);

	d->candidates++;
	if (r < 0)
		return r;
	r = SONDE_E_UNSUPPORTED;
	for (uint32_t i = 0; r == SONDE_E_UNSUPPORTED && (arch = linux_arch_at(i)); i++) {
		if (d->arch == SONDE_ARCH_NONE || d->arch == arch->arch)
			r = try_arch(d, arch, &info, page, ret, err);
	}
	if (r == SONDE_E_UNSUPPORTED && d->arch == SONDE_ARCH_NONE)
		sonde_error_set(err, r, "vmcoreinfo is of no architecture that is understood");
	return r;
}

static int from_note(struct detect *d, struct linux_os **ret)
{
	struct sonde_error err = { 0 };
	char text[VMCOREINFO_MAX];
	int64_t len = sonde_target_note(d->target, "VMCOREINFO", text, sizeof(text));

	if (len < 0)
		return SONDE_E_NOT_FOUND;
	if (len > (int64_t)sizeof(text))
		len = sizeof(text);
	int r = try_info(d, text, (size_t)len, UINT64_MAX, ret, &err);
	if (r < 0)
		refuse(d, "the VMCOREINFO note", r, &err);
	else
		(*ret)->kernel.found_by = d->live ? "the running kernel's VMCOREINFO note"
						  : "the dump's VMCOREINFO note";
	return r;
}

/* Texts that were tried: a copy says nothing new, however many of them a guest scatters. */
struct seen {
	uint64_t hash[PAGES_MAX];
	size_t n;
};

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const struct vmcoreinfo *info)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < info->len; i++)
		hash = (hash ^ (uint8_t)info->text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static bool seen_before(struct seen *seen, const uint8_t *bytes, size_t len)
{
	struct vmcoreinfo info;

	if (vmcoreinfo_parse(bytes, len, &info, NULL) < 0)
		return false;
	uint64_t hash = hash_text(&info);
	for (size_t i = 0; i < seen->n; i++) {
		if (seen->hash[i] == hash)
			return true;
	}
	if (seen->n < PAGES_MAX)
		seen->hash[seen->n++] = hash;
	return false;
}

static int try_page(struct detect *d, uint64_t page, struct seen *seen, struct linux_os **ret)
{
	struct sonde_error err = { 0 };
	uint8_t bytes[VMCOREINFO_MAX];
	char what[64];
	int r = sonde_space_get(d->phys, page, bytes, sizeof(bytes));

	if (r == SONDE_OK && seen_before(seen, bytes, sizeof(bytes)))
		return SONDE_E_NOT_FOUND;
	if (r == SONDE_OK)
		r = try_info(d, bytes, sizeof(bytes), page, ret, &err);
	snprintf(what, sizeof(what), "vmcoreinfo at 0x%" PRIx64, page);
	if (r < 0)
		refuse(d, what, r, &err);
	return r;
}

/* What a search of all RAM has come to. */
struct best {
	struct linux_os *lx;
	uint64_t clock, page;
	uint32_t n_passed;
};

/* Of several that pass, the one whose task list is whole; of those the one that ran last. */
static bool is_better(const struct best *best, const struct linux_os *lx, uint64_t clock)
{
	if (!best->lx || best->lx->doubtful != lx->doubtful)
		return !best->lx || best->lx->doubtful;
	return clock > best->clock; /* a remnant's clock stands still */
}

static void compare(struct best *best, struct linux_os *lx, uint64_t page)
{
	uint64_t clock = kernel_clock(lx);

	best->n_passed++;
	if (!is_better(best, lx, clock)) {
		linux_free(lx);
		return;
	}
	linux_free(best->lx);
	best->lx = lx;
	best->clock = clock;
	best->page = page;
}

static int try_hits(struct detect *d, const uint64_t *hits, int n, struct linux_os **ret)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct best best = { 0 };
	struct linux_os *lx;

	for (int i = 0; i < n && seen; i++) {
		if (try_page(d, hits[i], seen, &lx) == SONDE_OK)
			compare(&best, lx, hits[i]);
	}
	free(seen);
	if (!best.lx)
		return seen ? SONDE_E_NOT_FOUND : SONDE_E_NO_MEMORY;
	best.lx->kernel.found_by = arena_printf(
		&best.lx->arena, "vmcoreinfo at 0x%" PRIx64 ", found in RAM%s", best.page,
		best.n_passed > 1 ? ": of several whole kernels the one whose clock is latest"
				  : "");
	*ret = best.lx;
	return SONDE_OK;
}

static int from_scan(struct detect *d, struct linux_os **ret)
{
	static const struct ram_pages like_vmcoreinfo = { .len = VMCOREINFO_MAGIC,
							  .fits = vmcoreinfo_looks_like };
	uint64_t *hits = calloc(PAGES_MAX, sizeof(*hits));
	int n = hits ? ram_pages_find(d->phys, &like_vmcoreinfo, hits, PAGES_MAX)
		     : SONDE_E_NO_MEMORY;
	int r = n < 0 ? n : try_hits(d, hits, n, ret);

	free(hits);
	return r;
}

/* ---- all together ------------------------------------------------------------------------------ */

static int nothing_found(const struct detect *d, struct sonde_error *err)
{
	if (d->worst == SONDE_E_NO_TYPES)
		return sonde_error_set(err, SONDE_E_NO_TYPES, "linux: %s", d->story);
	if (!d->candidates)
		return sonde_error_set(
			err, SONDE_E_NOT_FOUND,
			"linux: no kernel: no processor state, no VMCOREINFO note and no "
			"vmcoreinfo page in its RAM");
	return sonde_error_set(
		err, SONDE_E_NOT_FOUND, "linux: no kernel of %u candidates passed: %s%s",
		d->candidates, d->story,
		d->bad_types ? "; a vmlinux given with --symbols FILE replaces damaged types" : "");
}

/* false where every processor of a live target is in firmware or a loader: what its RAM holds ran before. */
static bool any_may_run(struct sonde_target *target)
{
	struct sonde_cpu cpu;
	uint32_t i = 0;

	for (; i < PROCESSORS_MAX && sonde_target_cpu(target, i, &cpu) == SONDE_OK; i++) {
		const struct linux_arch *arch = linux_arch_of(cpu.arch);
		if (!arch || arch->may_run_kernel(sonde_target_memory(target), &cpu))
			return true;
	}
	return i == 0;
}

/* The processor's tables lead from va to pa, as the kernel's do. */
static bool leads_to(const struct linux_os *lx, const struct sonde_cpu *cpu, uint64_t va,
		     uint64_t pa)
{
	struct linux_place places[LINUX_PLACES_MAX];
	uint32_t n = lx->arch->places_of_cpu(cpu, places);

	for (uint32_t i = 0; i < n; i++) {
		const struct paging_map map = { places[i].paging, places[i].root, places[i].root };
		struct sonde_translation at;
		if (paging_translate(lx->phys, map, va, &at) == SONDE_OK && at.pa == pa)
			return true;
	}
	return n == 0 && lx->arch->may_run_kernel(lx->phys, cpu);
}

static bool any_leads_here(const struct linux_os *lx)
{
	struct sonde_translation own;
	struct sonde_cpu cpu;
	uint64_t va;
	uint32_t i = 0;

	if (!linux_symbol(lx, "_stext", &va))
		return true;
	if (paging_translate(lx->phys, linux_kernel_map(lx), va, &own) < 0)
		return false;
	for (; i < PROCESSORS_MAX && sonde_target_cpu(lx->target, i, &cpu) == SONDE_OK; i++) {
		if (leads_to(lx, &cpu, va, own.pa))
			return true;
	}
	return i == 0;
}

int linux_check_runs(struct linux_os *lx, struct sonde_error *err)
{
	if (!lx->is_live || (lx->by_cpu ? any_leads_here(lx) : any_may_run(lx->target)))
		return SONDE_OK;
	return sonde_error_set(
		err, SONDE_E_GONE,
		"linux: the kernel that was found does not run any more: the guest has "
		"been reset, or a processor is in a guest of its own: try again");
}

/* RAM still holds what ran before a reset, for as long as nobody writes over it: half of it would be believed. */
static int nothing_runs(struct sonde_error *err)
{
	return sonde_error_set(
		err, SONDE_E_GONE,
		"linux: no kernel runs: the processors are in firmware or a loader, as "
		"after a reset: try again when it has booted");
}

/* A file that cannot be used is said once, not once a candidate. */
static int check_symbols_file(const char *path, struct sonde_error *err)
{
	struct vmlinux *vmlinux;
	int r = path ? vmlinux_open(path, &vmlinux, err) : SONDE_OK;

	if (path && r == SONDE_OK)
		vmlinux_close(vmlinux);
	return r;
}

static int linux_attach(struct sonde_target *target, const struct sonde_os_options *options,
			struct sonde_os **ret, struct sonde_error *err)
{
	struct detect d = { .target = target, .options = options };
	struct sonde_target_info info;
	struct linux_os *lx = NULL;

	sonde_target_info(target, &info);
	if (info.arch != SONDE_ARCH_NONE && !linux_arch_of(info.arch))
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "linux: '%s' is of a %s machine: x86_64, aarch64 and "
				       "riscv64 are understood",
				       info.name, sonde_arch_name(info.arch));
	d.arch = info.arch;
	int r = check_symbols_file(options->symbols, err);
	if (r < 0)
		return r;
	d.phys = sonde_target_memory(target);
	d.live = info.flags & SONDE_TARGET_LIVE;
	r = from_cpus(&d, &lx);
	if (r < 0 && d.live && !any_may_run(target))
		return nothing_runs(err);
	if (r < 0 && r != SONDE_E_NO_TYPES)
		r = from_note(&d, &lx);
	if (r < 0 && r != SONDE_E_NO_TYPES)
		r = from_scan(&d, &lx);
	if (r < 0)
		return nothing_found(&d, err);
	lx->kernel.candidates = d.candidates;
	kernel_describe(lx);
	*ret = &lx->os;
	return SONDE_OK;
}

static void linux_detach(struct sonde_os *os)
{
	linux_free(linux_of(os));
}

static int64_t linux_note(const struct sonde_os *os, const char *name, void *buf, size_t cap)
{
	const struct linux_os *lx = (const struct linux_os *)os;

	if (strcmp(name, "VMCOREINFO") != 0 || !lx->info.len)
		return SONDE_E_NOT_FOUND;
	if (cap)
		memcpy(buf, lx->info.text, lx->info.len < cap ? lx->info.len : cap);
	return lx->info.len;
}

static void linux_kernel(const struct sonde_os *os, struct sonde_kernel *ret)
{
	*ret = ((const struct linux_os *)(const void *)os)->kernel;
}

static int copy_symbols(const struct sonde_symbols *from, struct sonde_symbols *to)
{
	struct sonde_symbol symbol;

	for (size_t i = 0; sonde_symbol_get(from, i, &symbol); i++) {
		int r = symbols_add(to, symbol.addr, symbol.type, symbol.name, strlen(symbol.name),
				    SYMBOLS_KERNEL);
		if (r < 0)
			return r;
	}
	return SONDE_OK;
}

/* Returns how many; an error of the former. */
static int add_more(struct linux_os *lx, struct sonde_symbols *to)
{
	int n = data_symbols_copy(&lx->data_symbols, to);
	int of_modules = n < 0 ? n : linux_module_symbols(lx, to);

	return of_modules > 0 ? n + of_modules : n;
}

/* Without memory the kernel's own symbols stay as they are, with damaged modules they stay alone. */
static void linux_add_module_symbols(struct sonde_os *os)
{
	struct linux_os *lx = linux_of(os);
	size_t n = sonde_symbol_count(os->symbols);
	struct sonde_symbols *whole = symbols_create(n + n / 8, 32 * (n + n / 8));

	if (whole && copy_symbols(os->symbols, whole) == SONDE_OK && add_more(lx, whole) > 0 &&
	    symbols_seal(whole) == SONDE_OK) {
		symbols_destroy(os->symbols);
		os->symbols = whole;
		return;
	}
	symbols_destroy(whole);
}

static int linux_process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
				struct sonde_error *err)
{
	uint64_t root;
	int r = linux_process_root(linux_of(os), pid, &root, err);

	return r < 0 ? r : linux_user_space(linux_of(os), root, ret);
}

static int linux_table_memory(struct sonde_os *os, uint64_t page_table, struct sonde_space **ret)
{
	return linux_user_space(linux_of(os), page_table, ret);
}

const struct os_layer os_linux = {
	.name = "linux",
	.wants = SONDE_TARGET_PHYSICAL,
	.attach = linux_attach,
	.detach = linux_detach,
	.kernel = linux_kernel,
	.note = linux_note,
	.add_module_symbols = linux_add_module_symbols,
	.tasks = linux_tasks,
	.process_memory = linux_process_memory,
	.modules = linux_modules,
	.mappings = linux_mappings,
	.log = linux_log,
	.translate = linux_translate,
	.pages = linux_pages,
	.reverse = linux_reverse,
	.current = linux_current,
	.table_memory = linux_table_memory,
	.frames = linux_frames,
};
