/* SPDX-License-Identifier: MIT */
/* Where in the header of which Windows what is. A header tells its own length, which no two layouts share. */
#ifndef HIBER_LAYOUTS_H
#define HIBER_LAYOUTS_H

#include <stddef.h>
#include <stdint.h>

#define HIBER_HEADER_MAX 0x500u

/* Of every one. */
enum { HIBER_LENGTH_SELF = 0xc };

struct hiber_layout {
	uint32_t length; /* LengthSelf                                                   */
	uint32_t word;   /* 4 or 8: of page numbers                                      */
	const char *windows;
	uint16_t page_size, time;
	uint16_t first_table;  /* of Windows 7; 0: there are restoration sets instead:     */
	uint16_t n_boot;       /* NumPagesForLoader, 64 bits                               */
	uint16_t boot, kernel; /* FirstBootRestorePage, FirstKernelRestorePage; a word each */
	uint16_t n_kernel;     /* KernelPagesProcessed, 64 bits                            */
};

/* NULL: no such header is known. */
const struct hiber_layout *hiber_layout_of(uint32_t length);

#endif
