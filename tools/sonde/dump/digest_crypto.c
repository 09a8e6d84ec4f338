/* SPDX-License-Identifier: MIT */
#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>

struct digest; /* an EVP_MD_CTX */

struct digest *digest_create(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1)
		return (struct digest *)ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

void digest_destroy(struct digest *digest)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)digest);
}

void digest_add(struct digest *digest, const void *bytes, size_t len)
{
	EVP_DigestUpdate((EVP_MD_CTX *)digest, bytes, len);
}

void digest_text(struct digest *digest, char text[65])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	text[0] = '\0';
	EVP_DigestFinal_ex((EVP_MD_CTX *)digest, sum, &len);
	for (unsigned i = 0; i < len && i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", sum[i]);
}
