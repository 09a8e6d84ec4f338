/* SPDX-License-Identifier: MIT */
/* The calls of libnbd that are used, bound when the first export is opened (bind.h): fifteen libraries stand behind it, those of TLS. */
#ifndef NBD_API_H
#define NBD_API_H

#include <libnbd.h>
#include <sonde/plugin.h>

#define API_CALLS(X)                                                                               \
	X(nbd_add_meta_context)                                                                    \
	X(nbd_aio_block_status)                                                                    \
	X(nbd_aio_connect_tcp)                                                                     \
	X(nbd_aio_connect_unix)                                                                    \
	X(nbd_aio_connect_uri)                                                                     \
	X(nbd_aio_disconnect)                                                                      \
	X(nbd_aio_get_direction)                                                                   \
	X(nbd_aio_get_fd)                                                                          \
	X(nbd_aio_is_closed)                                                                       \
	X(nbd_aio_is_dead)                                                                         \
	X(nbd_aio_is_ready)                                                                        \
	X(nbd_aio_notify_read)                                                                     \
	X(nbd_aio_notify_write)                                                                    \
	X(nbd_aio_pread_structured)                                                                \
	X(nbd_aio_pwrite)                                                                          \
	X(nbd_can_meta_context)                                                                    \
	X(nbd_close)                                                                               \
	X(nbd_create)                                                                              \
	X(nbd_get_block_size)                                                                      \
	X(nbd_get_errno)                                                                           \
	X(nbd_get_error)                                                                           \
	X(nbd_get_export_description)                                                              \
	X(nbd_get_size)                                                                            \
	X(nbd_is_read_only)                                                                        \
	X(nbd_set_export_name)                                                                     \
	X(nbd_set_full_info)                                                                       \
	X(nbd_set_pread_initialize)                                                                \
	X(nbd_set_tls)                                                                             \
	X(nbd_set_tls_certificates)                                                                \
	X(nbd_set_tls_psk_file)                                                                    \
	X(nbd_set_tls_username)                                                                    \
	X(nbd_set_uri_allow_local_file)

struct api {
#define X(name) __typeof__(name) *name;
	API_CALLS(X)
#undef X
};

/* Of the process, like the library: the same for every connection. */
extern struct api api;

/* Before the first call. Returns 0; SONDE_E_UNSUPPORTED where libnbd is missing or too old. Any thread. */
int api_load(const struct sonde_host *host, struct sonde_error *err);

#endif
