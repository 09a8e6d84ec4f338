/* SPDX-License-Identifier: MIT */
/*
 * The kernel's image in memory: where it is mapped, and what it tells of itself (symbols,
 * types, banner). Works on a linux_os whose paging and root are set.
 */
#ifndef SONDE_LINUX_IMAGE_H
#define SONDE_LINUX_IMAGE_H

#include "linux/linux.h"

/* Where what lies at lx->image_text is mapped first, from that address on: it becomes lx->image_text. Returns 0; SONDE_E_NOT_FOUND. */
int image_find_text(struct linux_os *lx, uint64_t from);

/* Where the image lies, from the page tables and lx->image_text. Returns 0; SONDE_E_NOT_FOUND. Sets lx->image_slide. */
struct image {
	uint64_t text, end;  /* virtual; end is exclusive      */
	uint64_t ro, ro_end; /* the longest stretch that is neither written nor run */
};
int image_find(struct linux_os *lx, struct image *ret);

/*
 * Symbols: by the addresses in lx->info where it has them, else by shape in the image (NULL: find it
 * first). Not yet sealed with modules. Sets lx->os.symbols.
 */
int image_symbols(struct linux_os *lx, const struct image *image, struct sonde_error *err);

/* Types: BTF between __start_BTF and __stop_BTF. SONDE_E_NO_TYPES when there is none. Sets lx->os.types. */
int image_types(struct linux_os *lx, struct sonde_error *err);

/* "Linux version ..." without its newline, in lx->arena; NULL with err set. */
const char *image_banner(struct linux_os *lx, struct sonde_error *err);

#endif
