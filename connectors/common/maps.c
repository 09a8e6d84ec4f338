/* SPDX-License-Identifier: MIT */
/* "55d0-55d2 r-xp 00001000 08:01 131 /bin/cat": written by the kernel, but the path is anybody's.
 */
#include "maps.h"

#include <inttypes.h>
#include <sonde/space.h>
#include <stdio.h>
#include <string.h>

/* The kernel writes newline and backslash of a path as \012 and \134 (linux fs/seq_file.c). */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		unsigned value;
		if (from[0] == '\\' && sscanf(from + 1, "%3o", &value) == 1 && strlen(from) >= 4 &&
		    value < 256) {
			*to = (char)value;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
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
	unescape(line + path_at);
	ret->path = line + path_at;
	return 1;
}
