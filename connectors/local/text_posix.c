/* SPDX-License-Identifier: MIT */
/* Reading such files: until nothing more comes. */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

char *text_read(const char *path, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = fd >= 0 ? malloc(max + 1) : NULL;
	size_t used = 0;
	ssize_t n = 1;

	while (text && n > 0 && used < max) {
		n = read(fd, text + used, max - used);
		used += n > 0 ? (size_t)n : 0;
	}
	int os_code = errno;
	if (fd >= 0)
		close(fd);
	if (text)
		text[used] = '\0';
	if (n < 0 && used == 0) {
		free(text);
		text = NULL;
	}
	errno = os_code;
	return text;
}
