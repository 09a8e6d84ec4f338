/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), as sha256sum prints it. */
#ifndef SONDE_TOOL_DUMP_DIGEST_H
#define SONDE_TOOL_DUMP_DIGEST_H

#include <stddef.h>

struct digest;

/* NULL: this build has none, or there is no memory for it. */
struct digest *digest_create(void);
void digest_destroy(struct digest *digest); /* NULL is allowed */

void digest_add(struct digest *digest, const void *bytes, size_t len);
/* Of all that was added; once. */
void digest_text(struct digest *digest, char text[65]);

#endif
