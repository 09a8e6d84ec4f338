/* SPDX-License-Identifier: MIT */
/* The request and timer slots are the spaces' (space/backed.h); the arguments are ours. */
#include "plug/host.h"

#include "image/image.h"
#include "io/engine.h"
#include "plug/args.h"
#include "space/backed.h"

static int open_image(const struct sonde_args *args, const char *name, struct sonde_image **ret,
		      struct sonde_error *err)
{
	return image_shelf_open(args->images, args->who, name, args->write, ret, err);
}

static int unpack_image(const struct sonde_args *args, struct sonde_image *whole, uint64_t begin,
			struct sonde_image **ret, struct sonde_error *err)
{
	return image_shelf_unpack(args->images, args->who, whole, begin, ret, err);
}

void host_init(struct sonde_host *ret)
{
	*ret = space_host;
	ret->size = sizeof(*ret);
	ret->abi = SONDE_PLUGIN_ABI;
	ret->arg = args_get;
	ret->arg_u64 = args_get_u64;
	ret->arg_write = args_get_write;
	ret->error_set = sonde_error_set;
	ret->error_os = sonde_error_os;
	ret->errno_code = errno_code;
	ret->code_name = sonde_error_name;
	ret->code_text = sonde_strerror;
	ret->image_open = open_image;
	ret->image_close = image_unref;
	ret->image_info = image_info;
	ret->image_read = image_read;
	ret->image_failure = image_failure;
	ret->image_unpack = unpack_image;
}
