/* SPDX-License-Identifier: MIT */
/*
 * An operating system made of constants, for black-box tests of the tool: these functions
 * stand in front of the library's in the test's executable. The names in it are as nasty as
 * a guest can make them, so that exact output can be demanded. What --symbols names chooses
 * the scenario: "damaged", "none", "no-types", "many"; anything else is the plain one.
 */
#include <sonde/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

struct sonde_os {
	struct sonde_target *target;
	char scenario[16];
};

static int is(const struct sonde_os *os, const char *scenario)
{
	return strcmp(os->scenario, scenario) == 0;
}

int sonde_os_attach(struct sonde_target *target, const struct sonde_os_options *options,
		    struct sonde_os **ret, struct sonde_error *err)
{
	const char *scenario = options && options->symbols ? options->symbols : "";

	if (strcmp(scenario, "none") == 0)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "canned: no kernel here");
	if (strcmp(scenario, "no-types") == 0)
		return sonde_error_set(err, SONDE_E_NO_TYPES, "canned: a kernel without types");
	struct sonde_os *os = calloc(1, sizeof(*os));
	if (!os)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	os->target = target;
	snprintf(os->scenario, sizeof(os->scenario), "%s", scenario);
	*ret = os;
	return 0;
}

void sonde_os_detach(struct sonde_os *os)
{
	free(os);
}

void sonde_os_kernel(const struct sonde_os *os, struct sonde_kernel *ret)
{
	(void)os;
	*ret = (struct sonde_kernel){
		.family = "linux",
		.release = "6.1.0-canned",
		.version = "Linux version 6.1.0-canned \033]0;title\007",
		.command_line = "quiet \"x\"",
		.hostname = "guest",
		.found_by = "being canned",
		.types_from = "constants",
		.arch = SONDE_ARCH_X86_64,
		.page_levels = 4,
		.n_cpus = 2,
		.candidates = 1,
		.page_table = 0x2000,
		.kaslr_offset = 0x1000000,
		.boot_time_ns = UINT64_C(1700000000000000000),
		.uptime_ns = UINT64_C(12345678900),
		.n_symbols = 3,
	};
}

int64_t sonde_os_note(const struct sonde_os *os, const char *name, void *buf, size_t cap)
{
	(void)os;
	(void)name;
	(void)buf;
	(void)cap;
	return SONDE_E_NOT_FOUND;
}

struct sonde_space *sonde_os_kernel_memory(const struct sonde_os *os)
{
	return sonde_target_memory(os->target);
}

int sonde_os_process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			    struct sonde_error *err)
{
	(void)os, (void)ret;
	return sonde_error_set(err, pid == 2 ? SONDE_E_NOT_MAPPED : SONDE_E_NOT_FOUND,
			       pid == 2 ? "canned: process 2: a kernel thread has no memory"
					: "canned: process %d: no such process",
			       pid);
}

int sonde_os_process_arch(struct sonde_os *os, int32_t pid, uint32_t *ret, struct sonde_error *err)
{
	(void)os, (void)ret;
	return sonde_error_set(err, SONDE_E_NOT_FOUND, "canned: process %d: no program", pid);
}

/* processes */

struct sonde_processes {
	struct sonde_process *all;
	size_t n;
	const char *damage;
};

static const char init_args[] = "/sbin/init\0--flag\0two words";
static const char evil_args[] = "e\033[2J\0\xff\xc3\xa9\n\0\"q\",\\x41\0\xe2\x80\xae";

static const struct sonde_process plain[] = {
	{ .addr = 0xffff888000001000,
	  .pid = 1,
	  .tgid = 1,
	  .state = 'S',
	  .n_threads = 2,
	  .start_ns = 1500000000,
	  .rss = 1572864,
	  .vsize = 10485760,
	  .page_table = 0x5000,
	  .name = "init",
	  .cmdline = init_args,
	  .cmdline_len = sizeof(init_args),
	  .exe = "/sbin/init" },
	{ .addr = 0xffff888000002000,
	  .pid = 2,
	  .tgid = 2,
	  .state = 'I',
	  .kernel_thread = 1,
	  .n_threads = 1,
	  .start_ns = 1500000000,
	  .name = "kthreadd" },
	{ .addr = 0xffff888000003000,
	  .parent_addr = 0xffff888000001000,
	  .pid = 37,
	  .tgid = 37,
	  .ppid = 1,
	  .uid = 1000,
	  .gid = 1000,
	  .euid = 0,
	  .egid = 1000,
	  .state = 'R',
	  .n_threads = 1,
	  .start_ns = 2000000000,
	  .rss = 4096,
	  .vsize = 8192,
	  .name = "evil\033[31m",
	  .cmdline = evil_args,
	  .cmdline_len = sizeof(evil_args),
	  .exe = "/tmp/x (deleted)" },
	{ .addr = 0xffff888000004000,
	  .pid = 41,
	  .tgid = 41,
	  .ppid = 37,
	  .state = 'Z',
	  .n_threads = 1,
	  .start_ns = 2500000000,
	  .name = "gone" },
};

