/* SPDX-License-Identifier: MIT */
/*
 * The kernel of this machine and its boot. A fact that cannot be read is left out.
 *
 * Source: linux v6.12 Documentation/filesystems/proc.rst; kernel/kallsyms.c (s_show).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/pe_modules.h"
#include "native/native.h"
#include "sym/symbols.h"

#define FACT_MAX (64u << 10)
#define KALLSYMS_MAX (256u << 20)
#define NS_PER_SEC UINT64_C(1000000000)

/* A file's first line, in the arena; "" where there is none. */
static const char *first_line(struct native_os *native, const char *name)
{
	struct proc_text text = { 0 };
	char *at, *line = NULL;

	if (proc_read(native->proc_fd, name, FACT_MAX, &text) == 0) {
		at = text.text;
		line = proc_next_line(&at);
	}
	const char *kept = line ? arena_strndup(&native->arena, line, strlen(line)) : "";
	proc_text_finish(&text);
	return kept ? kept : "";
}

static void read_times(struct native_os *native)
{
	struct sonde_kernel *kernel = &native->kernel;
	struct proc_text text = { 0 };
	uint64_t seconds, hundredths, booted;

	if (sscanf(first_line(native, "uptime"), "%" SCNu64 ".%2" SCNu64, &seconds, &hundredths) ==
		    2 &&
	    seconds < UINT32_MAX && hundredths < 100)
		kernel->uptime_ns = seconds * NS_PER_SEC + hundredths * (NS_PER_SEC / 100);
	if (proc_read(native->proc_fd, "stat", 16 * FACT_MAX, &text) == 0) {
		const char *line = strstr(text.text, "\nbtime ");
		if (line && sscanf(line, " btime %" SCNu64, &booted) == 1 && booted < UINT32_MAX)
			kernel->boot_time_ns = booted * NS_PER_SEC;
	}
	proc_text_finish(&text);
}

/* "cpu0", "cpu1" ... of /proc/stat are those that are online. */
static uint32_t count_cpus(struct native_os *native)
{
	struct proc_text text = { 0 };
	uint32_t n = 0;

	if (proc_read(native->proc_fd, "stat", 16 * FACT_MAX, &text) == 0) {
		char *at = text.text, *line;
		while ((line = proc_next_line(&at)))
			n += strncmp(line, "cpu", 3) == 0 && line[3] >= '0' && line[3] <= '9';
	}
	proc_text_finish(&text);
	return n;
}

int native_describe(struct native_os *native)
{
	struct sonde_target_info info;

	sonde_target_info(native->target, &info);
	native->kernel = (struct sonde_kernel){
		.family = "linux",
		.release = first_line(native, "sys/kernel/osrelease"),
		.version = first_line(native, "version"),
		.command_line = first_line(native, "cmdline"),
		.hostname = first_line(native, "sys/kernel/hostname"),
		.found_by = native->pid ? "the process runs on it" : "this program runs on it",
		.types_from = "",
		.arch = info.arch,
		.n_cpus = count_cpus(native),
		.candidates = 1,
	};
	if (native->foreign)
		native->kernel.found_by = "the folder that was named for its /proc";
	read_times(native);
	return 0;
}

/* Symbols of one module follow each other. */
struct kallsyms {
	struct sonde_symbols *symbols;
	char module[PROC_NAME_MAX];
	uint32_t index; /* of module */
};

static uint32_t module_index(struct kallsyms *k, const char *name)
{
	if (strncmp(k->module, name, sizeof(k->module) - 1) == 0)
		return k->index;
	int added = symbols_add_module(k->symbols, name);
	k->index = added > 0 ? (uint32_t)added : SYMBOLS_KERNEL;
	snprintf(k->module, sizeof(k->module), "%s", name);
	return k->index;
}

/* "ffffffff81000000 T name<TAB>[module]"; addresses are 0 for those who may not see them. */
static int add_symbol(struct kallsyms *k, char *line)
{
	uint64_t addr;
	char type;
	int name_at = 0, name_end = 0;

	if (sscanf(line, "%" SCNx64 " %c %n%*s%n", &addr, &type, &name_at, &name_end) < 2 ||
	    name_end <= name_at || addr == 0)
		return 0;
	char *bracket = strchr(line + name_end, '['), *end = bracket ? strchr(bracket, ']') : NULL;
	if (end)
		*end = '\0';
	return symbols_add(k->symbols, addr, type, line + name_at, (size_t)(name_end - name_at),
			   end ? module_index(k, bracket + 1) : SYMBOLS_KERNEL);
}

static int read_kallsyms(struct native_os *native, struct sonde_symbols *symbols)
{
	struct proc_text text = { 0 };
	struct kallsyms k = { .symbols = symbols };
	int r = proc_read(native->proc_fd, "kallsyms", KALLSYMS_MAX, &text);
	char *at = text.text, *line;

	while (r == 0 && (line = proc_next_line(&at)))
		r = add_symbol(&k, line);
	proc_text_finish(&text);
	return r;
}

static int read_exports(struct native_os *native, struct sonde_symbols *symbols)
{
	struct sonde_modules *modules;
	int r = sonde_os_modules(&native->os, &modules, NULL);

	if (r < 0)
		return r;
	r = pe_modules_symbols(sonde_target_memory(native->target), modules, symbols);
	sonde_modules_destroy(modules);
	return r;
}

void native_read_symbols(struct sonde_os *os)
{
	struct native_os *native = native_of(os);
	struct sonde_symbols *symbols = symbols_create(0, 0);

	if (!symbols)
		return;
	int r = native->pid ? read_exports(native, symbols) : read_kallsyms(native, symbols);
	if (r < 0 || symbols_seal(symbols) < 0) {
		symbols_destroy(symbols);
		return;
	}
	symbols_destroy(native->os.symbols);
	native->os.symbols = symbols;
}
