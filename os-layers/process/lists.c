/* SPDX-License-Identifier: MIT */
/* What is listed of the image of a process: itself, its threads, its mappings, the images in it. */
#include <stdlib.h>
#include <string.h>

#include "common/images.h"
#include "common/pe_modules.h"
#include "process/process.h"

/* ---- tasks --------------------------------------------------------------------------------------- */

static const char *copied(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

static void lacks(struct sonde_process *p, uint32_t field)
{
	p->missing |= field;
	p->err = SONDE_E_NOT_SAVED;
}

/* When it started and how much of it was resident no image tells. */
static void note_missing(struct sonde_process *p, const struct description *said, uint32_t fields)
{
	lacks(p, fields & (SONDE_PROCESS_TIMES | SONDE_PROCESS_MEMORY));
	if (!said->has_uid)
		lacks(p, fields & SONDE_PROCESS_CRED);
	if (!said->args)
		lacks(p, fields & SONDE_PROCESS_CMDLINE);
	if (!said->exe)
		lacks(p, fields & SONDE_PROCESS_EXE);
	if (!p->missing)
		p->err = 0;
}

static int add_task(struct sonde_processes *list, const struct description *said, int32_t tid,
		    uint32_t fields)
{
	struct sonde_process *p = processes_add(list);

	if (!p)
		return SONDE_E_NO_MEMORY;
	*p = (struct sonde_process){ .pid = tid,
				     .tgid = said->pid,
				     .ppid = said->ppid,
				     .uid = said->uid,
				     .euid = said->uid,
				     .gid = said->gid,
				     .egid = said->gid,
				     .state = said->state ? said->state : '?',
				     .n_threads = (uint32_t)said->n_threads };
	p->name = copied(&list->arena, said->name ? said->name : "");
	if (said->exe && fields & SONDE_PROCESS_EXE)
		p->exe = copied(&list->arena, said->exe);
	if (said->args && fields & SONDE_PROCESS_CMDLINE) {
		p->cmdline = arena_strndup(&list->arena, said->args, said->args_len);
		p->cmdline_len = said->args_len;
	}
	note_missing(p, said, fields);
	return p->name && (!said->exe || p->exe || !(fields & SONDE_PROCESS_EXE)) &&
			       (!said->args || p->cmdline || !(fields & SONDE_PROCESS_CMDLINE))
		       ? 0
		       : SONDE_E_NO_MEMORY;
}

int process_tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		  struct sonde_processes *list, struct sonde_error *err)
{
	const struct description *said = &process_of(os)->said;
	int r = process_check(process_of(os), pid, err);

	if (r < 0)
		return r;
	if (what == OS_PROCESSES)
		r = add_task(list, said, said->pid, fields);
	for (size_t i = 0; r == 0 && what == OS_THREADS && i < said->n_threads; i++)
		r = add_task(list, said, said->threads[i].tid, fields);
	if (said->n_bad)
		LIST_DAMAGE(list, "%zu lines of the description make no sense", said->n_bad);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

/* ---- mappings -------------------------------------------------------------------------------------- */

static int add_mapping(struct sonde_mappings *list, const struct maps_line *from)
{
	struct sonde_mapping *m = mappings_add(list);

	if (!m)
		return SONDE_E_NO_MEMORY;
	*m = (struct sonde_mapping){
		.start = from->start,
		.end = from->end,
		.offset = from->off,
		.inode = from->inode,
		.dev_major = from->dev_major,
		.dev_minor = from->dev_minor,
		.flags = from->flags,
		.path = copied(&list->arena, from->path),
	};
	return m->path ? 0 : SONDE_E_NO_MEMORY;
}

/* Of one whose end is 2^64 the last byte is kept out: there is no such number. */
static int add_region(void *user, const struct sonde_region *region)
{
	uint64_t last = region->addr + (region->len - 1);
	const struct maps_line line = { .start = region->addr,
					.end = last == UINT64_MAX ? last : last + 1,
					.flags = region->flags &
						 (SONDE_REGION_READ | SONDE_REGION_WRITE |
						  SONDE_REGION_EXEC),
					.path = region->name ? region->name : "" };

	return add_mapping(user, &line);
}

static int by_start(const void *a, const void *b)
{
	const struct sonde_mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Where nothing is said of mappings, what is in the image is all that is known. */
int process_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
		     struct sonde_error *err)
{
	struct process_os *process = process_of(os);
	int r = process_check(process, pid, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < process->said.n_maps && r == 0; i++)
		r = add_mapping(list, &process->said.maps[i]);
	if (process->said.n_maps == 0)
		r = sonde_space_regions(sonde_target_memory(process->target), add_region, list);
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_start);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

/* ---- modules -------------------------------------------------------------------------------------- */

static int add_module(struct sonde_modules *list, const struct described_module *from)
{
	struct sonde_module *m = modules_add(list);

	if (!m)
		return SONDE_E_NO_MEMORY;
	*m = (struct sonde_module){ .base = from->base, .size = from->size };
	m->path = copied(&list->arena, from->path);
	m->name = m->path ? pe_module_name(m->path) : NULL;
	return m->name ? 0 : SONDE_E_NO_MEMORY;
}

static int add_pe_modules(struct process_os *process, struct sonde_modules *list)
{
	size_t first = list->n;
	int r = 0;

	for (size_t i = 0; i < process->said.n_modules && r == 0; i++)
		r = add_module(list, &process->said.modules[i]);
	return r < 0 ? r
		     : pe_modules_check(sonde_target_memory(process->target), list, first,
					PE_HEADERS_MAY_LACK);
}

int process_modules(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err)
{
	struct process_os *process = process_of(os);
	struct sonde_mappings *mappings;
	int r = sonde_os_mappings(os, 0, &mappings, err);

	if (r < 0)
		return r;
	r = images_add(sonde_target_memory(process->target), mappings, list);
	sonde_mappings_destroy(mappings);
	if (r == 0)
		r = add_pe_modules(process, list);
	modules_sort(list);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}
