/* SPDX-License-Identifier: MIT */
/* The distance is that of Damerau and Levenshtein with swaps of neighbours ("optimal string alignment"). */
#include "near.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void near_init(struct near *ret, const char *wanted)
{
	memset(ret, 0, sizeof(*ret));
	ret->wanted = wanted;
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static int same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t near_distance(const char *a, const char *b)
{
	size_t rows[3][NEAR_NAME_MAX + 1]; /* of a's last three bytes */
	size_t n_a = strnlen(a, NEAR_NAME_MAX), n_b = strnlen(b, NEAR_NAME_MAX);

	for (size_t k = 0; k <= n_b; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *upper = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t k = 1; k <= n_b; k++) {
			row[k] = least(up[k] + 1, row[k - 1] + 1,
				       up[k - 1] + !same(a[i - 1], b[k - 1]));
			if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
				row[k] = least(row[k], upper[k - 2] + 1, row[k]);
		}
	}
	return rows[n_a % 3][n_b];
}

static void append(char *list, size_t cap, const char *name)
{
	size_t used = strlen(list);

	snprintf(list + used, cap - used, "%s'%.60s'", used ? ", " : "", name);
}

void near_add(struct near *near, const char *name)
{
	append(near->all, sizeof(near->all), name);
	if (strstr(name, near->wanted) || strstr(near->wanted, name) ||
	    near_distance(near->wanted, name) <= 1 + strlen(near->wanted) / 4)
		append(near->close, sizeof(near->close), name);
}

const char *near_text(struct near *near)
{
	if (near->close[0])
		snprintf(near->text, sizeof(near->text), "did you mean %s?", near->close);
	else
		snprintf(near->text, sizeof(near->text),
			 near->all[0] ? "there are %s" : "there is none", near->all);
	return near->text;
}
