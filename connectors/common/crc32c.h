/* SPDX-License-Identifier: MIT */
/* CRC-32C: the polynomial of Castagnoli, reflected (RFC 3720 12.1), as in snappy's framing format. */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of len bytes alone. Any thread. */
uint32_t crc32c(const void *bytes, size_t len);

#endif
