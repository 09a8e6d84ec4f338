/* SPDX-License-Identifier: MIT */
/* Where the library was built without the headers of what unpacks: packed files are what they are. */
#include "image/image.h"

int image_unpack(const char *who, struct sonde_image **image, int write, struct sonde_error *err)
{
	(void)who;
	(void)image;
	(void)write;
	(void)err;
	return 0;
}
