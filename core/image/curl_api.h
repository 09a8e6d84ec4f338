/* SPDX-License-Identifier: MIT */
/* The calls of libcurl that are used, bound when the first URL is opened (library.h): twenty libraries stand behind it. */
#ifndef SONDE_IMAGE_CURL_API_H
#define SONDE_IMAGE_CURL_API_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <sonde/error.h>

#define CURL_CALLS(X)                                                                              \
	X(easy_init)                                                                               \
	X(easy_cleanup)                                                                            \
	X(easy_setopt)                                                                             \
	X(easy_getinfo)                                                                            \
	X(easy_strerror)                                                                           \
	X(global_init)                                                                             \
	X(multi_init)                                                                              \
	X(multi_cleanup)                                                                           \
	X(multi_setopt)                                                                            \
	X(multi_add_handle)                                                                        \
	X(multi_remove_handle)                                                                     \
	X(multi_perform)                                                                           \
	X(multi_poll)                                                                              \
	X(multi_info_read)                                                                         \
	X(multi_strerror)                                                                          \
	X(slist_append)                                                                            \
	X(slist_free_all)

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct curl_api {
#define X(name) __typeof__(curl_##name) *name;
	CURL_CALLS(X)
#undef X
};

/* Load libcurl into this process, for good. NULL and err: SONDE_E_UNSUPPORTED where it is missing or too old. Any thread. */
const struct curl_api *curl_api(struct sonde_error *err);

#endif
