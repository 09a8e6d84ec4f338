/* SPDX-License-Identifier: MIT */
/*
 * The processor that wrote the file: KPROCESSOR_STATE, in the page behind the header (libhibr's documentation) or the one behind
 * that (Volatility 2.6 hibernate.py). Which version it is of nobody says, so it counts only where all of it is sound. Layouts: public
 * symbols of Windows 7 to 11 (Vergilius Project); KDESCRIPTOR: a limit, and the base behind it.
 */
#include "../common/win_context.h"
#include "index.h"

#include <sonde/error.h>
#include <sonde/types.h>

static const struct state {
	uint32_t word;
	uint16_t special, context; /* KSPECIAL_REGISTERS, CONTEXT */
	uint16_t gdt, idt, gs;     /* bases, in the former; gs 0: there is none */
} states[] = {
	{ 8, 0, 0xe0, 0x58, 0x68, 0xa8 }, /* Windows 7     */
	{ 8, 0, 0xf0, 0x58, 0x68, 0xa8 }, /* 8 and later   */
	{ 4, 0x2cc, 0, 0x2c, 0x34, 0 },
};

#define CR0_PE_PG 0x80000001u
#define CR4_PAE 0x20u

static uint64_t special(const struct hiber_file *file, const struct state *state,
			const uint8_t *page, uint32_t off)
{
	return hiber_word(file, page + state->special + off);
}

static int take(struct hiber_file *file, const struct state *state, const uint8_t *page)
{
	struct full_cpu full = { 0 };
	uint32_t word = state->word, arch = word == 8 ? SONDE_ARCH_X86_64 : SONDE_ARCH_I386;

	if (!win_context_cpu(arch, page + state->context, HIBER_PAGE - state->context, &full))
		return 0;
	struct sonde_cpu cpu = full.cpu;
	cpu.cr[0] = special(file, state, page, 0);
	for (uint32_t i = 2; i < 5; i++)
		cpu.cr[i] = special(file, state, page, (i - 1) * word);
	if ((cpu.cr[0] & CR0_PE_PG) != CR0_PE_PG || cpu.cr[3] < HIBER_PAGE ||
	    (word == 8 && !(cpu.cr[4] & CR4_PAE)))
		return 0;
	cpu.gdt_base = special(file, state, page, state->gdt);
	cpu.idt_base = special(file, state, page, state->idt);
	cpu.valid |= SONDE_CPU_CONTROL | SONDE_CPU_TABLES;
	if (state->gs) {
		cpu.gs_base = special(file, state, page, state->gs);
		cpu.kernel_gs_base = special(file, state, page, state->gs + word);
		cpu.valid |= SONDE_CPU_GS | SONDE_CPU_KERNEL_GS;
	}
	file->cpu = cpu;
	return 1;
}

void hiber_read_processor(struct hiber_file *file)
{
	uint8_t page[HIBER_PAGE];

	for (uint64_t i = 1; i <= 2 && !file->cpu.valid; i++) {
		if (source_read(file->source, i * HIBER_PAGE, page, sizeof(page)) < 0)
			return;
		for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
			if (states[k].word == file->layout->word && take(file, &states[k], page))
				return;
		}
	}
}
