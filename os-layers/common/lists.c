/* SPDX-License-Identifier: MIT */
/* Lists: growing, asking, freeing; one shape for all four kinds. */
#include "common/lists.h"

#include <stdlib.h>
#include <string.h>

static void *add(void **items, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		size_t more = *cap ? 2 * *cap : 64;
		void *grown = realloc(*items, more * size);
		if (!grown)
			return NULL;
		*items = grown;
		*cap = more;
	}
	void *item = (char *)*items + (*n)++ * size;
	memset(item, 0, size);
	return item;
}

#define LIST_FUNCTIONS(name, list_type, item)                                                      \
	struct item *name##_add(struct list_type *list)                                            \
	{                                                                                          \
		void *items = list->items;                                                         \
		struct item *added = add(&items, &list->n, &list->cap, sizeof(*added));            \
		list->items = items;                                                               \
		return added;                                                                      \
	}                                                                                          \
	size_t sonde_##name##_count(const struct list_type *list)                                  \
	{                                                                                          \
		return list->n;                                                                    \
	}                                                                                          \
	const struct item *sonde_##name##_at(const struct list_type *list, size_t index)           \
	{                                                                                          \
		return index < list->n ? &list->items[index] : NULL;                               \
	}                                                                                          \
	const char *sonde_##name##_damage(const struct list_type *list)                            \
	{                                                                                          \
		return list->damage;                                                               \
	}                                                                                          \
	void sonde_##name##_destroy(struct list_type *list)                                        \
	{                                                                                          \
		if (!list)                                                                         \
			return;                                                                    \
		arena_finish(&list->arena);                                                        \
		free(list->items);                                                                 \
		free(list);                                                                        \
	}

LIST_FUNCTIONS(processes, sonde_processes, sonde_process)
LIST_FUNCTIONS(modules, sonde_modules, sonde_module)
LIST_FUNCTIONS(mappings, sonde_mappings, sonde_mapping)
LIST_FUNCTIONS(log, sonde_log, sonde_log_record)
