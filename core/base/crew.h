/* SPDX-License-Identifier: MIT */
/* Threads that share the items of one piece of work with who hands it out. */
#ifndef SONDE_BASE_CREW_H
#define SONDE_BASE_CREW_H

#include <stddef.h>

struct crew;

/* n threads beside the one that calls crew_run, started by the first work that is worth it. NULL: out of memory. */
struct crew *crew_create(unsigned n);
void crew_destroy(struct crew *crew);
/* How many items a thread takes at a time, > 0: four where nothing else was said. */
void crew_at_once(struct crew *crew, size_t n);

/* Calls do_item(user, worker, i) once for each i below n, with worker from 0 (who calls this) to n threads; returns when all
 * have ended. One thread at a time may call it. */
void crew_run(struct crew *crew, size_t n, void (*do_item)(void *user, unsigned worker, size_t i),
	      void *user);

#endif
