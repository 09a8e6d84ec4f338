/* SPDX-License-Identifier: MIT */
/*
 * What "virsh save" and "virsh managedsave" put in front of a migration stream: a head, the domain's XML, perhaps a cookie. Numbers are in the byte order of the machine that wrote them.
 *
 *	0   "LibvirtQemudSave", or "LibvirtQemudPart" while it is being written
 *	16  version                32 bits: 1, 2; 3 lays pages out sparsely
 *	20  bytes of XML and cookie behind the head
 *	24  the domain was running
 *	28  what packed the stream  0 nothing 1 gzip 2 bzip2 3 xz 4 lzop 5 zstd 6 sparse
 *	32  where in them the cookie begins
 *	36  nothing                56 bytes
 *
 * Source: libvirt 9.0 src/qemu/qemu_saveimage.h; 11.2 for what 5 and 6 mean.
 */
#ifndef SAVE_IMAGE_H
#define SAVE_IMAGE_H

#include "fault.h"

#include <stddef.h>

#define SAVE_IMAGE_HEAD 92u

enum save_packing {
	SAVE_PLAIN,
	SAVE_GZIP,
	SAVE_BZIP2,
	SAVE_XZ,
	SAVE_LZOP,
	SAVE_ZSTD,
	SAVE_SPARSE,
	SAVE_PACKINGS
};

struct save_image {
	uint64_t stream_at; /* in the file                            */
	uint32_t xml_len;   /* behind the head, with NULs at its end  */
	uint32_t packing;   /* enum save_packing                      */
	int was_running;
};

/* Is this how one begins? */
int save_image_probe(const uint8_t *head, size_t len);

/* Read the first len bytes of a file of file_len. Returns 0; SONDE_E_BAD_FORMAT, _TRUNCATED, _UNSUPPORTED. */
int save_image_read(struct save_image *ret, const uint8_t *head, size_t len, uint64_t file_len,
		    struct fault *ret_fault);

/* "gzip"; "" where it is not packed, or not known. */
const char *save_packing_name(uint32_t packing);

#endif
