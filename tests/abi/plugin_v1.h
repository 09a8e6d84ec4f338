/* SPDX-License-Identifier: MIT */
/*
 * The plugin interface 1 as first published, frozen: never edited again. A plugin built on it must
 * load and work with every later library of the same number. Types that plugins only pass on are
 * opaque here.
 */
#ifndef PLUGIN_V1_H
#define PLUGIN_V1_H

#include <stddef.h>
#include <stdint.h>

struct v1_io;
struct v1_args;
struct v1_timer;
struct v1_loop;
struct v1_region;
struct v1_cpu;

struct v1_error {
	int32_t code, os_code;
	char text[504];
};

struct v1_info {
	const char *name, *connector, *detail;
	uint32_t arch, flags, n_cpus, pad;
};

struct v1_extent {
	uint64_t addr, len;
	uint32_t kind, flags;
	uint64_t off;
	void *ptr;
	int32_t fd, err;
};
typedef int v1_extent_fn(void *user, const struct v1_extent *extent);
typedef int v1_region_fn(void *user, const struct v1_region *region);

struct v1_host {
	uint32_t size, abi;
	const char *(*arg)(const struct v1_args *args, const char *key);
	int (*arg_u64)(const struct v1_args *args, const char *key, uint64_t *ret,
		       struct v1_error *err);
	int (*arg_write)(const struct v1_args *args);
	int (*error_set)(struct v1_error *err, int code, const char *fmt, ...);
	int (*error_os)(struct v1_error *err, int os_code, const char *fmt, ...);
	void (*io_done)(struct v1_io *io);
	void (*fragment)(struct v1_io *io, uint32_t i, uint32_t off, uint32_t len, int32_t err);
	void (*forward)(void *below, struct v1_io *const *ios, size_t n);
	struct v1_loop *(*loop)(void *below);
	int (*timer_start)(struct v1_loop *loop, struct v1_timer *timer);
	int (*timer_stop)(struct v1_loop *loop, struct v1_timer *timer);
	uint64_t (*now_ns)(void);
};

struct v1_connector_ops {
	uint32_t size, flags;
	int (*open)(const struct v1_host *host, const struct v1_args *args, void **ret_conn,
		    struct v1_error *err);
	void (*close)(void *conn);
	void (*info)(void *conn, struct v1_info *ret);
	int (*extents)(void *conn, v1_extent_fn *fn, void *user, struct v1_error *err);
	void (*transfer)(void *conn, struct v1_io *const *ios, size_t n);
	size_t (*submit)(void *conn, struct v1_io *const *ios, size_t n);
	int (*regions)(void *conn, v1_region_fn *fn, void *user);
	int (*cpu)(void *conn, uint32_t index, struct v1_cpu *ret);
	int64_t (*note)(void *conn, const char *name, void *buf, size_t cap);
	int (*pause)(void *conn, struct v1_error *err);
	int (*resume)(void *conn, struct v1_error *err);
	int (*probe)(const uint8_t *head, size_t head_len, uint64_t file_size);
};

struct v1_layer_ops {
	uint32_t size, flags;
	int (*open)(const struct v1_host *host, const struct v1_args *args, void *below,
		    void **ret_conn, struct v1_error *err);
	void (*close)(void *conn);
	void (*submit)(void *conn, struct v1_io *const *ios, size_t n);
};

struct v1_plugin {
	uint32_t abi, size;
	const char *name, *summary, *main_arg, *args_help;
	const struct v1_connector_ops *connector;
	const struct v1_layer_ops *layer;
};

#define V1_EXPORT __attribute__((visibility("default")))

#endif
