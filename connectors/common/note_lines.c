/* SPDX-License-Identifier: MIT */
#include "note_lines.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

int note_lines_open(struct note_lines *ret)
{
	*ret = (struct note_lines){ 0 };
	ret->out = open_memstream(&ret->text, &ret->len);
	return ret->out ? 0 : SONDE_E_NO_MEMORY;
}

void note_lines_text(struct note_lines *lines, const char *word, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	if (lines->written > NOTE_TEXTS_MAX) {
		fputs("left-out\n", lines->out);
		return;
	}
	lines->written += strlen(word) + (len < NOTE_TEXT_MAX ? len : NOTE_TEXT_MAX);
	fputs(word, lines->out);
	for (size_t i = 0; i < len && i < NOTE_TEXT_MAX; i++) {
		if (at[i] < 0x20 || at[i] == '\\' || at[i] == 0x7f)
			fprintf(lines->out, "\\%03o", at[i]);
		else
			putc(at[i], lines->out);
	}
	putc('\n', lines->out);
}

int note_lines_close(struct note_lines *lines)
{
	int failed = ferror(lines->out);

	failed |= fclose(lines->out) != 0;
	lines->out = NULL;
	return failed ? SONDE_E_NO_MEMORY : 0;
}

void note_lines_finish(struct note_lines *lines)
{
	if (lines->out)
		fclose(lines->out);
	free(lines->text);
	*lines = (struct note_lines){ 0 };
}