static const struct sonde_process broken = {
	.addr = 0xffff888000005000,
	.pid = 42,
	.tgid = 42,
	.ppid = 1,
	.state = '?',
	.name = "torn",
	.missing = SONDE_PROCESS_CRED | SONDE_PROCESS_CMDLINE,
	.err = SONDE_E_NOT_MAPPED,
};

static int make_list(struct sonde_os *os, struct sonde_processes **ret)
{
	struct sonde_processes *list = calloc(1, sizeof(*list));
	size_t n = is(os, "many") ? 20000 : N(plain) + is(os, "damaged");

	if (list)
		list->all = calloc(n, sizeof(*list->all));
	if (!list || !list->all) {
		free(list);
		return SONDE_E_NO_MEMORY;
	}
	list->n = n;
	for (size_t i = 0; i < n; i++) {
		list->all[i] = i < N(plain) ? plain[i] : is(os, "damaged") ? broken : plain[0];
		if (i >= N(plain) && !is(os, "damaged"))
			list->all[i].pid = list->all[i].tgid = (int32_t)i + 100;
	}
	list->damage = is(os, "damaged") ? "canned: the next link leads nowhere" : NULL;
	*ret = list;
	return 0;
}

int sonde_os_processes(struct sonde_os *os, uint32_t fields, struct sonde_processes **ret,
		       struct sonde_error *err)
{
	(void)fields, (void)err;
	return make_list(os, ret);
}

int sonde_os_process(struct sonde_os *os, int32_t pid, uint32_t fields,
		     struct sonde_processes **ret, struct sonde_error *err)
{
	(void)fields;
	int r = make_list(os, ret);
	if (r < 0)
		return r;
	for (size_t i = 0; i < (*ret)->n; i++) {
		if ((*ret)->all[i].pid != pid)
			continue;
		(*ret)->all[0] = (*ret)->all[i];
		(*ret)->n = 1;
		return 0;
	}
	sonde_processes_destroy(*ret);
	return sonde_error_set(err, SONDE_E_NOT_FOUND, "canned: process %d: no such process", pid);
}

int sonde_os_threads(struct sonde_os *os, int32_t pid, uint32_t fields,
		     struct sonde_processes **ret, struct sonde_error *err)
{
	if (pid > 0)
		return sonde_os_process(os, pid, fields, ret, err);
	return sonde_os_processes(os, fields, ret, err);
}

size_t sonde_processes_count(const struct sonde_processes *list)
{
	return list->n;
}

const struct sonde_process *sonde_processes_at(const struct sonde_processes *list, size_t index)
{
	return &list->all[index];
}

const char *sonde_processes_damage(const struct sonde_processes *list)
{
	return list->damage;
}

void sonde_processes_destroy(struct sonde_processes *list)
{
	if (list)
		free(list->all);
	free(list);
}

/* modules, mappings, log: handles that point at constants */

struct sonde_modules {
	const char *damage;
};

static const struct sonde_module modules[] = {
	{ 0xffffffffc0000040, 0xffffffffc0000000, 61440, "virtio_net", "live", 2, 0 },
	{ 0xffffffffc0010040, 0xffffffffc0010000, 0, "half,\"made\"", "coming", 0, 0 },
};

int sonde_os_modules(struct sonde_os *os, struct sonde_modules **ret, struct sonde_error *err)
{
	(void)err;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return SONDE_E_NO_MEMORY;
	(*ret)->damage = is(os, "damaged") ? "canned: a loop in the list" : NULL;
	return 0;
}

size_t sonde_modules_count(const struct sonde_modules *list)
{
	(void)list;
	return N(modules);
}

