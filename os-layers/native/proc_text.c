/* SPDX-License-Identifier: MIT */
#include "native/proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *proc_next_line(char **at)
{
	char *line = *at;

	if (!*line)
		return NULL;
	char *end = line + strcspn(line, "\n");
	*at = *end ? end + 1 : end;
	*end = '\0';
	return line;
}

/* The name stands in parentheses and may hold some itself: the last one ends it. */
int proc_parse_stat(const char *text, struct proc_stat *ret)
{
	const char *first = strchr(text, '('), *last = strrchr(text, ')');

	memset(ret, 0, sizeof(*ret));
	if (!first || !last || last < first || (size_t)(last - first - 1) > PROC_NAME_MAX)
		return 0;
	memcpy(ret->name, first + 1, (size_t)(last - first - 1));
	return sscanf(text, "%" SCNd32, &ret->pid) == 1 &&
	       sscanf(last + 1,
		      " %c %" SCNd32 " %*d %*d %*d %*d %" SCNu64
		      " %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %" SCNu64 " %*d %" SCNu64
		      " %" SCNu64 " %" SCNu64,
		      &ret->state, &ret->ppid, &ret->flags, &ret->n_threads, &ret->start_ticks,
		      &ret->vsize, &ret->rss_pages) == 7;
}

static const char *find_line(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (*text) {
		if (strncmp(text, key, len) == 0 && text[len] == ':')
			return text + len + 1;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

int proc_parse_status(const char *text, const char *key, uint64_t *ret, size_t n)
{
	const char *at = find_line(text, key);
	int used;

	for (size_t i = 0; at && i < n; i++, at += used) {
		if (sscanf(at, "%*[ \t]%" SCNu64 "%n", &ret[i], &used) != 1)
			return 0;
	}
	return at != NULL;
}

int proc_parse_module(char *line, struct proc_module *ret)
{
	static const char *const states[] = { "live", "coming", "going" };
	char state[16];
	int name_len = 0;

	memset(ret, 0, sizeof(*ret));
	/* "Live", "Loading" and "Unloading" are what the kernel calls them here. */
	if (sscanf(line, "%*s%n %" SCNu64 " %" SCNu64 " %*s %15s 0x%" SCNx64, &name_len, &ret->size,
		   &ret->refs, state, &ret->base) < 3)
		return 0;
	ret->state = state[0] == 'L' && state[1] == 'i' ? states[0]
		     : state[0] == 'L'                  ? states[1]
							: states[2];
	line[name_len] = '\0';
	ret->name = line;
	return 1;
}
