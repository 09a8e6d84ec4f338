/* SPDX-License-Identifier: MIT */
/*
 * Addresses, architectures and bytes on the wire: the few words every other
 * header speaks. Byte order and word size of a target are data, never the host's.
 */
#ifndef SONDE_TYPES_H
#define SONDE_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t sonde_pa; /* guest-physical address */
typedef uint64_t sonde_va; /* virtual address        */

/* Stored as uint32_t inside ABI structs. Append only. */
enum sonde_arch {
	SONDE_ARCH_NONE = 0, /* not known */
	SONDE_ARCH_X86_64 = 1,
	SONDE_ARCH_AARCH64 = 2,
	SONDE_ARCH_I386 = 3,
	SONDE_ARCH_RISCV64 = 4,
	SONDE_ARCH_ARM = 5, /* of 32 bits: what runs under a kernel of aarch64 */
};

/* Short lower-case name ("x86_64"); "unknown" for a number that is none. */
const char *sonde_arch_name(uint32_t arch);

#define SONDE_PAGE_SHIFT 12
#define SONDE_PAGE_SIZE (UINT64_C(1) << SONDE_PAGE_SHIFT)

/* Little-endian loads from unaligned bytes, on any host. */
static inline uint16_t sonde_le16(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t sonde_le32(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t sonde_le64(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return sonde_le32(b) | (uint64_t)sonde_le32(b + 4) << 32;
}

/* Which byte of an integer lies lowest; an integer's `order` below is one of these. */
enum sonde_order { SONDE_LITTLE = 0, SONDE_BIG = 1 };

/* An unsigned integer of size bytes, 1..8, in either order, from and to unaligned bytes on any host. */
static inline uint64_t sonde_load(const void *p, uint32_t size, uint32_t order)
{
	const uint8_t *b = (const uint8_t *)p;
	uint64_t value = 0;

	for (uint32_t i = 0; i < size; i++)
		value = value << 8 | b[order == SONDE_BIG ? i : size - 1 - i];
	return value;
}

/* The low size bytes of value; what is above them is dropped. */
static inline void sonde_store(void *p, uint32_t size, uint32_t order, uint64_t value)
{
	uint8_t *b = (uint8_t *)p;

	for (uint32_t i = 0; i < size; i++, value >>= 8)
		b[order == SONDE_BIG ? size - 1 - i : i] = (uint8_t)value;
}

/* What was loaded as unsigned, of size bytes (1..8), read as two's complement. */
static inline int64_t sonde_sign_extend(uint64_t value, uint32_t size)
{
	uint64_t sign = UINT64_C(1) << (8 * size - 1);

	return (int64_t)(((value & (sign | (sign - 1))) ^ sign) - sign);
}

#ifdef __cplusplus
}
#endif
#endif
