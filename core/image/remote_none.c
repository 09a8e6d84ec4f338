/* SPDX-License-Identifier: MIT */
/* Where the library was built without the headers of libcurl. */
#include "image/image.h"

int image_remote_open(const char *who, const char *name, struct sonde_image **ret,
		      struct sonde_error *err)
{
	(void)name;
	(void)ret;
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "%s: this build reads no URLs: build it where libcurl's headers are "
			       "(Debian: libcurl4-openssl-dev)",
			       who);
}
