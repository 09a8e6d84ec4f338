/* SPDX-License-Identifier: MIT */
/* Attaching to the image of a process. */
#include "process/process.h"

#include <stdlib.h>
#include <string.h>

#include "common/pe_modules.h"
#include "sym/symbols.h"

#define NOTE_MAX (256 << 20) /* bytes of a description; a core of 2^18 mappings has some 40 MiB */

static void process_detach(struct sonde_os *os)
{
	struct process_os *process = process_of(os);

	sonde_space_close(process->os.kernel_memory);
	symbols_destroy(process->os.symbols);
	arena_finish(&process->arena);
	free(process->text);
	free(process);
}

static int read_description(struct process_os *process)
{
	int64_t len = sonde_target_note(process->target, SONDE_NOTE_PROCESS, NULL, 0);

	if (len < 0 || len > NOTE_MAX)
		return len < 0 ? SONDE_E_NOT_FOUND : SONDE_E_LIMIT;
	process->text = calloc(1, (size_t)len + 1);
	if (!process->text)
		return SONDE_E_NO_MEMORY;
	sonde_target_note(process->target, SONDE_NOTE_PROCESS, process->text, (size_t)len);
	return description_parse(process->text, &process->arena, &process->said);
}

static int process_attach(struct sonde_target *target, const struct sonde_os_options *options,
			  struct sonde_os **ret, struct sonde_error *err)
{
	struct process_os *process = calloc(1, sizeof(*process));

	(void)options;
	if (!process)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	process->os.layer = &os_process;
	process->target = target;
	int r = read_description(process);
	if (r == 0)
		r = os_without_kernel(&process->os, target);
	if (r == 0)
		*ret = &process->os;
	else
		process_detach(&process->os);
	return r < 0 && r != SONDE_E_NOT_FOUND ? sonde_error_set(err, r, NULL) : r;
}

static void process_kernel(const struct sonde_os *os, struct sonde_kernel *ret)
{
	const struct process_os *process = (const struct process_os *)(const void *)os;
	struct sonde_target_info info;

	sonde_target_info(process->target, &info);
	*ret = (struct sonde_kernel){
		.family = process->said.system ? process->said.system : "unknown",
		.release = process->said.release,
		.found_by = "the image of a process, which says so",
		.types_from = "none",
		.arch = info.arch,
		.candidates = 1,
	};
}

int process_check(const struct process_os *process, int32_t pid, struct sonde_error *err)
{
	if (pid == 0 || pid == process->said.pid)
		return 0;
	return sonde_error_set(err, SONDE_E_NOT_FOUND,
			       "process: this is the image of process %d alone, not of %d",
			       process->said.pid, pid);
}

static int process_registers(struct sonde_os *os, int32_t tid, struct sonde_register *ret,
			     size_t cap, struct sonde_error *err)
{
	const struct description *said = &process_of(os)->said;

	for (size_t i = 0; i < said->n_threads; i++) {
		const struct described_thread *thread = &said->threads[i];
		if (thread->tid != tid)
			continue;
		if (thread->n == 0)
			return sonde_error_set(err, SONDE_E_NOT_SAVED,
					       "process: the image has no registers of thread %d",
					       tid);
		memcpy(ret, thread->registers, (thread->n < cap ? thread->n : cap) * sizeof(*ret));
		return (int)thread->n;
	}
	return sonde_error_set(err, SONDE_E_NOT_FOUND, "process: the image has no thread %d", tid);
}

static int process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			  struct sonde_error *err)
{
	int r = process_check(process_of(os), pid, err);

	return r < 0 ? r : os_whole_memory(process_of(os)->target, ret, err);
}

/* What PE modules export; there is more in ELF images, which is not read. */
static void add_module_symbols(struct sonde_os *os)
{
	struct sonde_modules *modules;

	if (sonde_os_modules(os, &modules, NULL) < 0)
		return;
	struct sonde_symbols *added = symbols_create(0, 0);
	struct sonde_space *memory = sonde_target_memory(process_of(os)->target);
	if (added && pe_modules_symbols(memory, modules, added) == 0 && symbols_seal(added) == 0) {
		symbols_destroy(os->symbols);
		os->symbols = added;
		added = NULL;
	}
	symbols_destroy(added);
	sonde_modules_destroy(modules);
}

/* ---- what an image has not ------------------------------------------------------------------------- */

static int no_tables(struct sonde_error *err)
{
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "process: the image of a process comes without page tables");
}

static int process_log(struct sonde_os *os, struct sonde_log *list, struct sonde_error *err)
{
	(void)os;
	(void)list;
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "process: the image of a process has no kernel's log");
}

static int process_translate(struct sonde_os *os, int32_t pid, uint64_t va,
			     struct sonde_translation *ret, struct sonde_error *err)
{
	(void)os;
	(void)pid;
	(void)va;
	*ret = (struct sonde_translation){ 0 };
	return no_tables(err);
}

static int process_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
			   void *user, struct sonde_error *err)
{
	(void)os;
	(void)pas;
	(void)n;
	(void)fn;
	(void)user;
	return no_tables(err);
}

static int process_pages(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
			 struct sonde_error *err)
{
	(void)os;
	(void)pid;
	(void)care;
	(void)ret;
	return no_tables(err);
}

const struct os_layer os_process = {
	.name = "process",
	.wants = SONDE_TARGET_PROCESS,
	.attach = process_attach,
	.detach = process_detach,
	.kernel = process_kernel,
	.add_module_symbols = add_module_symbols,
	.tasks = process_tasks,
	.registers = process_registers,
	.process_memory = process_memory,
	.modules = process_modules,
	.mappings = process_mappings,
	.log = process_log,
	.translate = process_translate,
	.reverse = process_reverse,
	.pages = process_pages,
};
