/* SPDX-License-Identifier: MIT */
/* Programs and libraries in the memory of a process: the ELF images among its mappings. */
#ifndef SONDE_COMMON_IMAGES_H
#define SONDE_COMMON_IMAGES_H

#include <sonde/os.h>

/* Add them to list, which is empty, with their build ids. Returns 0; SONDE_E_NO_MEMORY. */
int images_add(struct sonde_space *memory, const struct sonde_mappings *mappings,
	       struct sonde_modules *list);
/* By rising base. */
void modules_sort(struct sonde_modules *list);

#endif
