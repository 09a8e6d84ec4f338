/* SPDX-License-Identifier: MIT */
/* A handle with a position. */
#include <sonde/error.h>
#include <sonde/file.h>

int sonde_file_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    uint32_t flags, uint32_t mode, struct sonde_file *ret)
{
	int r = sonde_fs_open(self, fs, dir, path, flags, mode);

	if (r < 0)
		return r;
	*ret = (struct sonde_file){ .fs = fs, .handle = r };
	return SONDE_OK;
}

int sonde_file_close(struct sonde_task *self, struct sonde_file *file)
{
	return sonde_fs_close(self, file->fs, file->handle);
}

int sonde_file_read(struct sonde_task *self, struct sonde_file *file, void *buf, uint32_t len)
{
	int r = sonde_fs_read(self, file->fs, file->handle, file->position, buf, len);

	if (r > 0)
		file->position += (uint32_t)r;
	return r;
}

int sonde_file_write(struct sonde_task *self, struct sonde_file *file, const void *buf, size_t len)
{
	const char *at = buf;

	while (len) {
		uint32_t n = len < INT32_MAX ? (uint32_t)len : INT32_MAX;
		int r = sonde_fs_write(self, file->fs, file->handle, file->position, at, n);
		if (r <= 0)
			return r < 0 ? r : SONDE_E_IO;
		file->position += (uint32_t)r;
		at += r;
		len -= (size_t)r;
	}
	return SONDE_OK;
}
