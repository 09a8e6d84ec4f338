/* SPDX-License-Identifier: MIT */
/* Target names: any text; what parses is checked against the grammar, and its arguments are bound.
 */
#include "plug/args.h"
#include "plug/name.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct sonde_plugin plugin = {
	.name = "any",
	.main_arg = "path",
	.args_help = "path=FILE  a\noffset=N  b\nms=N  c\n",
};

static void check_part(struct arena *arena, const struct name_part *part)
{
	struct sonde_args args;
	uint64_t value;

	if (part->n_args > NAME_ARGS_MAX)
		abort();
	for (size_t i = 0; i < part->n_args; i++) {
		if (!part->args[i].key[0] || strchr(part->args[i].key, '='))
			abort();
		args_parse_u64(part->args[i].value, &value);
	}
	if (args_bind(arena, &plugin, part, 0, &args, NULL) == 0) {
		for (size_t i = 0; i < args.n; i++) {
			if (args_get(&args, args.pairs[i].key) != args.pairs[i].value)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena arena = { 0 };
	struct target_name name;
	struct sonde_error err;
	char *text = malloc(len + 1);

	memcpy(text, bytes, len);
	text[len] = '\0';
	if (name_parse(&arena, text, &name, &err) == 0) {
		if (name.n_parts < 1 || name.n_parts > NAME_PARTS_MAX)
			abort();
		for (size_t i = 0; i < name.n_parts; i++) {
			const struct name_part *part = &name.parts[i];
			if ((i || part->word[0]) &&
			    !name_word_valid(part->word, strlen(part->word)))
				abort();
			if (strlen(part->first) > strlen(text))
				abort();
			check_part(&arena, part);
		}
	} else if (!err.text[0]) {
		abort();
	}
	arena_finish(&arena);
	free(text);
	return 0;
}
