/* SPDX-License-Identifier: MIT */
/* Where the library was built without the headers of libcurl. */
#include "image/ranges.h"

int64_t http_open(const char *url, const char *shown, void *head, uint32_t cap,
		  struct range_source **ret, struct sonde_error *err)
{
	(void)url, (void)shown, (void)head, (void)cap, (void)ret;
	return sonde_error_set(
		err, SONDE_E_UNSUPPORTED,
		"this build reads no URLs of HTTP: build it where libcurl's headers are "
		"(Debian: libcurl4-openssl-dev)");
}
