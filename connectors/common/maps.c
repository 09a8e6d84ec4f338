/* SPDX-License-Identifier: MIT */
/* "55d0-55d2 r-xp 00001000 08:01 131 /bin/cat": written by the kernel, but the path is anybody's.
 */
#include "maps.h"

#include <inttypes.h>
#include <sonde/space.h>
#include <stdio.h>
#include <string.h>

static int octal(const char *at)
{
	int value = 0;

	for (int i = 0; i < 3; i++) {
		if (at[i] < '0' || at[i] > '7')
			return -1;
		value = value * 8 + (at[i] - '0');
	}
	return value < 256 ? value : -1;
}

size_t maps_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		int value = from[0] == '\\' ? octal(from + 1) : -1;
		*to = value < 0 ? *from : (char)value;
		from += value < 0 ? 1 : 4;
	}
	*to = '\0';
	return (size_t)(to - text);
}

int maps_parse(char *line, struct maps_line *ret)
{
	char perms[5];
	int path_at = 0;

	memset(ret, 0, sizeof(*ret));
	if (sscanf(line,
		   "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %" SCNx32 ":%" SCNx32 " %" SCNu64 " %n",
		   &ret->start, &ret->end, perms, &ret->off, &ret->dev_major, &ret->dev_minor,
		   &ret->inode, &path_at) < 7 ||
	    path_at == 0 || ret->end <= ret->start || strlen(perms) != 4)
		return 0;
	ret->flags = (perms[0] == 'r' ? SONDE_REGION_READ : 0) |
		     (perms[1] == 'w' ? SONDE_REGION_WRITE : 0) |
		     (perms[2] == 'x' ? SONDE_REGION_EXEC : 0) |
		     (perms[3] == 's' ? SONDE_REGION_SHARED : 0);
	maps_unescape(line + path_at);
	ret->path = line + path_at;
	return 1;
}
