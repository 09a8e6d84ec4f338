/* SPDX-License-Identifier: MIT */
/* Notes that are lines of text: what SONDE_NOTE_FACTS and SONDE_NOTE_PROCESS are made of. */
#ifndef NOTE_LINES_H
#define NOTE_LINES_H

#include <stddef.h>
#include <stdio.h>

#define NOTE_TEXT_MAX 4096u /* bytes of one text: what is behind is left out                    */
#define NOTE_TEXTS_MAX                                                                             \
	(64u << 20) /* of all of them: one file may name the same text again and again */

struct note_lines {
	FILE *out; /* open: fprintf lines of your own to it */
	char *text;
	size_t len;
	size_t written; /* bytes of texts */
};

/* Returns 0; SONDE_E_NO_MEMORY. Owns *ret: note_lines_finish. */
int note_lines_open(struct note_lines *ret);
/* "word" + bytes + newline. Bytes below space, backslash and DEL become \ooo, as the kernel writes paths in
 * /proc. Behind NOTE_TEXTS_MAX the line is "left-out", which no reader takes for anything. */
void note_lines_text(struct note_lines *lines, const char *word, const void *bytes, size_t len);
/* All written: text is [len]. Returns 0; SONDE_E_NO_MEMORY. */
int note_lines_close(struct note_lines *lines);
void note_lines_finish(struct note_lines *lines);

#endif
