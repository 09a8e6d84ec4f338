/* SPDX-License-Identifier: MIT */
#include "space/turns.h"

#include <stdlib.h>

struct turns *turns_create(void)
{
	struct turns *turns = malloc(sizeof(*turns));
	pthread_mutexattr_t recursive;

	if (!turns)
		return NULL;
	pthread_mutex_init(&turns->moves, NULL);
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&turns->asks, &recursive);
	pthread_mutexattr_destroy(&recursive);
	return turns;
}

void turns_destroy(struct turns *turns)
{
	if (!turns)
		return;
	pthread_mutex_destroy(&turns->moves);
	pthread_mutex_destroy(&turns->asks);
	free(turns);
}
