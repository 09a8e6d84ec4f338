/* SPDX-License-Identifier: MIT */
/*
 * Who runs on a processor. In the kernel x86-64 has gs at the processor's own variables, of which one is the running
 * task; aarch64 keeps the task in sp_el0, riscv64 in tp.
 *
 * Source: linux v6.1 arch/x86/include/asm/current.h (current_task), v6.6 the same (pcpu_hot.current_task);
 * v6.6 arch/arm64/include/asm/current.h, arch/riscv/include/asm/current.h.
 */
#include <string.h>

#include "linux/linux.h"

/* Per-CPU address of the pointer to the running task. Returns 1, 0 not known. */
static int current_variable(const struct linux_os *lx, uint64_t *ret)
{
	struct sonde_member member;
	uint64_t hot;
	uint32_t type;

	if (linux_symbol(lx, "current_task", ret))
		return 1;
	if (!linux_symbol(lx, "pcpu_hot", &hot) ||
	    !sonde_type_find(lx->os.types, "struct pcpu_hot", &type) ||
	    !sonde_type_member(lx->os.types, type, "current_task", &member))
		return 0;
	*ret = hot + member.bit_off / 8;
	return 1;
}

/* User code has the kernel's base in the other one; that is in the upper half. */
static int kernel_gs(const struct sonde_cpu *cpu, uint64_t *ret)
{
	if (cpu->valid & SONDE_CPU_GS && cpu->gs_base >> 63)
		*ret = cpu->gs_base;
	else if (cpu->valid & SONDE_CPU_KERNEL_GS && cpu->kernel_gs_base >> 63)
		*ret = cpu->kernel_gs_base;
	else
		return 0;
	return 1;
}

static int find_task(struct linux_os *lx, const struct sonde_event *event, uint64_t *ret)
{
	uint64_t base, variable;

	if (event->task || event->registers.arch != SONDE_ARCH_X86_64) {
		*ret = event->task;
		return linux_pointer_plausible(lx, *ret) ? SONDE_OK : SONDE_E_NOT_FOUND;
	}
	if (!kernel_gs(&event->registers, &base) || !current_variable(lx, &variable))
		return SONDE_E_NOT_FOUND;
	int r = sonde_space_u64(lx->os.kernel_memory, base + variable, ret);
	if (r < 0)
		return r;
	return linux_pointer_plausible(lx, *ret) ? SONDE_OK : SONDE_E_CORRUPT;
}

static int read_task(struct linux_os *lx, uint64_t task, struct sonde_current *ret,
		     uint64_t *ret_mm)
{
	const struct layout *l = &lx->layout;
	struct sonde_current current = { .addr = task };
	uint32_t pid = 0, tgid = 0;
	uint64_t mm = 0;
	uint32_t name_len = l->task_comm.size < sizeof(current.name) - 1
				    ? l->task_comm.size
				    : (uint32_t)sizeof(current.name) - 1;
	struct sonde_xfer pieces[] = {
		{ .addr = task + l->task_pid.off, .buf = &pid, .len = sizeof(pid) },
		{ .addr = task + l->task_tgid.off, .buf = &tgid, .len = sizeof(tgid) },
		{ .addr = task + l->task_mm.off, .buf = &mm, .len = sizeof(mm) },
		{ .addr = task + l->task_comm.off, .buf = current.name, .len = name_len },
	};
	const size_t n = sizeof(pieces) / sizeof(pieces[0]);

	int r = sonde_space_read(lx->os.kernel_memory, pieces, n);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = pieces[i].err;
	if (r < 0)
		return r;
	current.pid = (int32_t)sonde_le32(&pid);
	current.tgid = (int32_t)sonde_le32(&tgid);
	*ret_mm = sonde_le64(&mm);
	*ret = current;
	return SONDE_OK;
}

/* A kernel thread has no memory; one whose table cannot be had is as good as that. */
static void read_root(struct linux_os *lx, uint64_t mm, struct sonde_current *current)
{
	uint64_t pgd, root;

	if (linux_pointer_plausible(lx, mm) &&
	    sonde_space_u64(lx->os.kernel_memory, mm + lx->layout.mm_pgd.off, &pgd) == SONDE_OK &&
	    linux_root_of_pgd(lx, pgd, &root))
		current->page_table = root;
}

int linux_current(struct sonde_os *os, const struct sonde_event *event, struct sonde_current *ret,
		  struct sonde_error *err)
{
	struct linux_os *lx = linux_of(os);
	struct sonde_current current;
	uint64_t task = 0, mm = 0;
	int r = find_task(lx, event, &task);

	if (r == SONDE_OK)
		r = read_task(lx, task, &current, &mm);
	if (r < 0)
		return sonde_error_set(err, r, "linux: processor %u: its task at 0x%llx: %s",
				       event->cpu, (unsigned long long)task, sonde_strerror(r));
	read_root(lx, mm, &current);
	*ret = current;
	return SONDE_OK;
}
