/* SPDX-License-Identifier: MIT */
/*
 * vmcoreinfo text: where it ends, and its lines by key. The text is one page at most, so each
 * question simply walks the lines.
 */
#include "linux/vmcoreinfo.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define FIRST_KEY "OSRELEASE="
#define SYMBOL_NAME_MAX 128u

int vmcoreinfo_looks_like(const uint8_t first[VMCOREINFO_MAGIC])
{
	size_t n = sizeof(FIRST_KEY) - 1;

	return memcmp(first, FIRST_KEY, n) == 0 && first[n] >= '0' && first[n] <= '9';
}

static int is_text(uint8_t c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n';
}

/* The length of the line at text with its newline; 0 when it is unfinished or no KEY=VALUE. */
static size_t whole_line(const uint8_t *text, size_t len)
{
	const uint8_t *newline = memchr(text, '\n', len);

	if (!newline)
		return 0;
	size_t n = (size_t)(newline - text);
	const uint8_t *equals = memchr(text, '=', n);
	return equals && equals > text ? n + 1 : 0;
}

int vmcoreinfo_parse(const void *bytes, size_t len, struct vmcoreinfo *ret, struct sonde_error *err)
{
	const uint8_t *text = bytes;
	size_t max = len < VMCOREINFO_MAX ? len : VMCOREINFO_MAX;
	size_t end = 0, used = 0, line;

	while (end < max && is_text(text[end]))
		end++;
	while (used < end && (line = whole_line(text + used, end - used)))
		used += line;
	if (used < VMCOREINFO_MAGIC || !vmcoreinfo_looks_like(text))
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "vmcoreinfo: does not begin with a line OSRELEASE=");
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->text, text, used);
	ret->len = (uint32_t)used;
	return 0;
}

/* The value of a key; *ret_len bytes up to the end of its line. NULL when absent. */
static const char *value_of(const struct vmcoreinfo *info, const char *key, size_t key_len,
			    size_t *ret_len)
{
	const char *line = info->text, *end = info->text + info->len;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			return NULL;
		size_t len = (size_t)(newline - line);
		if (len > key_len && line[key_len] == '=' && memcmp(line, key, key_len) == 0) {
			*ret_len = len - key_len - 1;
			return line + key_len + 1;
		}
		line = newline + 1;
	}
	return NULL;
}

static const char *value_of_item(const struct vmcoreinfo *info, const char *what, const char *name,
				 size_t *ret_len)
{
	char key[160];
	int n = snprintf(key, sizeof(key), "%s(%s)", what, name);

	if (n < 0 || (size_t)n >= sizeof(key))
		return NULL;
	return value_of(info, key, (size_t)n, ret_len);
}

/* The whole of text as an unsigned number; 0 when it is empty, holds anything else or overflows. */
static int number(const char *text, size_t len, unsigned base, uint64_t *ret)
{
	uint64_t value = 0;

	if (!len)
		return 0;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)text_digit(text[i]);
		if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return 0;
	}
	*ret = value;
	return 1;
}

static int item_number(const struct vmcoreinfo *info, const char *what, const char *name,
		       unsigned base, uint64_t *ret)
{
	size_t len;
	const char *value = value_of_item(info, what, name, &len);

	return value && number(value, len, base, ret);
}

int vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *ret)
{
	return item_number(info, "SYMBOL", name, 16, ret);
}

/* The name in a line SYMBOL(name)=..., into name. Returns the length of what stands before the value, 0 none. */
static size_t symbol_name(const char *line, size_t len, char name[SYMBOL_NAME_MAX])
{
	static const char head[] = "SYMBOL(";
	const size_t n = sizeof(head) - 1;
	const char *close = len > n && memcmp(line, head, n) == 0 ? memchr(line, ')', len) : NULL;

	if (!close || (size_t)(close - line) - n >= SYMBOL_NAME_MAX || close[1] != '=')
		return 0;
	memcpy(name, line + n, (size_t)(close - line) - n);
	name[(size_t)(close - line) - n] = '\0';
	return (size_t)(close + 2 - line);
}

int vmcoreinfo_each_symbol(const struct vmcoreinfo *info, vmcoreinfo_symbol_fn *fn, void *user)
{
	const char *line = info->text, *end = info->text + info->len, *newline;
	char name[SYMBOL_NAME_MAX];
	uint64_t value;

	for (; line < end && (newline = memchr(line, '\n', (size_t)(end - line)));
	     line = newline + 1) {
		size_t len = (size_t)(newline - line), head = symbol_name(line, len, name);
		if (!head || !number(line + head, len - head, 16, &value))
			continue;
		int r = fn(user, name, value);
		if (r)
			return r;
	}
	return 0;
}

int vmcoreinfo_offset(const struct vmcoreinfo *info, const char *member, uint64_t *ret)
{
	return item_number(info, "OFFSET", member, 10, ret);
}

int vmcoreinfo_size(const struct vmcoreinfo *info, const char *type, uint64_t *ret)
{
	return item_number(info, "SIZE", type, 10, ret);
}

int vmcoreinfo_length(const struct vmcoreinfo *info, const char *name, uint64_t *ret)
{
	return item_number(info, "LENGTH", name, 10, ret);
}

int vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, int64_t *ret)
{
	size_t len;
	const char *value = value_of_item(info, "NUMBER", name, &len);
	uint64_t magnitude;

	if (!value)
		return 0;
	if (len > 2 && value[0] == '0' && (value[1] == 'x' || value[1] == 'X')) {
		/* Written as %lx by some architectures: 64 bits, meant as they are. */
		if (!number(value + 2, len - 2, 16, &magnitude))
			return 0;
		*ret = (int64_t)magnitude;
		return 1;
	}
	int negative = len > 1 && value[0] == '-';
	if (!number(value + negative, len - (size_t)negative, 10, &magnitude))
		return 0;
	if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return 0;
	*ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return 1;
}

int vmcoreinfo_hex(const struct vmcoreinfo *info, const char *key, uint64_t *ret)
{
	size_t len;
	const char *value = value_of(info, key, strlen(key), &len);

	return value && number(value, len, 16, ret);
}

int vmcoreinfo_text(const struct vmcoreinfo *info, const char *key, char *buf, size_t cap)
{
	size_t len;
	const char *value = value_of(info, key, strlen(key), &len);

	if (!value || len >= cap)
		return 0;
	memcpy(buf, value, len);
	buf[len] = '\0';
	return 1;
}
