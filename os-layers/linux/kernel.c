/* SPDX-License-Identifier: MIT */
/*
 * The kernel's identity and clocks. Nothing here can fail an attach: a fact that cannot be
 * read is left out.
 */
#include "linux/kernel.h"

#include <string.h>

#include "linux/image.h"

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t read_value(struct linux_os *lx, uint64_t at, struct field field)
{
	uint8_t bytes[8] = { 0 };

	if (!has(field) || field.size > sizeof(bytes) ||
	    sonde_space_get(lx->os.kernel_memory, at + field.off, bytes, field.size) < 0)
		return 0;
	return sonde_le64(bytes);
}

static bool clock_plausible(uint64_t seconds)
{
	return seconds > 946684800u && seconds < 7258118400u; /* 2000 .. 2199 */
}

/*
 * tk_core is an anonymous structure: a sequence counter, then the timekeeper, aligned (linux v6.6
 * kernel/time/timekeeping.c; struct tk_data since v6.13). Where exactly is seen from its values: two
 * clocks that must agree.
 */
static uint64_t find_timekeeper(struct linux_os *lx)
{
	const struct layout *l = &lx->layout;
	uint64_t core;

	if (!linux_symbol(lx, "tk_core", &core) || !has(l->tk_xtime_sec) || !has(l->tk_offs_real))
		return 0;
	for (uint32_t off = 0; off <= 128; off += 8) {
		uint64_t seconds = read_value(lx, core + off, l->tk_xtime_sec);
		uint64_t real = read_value(lx, core + off, l->tk_offs_real) / NS_PER_SEC;
		uint64_t up = read_value(lx, core + off, l->tk_ktime_sec);
		/* Monotonic seconds plus the offset are the wall clock, but for rounding. */
		if (clock_plausible(seconds) && up < seconds && real <= seconds &&
		    seconds - real - up <= 2)
			return core + off;
	}
	return 0;
}

uint64_t kernel_clock(struct linux_os *lx)
{
	uint64_t timekeeper = find_timekeeper(lx);

	return timekeeper ? read_value(lx, timekeeper, lx->layout.tk_xtime_sec) : 0;
}

static void describe_clocks(struct linux_os *lx)
{
	const struct layout *l = &lx->layout;
	uint64_t at = find_timekeeper(lx);

	if (!at)
		return;
	uint64_t real = read_value(lx, at, l->tk_offs_real);
	uint64_t boot = read_value(lx, at, l->tk_offs_boot);
	lx->kernel.boot_time_ns = real - boot;
	lx->kernel.uptime_ns = read_value(lx, at, l->tk_ktime_sec) * NS_PER_SEC + boot;
}

static const char *string_at(struct linux_os *lx, uint64_t at, size_t cap)
{
	char text[4096];

	if (cap > sizeof(text))
		cap = sizeof(text);
	int len = sonde_space_string(lx->os.kernel_memory, at, text, cap);
	if (len < 0 && len != SONDE_E_LIMIT)
		return "";
	const char *copy = arena_strndup(&lx->arena, text, strlen(text));
	return copy ? copy : "";
}

static const char *command_line(struct linux_os *lx)
{
	uint64_t symbol, at;

	if (!linux_symbol(lx, "saved_command_line", &symbol) ||
	    sonde_space_u64(lx->os.kernel_memory, symbol, &at) < 0)
		return "";
	return string_at(lx, at, 4096);
}

static const char *hostname(struct linux_os *lx)
{
	const struct layout *l = &lx->layout;
	uint64_t symbol;

	if (!linux_symbol(lx, "init_uts_ns", &symbol) || !has(l->uts_ns_name))
		return "";
	return string_at(lx, symbol + l->uts_ns_name.off + l->uts_nodename.off,
			 l->uts_nodename.size);
}

static uint32_t online_cpus(struct linux_os *lx)
{
	uint64_t symbol;
	uint8_t mask[1024] = { 0 }; /* 8192 processors: MAXSMP */
	uint32_t n = 0;

	if (!linux_symbol(lx, "__cpu_online_mask", &symbol))
		return 0;
	int64_t size = 8;
	uint32_t type;
	if (sonde_type_find(lx->os.types, "struct cpumask", &type))
		size = sonde_type_size(lx->os.types, type);
	if (size < 1 || size > (int64_t)sizeof(mask) ||
	    sonde_space_get(lx->os.kernel_memory, symbol, mask, (size_t)size) < 0)
		return 0;
	for (int64_t i = 0; i < size; i++)
		n += (uint32_t)__builtin_popcount(mask[i]);
	return n;
}

/* "Linux version RELEASE (builder) ..." */
static const char *release(struct linux_os *lx)
{
	const char *start = lx->kernel.version + strlen("Linux version ");
	const char *copy = arena_strndup(&lx->arena, start, strcspn(start, " "));

	return copy ? copy : "";
}

void kernel_describe(struct linux_os *lx)
{
	struct sonde_kernel *k = &lx->kernel;

	k->family = "linux";
	k->arch = SONDE_ARCH_X86_64;
	k->release = release(lx);
	k->command_line = command_line(lx);
	k->hostname = hostname(lx);
	k->types_from = sonde_types_source(lx->os.types);
	k->page_levels = lx->paging->n_levels;
	k->page_table = lx->root;
	k->n_cpus = online_cpus(lx);
	k->n_symbols = sonde_symbol_count(lx->os.symbols);
	linux_symbol(lx, "_stext", &k->text_start);
	linux_symbol(lx, "_etext", &k->text_end);
	if (linux_symbol(lx, "_text", &k->kaslr_offset))
		k->kaslr_offset -= X64_KERNEL_MAP + X64_TEXT_OFFSET;
	k->phys_base = X64_KERNEL_MAP - lx->image_slide;
	describe_clocks(lx);
}
