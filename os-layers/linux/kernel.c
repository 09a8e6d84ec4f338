/* SPDX-License-Identifier: MIT */
/*
 * The kernel's identity and clocks. Nothing here can fail an attach: a fact that cannot be
 * read is left out.
 */
#include "linux/kernel.h"

#include <sonde/fields.h>
#include <string.h>

#include "linux/arch.h"

#define NS_PER_SEC UINT64_C(1000000000)

/* What is told of the time. A member that this kernel lacks is 0. */
struct clocks {
	uint64_t xtime_sec, ktime_sec; /* wall and monotonic seconds        */
	uint64_t offs_real, offs_boot; /* ns, from the monotonic clock      */
};

#define PLACES 17u

static bool clock_plausible(uint64_t seconds)
{
	return seconds > 946684800u && seconds < 7258118400u; /* 2000 .. 2199 */
}

static bool clocks_agree(const struct clocks *c)
{
	uint64_t real = c->offs_real / NS_PER_SEC;

	/* Monotonic seconds plus the offset are the wall clock, but for rounding. */
	return clock_plausible(c->xtime_sec) && c->ktime_sec < c->xtime_sec &&
	       real <= c->xtime_sec && c->xtime_sec - real - c->ktime_sec <= 2;
}

#define CLOCK(member, field)                                                                       \
	SONDE_FIELD(struct clocks, member, field.off, field.size, SONDE_FIELD_UNSIGNED,            \
		    SONDE_LITTLE)

/*
 * tk_core is an anonymous structure: a sequence counter, then the timekeeper, aligned (linux v6.6
 * kernel/time/timekeeping.c; struct tk_data since v6.13). Where exactly is seen from its values: two
 * clocks that must agree. All places are read in one trip.
 */
static bool clocks_at(struct linux_os *lx, uint64_t core, struct clocks *ret)
{
	const struct layout *l = &lx->layout;
	const struct sonde_field table[] = {
		CLOCK(xtime_sec, l->tk_xtime_sec),
		CLOCK(ktime_sec, l->tk_ktime_sec),
		CLOCK(offs_real, l->tk_offs_real),
		CLOCK(offs_boot, l->tk_offs_boot),
	};
	const struct sonde_fields fields = { table, 4, sizeof(struct clocks) };
	struct clocks clocks[PLACES];
	struct sonde_struct places[PLACES];

	if (!has(l->tk_xtime_sec) || !has(l->tk_offs_real))
		return false;
	size_t n = sonde_structs_array(places, PLACES, core, 8, clocks, sizeof(clocks[0]));
	if (sonde_structs_read(lx->os.kernel_memory, &fields, places, n) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (clocks_agree(&clocks[i])) {
			*ret = clocks[i];
			return true;
		}
	}
	return false;
}

static bool find_clocks(struct linux_os *lx, struct clocks *ret)
{
	uint64_t core;

	return linux_symbol(lx, "tk_core", &core) && clocks_at(lx, core, ret);
}

uint64_t kernel_clock_at(struct linux_os *lx, uint64_t core)
{
	struct clocks clocks;

	return clocks_at(lx, core, &clocks) ? clocks.xtime_sec : 0;
}

uint64_t kernel_clock(struct linux_os *lx)
{
	struct clocks clocks;

	return find_clocks(lx, &clocks) ? clocks.xtime_sec : 0;
}

static void describe_clocks(struct linux_os *lx)
{
	struct clocks clocks;

	if (!find_clocks(lx, &clocks))
		return;
	lx->kernel.boot_time_ns = clocks.offs_real - clocks.offs_boot;
	lx->kernel.uptime_ns = clocks.ktime_sec * NS_PER_SEC + clocks.offs_boot;
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

void kernel_describe(struct linux_os *lx)
{
	struct sonde_kernel *k = &lx->kernel;

	k->family = "linux";
	k->arch = lx->arch->arch;
	k->command_line = command_line(lx);
	k->hostname = hostname(lx);
	k->types_from = sonde_types_source(lx->os.types);
	k->page_levels = lx->paging->n_levels;
	k->page_table = lx->root;
	k->n_cpus = online_cpus(lx);
	k->n_symbols = sonde_symbol_count(lx->os.symbols);
	linux_symbol(lx, "_stext", &k->text_start);
	linux_symbol(lx, "_etext", &k->text_end);
	describe_clocks(lx);
}
