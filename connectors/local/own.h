/* SPDX-License-Identifier: MIT */
/*
 * Physical memory of the machine that this program runs on, by one of three files of its kernel:
 *
 *	/proc/kcore	kcore_map.c	what is memory, and where in the file, its headers say
 *	/dev/crash	iomem.c		/proc/iomem says it; the address is the offset
 *	/dev/mem	iomem.c		so too; most kernels refuse RAM
 *
 * reader_posix.c moves the bytes, refusal.c says why they cannot be had. Four connectors are made of this: one a file, and
 * local, which takes the first that is there.
 */
#ifndef LOCAL_OWN_H
#define LOCAL_OWN_H

#include "reader.h"
#include "refusal.h"

#include <pthread.h>

/* Where the files are; NULL: where the kernel has them. Borrowed until close. */
struct own_paths {
	const char *file; /* of the way */
	const char *iomem, *vmcoreinfo;
	int devices; /* OWN_MEM: read device memory too */
};

/*
 * Open one way. who names the connector in messages.
 *
 * Returns   0; SONDE_E_NOT_FOUND, _NO_ACCESS (err says what would help), _BAD_FORMAT, _READ_ONLY (opened for
 *           writing), _NO_MEMORY, _IO.
 */
int own_open(const struct sonde_host *host, const struct sonde_args *args, const char *who,
	     enum own_way way, const struct own_paths *paths, void **ret_conn,
	     struct sonde_error *err);

/* The slots that are alike for all. */
void own_close(void *conn);
void own_info(void *conn, struct sonde_target_info *ret);
void own_transfer(void *conn, struct sonde_io *const *ios, size_t n);
int own_regions(void *conn, sonde_region_fn *fn, void *user);
int64_t own_note(void *conn, const char *name, void *buf, size_t cap);

#define OWN_SLOTS                                                                                  \
	.size = sizeof(struct sonde_connector_ops), .close = own_close, .info = own_info,          \
	.transfer = own_transfer, .regions = own_regions, .note = own_note

#endif
