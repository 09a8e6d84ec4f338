/* SPDX-License-Identifier: MIT */
/* PO_MEMORY_IMAGE of the public symbols, build by build. */
#include "layouts.h"

#define OLD_64 0x18, 0x20
#define OLD_32 0x14, 0x18
#define NEW_64(kernel) 0x18, 0x20, 0, 0x58, 0x68, 0x70, kernel
#define NEW_32(kernel) 0x14, 0x18, 0, 0x48, 0x50, 0x54, kernel

static const struct hiber_layout layouts[] = {
	{ 0x128, 8, "7", OLD_64, 0x60, 0, 0, 0, 0 },
	{ 0x0e0, 4, "7", OLD_32, 0x4c, 0, 0, 0, 0 },
	{ 0x360, 8, "8 or 8.1", 0x18, 0x20, 0, 0x58, 0x60, 0x68, 0x1c8 },
	{ 0x3b0, 8, "10, builds 10240 and 10586", NEW_64(0x218) },
	{ 0x3c8, 8, "10, build 14393", NEW_64(0x220) },
	{ 0x3d8, 8, "10, builds 15063 to 17134", NEW_64(0x230) },
	{ 0x3e0, 8, "10, builds 17763 to 19045", NEW_64(0x230) },
	{ 0x448, 8, "11, builds 20348 to 22631", NEW_64(0x230) },
	{ 0x4d8, 8, "11, build 26100", NEW_64(0x238) },
	{ 0x2c8, 4, "8 or 8.1", NEW_32(0x1b0) },
	{ 0x310, 4, "10, builds 10240 and 10586", NEW_32(0x1f8) },
	{ 0x328, 4, "10, build 14393", NEW_32(0x200) },
	{ 0x338, 4, "10, builds 15063 to 17134", NEW_32(0x210) },
	{ 0x340, 4, "10, builds 17763 to 19045", NEW_32(0x210) },
};

const struct hiber_layout *hiber_layout_of(uint32_t length)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].length == length)
			return &layouts[i];
	}
	return NULL;
}
