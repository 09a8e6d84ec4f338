/* SPDX-License-Identifier: MIT */
/*
 * Whether a guest runs its monitor knows, which serves one client at a time: one that does not answer at once leaves
 * the state unknown, and all together they get a second or two.
 */
#include "list.h"

#include "../common/guests.h"
#include "qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 300
#define ALL_NS UINT64_C(2000000000)

/* What is told of a guest; the rest of it is large. */
struct entry {
	pid_t pid;
	char name[128], state[32], detail[160];
};

struct listing {
	const struct sonde_host *host;
	uint64_t begin_ns;
	struct entry *entries; /* [n] */
	size_t n, cap;
};

static void ask_state(const struct listing *listing, const struct guest *guest, struct entry *entry)
{
	struct qmp qmp;

	for (size_t i = 0; i < guest->n_qmp && !entry->state[0]; i++) {
		if (listing->host->now_ns() - listing->begin_ns > ALL_NS)
			return;
		if (qmp_open(&qmp, listing->host, guest->qmp[i], ANSWER_MS, NULL) == 0)
			qmp_state(&qmp, entry->state, sizeof(entry->state), NULL);
		qmp_close(&qmp);
	}
}

static void describe(const struct guest *guest, struct entry *entry)
{
	int n = snprintf(entry->detail, sizeof(entry->detail), "%s%s%s", guest->program,
			 guest->machine[0] ? ", " : "", guest->machine);

	if (guest->memory && n > 0 && (size_t)n < sizeof(entry->detail))
		snprintf(entry->detail + n, sizeof(entry->detail) - (size_t)n, ", %llu MiB",
			 (unsigned long long)(guest->memory >> 20));
}

static int keep(void *user, const struct guest *guest)
{
	struct listing *listing = user;

	if (listing->n == listing->cap) {
		size_t cap = listing->cap ? 2 * listing->cap : 16;
		struct entry *entries = realloc(listing->entries, cap * sizeof(*entries));
		if (!entries)
			return SONDE_E_NO_MEMORY;
		listing->entries = entries;
		listing->cap = cap;
	}
	struct entry *entry = &listing->entries[listing->n++];
	*entry = (struct entry){ .pid = guest->pid };
	snprintf(entry->name, sizeof(entry->name), "%s", guest->name);
	describe(guest, entry);
	ask_state(listing, guest, entry);
	return 0;
}

/* A name opens a guest when it is its alone, and neither a path, which is a socket's. */
static int opens(const struct listing *listing, const struct entry *entry)
{
	size_t n = 0;

	for (size_t i = 0; i < listing->n; i++)
		n += strcmp(listing->entries[i].name, entry->name) == 0;
	return entry->name[0] && n == 1 && !strchr(entry->name, '/');
}

static int tell(const struct listing *listing, const struct entry *entry, sonde_listed_fn *fn,
		void *user)
{
	char pid[16];
	struct sonde_listed one = {
		.size = sizeof(one),
		.first = opens(listing, entry) ? entry->name : pid,
		.name = entry->name,
		.state = entry->state[0] ? entry->state : NULL,
		.detail = entry->detail,
		.pid = entry->pid,
	};

	snprintf(pid, sizeof(pid), "%d", (int)entry->pid);
	return fn(user, &one);
}

int qemu_list(const struct sonde_host *host, sonde_listed_fn *fn, void *user,
	      struct sonde_error *err)
{
	struct listing listing = { .host = host, .begin_ns = host->now_ns() };
	int r = guest_each(keep, &listing);

	if (r < 0)
		host->error_set(err, r, NULL);
	for (size_t i = 0; r == 0 && i < listing.n; i++)
		r = tell(&listing, &listing.entries[i], fn, user);
	free(listing.entries);
	return r;
}
