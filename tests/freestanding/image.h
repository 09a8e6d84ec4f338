/* SPDX-License-Identifier: MIT */
/* An image that boots without any system: image.c is alike on all processors, <arch>/machine.c is the rest. */
#ifndef TESTS_FREESTANDING_IMAGE_H
#define TESTS_FREESTANDING_IMAGE_H

#include "body.h"

#define IMAGE_RANGES 16u

struct image {
	struct machine machine;
	struct sonde_bare_range ranges[IMAGE_RANGES];
};

/* RAM, which lies where its physical address says. */
void image_add_memory(struct image *image, uint64_t addr, uint64_t len);
/* What the machine's own part has filled, and the rest by image.c. */
_Noreturn void image_run(struct image *image);
_Noreturn void image_fatal(const char *what, uint64_t a, uint64_t b);

/* The machine's own part. */
void image_print(const char *text);
uint64_t image_now_ns(void *user);
void image_relax(uint64_t timeout_ns);
_Noreturn void image_end(bool good);

#endif
