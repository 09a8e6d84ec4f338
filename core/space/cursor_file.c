/* SPDX-License-Identifier: MIT */
/* A FILE on a cursor, by fopencookie, which the C libraries of Linux have. */
#include <errno.h>
#include <sonde/cursor_file.h>
#include <sonde/error.h>
#include <stdio_ext.h>

static int os_code(int64_t err)
{
	switch (err) {
	case SONDE_E_NOT_MAPPED:
		return EFAULT;
	case SONDE_E_NO_MEMORY:
		return ENOMEM;
	case SONDE_E_BAD_ARG:
		return EINVAL;
	case SONDE_E_NO_ACCESS:
		return EACCES;
	case SONDE_E_READ_ONLY:
		return EROFS;
	case SONDE_E_UNSUPPORTED:
		return ENOTSUP;
	case SONDE_E_CANCELLED:
		return ECANCELED;
	case SONDE_E_TIMED_OUT:
		return ETIMEDOUT;
	case SONDE_E_GONE:
		return ENODEV;
	case SONDE_E_BUSY:
		return EBUSY;
	default:
		return EIO;
	}
}

static ssize_t file_read(void *cookie, char *buf, size_t len)
{
	int64_t r = sonde_cursor_read(cookie, buf, len);

	if (r < 0)
		errno = os_code(r);
	return r < 0 ? -1 : (ssize_t)r;
}

/* A stream takes fewer bytes for an error, so it gets fewer only with one. */
static ssize_t file_write(void *cookie, const char *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		int64_t r = sonde_cursor_write(cookie, buf + done, len - done);
		if (r <= 0) {
			errno = os_code(r);
			break;
		}
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static uint32_t whence_of(int whence)
{
	switch (whence) {
	case SEEK_SET:
		return SONDE_SEEK_SET;
	case SEEK_CUR:
		return SONDE_SEEK_CUR;
	case SEEK_END:
		return SONDE_SEEK_END;
	default:
		return UINT32_MAX;
	}
}

static int file_seek(void *cookie, off64_t *off, int whence)
{
	struct sonde_cursor *cursor = cookie;
	uint64_t pos = cursor->pos;
	int r = sonde_cursor_seek(cursor, *off, whence_of(whence));

	if (r == SONDE_OK && cursor->pos <= INT64_MAX) {
		*off = (off64_t)cursor->pos;
		return 0;
	}
	cursor->pos = pos;
	errno = r == SONDE_OK ? EOVERFLOW : os_code(r);
	return -1;
}

FILE *sonde_cursor_file(struct sonde_cursor *cursor, const char *mode)
{
	const cookie_io_functions_t functions = { .read = file_read,
						  .write = file_write,
						  .seek = file_seek };
	FILE *file = fopencookie(cursor, mode, functions);

	if (file)
		__fsetlocking(file, FSETLOCKING_BYCALLER);
	return file;
}
