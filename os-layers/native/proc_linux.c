/* SPDX-License-Identifier: MIT */
#include "native/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonde/error.h>

#define ROOM_FIRST (16u << 10)

int proc_code(int os_code)
{
	switch (os_code) {
	case ENOENT:
	case ESRCH:
		return SONDE_E_GONE;
	case EACCES:
	case EPERM:
		return SONDE_E_NO_ACCESS;
	case ENOMEM:
		return SONDE_E_NO_MEMORY;
	default:
		return SONDE_E_IO;
	}
}

static int make_room(struct proc_text *text)
{
	size_t room = text->room ? 2 * text->room : ROOM_FIRST;
	char *grown = realloc(text->text, room);

	if (!grown)
		return SONDE_E_NO_MEMORY;
	text->text = grown;
	text->room = room;
	return 0;
}

static int read_all(int fd, size_t most, struct proc_text *text)
{
	ssize_t n = 1;

	for (text->len = 0; n > 0; text->len += (size_t)n) {
		if (text->len > most)
			return SONDE_E_LIMIT;
		if (text->room - text->len < 2 && make_room(text) < 0)
			return SONDE_E_NO_MEMORY;
		n = read(fd, text->text + text->len, text->room - text->len - 1);
		if (n < 0)
			return proc_code(errno);
	}
	text->text[text->len] = '\0';
	return 0;
}

int proc_read(int at, const char *name, size_t most, struct proc_text *text)
{
	/* Not waiting: a pipe in a folder given for /proc would have no end. */
	int fd = openat(at, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return proc_code(errno);
	int r = read_all(fd, most, text);
	close(fd);
	return r;
}

void proc_text_finish(struct proc_text *text)
{
	free(text->text);
	*text = (struct proc_text){ 0 };
}

int proc_open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? proc_code(errno) : fd;
}

static int by_number(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int add_number(int32_t **numbers, size_t *n, size_t *room, const char *entry)
{
	char *end;
	long number = strtol(entry, &end, 10);

	if (*end || number <= 0 || number > INT32_MAX)
		return 0;
	if (*n == *room) {
		size_t more = *room ? 2 * *room : 256;
		int32_t *grown = realloc(*numbers, more * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		*numbers = grown;
		*room = more;
	}
	(*numbers)[(*n)++] = (int32_t)number;
	return 0;
}

int proc_numbers(int at, const char *name, int32_t **ret_numbers, size_t *ret_n)
{
	int32_t *numbers = NULL;
	size_t n = 0, room = 0;
	struct dirent *entry;
	int r = 0, fd = proc_open_folder(at, name);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : SONDE_E_NO_MEMORY;
	}
	while (r == 0 && (entry = readdir(folder)))
		r = add_number(&numbers, &n, &room, entry->d_name);
	closedir(folder);
	if (r < 0) {
		free(numbers);
		return r;
	}
	if (n)
		qsort(numbers, n, sizeof(*numbers), by_number);
	*ret_numbers = numbers;
	*ret_n = n;
	return 0;
}
