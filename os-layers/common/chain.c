/* SPDX-License-Identifier: MIT */
/*
 * Targets in targets: a process of the system that a target shows, the guest of a QEMU that runs there, and that of any
 * hypervisor. The RAM of QEMU's is one mapping of it; where it goes in the machine follows from QEMU's command line, as for one of
 * this machine whose monitor does not answer (connectors/common/memory_map.c). Of the other the processor's tables say it.
 */
#include "plug/chain.h"

#include <sonde/os.h>
#include <sonde/space.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../connectors/common/memory_map.h"
#include "arch/paging.h"
#include "common/images.h"
#include "common/vmcb.h"
#include "space/remap.h"

#define DEFAULT_RAM ((uint64_t)128 << 20) /* QEMU's own; larger on a few boards */

/* ---- a space that knows its regions --------------------------------------------------------------------- */

struct view {
	struct remap remap;
	struct sonde_mappings *mappings; /* of a process  */
	struct memory_map map;           /* else: a guest */
};

static int mapping_regions(const struct sonde_mappings *mappings, sonde_region_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sonde_mappings_count(mappings); i++) {
		const struct sonde_mapping *m = sonde_mappings_at(mappings, i);
		struct sonde_region region = { .addr = m->start,
					       .len = m->end - m->start,
					       .flags = m->flags,
					       .name = m->path };
		if (m->end > m->start)
			r = fn(user, &region);
	}
	return r;
}

static int view_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	const struct view *view = (const struct view *)(void *)space;
	int r = 0;

	if (view->mappings)
		return mapping_regions(view->mappings, fn, user);
	for (size_t i = 0; r == 0 && i < view->map.n; i++) {
		const struct memory_range *range = &view->map.ranges[i];
		struct sonde_region region = { .addr = range->addr,
					       .len = range->len,
					       .flags = range->flags,
					       .name = range->name };
		r = fn(user, &region);
	}
	return r;
}

static void view_destroy(struct sonde_space *space)
{
	struct view *view = (struct view *)(void *)space;

	remap_finish(&view->remap);
	sonde_mappings_destroy(view->mappings);
	memory_map_finish(&view->map);
	free(view);
}

static const struct space_ops view_ops = {
	.submit = remap_submit,
	.cancel = remap_cancel,
	.regions = view_regions,
	.borrow = remap_borrow,
	.trim = remap_trim,
	.invalidate = remap_invalidate,
	.destroy = view_destroy,
};

/* Takes what is in *like, also where it fails. */
static int make_view(struct sonde_loop *loop, const struct view *like,
		     const struct sonde_stretch *stretches, size_t n, struct sonde_space **ret,
		     struct sonde_error *err)
{
	struct view *view = malloc(sizeof(*view));
	int r = SONDE_E_NO_MEMORY;

	if (view) {
		*view = *like;
		r = remap_init(&view->remap, &view_ops, loop, stretches, n);
	}
	if (r == 0) {
		*ret = &view->remap.space;
		return 0;
	}
	struct memory_map map = like->map;
	sonde_mappings_destroy(like->mappings);
	memory_map_finish(&map);
	free(view);
	return sonde_error_set(err, r, NULL);
}

/* ---- which process --------------------------------------------------------------------------------------- */

struct choice {
	const char *word, *first;
	struct guest *guest; /* [2] the one looked at, the one found; NULL: any process will do */
	int32_t pid;         /* of first, where it is a number that one can have; else 0 */
	int32_t found;
	unsigned n;
};

/* Its command line is the guest's word: taken apart as that of no process of this machine. */
static int is_guest(const struct choice *choice, const struct sonde_process *p)
{
	return p->cmdline && guest_parse(choice->guest, 0, p->cmdline, (size_t)p->cmdline_len) &&
	       (p->pid == choice->pid || !choice->first[0] ||
		strcmp(choice->guest->name, choice->first) == 0);
}

static int is_chosen(const struct choice *choice, const struct sonde_process *p)
{
	if (p->kernel_thread)
		return 0;
	if (choice->guest)
		return is_guest(choice, p);
	return p->pid == choice->pid ||
	       (!choice->pid && p->name && strcmp(p->name, choice->first) == 0);
}

static void choose(struct choice *choice, const struct sonde_processes *list)
{
	for (size_t i = 0; i < sonde_processes_count(list); i++) {
		const struct sonde_process *p = sonde_processes_at(list, i);
		if (is_chosen(choice, p)) {
			choice->found = p->pid;
			choice->n++;
			if (choice->guest)
				choice->guest[1] = choice->guest[0];
		}
	}
}

