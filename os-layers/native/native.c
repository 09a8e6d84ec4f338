/* SPDX-License-Identifier: MIT */
/* Attaching to the machine that this program runs on, or to one of its processes. */
#include "native/native.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sym/symbols.h"

#define PATH_BYTES 4096u
#define STAT_MAX (4u << 10)

static void native_detach(struct sonde_os *os)
{
	struct native_os *native = native_of(os);

	while (native->opened) {
		struct native_opened *opened = native->opened;
		native->opened = opened->next;
		sonde_target_close(opened->target);
		free(opened);
	}
	sonde_space_close(native->os.kernel_memory);
	symbols_destroy(native->os.symbols);
	if (native->process_fd >= 0)
		close(native->process_fd);
	if (native->proc_fd >= 0)
		close(native->proc_fd);
	arena_finish(&native->arena);
	free(native);
}

int native_folder(struct native_os *native, int32_t pid, struct sonde_error *err)
{
	char name[16];
	int fd;

	if (pid == 0 && !native->pid)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"native: the kernel's own memory is not read here: name a process");
	if (native->pid && pid && pid != native->pid)
		return sonde_error_set(
			err, SONDE_E_NOT_FOUND,
			"native: the target is process %d alone: ask 'native' for %d", native->pid,
			pid);
	snprintf(name, sizeof(name), "%d", pid);
	fd = native->pid ? proc_open_folder(native->process_fd, ".")
			 : proc_open_folder(native->proc_fd, name);
	if (fd == SONDE_E_GONE && native->pid)
		return sonde_error_set(err, fd, "native: process %d has ended", native->pid);
	if (fd == SONDE_E_GONE)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "native: no process has pid %d",
				       pid);
	return fd < 0 ? sonde_error_set(err, fd, "native: process %d: %s", pid, sonde_strerror(fd))
		      : fd;
}

/* The process that the target is, if it is one still: a number alone could be another's by now. */
static int find_process(struct native_os *native, struct sonde_error *err)
{
	struct proc_text text = { 0 };
	struct proc_stat stat = { 0 };
	uint8_t note[16];
	char name[16];

	if (sonde_target_note(native->target, "process", note, sizeof(note)) != sizeof(note))
		return 0;
	native->pid = (int32_t)sonde_le64(note);
	snprintf(name, sizeof(name), "%d", native->pid);
	native->process_fd = proc_open_folder(native->proc_fd, name);
	int r = native->process_fd < 0 ? native->process_fd
				       : proc_read(native->process_fd, "stat", STAT_MAX, &text);
	if (r == 0 &&
	    (!proc_parse_stat(text.text, &stat) || stat.start_ticks != sonde_le64(note + 8)))
		r = SONDE_E_GONE;
	proc_text_finish(&text);
	return r < 0 ? sonde_error_set(err, r, "native: process %d: %s", native->pid,
				       sonde_strerror(r))
		     : 0;
}

static int open_proc(struct native_os *native, struct sonde_error *err)
{
	char path[PATH_BYTES];
	int64_t len = sonde_target_note(native->target, "proc", path, sizeof(path) - 1);

	native->foreign = len >= 0 && len < (int64_t)sizeof(path);
	path[native->foreign ? len : 0] = '\0';
	native->proc_fd = proc_open_folder(AT_FDCWD, native->foreign ? path : "/proc");
	if (native->proc_fd < 0)
		return sonde_error_set(err, native->proc_fd, "native: '%.300s': %s",
				       native->foreign ? path : "/proc",
				       sonde_strerror(native->proc_fd));
	return 0;
}

static int native_attach(struct sonde_target *target, const struct sonde_os_options *options,
			 struct sonde_os **ret, struct sonde_error *err)
{
	struct native_os *native = calloc(1, sizeof(*native));

	(void)options;
	if (!native)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	native->os.layer = &os_native;
	native->target = target;
	native->loop = sonde_target_loop(target);
	native->proc_fd = native->process_fd = -1;
	native->tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
	int r = open_proc(native, err);
	if (r == 0)
		r = find_process(native, err);
	if (r == 0 &&
	    ((r = os_without_kernel(&native->os, target)) < 0 || (r = native_describe(native)) < 0))
		sonde_error_set(err, r, NULL);
	if (r < 0)
		native_detach(&native->os);
	else
		*ret = &native->os;
	return r;
}

static void native_kernel(const struct sonde_os *os, struct sonde_kernel *ret)
{
	*ret = ((const struct native_os *)(const void *)os)->kernel;
}

static int native_log(struct sonde_os *os, struct sonde_log *list, struct sonde_error *err)
{
	(void)os;
	(void)list;
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "native: the log of this machine is dmesg(1)'s to show");
}

static int native_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
			  void *user, struct sonde_error *err)
{
	(void)os;
	(void)pas;
	(void)n;
	(void)fn;
	(void)user;
	return sonde_error_set(
		err, SONDE_E_UNSUPPORTED,
		"native: who maps a physical page is not asked of a running machine");
}

const struct os_layer os_native = {
	.name = "native",
	.wants = SONDE_TARGET_HOST,
	.attach = native_attach,
	.detach = native_detach,
	.kernel = native_kernel,
	.add_module_symbols = native_read_symbols,
	.tasks = native_tasks,
	.registers = native_registers,
	.process_memory = native_process_memory,
	.modules = native_modules,
	.mappings = native_mappings,
	.log = native_log,
	.translate = native_translate,
	.reverse = native_reverse,
	.pages = native_pages,
};
