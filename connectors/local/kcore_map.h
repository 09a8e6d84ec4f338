/* SPDX-License-Identifier: MIT */
/*
 * The headers of /proc/kcore as a physical map. The kernel writes them anew at each read: an ELF core
 * whose loads are virtual, among them the direct map of all RAM and the image, which name their physical
 * address too; those of vmalloc, vmemmap and modules name none and are left out, for page tables lead
 * there. Nothing in it is believed, though it is a kernel that says it: a container may put any file there.
 *
 * Source: linux v6.1 fs/proc/kcore.c (p_paddr since 4.11, the note VMCOREINFO since 4.19).
 */
#ifndef LOCAL_KCORE_MAP_H
#define LOCAL_KCORE_MAP_H

#include "../common/memory_map.h"
#include "../elfcore/elf_core.h"

struct kcore_map {
	struct memory_map map; /* off: in the file                     */
	uint32_t arch;         /* enum sonde_arch                      */
	uint8_t *vmcoreinfo;   /* [n_vmcoreinfo], NULL: no such note   */
	size_t n_vmcoreinfo;
};

/*
 * Read the headers through read; the size that the file claims says nothing.
 *
 * Returns   0; what elf_core_read returns; SONDE_E_UNSUPPORTED (no load names physical memory), _LIMIT,
 *           _NO_MEMORY. *ret_why says what is wrong.
 * Owns      *ret: kcore_map_finish, also after an error.
 */
int kcore_map_read(struct kcore_map *ret, elf_read_fn *read, void *user, const char **ret_why);
void kcore_map_finish(struct kcore_map *kcore);

#endif
