/* SPDX-License-Identifier: MIT */
/* The public face of the OS layers: tries each, then asks the one that fits. */
#include "common/os.h"
#include "sym/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "common/images.h"
#include "common/lists.h"

static const struct os_layer *const layers[] = { &os_linux, &os_native, &os_process };

int sonde_os_attach(struct sonde_target *target, const struct sonde_os_options *options,
		    struct sonde_os **ret, struct sonde_error *err)
{
	struct sonde_os_options own = { 0 };
	struct sonde_target_info info;
	int r = SONDE_E_NOT_FOUND;

	if (options)
		memcpy(&own, options, options->size < sizeof(own) ? options->size : sizeof(own));
	sonde_target_info(target, &info);
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]) && r == SONDE_E_NOT_FOUND; i++) {
		if (layers[i]->wants & info.flags)
			r = layers[i]->attach(target, &own, ret, err);
	}
	if (r == SONDE_E_NOT_FOUND && !(info.flags & (SONDE_TARGET_PHYSICAL | SONDE_TARGET_HOST)))
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"os: '%s' is no physical memory: an operating system is found "
			"in a guest or its dump, or is this machine's own",
			info.name);
	return r;
}

int os_whole_memory(struct sonde_target *target, struct sonde_space **ret, struct sonde_error *err)
{
	const struct sonde_stretch all = { .len = UINT64_MAX,
					   .space = sonde_target_memory(target) };
	int r = sonde_space_remap(sonde_target_loop(target), &all, 1, ret);

	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

int os_without_kernel(struct sonde_os *os, struct sonde_target *target)
{
	os->symbols = symbols_create(0, 0);
	if (!os->symbols || symbols_seal(os->symbols) < 0)
		return SONDE_E_NO_MEMORY;
	return sonde_space_remap(sonde_target_loop(target), NULL, 0, &os->kernel_memory);
}

void sonde_os_detach(struct sonde_os *os)
{
	if (os)
		os->layer->detach(os);
}

void sonde_os_kernel(const struct sonde_os *os, struct sonde_kernel *ret)
{
	os->layer->kernel(os, ret);
}

const struct sonde_symbols *sonde_os_symbols(struct sonde_os *os)
{
	if (!os->whole_symbols && os->layer->add_module_symbols)
		os->layer->add_module_symbols(os);
	os->whole_symbols = true;
	return os->symbols;
}

const struct sonde_types *sonde_os_types(const struct sonde_os *os)
{
	return os->types;
}

struct sonde_space *sonde_os_kernel_memory(const struct sonde_os *os)
{
	return os->kernel_memory;
}

int64_t sonde_os_note(const struct sonde_os *os, const char *name, void *buf, size_t cap)
{
	return os->layer->note ? os->layer->note(os, name, buf, cap) : SONDE_E_NOT_FOUND;
}

static int tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		 struct sonde_processes **ret, struct sonde_error *err)
{
	struct sonde_processes *list = calloc(1, sizeof(*list));

	if (!list)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = os->layer->tasks(os, what, pid, fields | SONDE_PROCESS_IDENTITY, list, err);
	if (r < 0)
		sonde_processes_destroy(list);
	else
		*ret = list;
	return r < 0 ? r : SONDE_OK;
}

int sonde_os_processes(struct sonde_os *os, uint32_t fields, struct sonde_processes **ret,
		       struct sonde_error *err)
{
	return tasks(os, OS_PROCESSES, 0, fields, ret, err);
}

int sonde_os_process(struct sonde_os *os, int32_t pid, uint32_t fields,
		     struct sonde_processes **ret, struct sonde_error *err)
{
	if (pid <= 0)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "os: no process has pid %d", pid);
	return tasks(os, OS_PROCESSES, pid, fields, ret, err);
}

int sonde_os_threads(struct sonde_os *os, int32_t pid, uint32_t fields,
		     struct sonde_processes **ret, struct sonde_error *err)
{
	return tasks(os, OS_THREADS, pid > 0 ? pid : 0, fields, ret, err);
}

int sonde_os_registers(struct sonde_os *os, int32_t tid, struct sonde_register *ret, size_t cap,
		       struct sonde_error *err)
{
	if (!os->layer->registers)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"os: registers of threads are not read from a machine's memory; those of "
			"its processors are the target's to tell");
	return os->layer->registers(os, tid, ret, cap, err);
}

int sonde_os_process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			    struct sonde_error *err)
{
	return os->layer->process_memory(os, pid, ret, err);
}

static int arch_in(struct sonde_os *os, int32_t pid, struct sonde_space *memory, uint32_t *ret,
		   struct sonde_error *err)
{
	struct sonde_mappings *mappings;
	int r = sonde_os_mappings(os, pid, &mappings, err);

