/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include "text.h"

#include <inttypes.h>
#include <sonde/loop.h>
#include <stdio.h>
#include <unistd.h>

#define QUIET_NS UINT64_C(500000000)
#define STEP_NS UINT64_C(100000000)

void progress_begin(struct progress *progress, const char *what)
{
	progress_end(progress);
	progress->what = what;
	progress->is_wanted = isatty(STDERR_FILENO);
	progress->began_ns = sonde_now_ns();
	progress->next_ns = progress->began_ns + QUIET_NS;
}

void progress_text(char text[128], const char *what, uint64_t done, uint64_t total, uint64_t ns)
{
	double seconds = (double)ns / 1e9, rate = seconds > 0 ? (double)done / seconds : 0;
	char so_far[24], all[24], each[24];
	int percent = total ? (int)((double)done * 100 / (double)total) : 100;

	size_text(so_far, done);
	size_text(all, total);
	size_text(each, (uint64_t)rate);
	int n = snprintf(text, 128, "%s of %s %s, %d %%, %s/s", so_far, all, what, percent, each);
	if (rate >= 1 && done < total && n > 0 && n < 128)
		snprintf(text + n, 128 - (size_t)n, ", %.0f s left", (double)(total - done) / rate);
}

void progress_say(struct progress *progress, uint64_t done, uint64_t total)
{
	uint64_t now = sonde_now_ns();
	char text[128];

	if (!progress->is_wanted || now < progress->next_ns)
		return;
	progress->next_ns = now + STEP_NS;
	progress->is_said = true;
	progress_text(text, progress->what, done, total, now - progress->began_ns);
	dprintf(STDERR_FILENO, "\r\033[K%s", text);
}

void progress_end(struct progress *progress)
{
	if (progress->is_said)
		dprintf(STDERR_FILENO, "\r\033[K");
	progress->is_said = false;
}
