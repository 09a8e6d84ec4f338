/* SPDX-License-Identifier: MIT */
/* Entries that are not present, by the numbering that swap_entry.h derives from the kernel's configuration. */
#include "linux/swap_entry.h"

#include "linux/linux.h"

#define N_TYPES 32u /* MAX_SWAPFILES_SHIFT is 5 */

static bool is_exclusive_device(const struct swap_types *types, uint32_t index)
{
	return types->n_device > 2 && index >= 2;
}

static uint64_t bits_of(uint64_t entry, uint32_t shift, uint32_t bits)
{
	return entry >> shift & ((UINT64_C(1) << bits) - 1);
}

uint32_t swap_entry_kind(const struct swap_layout *layout, const struct swap_types *types,
			 uint64_t entry, uint32_t *ret_type, uint64_t *ret_offset)
{
	uint32_t type = (uint32_t)bits_of(entry, layout->type_shift, layout->type_bits);
	uint32_t at =
		N_TYPES - types->n_marker - types->n_device - types->n_migration - types->n_poison;

	*ret_type = type;
	*ret_offset = bits_of(layout->inverted ? ~entry : entry, layout->offset_shift,
			      layout->offset_bits);
	if (type < at)
		return type < types->n_files ? SONDE_ENTRY_SWAPPED : SONDE_ENTRY_ABSENT;
	if (type < (at += types->n_poison))
		return SONDE_ENTRY_POISONED;
	if (type < (at += types->n_migration))
		return SONDE_ENTRY_MIGRATING;
	if (type < at + types->n_device)
		return is_exclusive_device(types, type - at) ? SONDE_ENTRY_DEVICE_EXCLUSIVE
							     : SONDE_ENTRY_DEVICE;
	return SONDE_ENTRY_MARKER;
}

static bool has_symbol(const struct linux_os *lx, const char *name)
{
	uint64_t at;

	return linux_symbol(lx, name, &at);
}

/* A kernel without a feature lacks the functions of its file. */
void swap_types_of(const struct linux_os *lx, struct swap_types *ret)
{
	uint32_t type;
	uint64_t at;
	/* include/linux/swapops.h has the typedef from the release on that has markers. */
	bool markers = lx->os.types && sonde_type_find(lx->os.types, "pte_marker", &type);

	*ret = (struct swap_types){ .n_files = UINT32_MAX, .n_marker = markers };
	if (has_symbol(lx, "memory_failure")) /* mm/memory-failure.c */
		ret->n_poison = 1;
	if (has_symbol(lx, "migrate_pages")) /* mm/migrate.c */
		ret->n_migration = markers ? 3 : 2;
	if (has_symbol(lx, "make_device_exclusive")) /* mm/rmap.c, CONFIG_DEVICE_PRIVATE; v6.15 */
		ret->n_device = 3;
	else if (has_symbol(lx, "make_device_exclusive_range")) /* ... v5.14 */
		ret->n_device = 4;
	else if (has_symbol(lx, "migrate_vma_setup")) /* mm/migrate.c, CONFIG_DEVICE_PRIVATE */
		ret->n_device = 2;
	if (linux_symbol(lx, "nr_swapfiles", &at)) /* mm/swapfile.c */
		sonde_space_u32(lx->os.kernel_memory, at, &ret->n_files);
}
