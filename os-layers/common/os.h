/* SPDX-License-Identifier: MIT */
/*
 * What an OS layer is: one table. os.c finds the layer for a target and is the public
 * face of all; the lists it hands out are made in lists.c.
 *
 * To add one: a folder beside linux/, an os_layer, one line in os.c.
 */
#ifndef SONDE_COMMON_OS_H
#define SONDE_COMMON_OS_H

#include <sonde/os.h>
#include <stdbool.h>

enum os_tasks { OS_PROCESSES, OS_THREADS };

struct os_layer {
	const char *name;
	uint32_t wants; /* enum sonde_target_flag: targets that it may be found in */
	/* As sonde_os_attach; NOT_FOUND lets the next layer try. */
	int (*attach)(struct sonde_target *target, const struct sonde_os_options *options,
		      struct sonde_os **ret, struct sonde_error *err);
	void (*detach)(struct sonde_os *os);
	void (*kernel)(const struct sonde_os *os, struct sonde_kernel *ret);
	/* Optional: NOT_FOUND. As sonde_os_note. */
	int64_t (*note)(const struct sonde_os *os, const char *name, void *buf, size_t cap);
	/* Optional, once: see to it that os->symbols knows the modules too. */
	void (*add_module_symbols)(struct sonde_os *os);
	/* pid 0: all. Threads of one process: what OS_THREADS and pid say. */
	int (*tasks)(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		     struct sonde_processes *list, struct sonde_error *err);
	/* Optional: UNSUPPORTED. */
	int (*registers)(struct sonde_os *os, int32_t tid, struct sonde_register *ret, size_t cap,
			 struct sonde_error *err);
	int (*process_memory)(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			      struct sonde_error *err);
	int (*modules)(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err);
	int (*mappings)(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
			struct sonde_error *err);
	int (*log)(struct sonde_os *os, struct sonde_log *list, struct sonde_error *err);
	int (*translate)(struct sonde_os *os, int32_t pid, uint64_t va,
			 struct sonde_translation *ret, struct sonde_error *err);
	int (*reverse)(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
		       void *user, struct sonde_error *err);
	int (*pages)(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
		     struct sonde_error *err);
	/* Optional, both or none: UNSUPPORTED. */
	int (*current)(struct sonde_os *os, const struct sonde_event *event,
		       struct sonde_current *ret, struct sonde_error *err);
	int (*table_memory)(struct sonde_os *os, uint64_t page_table, struct sonde_space **ret);
	/* Optional: UNSUPPORTED. */
	int (*frames)(struct sonde_os *os, struct sonde_frames **ret, struct sonde_error *err);
};

/* First in what a layer's frames gives; a layer fills it. */
struct sonde_frames {
	uint32_t size; /* bytes of a frame */
	/* ret is filled with SONDE_FRAME_OTHER. */
	int (*read)(struct sonde_frames *frames, uint64_t first, uint8_t *ret, size_t n);
	void (*close)(struct sonde_frames *frames);
};

/* First in every layer's own struct. */
struct sonde_os {
	const struct os_layer *layer;
	struct sonde_symbols *symbols;
	struct sonde_types *types;
	struct sonde_space *kernel_memory;
	bool whole_symbols; /* those of the modules were asked for */
};

extern const struct os_layer os_linux, os_native, os_process;

/*
 * The memory of a target that is a process, as a space of its own: closed by who asked, before the target is. Returns 0, SONDE_E_NO_MEMORY.
 */
int os_whole_memory(struct sonde_target *target, struct sonde_space **ret, struct sonde_error *err);

/*
 * Where the kernel and its memory would be in a guest there is nothing: no symbols until somebody asks for them, nothing mapped. The
 * layer's detach owns both, also after an error. Returns 0, SONDE_E_NO_MEMORY.
 */
int os_without_kernel(struct sonde_os *os, struct sonde_target *target);

#endif
