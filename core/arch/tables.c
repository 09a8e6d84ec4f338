/* SPDX-License-Identifier: MIT */
/* Page-table formats by name, and the space that tables span, for those who know where they are. */
#include <sonde/error.h>
#include <sonde/space.h>

#include "arch/paging.h"
#include "base/mem.h"

enum family { X86_64, X86_32, EPT, NPT, RISCV64, RISCV64_GUEST, ARM64, ARM64_WIDE };

/* As docs/man/sonde-layers.7 has them. */
static const struct format {
	const char *name;
	enum family family;
	uint32_t a, b; /* levels; PAE or not; bits of an address; granule and bits of an address */
} formats[] = {
	{ "x86-64-4", X86_64, 4, 0 },
	{ "x86-64-5", X86_64, 5, 0 },
	{ "x86-32", X86_32, 0, 0 },
	{ "x86-pae", X86_32, 1, 0 },
	{ "ept4", EPT, 4, 0 },
	{ "ept5", EPT, 5, 0 },
	{ "npt4", NPT, 4, 0 },
	{ "npt5", NPT, 5, 0 },
	{ "sv39", RISCV64, 39, 0 },
	{ "sv48", RISCV64, 48, 0 },
	{ "sv57", RISCV64, 57, 0 },
	{ "sv39x4", RISCV64_GUEST, 39, 0 },
	{ "sv48x4", RISCV64_GUEST, 48, 0 },
	{ "sv57x4", RISCV64_GUEST, 57, 0 },
	{ "arm64-4k-39", ARM64, 12, 39 },
	{ "arm64-4k-48", ARM64, 12, 48 },
	{ "arm64-4k-52", ARM64_WIDE, 12, 52 },
	{ "arm64-16k-36", ARM64, 14, 36 },
	{ "arm64-16k-47", ARM64, 14, 47 },
	{ "arm64-16k-48", ARM64, 14, 48 },
	{ "arm64-16k-52", ARM64_WIDE, 14, 52 },
	{ "arm64-64k-42", ARM64, 16, 42 },
	{ "arm64-64k-48", ARM64, 16, 48 },
	{ "arm64-64k-52", ARM64_WIDE, 16, 52 },
};

static const struct paging *paging_of(const struct format *f)
{
	switch (f->family) {
	case X86_64:
		return paging_x86_64(f->a);
	case X86_32:
		return paging_x86_32(f->a);
	case EPT:
		return paging_ept(f->a, false);
	case NPT:
		return paging_npt(f->a);
	case RISCV64:
		return paging_riscv64(f->a);
	case RISCV64_GUEST:
		return paging_riscv64_guest(f->a);
	case ARM64:
		return paging_arm64(f->a, f->b, false);
	case ARM64_WIDE:
		return paging_arm64(f->a, f->b, true);
	}
	return NULL;
}

const struct paging *paging_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (mem_same_text(formats[i].name, name))
			return paging_of(&formats[i]);
	}
	return NULL;
}

int sonde_space_tables(struct sonde_space *phys, const struct sonde_tables *tables,
		       struct sonde_space **ret)
{
	const struct paging *paging =
		phys && tables && tables->format ? paging_by_name(tables->format) : NULL;

	if (!paging)
		return SONDE_E_BAD_ARG;
	struct paging_map map = { paging, paging_root_of(paging, tables->root),
				  paging_root_of(paging, tables->high_root) };
	return paging_space(phys, map, tables->forget_ns, ret);
}
