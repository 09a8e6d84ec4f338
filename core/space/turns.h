/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is to call a connector: a space and its clones share the connection, and it is called by one
 * thread at a time. A space that has no clone takes no turns (NULL).
 */
#ifndef SONDE_SPACE_TURNS_H
#define SONDE_SPACE_TURNS_H

#include <pthread.h>
#include <stddef.h>

struct turns {
	pthread_mutex_t
		moves;        /* transfer                                                         */
	pthread_mutex_t asks; /* regions, cpu, note; recursive, for who visits regions may ask on */
};

struct turns *turns_create(void); /* NULL: no memory */
void turns_destroy(struct turns *turns);

static inline pthread_mutex_t *turns_move(struct turns *turns)
{
	return turns ? &turns->moves : NULL;
}

static inline pthread_mutex_t *turns_ask(struct turns *turns)
{
	return turns ? &turns->asks : NULL;
}

static inline void turn_begin(pthread_mutex_t *turn)
{
	if (turn)
		pthread_mutex_lock(turn);
}

static inline void turn_end(pthread_mutex_t *turn)
{
	if (turn)
		pthread_mutex_unlock(turn);
}

#endif
