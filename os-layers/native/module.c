/* SPDX-License-Identifier: MIT */
/* Modules: of a machine those of its kernel, of a process the images that it has mapped. */
#include "native/native.h"

#include <string.h>

#include "common/images.h"
#include "native/wine.h"

#define MODULES_BYTES (16u << 20)

static int add_line(struct sonde_modules *list, char *line)
{
	struct proc_module from;

	if (!proc_parse_module(line, &from)) {
		LIST_DAMAGE(list, "/proc/modules: '%.60s' is no line of it", line);
		return 0;
	}
	struct sonde_module *m = modules_add(list);
	if (!m)
		return SONDE_E_NO_MEMORY;
	*m = (struct sonde_module){ .base = from.base,
				    .size = from.size,
				    .state = from.state,
				    .refs = (uint32_t)from.refs };
	if (!from.base)
		m->err = SONDE_E_NO_ACCESS;
	m->name = arena_strndup(&list->arena, from.name, strlen(from.name));
	return m->name ? 0 : SONDE_E_NO_MEMORY;
}

/* A kernel that was built without modules has no such file, and none loaded. */
static int kernel_modules(struct native_os *native, struct sonde_modules *list,
			  struct sonde_error *err)
{
	struct proc_text text = { 0 };
	int r = proc_read(native->proc_fd, "modules", MODULES_BYTES, &text);
	char *at = text.text, *line;

	while (r == 0 && (line = proc_next_line(&at)))
		r = add_line(list, line);
	proc_text_finish(&text);
	if (r == SONDE_E_GONE)
		r = 0;
	return r < 0 ? sonde_error_set(err, r, "native: /proc/modules: %s", sonde_strerror(r)) : r;
}

/* Of a process: the ELF images that it has mapped, and those of Windows that a loader of its own has. */
static int images(struct native_os *native, struct sonde_modules *list, struct sonde_error *err)
{
	struct sonde_mappings *mappings;
	int r = sonde_os_mappings(&native->os, native->pid, &mappings, err);

	if (r < 0)
		return r;
	r = images_add(sonde_target_memory(native->target), mappings, list);
	if (r == 0)
		r = wine_modules(native, mappings, list);
	sonde_mappings_destroy(mappings);
	modules_sort(list);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

int native_modules(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err)
{
	struct native_os *native = native_of(os);

	return native->pid ? images(native, list, err) : kernel_modules(native, list, err);
}
