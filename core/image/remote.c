/* SPDX-License-Identifier: MIT */
/* An image behind a URL. A server that has failed is not asked again: what was not fetched by then fails at once. */
#include <stdlib.h>
#include <string.h>

#include "image/blocks.h"
#include "image/image.h"
#include "image/url.h"

#define HEAD_BYTES (64u << 10)
#define KEEP_BYTES (64u << 20)

struct remote {
	struct sonde_image image;
	pthread_mutex_t lock;        /* of what follows */
	struct range_source *source; /* NULL: none is open */
	struct blocks *blocks;
};

static struct remote *of_image(struct sonde_image *image)
{
	return (struct remote *)(void *)image;
}

static void fetch(void *user, struct image_range *ranges, size_t n)
{
	struct remote *remote = user;
	struct sonde_error why = { 0 };
	int code = image_failure(&remote->image, NULL);

	for (size_t i = 0; code && i < n; i++)
		ranges[i].err = code;
	if (!code && remote->source->ops->fetch(remote->source, ranges, n, &why) < 0)
		image_failed(&remote->image, &why);
}

static void remote_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n)
{
	struct remote *remote = of_image(image);

	pthread_mutex_lock(&remote->lock);
	image_blocks_read(remote->blocks, reads, n);
	pthread_mutex_unlock(&remote->lock);
}

static void remote_figures(struct sonde_image *image, struct sonde_image_figures *ret)
{
	struct remote *remote = of_image(image);
	const struct range_source *source = remote->source;

	pthread_mutex_lock(&remote->lock);
	*ret = (struct sonde_image_figures){ .name = image->shown,
					     .how = source->ops->how,
					     .size = image->size,
					     .requests = source->requests,
					     .bytes = source->bytes };
	pthread_mutex_unlock(&remote->lock);
}

static void remote_close(struct sonde_image *image)
{
	struct remote *remote = of_image(image);

	image_blocks_destroy(remote->blocks);
	if (remote->source)
		remote->source->ops->close(remote->source);
	pthread_mutex_destroy(&remote->lock);
	image_finish(image);
	free(remote);
}

static const struct image_ops remote_ops = { .read = remote_read,
					     .close = remote_close,
					     .figures = remote_figures };

static int connect_to(struct remote *remote, const char *name, void *head, struct sonde_error *err)
{
	struct sonde_image *image = &remote->image;
	range_source_open_fn *open = url_is_9p(name) ? ninep_open : http_open;
	int64_t n = open(name, image->shown, head, HEAD_BYTES, &remote->source, err);

	if (n < 0)
		return (int)n;
	image->size = remote->source->size;
	if (image_blocks_create(&remote->blocks, image->size, KEEP_BYTES, fetch, remote) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	image_blocks_put_head(remote->blocks, head, (uint32_t)n);
	return 0;
}

int image_remote_open(const char *who, const char *name, struct sonde_image **ret,
		      struct sonde_error *err)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	void *head = malloc(HEAD_BYTES);

	if (!remote || !head || image_init(&remote->image, name) < 0) {
		free(remote);
		free(head);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	remote->image.ops = &remote_ops;
	pthread_mutex_init(&remote->lock, NULL);
	int r = connect_to(remote, name, head, err);
	free(head);
	if (r < 0) {
		sonde_error_prefix(err, "%s", who);
		remote_close(&remote->image);
		return r;
	}
	*ret = &remote->image;
	return 0;
}
