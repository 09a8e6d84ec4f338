/* SPDX-License-Identifier: MIT */
/*
 * Looking members up. Kernels that differ, for the alternatives in layout.h:
 *
 *   task_struct.__state       state before v5.14       start_boottime  real_start_time before v5.5
 *   mm_struct.mm_mt           mmap (a list) before v6.1
 *   mm_struct.rss_stat        percpu_counter[] from v6.2, struct mm_rss_stat before
 *   module.mem[]              core_layout, init_layout before v6.4
 *   task_struct.worker_private  holds struct kthread from v5.17, set_child_tid before
 *   backing_file.user_path    from v6.7; user_path_file from v6.18
 *   dentry.d_shortname        d_iname before v6.15
 *   page.compound_dtor        until v6.5; later the page says itself that it is of hugetlbfs
 *   xa_node, xa_head          radix_tree_node, rnode before v4.20
 */
#include "linux/layout.h"

#include <stdio.h>
#include <string.h>

#include "sym/types.h"

static bool find_member(const struct sonde_types *types, const char *type, const char *path,
			struct field *ret)
{
	struct sonde_member member;
	char name[64];
	uint32_t id;

	snprintf(name, sizeof(name), "struct %s", type);
	if (!sonde_type_find(types, name, &id) || !sonde_type_member(types, id, path, &member))
		return false;
	uint64_t off = member.bit_off / 8, size = (member.bit_size + 7) / 8;
	/* A flexible array has no size of its own; what matters of it is where it begins. */
	if (size == 0)
		size = 1;
	if (off > 1u << 20 || size > 1u << 20)
		return false;
	*ret = (struct field){ (uint32_t)off, (uint32_t)size };
	return true;
}

/* The first of the names, separated by '|', that this kernel has. */
static struct field find_field(const struct sonde_types *types, const char *type,
			       const char *members)
{
	struct field field = { 0 };
	char copy[128], *rest, *path;

	snprintf(copy, sizeof(copy), "%s", members);
	for (path = strtok_r(copy, "|", &rest); path; path = strtok_r(NULL, "|", &rest)) {
		if (find_member(types, type, path, &field))
			return field;
	}
	return (struct field){ 0 };
}

static uint32_t type_size(const struct sonde_types *types, const char *name)
{
	uint32_t id;

	if (!sonde_type_find(types, name, &id))
		return 0;
	int64_t size = sonde_type_size(types, id);
	return size > 0 && size <= 1 << 20 ? (uint32_t)size : 0;
}

static void resolve_sizes(const struct sonde_types *types, struct layout *l)
{
	uint32_t id;
	struct field counts;

	l->task_size = type_size(types, "struct task_struct");
	l->page_size = type_size(types, "struct page");
	l->section_size = type_size(types, "struct mem_section");
	l->module_mem_size = type_size(types, "struct module_memory");
	l->desc_size = type_size(types, "struct prb_desc");
	l->info_size = type_size(types, "struct printk_info");
	l->xa_node_size = type_size(types, "struct xa_node");
	l->upid_size = type_size(types, "struct upid");
	l->maple_node_size = type_size(types, "struct maple_node");
	l->vm_special_mapping = type_size(types, "struct vm_special_mapping");
	l->log_record_size = type_size(types, "struct printk_log");
	l->rss_counter_size = type_size(types, "struct percpu_counter");
	l->rss_percpu = sonde_type_find(types, "struct mm_struct", &id) &&
			!find_member(types, "mm_struct", "rss_stat.count", &counts);
}

int layout_resolve(const struct sonde_types *types, struct layout *ret, struct sonde_error *err)
{
	memset(ret, 0, sizeof(*ret));
#define X(name, type, members, need)                                                               \
	ret->name = find_field(types, type, members);                                              \
	if (need && !has(ret->name))                                                               \
		return sonde_error_set(err, SONDE_E_NO_TYPES, "linux: %s have no %s.%s",           \
				       sonde_types_source(types), type, members);
	LINUX_FIELDS(X)
#undef X
	resolve_sizes(types, ret);
	return SONDE_OK;
}
