/* SPDX-License-Identifier: MIT */
/* Memory of a process of this machine: its mappings, and its bytes by way of the connector `process`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectors/common/maps.h"
#include "native/native.h"

#define MAPS_MAX (256u << 20)

/* ---- mappings ----------------------------------------------------------------------------------------- */

static int add_line(struct sonde_mappings *list, char *line)
{
	struct maps_line from;

	if (!maps_parse(line, &from)) {
		LIST_DAMAGE(list, "maps: '%.60s' is no line of it", line);
		return 0;
	}
	struct sonde_mapping *m = mappings_add(list);
	if (!m)
		return SONDE_E_NO_MEMORY;
	*m = (struct sonde_mapping){
		.start = from.start,
		.end = from.end,
		.offset = from.off,
		.inode = from.inode,
		.dev_major = from.dev_major,
		.dev_minor = from.dev_minor,
		.flags = from.flags,
	};
	m->path = arena_strndup(&list->arena, from.path, strlen(from.path));
	return m->path ? 0 : SONDE_E_NO_MEMORY;
}

/* A kernel thread and a zombie have no mappings, and no memory of their own either. */
int native_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
		    struct sonde_error *err)
{
	struct native_os *native = native_of(os);
	struct proc_text text = { 0 };
	int folder = native_folder(native, pid, err);

	if (folder < 0)
		return folder;
	int r = proc_read(folder, "maps", MAPS_MAX, &text);
	char *at = text.text, *line;
	close(folder);
	while (r == 0 && (line = proc_next_line(&at)))
		r = add_line(list, line);
	proc_text_finish(&text);
	pid = pid ? pid : native->pid;
	if (r == SONDE_E_NO_ACCESS)
		return sonde_error_set(
			err, r,
			"native: process %d: its mappings are shown to its user and to those "
			"with CAP_SYS_PTRACE",
			pid);
	if (r < 0)
		return sonde_error_set(err, r, "native: process %d: maps: %s", pid,
				       sonde_strerror(r));
	return list->n || list->damage
		       ? 0
		       : sonde_error_set(err, SONDE_E_NOT_MAPPED,
					 "native: process %d has no memory of its own", pid);
}

/* ---- bytes -------------------------------------------------------------------------------------------- */

static int open_other(struct native_os *native, int32_t pid, struct sonde_target **ret,
		      struct sonde_error *err)
{
	struct native_opened *opened = calloc(1, sizeof(*opened));
	char name[32];

	if (!opened)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	snprintf(name, sizeof(name), "process:%d", pid);
	int r = sonde_target_open(native->loop, name, NULL, &opened->target, err);
	if (r < 0) {
		free(opened);
		return r == SONDE_E_UNSUPPORTED ? SONDE_E_NOT_MAPPED : r;
	}
	opened->next = native->opened;
	native->opened = opened;
	*ret = opened->target;
	return 0;
}

int native_process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			  struct sonde_error *err)
{
	struct native_os *native = native_of(os);
	struct sonde_target *target = native->target;
	int folder = native_folder(native, pid, err);

	if (folder < 0)
		return folder;
	close(folder);
	if (native->foreign)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"native: numbers of another /proc are not those of processes here: "
			"its mappings can be listed, not read");
	int r = native->pid ? 0 : open_other(native, pid, &target, err);
	return r < 0 ? r : os_whole_memory(target, ret, err);
}
