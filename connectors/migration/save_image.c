/* SPDX-License-Identifier: MIT */
#include "save_image.h"
#include "big_endian.h"

#include <sonde/types.h>
#include <string.h>

#define MAGIC "LibvirtQemudSave"
#define MAGIC_PARTIAL "LibvirtQemudPart"

int save_image_probe(const uint8_t *head, size_t len)
{
	return len >= 16 && (memcmp(head, MAGIC, 16) == 0 || memcmp(head, MAGIC_PARTIAL, 16) == 0);
}

const char *save_packing_name(uint32_t packing)
{
	static const char *const names[SAVE_PACKINGS] = { "",     "gzip", "bzip2", "xz",
							  "lzop", "zstd", "sparse" };

	return packing < SAVE_PACKINGS ? names[packing] : "";
}

int save_image_read(struct save_image *ret, const uint8_t *head, size_t len, uint64_t file_len,
		    struct fault *ret_fault)
{
	if (len < SAVE_IMAGE_HEAD)
		return fault_set(ret_fault, SONDE_E_TRUNCATED, "head of libvirt: is cut off", len);
	if (memcmp(head, MAGIC_PARTIAL, 16) == 0)
		return fault_set(ret_fault, SONDE_E_BAD_FORMAT,
				 "head of libvirt: magic: it was not written to its end", 0);
	/* A version is small: its order tells that of all. */
	int big = sonde_le32(head + 16) > 0xffff;
	uint32_t version = big ? be32(head + 16) : sonde_le32(head + 16);
	*ret = (struct save_image){
		.xml_len = big ? be32(head + 20) : sonde_le32(head + 20),
		.packing = big ? be32(head + 28) : sonde_le32(head + 28),
		.was_running = sonde_le32(head + 24) != 0,
	};
	ret->stream_at = SAVE_IMAGE_HEAD + (uint64_t)ret->xml_len;
	if (version < 1 || version > 3) {
		ret->packing = SAVE_PLAIN; /* nobody knows */
		return fault_set(ret_fault, SONDE_E_UNSUPPORTED,
				 "head of libvirt: version: is not 1 to 3", 16);
	}
	if (ret->stream_at > file_len)
		return fault_set(ret_fault, SONDE_E_TRUNCATED,
				 "head of libvirt: length of the XML: is beyond the file", 20);
	if (ret->packing >= SAVE_PACKINGS)
		return fault_set(ret_fault, SONDE_E_UNSUPPORTED,
				 "head of libvirt: compression: is not known here", 28);
	return 0;
}
