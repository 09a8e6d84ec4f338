/* SPDX-License-Identifier: MIT */
/* What `ps` and `threads` share; see process.h. */
#include "process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void time_text(char text[32], uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, 32, "%" PRIu64, unix_ns);
}

void process_missing(struct table *t, const struct sonde_process *p)
{
	static const char *const names[] = {
		"identity", "cred", "times", "memory", "cmdline", "exe"
	};
	struct buf blob = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (p->missing >> i & 1)
			buf_bytes(&blob, names[i], strlen(names[i]) + 1);
	table_list(t, blob.bytes, blob.len);
	buf_finish(&blob);
}

void process_error(struct table *t, const struct sonde_process *p)
{
	table_str(t, p->err ? sonde_error_name(p->err) : NULL);
}

void process_start(struct table *t, const struct sonde_process *p, uint64_t boot_time_ns)
{
	char text[32];
	uint64_t ms = p->start_ns / 1000000;

	if (p->missing & SONDE_PROCESS_TIMES) {
		table_null(t);
	} else if (boot_time_ns != 0 && p->start_ns <= UINT64_MAX - boot_time_ns) {
		time_text(text, boot_time_ns + p->start_ns);
		table_str(t, text);
	} else if (table_is_text(t)) {
		snprintf(text, sizeof(text), "+%" PRIu64 ".%03us", ms / 1000,
			 (unsigned)(ms % 1000));
		table_str(t, text);
	} else {
		table_null(t);
	}
}

enum table_style process_style(const struct sonde_process *p)
{
	if (p->state == 'Z' || p->err)
		return STYLE_RED;
	return p->kernel_thread ? STYLE_DIM : STYLE_NONE;
}

int processes_complete(struct ctx *ctx, const struct sonde_processes *list, const char *what)
{
	const char *damage = sonde_processes_damage(list);
	size_t n = sonde_processes_count(list), n_bad = 0;
	int32_t err = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sonde_process *p = sonde_processes_at(list, i);

		if (p->missing == 0)
			continue;
		if (n_bad++ == 0)
			err = p->err;
	}
	if (damage)
		complain(ctx, "the list is damaged: %s", damage);
	if (n_bad > 0)
		complain(ctx, "%zu of %zu %s lack fields (%s); --json names them in 'missing'",
			 n_bad, n, what, sonde_strerror(err));
	return damage || n_bad > 0 ? EXIT_PARTIAL : 0;
}