static int find_process(struct sonde_os *os, struct choice *choice, struct sonde_error *err)
{
	struct sonde_processes *list;
	uint32_t fields = SONDE_PROCESS_IDENTITY | (choice->guest ? SONDE_PROCESS_CMDLINE : 0u);

	if (choice->first[0] && strspn(choice->first, "0123456789") == strlen(choice->first)) {
		unsigned long pid = strtoul(choice->first, NULL, 10);
		choice->pid = pid <= INT32_MAX ? (int32_t)pid : 0;
	}
	int r = sonde_os_processes(os, fields, &list, err);
	if (r < 0)
		return r;
	choose(choice, list);
	sonde_processes_destroy(list);
	if (choice->n == 0)
		return sonde_error_set(
			err, SONDE_E_NOT_FOUND,
			"%s: '%.60s': there is none in this guest; 'sonde ps' lists what there is",
			choice->word, choice->first);
	if (choice->n > 1)
		return sonde_error_set(
			err, SONDE_E_AMBIGUOUS,
			"%s: '%.60s': %u processes answer to this: name one by its number",
			choice->word, choice->first, choice->n);
	return 0;
}

/* ---- a process ---------------------------------------------------------------------------------------------- */

static int open_process(struct chain_link *link, int32_t pid, struct sonde_mappings *mappings,
			struct sonde_loop *loop, struct sonde_error *err)
{
	struct view like = { .mappings = mappings };
	struct sonde_stretch all = { .len = UINT64_MAX, .space = link->process };
	struct sonde_kernel kernel;

	if (images_arch(link->process, mappings, &link->arch) < 0) {
		sonde_os_kernel(link->os, &kernel);
		link->arch = kernel.arch;
	}
	link->flags = SONDE_TARGET_PROCESS;
	snprintf(link->detail, sizeof(link->detail), "process %d of a guest", (int)pid);
	return make_view(loop, &like, &all, 1, &link->memory, err);
}

/* ---- a guest ------------------------------------------------------------------------------------------------ */

/* The one mapping of this size that can be written and holds no code; NULL: none, or several. */
static const struct sonde_mapping *find_ram(const struct sonde_mappings *mappings, uint64_t size)
{
	const struct sonde_mapping *found = NULL;

	for (size_t i = 0; i < sonde_mappings_count(mappings); i++) {
		const struct sonde_mapping *m = sonde_mappings_at(mappings, i);
		if (m->end < m->start || m->end - m->start != size ||
		    !(m->flags & SONDE_REGION_WRITE) || (m->flags & SONDE_REGION_EXEC))
			continue;
		if (found)
			return NULL;
		found = m;
	}
	return found;
}

/* What QEMU has not touched of its RAM has no page, unless the RAM is a file, in which it may be. */
static void fill_untouched(struct sonde_space *process, const struct sonde_mapping *ram)
{
	if (!ram->err && !ram->inode && !(ram->flags & SONDE_REGION_SHARED))
		paging_space_zeros(process, ram->start, ram->end - ram->start);
}

static int guess_map(struct sonde_space *process, struct guest *guest,
		     const struct sonde_mappings *mappings, struct memory_map *ret,
		     struct sonde_error *err)
{
	if (!guest->memory)
		guest->memory = DEFAULT_RAM;
	const struct sonde_mapping *ram = find_ram(mappings, guest->memory);
	if (!ram)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"qemu: '%s': its process has no one mapping of %llu MiB, which its "
			"command line says it has of RAM",
			guest->name, (unsigned long long)guest->memory >> 20);
	fill_untouched(process, ram);
	int r = memory_map_guess(ret, guest, ram->start);
	return r < 0 ? sonde_error_set(
			       err, r,
			       "qemu: '%s': where RAM is in a machine '%s' of %s is not known here",
			       guest->name, guest->machine, guest->program)
		     : 0;
}

static int open_guest(struct chain_link *link, struct guest *guest, int32_t pid,
		      const struct sonde_mappings *mappings, struct sonde_loop *loop,
		      struct sonde_error *err)
{
	struct view like = { 0 };
	int r = guess_map(link->process, guest, mappings, &like.map, err);

