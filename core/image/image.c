/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "image/url.h"

int image_init(struct sonde_image *image, const char *name)
{
	image->fd = -1;
	image->refs = 1;
	image->name = strdup(name);
	image->shown = strdup(name);
	if (!image->name || !image->shown) {
		free(image->name);
		free(image->shown);
		return SONDE_E_NO_MEMORY;
	}
	url_conceal(image->shown);
	pthread_mutex_init(&image->lock, NULL);
	return 0;
}

void image_finish(struct sonde_image *image)
{
	pthread_mutex_destroy(&image->lock);
	free(image->name);
	free(image->shown);
}

static int open_as_it_is(const char *who, const char *name, int write, struct sonde_image **ret,
			 struct sonde_error *err)
{
	if (!url_is(name))
		return image_file_open(who, name, write, ret, err);
	if (!write)
		return image_remote_open(who, name, ret, err);
	return sonde_error_set(err, SONDE_E_READ_ONLY,
			       "%s: a server's file cannot be written: put an overlay in front, "
			       "'URL|overlay'",
			       who);
}

int image_open_by_name(const char *who, const char *name, int write, struct sonde_image **ret,
		       struct sonde_error *err)
{
	int r = open_as_it_is(who, name, write, ret, err);

	return r < 0 ? r : image_unpack(who, ret, write, err);
}

void image_unref(struct sonde_image *image)
{
	if (image && --image->refs == 0)
		image->ops->close(image);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* What the caller asked for beyond the end is not asked of anybody; a descriptor knows best where that is. */
static uint32_t within(const struct sonde_image *image, const struct sonde_image_read *read)
{
	if (image->fd >= 0)
		return read->len;
	uint64_t left = read->off < image->size ? image->size - read->off : 0;

	return read->len < left ? read->len : (uint32_t)left;
}

void image_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		reads[i].len = within(image, &reads[i]);
		reads[i].done = 0;
		reads[i].err = 0;
	}
	image->ops->read(image, reads, n);
}

int64_t image_read_at(struct sonde_image *image, uint64_t off, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t left = len - done < 1u << 30 ? len - done : 1u << 30;
		struct sonde_image_read read = { .off = off + done,
						 .buf = (char *)buf + done,
						 .len = (uint32_t)left };
		if (read.off < off)
			break;
		image_read(image, &read, 1);
		if (read.err)
			return read.err;
		done += read.done;
		if (read.done < left)
			break;
	}
	return (int64_t)done;
}

void image_failed(struct sonde_image *image, const struct sonde_error *why)
{
	pthread_mutex_lock(&image->lock);
	if (!image->failure.code)
		image->failure = *why;
	pthread_mutex_unlock(&image->lock);
}

int image_failure(struct sonde_image *image, struct sonde_error *err)
{
	pthread_mutex_lock(&image->lock);
	int code = image->failure.code;
	if (code && err)
		*err = image->failure;
	pthread_mutex_unlock(&image->lock);
	return code;
}

void image_info(const struct sonde_image *image, struct sonde_image_info *ret)
{
	*ret = (struct sonde_image_info){
		.size = sizeof(*ret), .fd = image->fd, .bytes = image->size, .name = image->shown
	};
}

int image_figures(struct sonde_image *image, sonde_image_figures_fn *fn, void *user)
{
	int r = 0;

	for (; r == 0 && image; image = image->below) {
		struct sonde_image_figures figures = { 0 };
		if (!image->ops->figures)
			continue;
		image->ops->figures(image, &figures);
		r = fn(user, &figures);
	}
	return r;
}

/* ---- the images of a target --------------------------------------------------------------------- */

/* One that has something to tell. Takes image where it cannot. */
static int put(struct image_shelf *shelf, const char *who, struct sonde_image *image,
	       struct sonde_error *err)
{
	if (!shelf || !image->ops->figures)
		return 0;
	if (shelf->n == sizeof(shelf->at) / sizeof(shelf->at[0])) {
		image_unref(image);
		return sonde_error_set(err, SONDE_E_LIMIT, "%s: more than %zu images", who,
				       shelf->n);
	}
	image->refs++;
	shelf->at[shelf->n++] = image;
	return 0;
}

int image_shelf_open(struct image_shelf *shelf, const char *who, const char *name, int write,
		     struct sonde_image **ret, struct sonde_error *err)
{
	for (size_t i = 0; shelf && !write && i < shelf->n; i++) {
		if (strcmp(shelf->at[i]->name, name) == 0) {
			*ret = shelf->at[i];
			(*ret)->refs++;
			return 0;
		}
	}
	int r = image_open_by_name(who, name, write, ret, err);
	return r < 0 ? r : put(shelf, who, *ret, err);
}

int image_shelf_unpack(struct image_shelf *shelf, const char *who, struct sonde_image *whole,
		       uint64_t begin, struct sonde_image **ret, struct sonde_error *err)
{
	struct sonde_image *part, *image;

	if (image_part_open(whole, begin, &part) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	image = part;
	int r = image_unpack(who, &image, 0, err);
	if (r < 0)
		return r;
	if (image == part) {
		image_unref(part);
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"%s: '%.300s': what begins at byte %llu is packed by nothing that is "
			"known here",
			who, whole->shown, (unsigned long long)begin);
	}
	*ret = image;
	return put(shelf, who, image, err);
}

void image_shelf_close(struct image_shelf *shelf)
{
	while (shelf->n > 0)
		image_unref(shelf->at[--shelf->n]);
}

int image_shelf_failure(struct image_shelf *shelf, struct sonde_error *err)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < shelf->n; i++)
		code = image_failure(shelf->at[i], err);
	return code;
}
