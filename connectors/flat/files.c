/* SPDX-License-Identifier: MIT */
#include "files.h"

#include "../common/numbered.h"

static int refuse(const struct sonde_host *host, struct sonde_error *err,
		  const struct image_file *file, const char *why)
{
	return host->error_set(err, SONDE_E_BAD_FORMAT, "flat: '%.300s': %s", image_file_name(file),
			       why);
}

static int add_file(struct flat_files *files, const struct sonde_host *host,
		    const struct sonde_args *args, const char *path, struct sonde_error *err)
{
	struct flat_file *file = &files->at[files->n];
	int r = image_file_open_name(&file->file, host, args, path, err);

	if (r < 0)
		return r;
	files->n++;
	file->start = files->size;
	if (file->file.size == 0)
		return refuse(host, err, &file->file, "is empty");
	if (file->file.size > INT64_MAX - files->size)
		return refuse(host, err, &file->file, "the parts are longer than any file");
	files->size += file->file.size;
	return 0;
}

/* ---- parts -------------------------------------------------------------------------------------- */

/* Is there such a file? 1, 0; an error other than that there is none. */
static int is_there(const struct sonde_host *host, const struct sonde_args *args, const char *path,
		    struct sonde_error *err)
{
	struct image_file file;
	int r = image_file_open_name(&file, host, args, path, err);

	image_file_close(&file);
	return r == 0 ? 1 : r == SONDE_E_NOT_FOUND ? 0 : r;
}

/* Part n is not there: the one behind it is not, either. */
static int check_end(const struct sonde_host *host, const struct sonde_args *args,
		     const struct numbered *numbered, unsigned long n, const char *lacking,
		     struct sonde_error *err)
{
	char behind[4096];

	if (!numbered_name(numbered, numbered->number + n + 1, behind, sizeof(behind)) ||
	    !is_there(host, args, behind, NULL))
		return 0;
	return host->error_set(err, SONDE_E_TRUNCATED,
			       "flat: '%.300s': this part is missing, and '%.300s' is there",
			       lacking, behind);
}

static int add_parts(struct flat_files *files, const struct sonde_host *host,
		     const struct sonde_args *args, const char *first, struct sonde_error *err)
{
	struct numbered numbered;
	char name[4096];

	if (!numbered_find(&numbered, first, files->at[0].file.fd < 0) || !numbered.at ||
	    first[numbered.at - 1] != '.' || numbered.at + numbered.digits != numbered.end)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "flat: '%.300s': parts=all: the name of the first part ends "
				       "in a dot and a number, as in image.001",
				       image_file_name(&files->at[0].file));
	for (unsigned long n = 1; numbered_name(&numbered, numbered.number + n, name, sizeof(name));
	     n++) {
		if (files->n == FLAT_FILES_MAX)
			return host->error_set(err, SONDE_E_LIMIT,
					       "flat: '%.300s': more than %u parts",
					       image_file_name(&files->at[0].file), FLAT_FILES_MAX);
		int r = add_file(files, host, args, name, err);
		if (r == SONDE_E_NOT_FOUND)
			return check_end(host, args, &numbered, n, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

int flat_files_open(struct flat_files *ret, const struct sonde_host *host,
		    const struct sonde_args *args, const char *path, int parts,
		    struct sonde_error *err)
{
	int r = add_file(ret, host, args, path, err);

	return r == 0 && parts ? add_parts(ret, host, args, path, err) : r;
}

void flat_files_close(struct flat_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		image_file_close(&files->at[i].file);
	files->n = 0;
}

int flat_files_tell(const struct flat_files *files, uint64_t addr, uint64_t off, uint64_t len,
		    uint32_t flags, sonde_extent_fn *fn, void *user)
{
	for (size_t i = 0; len && i < files->n; i++) {
		const struct flat_file *file = &files->at[i];
		if (off - file->start >= file->file.size)
			continue;
		uint64_t left = file->file.size - (off - file->start);
		struct sonde_extent extent = image_file_extent(
			&file->file, addr, len < left ? len : left, flags, off - file->start);
		int r = fn(user, &extent);
		if (r != 0)
			return r;
		addr += extent.len;
		off += extent.len;
		len -= extent.len;
	}
	struct sonde_extent lack = {
		.addr = addr, .len = len, .kind = SONDE_EXTENT_ABSENT, .err = SONDE_E_TRUNCATED
	};
	return len ? fn(user, &lack) : 0;
}
