/* SPDX-License-Identifier: MIT */
/* Programs and libraries in the memory of a process: the ELF images among its mappings. */
#ifndef SONDE_COMMON_IMAGES_H
#define SONDE_COMMON_IMAGES_H

#include <sonde/os.h>

/* Add them to list, which is empty, with their build ids. Returns 0; SONDE_E_NO_MEMORY. */
int images_add(struct sonde_space *memory, const struct sonde_mappings *mappings,
	       struct sonde_modules *list);
/*
 * enum sonde_arch of the first of them whose header is there; NONE is of one that is not known here, otherwise there is none.
 * Returns 0; SONDE_E_NOT_FOUND (none can be read), _NO_MEMORY.
 */
int images_arch(struct sonde_space *memory, const struct sonde_mappings *mappings, uint32_t *ret);
/* By rising base. */
void modules_sort(struct sonde_modules *list);

#endif
