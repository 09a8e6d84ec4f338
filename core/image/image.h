/* SPDX-License-Identifier: MIT */
/*
 * An opened image: the bytes of a file, wherever they are. What a target's connector opens, and what sniffing
 * looks at, is one of these; sonde/plugin.h has what a plugin sees of it.
 *
 *	image.c         names, the failure that is kept, the images of one target
 *	file_posix.c    a file of this machine: has a descriptor
 *	remote.c        one behind a URL: http.c or ninep.c fetch ranges, blocks.c keeps and joins them
 *	packed.c        one that is packed in either of them: packed.h has the map of it
 *	part.c          what follows a head of some other format
 */
#ifndef SONDE_IMAGE_IMAGE_H
#define SONDE_IMAGE_IMAGE_H

#include <pthread.h>
#include <sonde/plugin.h>

struct sonde_image;

struct image_ops {
	/* Any thread. Each read gets done and err; those that reach beyond the end have been cut. buf may be NULL. */
	void (*read)(struct sonde_image *image, struct sonde_image_read *reads, size_t n);
	void (*close)(struct sonde_image *image);
	/* Optional: what it took so far. */
	void (*figures)(struct sonde_image *image, struct sonde_image_figures *ret);
};

/* What the images of every kind begin with. */
struct sonde_image {
	const struct image_ops *ops;
	char *name;                /* as it was asked for                      */
	char *shown;               /* ... without what nobody else is to see   */
	struct sonde_image *below; /* what it is made of; NULL */
	uint64_t size;
	int fd;        /* -1 none                                  */
	unsigned refs; /* on one thread                            */
	pthread_mutex_t lock;
	struct sonde_error failure; /* the first read that failed; code 0 none; by lock */
};

/* Those that one target has opened and that took more than a descriptor: closed with it. */
struct image_shelf {
	struct sonde_image *at[64];
	size_t n;
};

/*
 * Open an image by name: a path or a URL. who stands in front of messages; write: for writing too.
 *
 * Returns   0; SONDE_E_NOT_FOUND, _NO_ACCESS, _BAD_FORMAT (a folder, a pipe), _READ_ONLY, _UNSUPPORTED, _TIMED_OUT, _IO.
 * Owns      *ret: image_unref.
 */
int image_open_by_name(const char *who, const char *name, int write, struct sonde_image **ret,
		       struct sonde_error *err);
void image_unref(struct sonde_image *image); /* NULL is allowed */

/* As image_open_by_name; one that is on the shelf is opened once. shelf NULL: there is none. */
int image_shelf_open(struct image_shelf *shelf, const char *who, const char *name, int write,
		     struct sonde_image **ret, struct sonde_error *err);
/*
 * What lies packed in whole from begin on. Returns 0; SONDE_E_UNSUPPORTED: that is packed by nothing that is known here, or its
 * library is missing; what image_unpack returns. Owns *ret: image_unref; it keeps whole.
 */
int image_shelf_unpack(struct image_shelf *shelf, const char *who, struct sonde_image *whole,
		       uint64_t begin, struct sonde_image **ret, struct sonde_error *err);
void image_shelf_close(struct image_shelf *shelf);
/* As sonde_target_gone: one of them cannot be read any more. */
int image_shelf_failure(struct image_shelf *shelf, struct sonde_error *err);

/* Read what each of reads asks for. Any thread. */
void image_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n);
/* Returns how many of len bytes at off came, fewer only at the end; an error. */
int64_t image_read_at(struct sonde_image *image, uint64_t off, void *buf, size_t len);
/* Why reading failed: its code, or 0. */
int image_failure(struct sonde_image *image, struct sonde_error *err);
/* Keep the first failure. */
void image_failed(struct sonde_image *image, const struct sonde_error *why);
void image_info(const struct sonde_image *image, struct sonde_image_info *ret);
/* As sonde_target_images, of one image and what it is made of. */
int image_figures(struct sonde_image *image, sonde_image_figures_fn *fn, void *user);

/* For the kinds: fill in what all have; size, fd and ops are theirs. Returns 0, SONDE_E_NO_MEMORY. */
int image_init(struct sonde_image *image, const char *name);
void image_finish(struct sonde_image *image);

/* What lies in whole from begin on; it keeps whole. Returns 0, SONDE_E_NO_MEMORY. Owns *ret: image_unref. */
int image_part_open(struct sonde_image *whole, uint64_t begin, struct sonde_image **ret);

/* The kinds. Errors as image_open_by_name. */
int image_file_open(const char *who, const char *name, int write, struct sonde_image **ret,
		    struct sonde_error *err);
int image_remote_open(const char *who, const char *name, struct sonde_image **ret,
		      struct sonde_error *err);
/*
 * Where *image is packed put what it unpacks to in its place; else it stays what it is.
 *
 * Returns   0; and *image is gone: SONDE_E_READ_ONLY, _LIMIT (not in blocks, and too large for memory), _CORRUPT,
 *           _TRUNCATED, _UNSUPPORTED (no library for it), _NO_MEMORY, what reading it failed with.
 */
int image_unpack(const char *who, struct sonde_image **image, int write, struct sonde_error *err);

/* image_ops.read of all that have a descriptor. */
void image_file_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n);

#endif
