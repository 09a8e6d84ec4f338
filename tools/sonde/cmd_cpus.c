/* SPDX-License-Identifier: MIT */
/* sonde cpus: the processors of a guest or a dump, with all registers that the target tells of them. */
#include "registers.h"
#include "session.h"

enum { CPU, ARCH, PC, SP, PAGE_TABLE, VECTORS, REGISTERS, ERROR, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[CPU] = { "cpu", "CPU", COLUMN_TEXT | COLUMN_RIGHT },
	[ARCH] = { "arch", "ARCH", 0 },
	[PC] = { "pc", "PC", COLUMN_TEXT },
	[SP] = { "sp", "SP", COLUMN_TEXT },
	[PAGE_TABLE] = { "page_table", "PAGE-TABLE", COLUMN_TEXT },
	[VECTORS] = { "vectors", "VECTORS", 0 },
	[REGISTERS] = { "registers", "REGISTERS", COLUMN_TEXT },
	[ERROR] = { "error", "ERROR", 0 },
};

static void put_addr_if(struct table *t, int is_known, uint64_t addr)
{
	if (is_known)
		table_addr(t, addr);
	else
		table_null(t);
}

static void put_cpu(struct table *t, uint32_t index, const struct full_cpu *full, int err)
{
	const struct sonde_cpu *cpu = &full->cpu;
	struct sonde_register registers[SONDE_REGISTERS_MAX];
	size_t n = registers_of_cpu(full, registers);
	uint64_t root = 0;
	int has_root = registers_page_table(cpu, &root);

	table_u64(t, index);
	table_str(t, cpu->arch ? sonde_arch_name(cpu->arch) : NULL);
	put_addr_if(t, cpu->valid & SONDE_CPU_GENERAL, cpu->pc);
	put_addr_if(t, cpu->valid & SONDE_CPU_GENERAL, cpu->sp);
	put_addr_if(t, has_root, root);
	put_addr_if(t, cpu->valid & SONDE_CPU_TABLES, cpu->idt_base);
	registers_cell(t, registers, n);
	table_str(t, err < 0 ? sonde_error_name(err) : NULL);
	table_style(t, err < 0 ? STYLE_RED : STYLE_NONE);
	table_row(t);
}

/* QEMU's monitor prints none of these, its stub does. */
static bool lacks_system_registers(const struct sonde_target_info *info,
				   const struct sonde_cpu *cpu)
{
	const uint32_t guest = SONDE_TARGET_LIVE | SONDE_TARGET_PHYSICAL;

	return (info->flags & guest) == guest && cpu->arch == SONDE_ARCH_AARCH64 &&
	       !(cpu->valid & SONDE_CPU_CONTROL);
}

static int list(struct ctx *ctx, struct table *t, const struct sonde_target_info *info)
{
	uint32_t n_lacking = 0, n_failed = 0;

	for (uint32_t i = 0; i < info->n_cpus; i++) {
		struct full_cpu cpu;
		int r = registers_read(ctx->target, i, &cpu);
		put_cpu(t, i, &cpu, r);
		n_failed += r < 0;
		n_lacking += r == 0 && lacks_system_registers(info, &cpu.cpu);
	}
	table_finish(t);
	if (n_failed)
		return fail(ctx, EXIT_PARTIAL, "registers of %u of %u processors could not be had",
			    n_failed, info->n_cpus);
	if (n_lacking)
		return fail(ctx, EXIT_PARTIAL,
			    "system registers, the page-table root among them, are not told here: "
			    "open a guest of QEMU as gdb:qemu:NAME for them");
	return 0;
}

static int run(struct ctx *ctx)
{
	struct sonde_target_info info;
	struct table table;

	int code = session_open(ctx);
	if (code != 0 || (code = table_init(&table, ctx, columns, N_COLUMNS)) != 0)
		return code;
	sonde_target_info(ctx->target, &info);
	if (!info.n_cpus)
		return fail(ctx, EXIT_FAILED, "'%s': tells no registers of processors", info.name);
	return list(ctx, &table, &info);
}

const struct cmd cmd_cpus = {
	.name = "cpus",
	.args = "TARGET",
	.summary = "show the registers of all processors",
	.help = "List the processors of a guest or a dump, with all registers that the target "
		"tells:\n"
		"general and control registers, the physical address of the kernel's page tables\n"
		"that is in use, and where exceptions go. Of a running aarch64 guest "
		"gdb:qemu:NAME\n"
		"tells system registers (TTBR1_EL1), qemu:NAME does not.\n"
		"Fields: cpu arch pc sp page_table vectors registers error.\n",
	.example = "sonde cpus qemu:debian",
	.options = OPT_BIT(FIELDS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