	if (r < 0)
		return r;
	r = images_arch(memory, mappings, ret);
	sonde_mappings_destroy(mappings);
	return r == SONDE_E_NOT_FOUND
		       ? sonde_error_set(err, r,
					 "os: of process %d no program or library is in memory",
					 (int)pid)
	       : r < 0 ? sonde_error_set(err, r, NULL)
		       : r;
}

int sonde_os_process_arch(struct sonde_os *os, int32_t pid, uint32_t *ret, struct sonde_error *err)
{
	struct sonde_space *memory;
	int r = sonde_os_process_memory(os, pid, &memory, err);

	if (r < 0)
		return r;
	r = arch_in(os, pid, memory, ret, err);
	sonde_space_close(memory);
	return r;
}

int sonde_os_current(struct sonde_os *os, const struct sonde_event *event,
		     struct sonde_current *ret, struct sonde_error *err)
{
	if (!os->layer->current)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "os: of this machine itself no events are told");
	return os->layer->current(os, event, ret, err);
}

int sonde_os_table_memory(struct sonde_os *os, uint64_t page_table, struct sonde_space **ret,
			  struct sonde_error *err)
{
	if (!os->layer->table_memory)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "os: page tables of this machine itself are not read");
	if (!page_table)
		return sonde_error_set(err, SONDE_E_NOT_MAPPED,
				       "os: a kernel thread has no memory of its own");
	int r = os->layer->table_memory(os, page_table, ret);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

int sonde_os_modules(struct sonde_os *os, struct sonde_modules **ret, struct sonde_error *err)
{
	struct sonde_modules *list = calloc(1, sizeof(*list));

	if (!list)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = os->layer->modules(os, list, err);
	if (r < 0)
		sonde_modules_destroy(list);
	else
		*ret = list;
	return r < 0 ? r : SONDE_OK;
}

int sonde_os_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings **ret,
		      struct sonde_error *err)
{
	struct sonde_mappings *list = calloc(1, sizeof(*list));

	if (!list)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = os->layer->mappings(os, pid, list, err);
	if (r < 0)
		sonde_mappings_destroy(list);
	else
		*ret = list;
	return r < 0 ? r : SONDE_OK;
}

int sonde_os_log(struct sonde_os *os, struct sonde_log **ret, struct sonde_error *err)
{
	struct sonde_log *list = calloc(1, sizeof(*list));

	if (!list)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = os->layer->log(os, list, err);
	if (r < 0)
		sonde_log_destroy(list);
	else
		*ret = list;
	return r < 0 ? r : SONDE_OK;
}

int sonde_os_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		       struct sonde_error *err)
{
	return os->layer->translate(os, pid, va, ret, err);
}

const char *sonde_entry_kind_text(uint32_t kind)
{
	static const char *const texts[] = {
#define X(name, text) [SONDE_ENTRY_##name] = text,
		SONDE_ENTRY_KIND_MAP(X)
#undef X
	};

	return kind < sizeof(texts) / sizeof(texts[0]) ? texts[kind] : "unknown";
}

int sonde_os_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
		     void *user, struct sonde_error *err)
{
	return os->layer->reverse(os, pas, n, fn, user, err);
}

int sonde_os_pages_open(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
			struct sonde_error *err)
{
	return os->layer->pages(os, pid, care, ret, err);
}

int sonde_os_pages(struct sonde_os *os, int32_t pid, uint32_t care, sonde_page_run_fn *fn,
		   void *user, struct sonde_error *err)
{
	struct sonde_page_run run;
	struct sonde_pages *pages;
	int r = sonde_os_pages_open(os, pid, care, &pages, err);

	if (r < 0)
		return r;
	while ((r = sonde_pages_next(pages, &run)) > 0) {
		int stop = fn(user, &run);
		if (stop) {
			sonde_pages_close(pages);
			return stop;
		}
	}
	sonde_pages_close(pages);
	return r < 0 ? sonde_error_set(err, r, "page tables: %s", sonde_strerror(r)) : r;
}

int sonde_os_frames_open(struct sonde_os *os, struct sonde_frames **ret, struct sonde_error *err)
{
	if (!os->layer->frames)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"os: what page frames are used for is read from the memory of a machine");
	return os->layer->frames(os, ret, err);
}

uint32_t sonde_frames_size(const struct sonde_frames *frames)
{
	return frames->size;
}

int sonde_frames_read(struct sonde_frames *frames, uint64_t first, uint8_t *ret, size_t n)
{
	memset(ret, SONDE_FRAME_OTHER, n);
	return frames->read(frames, first, ret, n);
}

void sonde_frames_close(struct sonde_frames *frames)
{
	if (frames)
		frames->close(frames);
}
