/* SPDX-License-Identifier: MIT */
/* Map a file on a POSIX host. */
#include "sym/map_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/quiet_open.h"

int map_file_open(const char *path, struct map_file *ret, struct sonde_error *err)
{
	struct map_file file = { .fd = quiet_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	struct stat st;

	if (file.fd < 0)
		return sonde_error_os(err, errno, "cannot be opened");
	int r = 0;
	if (fstat(file.fd, &st) < 0)
		r = sonde_error_os(err, errno, "cannot be opened");
	else if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		r = sonde_error_set(err, SONDE_E_BAD_FORMAT, "is no regular file, or empty");
	if (r == 0) {
		void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, file.fd, 0);
		if (bytes == MAP_FAILED)
			r = sonde_error_os(err, errno, "cannot be mapped");
		else
			file.bytes = bytes;
		file.len = (size_t)st.st_size;
	}
	if (r < 0) {
		close(file.fd);
		return r;
	}
	*ret = file;
	return 0;
}

void map_file_close(struct map_file *file)
{
	if (file->bytes)
		munmap((void *)(uintptr_t)file->bytes, file->len);
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct map_file){ .fd = -1 };
}