const struct sonde_module *sonde_modules_at(const struct sonde_modules *list, size_t index)
{
	(void)list;
	return &modules[index];
}

const char *sonde_modules_damage(const struct sonde_modules *list)
{
	return list->damage;
}

void sonde_modules_destroy(struct sonde_modules *list)
{
	free(list);
}

struct sonde_mappings {
	const char *damage;
};

static const struct sonde_mapping mappings[] = {
	{ 0x400000, 0x401000, 0, 1234, 254, 1, SONDE_REGION_READ | SONDE_REGION_EXEC, 0,
	  "/bin/with space" },
	{ 0x7ffc00000000, 0x7ffc00021000, 0, 0, 0, 0, SONDE_REGION_READ | SONDE_REGION_WRITE, 0,
	  "[stack]" },
	{ 0x7ffc00030000, 0x7ffc00031000, 0x1000, 9, 0, 1, SONDE_REGION_READ | SONDE_REGION_SHARED,
	  0, "" },
};

int sonde_os_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings **ret,
		      struct sonde_error *err)
{
	if (pid != 1 && pid != 37 && pid != 42)
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "canned: process %d: no such process", pid);
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return SONDE_E_NO_MEMORY;
	(*ret)->damage = is(os, "damaged") ? "canned: a node outside memory" : NULL;
	return 0;
}

size_t sonde_mappings_count(const struct sonde_mappings *list)
{
	(void)list;
	return N(mappings);
}

const struct sonde_mapping *sonde_mappings_at(const struct sonde_mappings *list, size_t index)
{
	(void)list;
	return &mappings[index];
}

const char *sonde_mappings_damage(const struct sonde_mappings *list)
{
	return list->damage;
}

void sonde_mappings_destroy(struct sonde_mappings *list)
{
	free(list);
}

struct sonde_log {
	const char *damage;
};

static const struct sonde_log_record records[] = {
	{ 0, 0, 5, 0, 0, 13, "Linux version" },
	{ 1, 1234567890, 3, 1, 0x80000001, 22, "first line\nsecond line\n" },
	{ 2, UINT64_C(100000000000000), 6, 3, 57, 5, "a\033[mb" },
};

int sonde_os_log(struct sonde_os *os, struct sonde_log **ret, struct sonde_error *err)
{
	(void)err;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return SONDE_E_NO_MEMORY;
	(*ret)->damage = is(os, "damaged") ? "canned: a descriptor was overwritten" : NULL;
	return 0;
}

size_t sonde_log_count(const struct sonde_log *log)
{
	(void)log;
	return N(records);
}

const struct sonde_log_record *sonde_log_at(const struct sonde_log *log, size_t index)
{
	(void)log;
	return &records[index];
}

const char *sonde_log_damage(const struct sonde_log *log)
{
	return log->damage;
}

void sonde_log_destroy(struct sonde_log *log)
{
	free(log);
}

int sonde_os_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		       struct sonde_error *err)
{
	(void)os;
	if (va == 0x1ff000) {
		*ret = (struct sonde_translation){ .levels = 3,
						   .entry = { 0x3067, 0x4067, 0xfffffff70bffff00 },
						   .entry_pa = { 0x2000, 0x3000, 0x4000 },
						   .kind = SONDE_ENTRY_SWAPPED,
						   .swap_type = 1,
						   .swap_offset = 0x47a };
		return sonde_error_set(err, SONDE_E_PAGED_OUT, "canned: in swap");
	}
	if (va >= 0x200000 || pid > 1) {
		*ret = (struct sonde_translation){ .levels = 1,
						   .entry = { 0 },
						   .entry_pa = { 0x2000 },
						   .kind = SONDE_ENTRY_EMPTY };
		return sonde_error_set(err, SONDE_E_NOT_MAPPED, "canned: 0x%llx: not mapped",
				       (unsigned long long)va);
	}
	*ret = (struct sonde_translation){
		.pa = va + 0x400000,
		.page_size = 2 << 20,
		.levels = 3,
		.flags = SONDE_PAGE_READ | SONDE_PAGE_EXEC | SONDE_PAGE_PRESENT |
			 SONDE_PAGE_ACCESSED,
		.entry = { 0x3067, 0x4067, 0x4000e3 },
		.entry_pa = { 0x2000, 0x3000, 0x4000 },
	};
	return 0;
}

