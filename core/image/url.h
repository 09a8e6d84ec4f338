/* SPDX-License-Identifier: MIT */
/* URLs of images: what is one, and what of it may be shown. */
#ifndef SONDE_IMAGE_URL_H
#define SONDE_IMAGE_URL_H

#include <stddef.h>

/* Does it begin with http://, https:// or 9p://, in either case? */
int url_is(const char *text);
int url_is_9p(const char *text);

/*
 * Cut what gives access out of each URL of HTTP in text, in place: user and password, and all behind '?', where presigned
 * URLs carry their signature. "https://me:secret@host/x?sig=1,a=b|cache" becomes "https://host/x?...|cache" or
 * shorter. A URL ends at a bar: what is behind a comma may still be of it.
 */
void url_conceal(char *text);

#endif
