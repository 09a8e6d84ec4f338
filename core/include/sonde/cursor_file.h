/* SPDX-License-Identifier: MIT */
/* A space as a FILE of the C library, for any code that takes one. Hosts with fopencookie. */
#ifndef SONDE_CURSOR_FILE_H
#define SONDE_CURSOR_FILE_H

#include <sonde/cursor.h>

#if __STDC_HOSTED__
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Open a stream that reads and writes at the cursor, with the C library's buffer in front: "r",
 * "r+" or "w" (nothing is truncated), "a". At a hole the stream has an error (ferror, errno EFAULT), and
 * clearerr and fseek lead over it.
 *
 * Returns   the stream; NULL with errno: ENOMEM, EINVAL for a mode.
 * Context   reading, writing, flushing and fclose may block plain code or park a task, as
 *           sonde_space_read. Only on the thread of the space's loop, and by one task at a time: the
 *           stream takes no lock, for none may be held while a task is parked.
 * Owns      fclose. cursor is kept until then and must not be used meanwhile: it is ahead of the stream.
 */
FILE *sonde_cursor_file(struct sonde_cursor *cursor, const char *mode);

#ifdef __cplusplus
}
#endif
#endif
#endif