int sonde_os_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
		     void *user, struct sonde_error *err)
{
	(void)os;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct sonde_reverse at = { .pa = pas[i],
					    .va = pas[i] + 0xffff888000000000,
					    .page_size = 2 << 20,
					    .n_pages = 1,
					    .flags = SONDE_PAGE_READ | SONDE_PAGE_PRESENT };
		fn(user, &at);
		at = (struct sonde_reverse){ .pa = pas[i],
					     .va = 0x1000,
					     .page_size = 4096,
					     .n_pages = 3,
					     .flags = SONDE_PAGE_READ | SONDE_PAGE_USER,
					     .pid = 1 };
		fn(user, &at);
	}
	return 0;
}

int sonde_os_pages(struct sonde_os *os, int32_t pid, uint32_t care, sonde_page_run_fn *fn,
		   void *user, struct sonde_error *err)
{
	static const struct sonde_page_run runs[] = {
		{ 0x1000, 0x401000, 0x2000,
		  SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_PRESENT | SONDE_PAGE_USER |
			  SONDE_PAGE_DIRTY,
		  0x1000 },
		{ 0xffffffffffe00000, 0x600000, 0x200000,
		  SONDE_PAGE_READ | SONDE_PAGE_EXEC | SONDE_PAGE_PRESENT | SONDE_PAGE_GLOBAL,
		  0x200000 },
	};

	(void)os;
	(void)care;
	if (pid > 1)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "canned: no process %d", pid);
	for (size_t i = 0; i < 2; i++)
		fn(user, &runs[i]);
	return 0;
}

/* symbols and types */

static const struct sonde_symbol symbols[] = {
	{ 0x1000, "first_function", NULL, 'T', 16 },
	{ 0x1010, "second_function", NULL, 't', 16 },
	{ 0x3000, "some_data", "amodule", 'D', 0 },
};

const struct sonde_symbols *sonde_os_symbols(struct sonde_os *os)
{
	return (const struct sonde_symbols *)os;
}

int sonde_symbol_find(const struct sonde_symbols *list, const char *name, struct sonde_symbol *ret)
{
	(void)list;
	for (size_t i = 0; i < N(symbols); i++) {
		if (strcmp(symbols[i].name, name) != 0)
			continue;
		*ret = symbols[i];
		return 1;
	}
	return 0;
}

int sonde_symbol_at(const struct sonde_symbols *list, uint64_t addr, struct sonde_symbol *ret)
{
	(void)list;
	for (size_t i = N(symbols); i-- > 0;) {
		if (symbols[i].addr > addr)
			continue;
		*ret = symbols[i];
		return 1;
	}
	return 0;
}

size_t sonde_symbol_count(const struct sonde_symbols *list)
{
	(void)list;
	return N(symbols);
}

int sonde_symbol_get(const struct sonde_symbols *list, size_t index, struct sonde_symbol *ret)
{
	(void)list;
	if (index >= N(symbols))
		return 0;
	*ret = symbols[index];
	return 1;
}

static const char declaration[] = "struct pair { /* 16 bytes */\n"
				  "\tint first; /* 0 */\n"
				  "\tlong second\033; /* 8 */\n"
				  "};\n";

const struct sonde_types *sonde_os_types(const struct sonde_os *os)
{
	return (const struct sonde_types *)os;
}

int sonde_type_find(const struct sonde_types *types, const char *name, uint32_t *ret_type)
{
	(void)types;
	*ret_type = 1;
	return strcmp(name, "struct pair") == 0 || strcmp(name, "pair") == 0;
}

int64_t sonde_type_size(const struct sonde_types *types, uint32_t type)
{
	(void)types;
	return type == 1 ? 16 : 8;
}

int sonde_type_member(const struct sonde_types *types, uint32_t type, const char *path,
		      struct sonde_member *ret)
{
	(void)types, (void)type;
	*ret = (struct sonde_member){ .bit_off = 64, .bit_size = 64, .type = 2 };
	return strcmp(path, "second") == 0;
}

int sonde_type_print(const struct sonde_types *types, uint32_t type, char *buf, size_t cap)
{
	(void)types;
	return snprintf(buf, cap, "%s", type == 1 ? declaration : "long");
}

const char *sonde_types_source(const struct sonde_types *types)
{
	(void)types;
	return "constants";
}
