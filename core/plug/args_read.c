/* SPDX-License-Identifier: MIT */
/* What a plugin's help says it takes, and the arguments it is given, read without a C library. */
#include "plug/args.h"

#include "base/mem.h"
#include "base/text.h"

/* How far it is to the next of two characters, or to the end. */
static size_t until(const char *text, char a, char b)
{
	size_t n = 0;

	while (text[n] && text[n] != a && text[n] != b)
		n++;
	return n;
}

static const char *line_behind(const char *line)
{
	line += until(line, '\n', '\n');
	return *line ? line + 1 : NULL;
}

const char *args_next_key(const char *help, size_t *ret_key_len, size_t *ret_word_len)
{
	for (; help && *help; help = line_behind(help)) {
		size_t blank = until(help, ' ', '\t'), end = until(help, '\n', '\n');
		size_t word = blank < end ? blank : end, key = until(help, '=', '\n');
		if (key && key < word) {
			*ret_key_len = key;
			*ret_word_len = word;
			return help;
		}
	}
	return NULL;
}

const char *args_key_behind(const char *line, size_t *ret_key_len, size_t *ret_word_len)
{
	return args_next_key(line_behind(line), ret_key_len, ret_word_len);
}

int args_key_known(const char *help, const char *key, size_t key_len)
{
	size_t len, word;

	for (const char *line = args_next_key(help, &len, &word); line;
	     line = args_key_behind(line, &len, &word)) {
		if (len == key_len && memcmp(line, key, len) == 0)
			return 1;
	}
	return 0;
}

static int suffix_shift(const char *text)
{
	static const char letters[] = "kKmMgGtT";
	const char *at = mem_find(letters, (unsigned char)text[0], sizeof(letters) - 1);

	if (!text[0])
		return 0;
	return at && !text[1] ? 10 * (int)((at - letters) / 2 + 1) : -1;
}

int args_parse_u64(const char *text, uint64_t *ret)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? text + 2 : text;
	const char *first = p;
	uint64_t value = 0;

	for (; text_digit(*p) < base; p++) {
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)text_digit(*p), &value))
			return 0;
	}
	int shift = suffix_shift(p);
	if (p == first || shift < 0 || value > UINT64_MAX >> shift)
		return 0;
	*ret = value << shift;
	return 1;
}

const char *args_get(const struct sonde_args *args, const char *key)
{
	for (size_t i = 0; i < args->n; i++) {
		if (mem_same_text(args->pairs[i].key, key))
			return args->pairs[i].value;
	}
	return NULL;
}

int args_get_u64(const struct sonde_args *args, const char *key, uint64_t *ret,
		 struct sonde_error *err)
{
	const char *text = args_get(args, key);

	if (!text)
		return 0;
	if (!args_parse_u64(text, ret))
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"%s: '%s=%.60s': not a number: write it decimal or 0x hex, with "
			"k, M, G or T behind it",
			args->who, key, text);
	return 1;
}

int args_get_write(const struct sonde_args *args)
{
	return args->write;
}