	if (r < 0)
		return r;
	struct sonde_stretch *stretches = calloc(like.map.n + 1, sizeof(*stretches));
	if (!stretches) {
		memory_map_finish(&like.map);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	for (size_t i = 0; i < like.map.n; i++)
		stretches[i] = (struct sonde_stretch){ .addr = like.map.ranges[i].addr,
						       .len = like.map.ranges[i].len,
						       .space = link->process,
						       .at = like.map.ranges[i].hva };
	link->flags = SONDE_TARGET_PHYSICAL;
	link->arch = guest_arch(guest);
	snprintf(link->detail, sizeof(link->detail),
		 "guest '%s' of process %d of a guest, map guessed from its command line",
		 guest->name, (int)pid);
	r = make_view(loop, &like, stretches, like.map.n, &link->memory, err);
	free(stretches);
	return r;
}

/* ---- a guest of any hypervisor -------------------------------------------------------------------------------- */

/* Its tables have as many levels as the hypervisor's own (15.25.1): those of the system below. */
static int open_vm(struct sonde_target *below, const struct choice *choice, struct chain_link *link,
		   struct sonde_error *err)
{
	struct sonde_target_info info;
	struct sonde_kernel kernel;
	struct vmcb_guest guest = { 0 };
	int r = vmcb_choose(sonde_target_memory(below), choice->first, &guest, err);

	if (r < 0)
		return r;
	sonde_target_info(below, &info);
	sonde_os_kernel(link->os, &kernel);
	struct sonde_tables tables = { .format = kernel.page_levels == 5 ? "npt5" : "npt4",
				       .root = guest.root,
				       .forget_ns = info.flags & SONDE_TARGET_LIVE ? LIVE_FORGET_NS
										   : 0 };
	link->flags = SONDE_TARGET_PHYSICAL;
	link->arch = SONDE_ARCH_X86_64;
	snprintf(link->detail, sizeof(link->detail),
		 "guest of a hypervisor, %u processors, tables (%s) at 0x%llx", guest.n_cpus,
		 tables.format, (unsigned long long)guest.root);
	r = sonde_space_tables(sonde_target_memory(below), &tables, &link->memory);
	return r < 0 ? sonde_error_set(err, r, NULL) : 0;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int open_chosen(struct sonde_target *below, const struct choice *choice,
		       struct chain_link *link, struct sonde_error *err)
{
	struct sonde_loop *loop = sonde_target_loop(below);
	struct sonde_mappings *mappings;
	int32_t pid = choice->found;
	int r = sonde_os_process_memory(link->os, pid, &link->process, err);

	if (r < 0 || (r = sonde_os_mappings(link->os, pid, &mappings, err)) < 0)
		return r;
	if (!choice->guest)
		return open_process(link, pid, mappings, loop, err);
	r = open_guest(link, &choice->guest[1], pid, mappings, loop, err);
	sonde_mappings_destroy(mappings);
	return r;
}

static int open_in(struct sonde_target *below, struct choice *choice, struct chain_link *link,
		   struct sonde_error *err)
{
	int r = sonde_os_attach(below, NULL, &link->os, err);

	if (r == 0 && strcmp(choice->word, "vm") == 0)
		return open_vm(below, choice, link, err);
	if (r == 0)
		r = find_process(link->os, choice, err);
	return r < 0 ? r : open_chosen(below, choice, link, err);
}

int chain_open(struct sonde_target *below, const char *word, const char *first,
	       struct chain_link *ret, struct sonde_error *err)
{
	struct choice choice = { .word = word, .first = first };
	struct chain_link link = { 0 };
	struct sonde_target_info info;
	int is_qemu = strcmp(word, "qemu") == 0, is_process = strcmp(word, "process") == 0;

	if (!is_qemu && !is_process && strcmp(word, "vm") != 0)
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"target: '%s:' behind a bar: there are process:, qemu: and vm:, of what "
			"runs in the target in front of it",
			word);
	if (is_process && !first[0])
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"process: no process given: write |process:PID or |process:NAME");
	if (is_qemu && !(choice.guest = malloc(2 * sizeof(*choice.guest))))
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = open_in(below, &choice, &link, err);
	free(choice.guest);
	if (r < 0) {
		chain_close(&link);
		return r;
	}
	sonde_target_info(below, &info);
	link.flags |= info.flags & (SONDE_TARGET_LIVE | SONDE_TARGET_WRITABLE);
	*ret = link;
	return 0;
}

void chain_close(struct chain_link *link)
{
	sonde_space_close(link->memory);
	sonde_space_close(link->process);
	sonde_os_detach(link->os);
	*link = (struct chain_link){ 0 };
}
