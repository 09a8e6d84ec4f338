/* SPDX-License-Identifier: MIT */
/*
 * Every member of a kernel structure this layer reads, by name. Offsets come from the target's
 * own types, never from here. Where kernels differ, the names are tried in order.
 */
#ifndef SONDE_LINUX_LAYOUT_H
#define SONDE_LINUX_LAYOUT_H

#include <sonde/sym.h>
#include <stdbool.h>
#include <stdint.h>

/* One member; size 0: this kernel does not have it. */
struct field {
	uint32_t off;  /* bytes from the start of its structure */
	uint32_t size; /* bytes                                  */
};

static inline bool has(struct field field)
{
	return field.size != 0;
}

/* A member of a structure that lies inside another. */
static inline struct field inside(struct field outer, struct field inner)
{
	inner.off += outer.off;
	return inner;
}

/*
 * X(name, "struct", "member [| older name]...", need): need 1: attach fails without it. The kernels in
 * which a name changed stand in layout.c's comments.
 */
#define LINUX_FIELDS(X)                                                                            \
	X(task_state, "task_struct", "__state|state", 1)                                           \
	X(task_exit_state, "task_struct", "exit_state", 1)                                         \
	X(task_flags, "task_struct", "flags", 1)                                                   \
	X(task_tasks, "task_struct", "tasks", 1)                                                   \
	X(task_mm, "task_struct", "mm", 1)                                                         \
	X(task_active_mm, "task_struct", "active_mm", 0)                                           \
	X(task_pid, "task_struct", "pid", 1)                                                       \
	X(task_tgid, "task_struct", "tgid", 1)                                                     \
	X(task_real_parent, "task_struct", "real_parent", 1)                                       \
	X(task_group_leader, "task_struct", "group_leader", 1)                                     \
	X(task_pid_links, "task_struct", "pid_links", 0)                                           \
	X(task_thread_pid, "task_struct", "thread_pid", 0)                                         \
	X(task_thread_group, "task_struct", "thread_group", 0)                                     \
	X(task_thread_node, "task_struct", "thread_node", 0)                                       \
	X(task_start_boottime, "task_struct", "start_boottime|real_start_time", 0)                 \
	X(task_real_cred, "task_struct", "real_cred", 0)                                           \
	X(task_comm, "task_struct", "comm", 1)                                                     \
	X(task_signal, "task_struct", "signal", 0)                                                 \
	X(task_kthread, "task_struct", "worker_private|set_child_tid", 0)                          \
	X(kthread_data, "kthread", "data", 0)                                                      \
	X(kthread_full_name, "kthread", "full_name", 0)                                            \
	X(worker_desc, "worker", "desc", 0)                                                        \
	X(worker_pool, "worker", "pool", 0)                                                        \
	X(worker_current_work, "worker", "current_work", 0)                                        \
	X(task_fs, "task_struct", "fs", 0)                                                         \
	X(signal_nr_threads, "signal_struct", "nr_threads", 0)                                     \
	X(signal_thread_head, "signal_struct", "thread_head", 0)                                   \
	X(percpu_count, "percpu_counter", "count", 0)                                              \
	X(percpu_counters, "percpu_counter", "counters", 0)                                        \
	X(cred_uid, "cred", "uid", 0)                                                              \
	X(cred_gid, "cred", "gid", 0)                                                              \
	X(cred_euid, "cred", "euid", 0)                                                            \
	X(cred_egid, "cred", "egid", 0)                                                            \
	X(mm_pgd, "mm_struct", "pgd", 1)                                                           \
	X(mm_mmap, "mm_struct", "mmap", 0)                                                         \
	X(mm_mt, "mm_struct", "mm_mt", 0)                                                          \
	X(mm_map_count, "mm_struct", "map_count", 0)                                               \
	X(mm_total_vm, "mm_struct", "total_vm", 0)                                                 \
	X(mm_rss_stat, "mm_struct", "rss_stat", 0)                                                 \
	X(mm_exe_file, "mm_struct", "exe_file", 0)                                                 \
	X(mm_arg_start, "mm_struct", "arg_start", 0)                                               \
	X(mm_arg_end, "mm_struct", "arg_end", 0)                                                   \
	X(mm_env_start, "mm_struct", "env_start", 0)                                               \
	X(mm_env_end, "mm_struct", "env_end", 0)                                                   \
	X(mm_start_brk, "mm_struct", "start_brk", 0)                                               \
	X(mm_brk, "mm_struct", "brk", 0)                                                           \
	X(mm_start_stack, "mm_struct", "start_stack", 0)                                           \
	X(mm_context_vdso, "mm_struct", "context.vdso", 0)                                         \
	X(vma_start, "vm_area_struct", "vm_start", 0)                                              \
	X(vma_end, "vm_area_struct", "vm_end", 0)                                                  \
	X(vma_next, "vm_area_struct", "vm_next", 0)                                                \
	X(vma_flags, "vm_area_struct", "vm_flags|__vm_flags", 0)                                   \
	X(vma_pgoff, "vm_area_struct", "vm_pgoff", 0)                                              \
	X(vma_file, "vm_area_struct", "vm_file", 0)                                                \
	X(vma_mm, "vm_area_struct", "vm_mm", 0)                                                    \
	X(vma_ops, "vm_area_struct", "vm_ops", 0)                                                  \
	X(vma_private, "vm_area_struct", "vm_private_data", 0)                                     \
	X(vma_anon_name, "vm_area_struct", "anon_name", 0)                                         \
	X(anon_name_text, "anon_vma_name", "name", 0)                                              \
	X(mapping_name, "vm_special_mapping", "name", 0)                                           \
	X(mt_root, "maple_tree", "ma_root", 0)                                                     \
	X(mt_flags, "maple_tree", "ma_flags", 0)                                                   \
	X(mn_r64_pivot, "maple_node", "mr64.pivot", 0)                                             \
	X(mn_r64_slot, "maple_node", "mr64.slot", 0)                                               \
	X(mn_a64_pivot, "maple_node", "ma64.pivot", 0)                                             \
	X(mn_a64_slot, "maple_node", "ma64.slot", 0)                                               \
	X(mn_alloc_slot, "maple_node", "slot", 0)                                                  \
	X(file_path, "file", "f_path", 0)                                                          \
	X(file_inode, "file", "f_inode", 0)                                                        \
	X(file_mode, "file", "f_mode", 0)                                                          \
	X(backing_user_path, "backing_file", "user_path|user_path_file.f_path", 0)                 \
	X(path_mnt, "path", "mnt", 0)                                                              \
	X(path_dentry, "path", "dentry", 0)                                                        \
	X(dentry_parent, "dentry", "d_parent", 0)                                                  \
	X(dentry_hash_pprev, "dentry", "d_hash.pprev", 0)                                          \
	X(dentry_name_len, "dentry", "d_name.len", 0)                                              \
	X(dentry_name, "dentry", "d_name.name", 0)                                                 \
	X(dentry_iname, "dentry", "d_iname|d_shortname.string", 0)                                 \
	X(dentry_inode, "dentry", "d_inode", 0)                                                    \
	X(dentry_op, "dentry", "d_op", 0)                                                          \
	X(dentry_sb, "dentry", "d_sb", 0)                                                          \
	X(dop_dname, "dentry_operations", "d_dname", 0)                                            \
	X(mount_mnt, "mount", "mnt", 0)                                                            \
	X(mount_parent, "mount", "mnt_parent", 0)                                                  \
	X(mount_mountpoint, "mount", "mnt_mountpoint", 0)                                          \
	X(mount_ns, "mount", "mnt_ns", 0)                                                          \
	X(vfsmount_root, "vfsmount", "mnt_root", 0)                                                \
	X(vfsmount_flags, "vfsmount", "mnt_flags", 0)                                              \
	X(inode_ino, "inode", "i_ino", 0)                                                          \
	X(inode_sb, "inode", "i_sb", 0)                                                            \
	X(inode_mode, "inode", "i_mode", 0)                                                        \
	X(sb_dev, "super_block", "s_dev", 0)                                                       \
	X(pidns_idr_head, "pid_namespace", "idr.idr_rt.xa_head|idr.idr_rt.rnode", 0)               \
	X(pid_tasks, "pid", "tasks", 0)                                                            \
	X(pid_numbers, "pid", "numbers", 0)                                                        \
	X(upid_nr, "upid", "nr", 0)                                                                \
	X(xa_shift, "xa_node", "shift", 0)                                                         \
	X(xa_slots, "xa_node", "slots", 0)                                                         \
	X(module_state, "module", "state", 0)                                                      \
	X(module_list, "module", "list", 0)                                                        \
	X(module_name, "module", "name", 0)                                                        \
	X(module_refcnt, "module", "refcnt", 0)                                                    \
	X(module_mem, "module", "mem", 0)                                                          \
	X(module_core_base, "module", "core_layout.base", 0)                                       \
	X(module_core_size, "module", "core_layout.size", 0)                                       \
	X(module_init_base, "module", "init_layout.base", 0)                                       \
	X(module_init_size, "module", "init_layout.size", 0)                                       \
	X(module_data_size, "module", "data_layout.size", 0)                                       \
	X(module_kallsyms, "module", "kallsyms", 0)                                                \
	X(modmem_base, "module_memory", "base", 0)                                                 \
	X(modmem_size, "module_memory", "size", 0)                                                 \
	X(mkall_symtab, "mod_kallsyms", "symtab", 0)                                               \
	X(mkall_num_symtab, "mod_kallsyms", "num_symtab", 0)                                       \
	X(mkall_strtab, "mod_kallsyms", "strtab", 0)                                               \
	X(mkall_typetab, "mod_kallsyms", "typetab", 0)                                             \
	X(prb_desc_ring, "printk_ringbuffer", "desc_ring", 0)                                      \
	X(prb_data_ring, "printk_ringbuffer", "text_data_ring", 0)                                 \
	X(ring_count_bits, "prb_desc_ring", "count_bits", 0)                                       \
	X(ring_descs, "prb_desc_ring", "descs", 0)                                                 \
	X(ring_infos, "prb_desc_ring", "infos", 0)                                                 \
	X(ring_head_id, "prb_desc_ring", "head_id", 0)                                             \
	X(ring_tail_id, "prb_desc_ring", "tail_id", 0)                                             \
	X(data_size_bits, "prb_data_ring", "size_bits", 0)                                         \
	X(data_data, "prb_data_ring", "data", 0)                                                   \
	X(desc_state, "prb_desc", "state_var", 0)                                                  \
	X(desc_lpos, "prb_desc", "text_blk_lpos", 0)                                               \
	X(info_seq, "printk_info", "seq", 0)                                                       \
	X(info_ts, "printk_info", "ts_nsec", 0)                                                    \
	X(info_text_len, "printk_info", "text_len", 0)                                             \
	X(info_facility, "printk_info", "facility", 0)                                             \
	X(info_caller, "printk_info", "caller_id", 0)                                              \
	X(mm_rb, "mm_struct", "mm_rb.rb_node", 0)                                                  \
	X(mm_context_flags, "mm_struct", "context.flags", 0)                                       \
	X(vma_rb, "vm_area_struct", "vm_rb", 0)                                                    \
	X(vma_shared, "vm_area_struct", "shared", 0)                                               \
	X(rb_left, "rb_node", "rb_left", 0)                                                        \
	X(rb_right, "rb_node", "rb_right", 0)                                                      \
	X(vmops_name, "vm_operations_struct", "name", 0)                                           \
	X(modtree_tree, "mod_tree_root", "root.tree", 0)                                           \
	X(modnode_mod, "mod_tree_node", "mod", 0)                                                  \
	X(modnode_node, "mod_tree_node", "node.node", 0)                                           \
	X(record_ts, "printk_log", "ts_nsec", 0)                                                   \
	X(record_len, "printk_log", "len", 0)                                                      \
	X(record_text_len, "printk_log", "text_len", 0)                                            \
	X(record_facility, "printk_log", "facility", 0)                                            \
	X(record_caller, "printk_log", "caller_id", 0)                                             \
	X(page_flags, "page", "flags", 0)                                                          \
	X(page_mapping, "page", "mapping", 0)                                                      \
	X(page_private, "page", "private", 0)                                                      \
	X(page_mapcount, "page", "_mapcount", 0)                                                   \
	X(page_refcount, "page", "_refcount", 0)                                                   \
	X(page_compound_head, "page", "compound_head", 0)                                          \
	X(page_compound_dtor, "page", "compound_dtor", 0)                                          \
	X(section_mem_map, "mem_section", "section_mem_map", 0)                                    \
	X(uts_ns_name, "uts_namespace", "name", 0)                                                 \
	X(uts_nodename, "new_utsname", "nodename", 0)                                              \
	X(uts_release, "new_utsname", "release", 0)                                                \
	X(tk_offs_real, "timekeeper", "offs_real", 0)                                              \
	X(tk_xtime_sec, "timekeeper", "xtime_sec", 0)                                              \
	X(tk_offs_boot, "timekeeper", "offs_boot", 0)                                              \
	X(tk_ktime_sec, "timekeeper", "ktime_sec", 0)

struct layout {
#define X(name, type, member, need) struct field name;
	LINUX_FIELDS(X)
#undef X
	/* Whole structures, 0 for none. */
	uint32_t task_size, page_size, section_size;
	uint32_t module_mem_size;    /* of one struct module_memory              */
	uint32_t vm_special_mapping; /* sizes                                    */
	uint32_t desc_size, info_size, xa_node_size, upid_size, maple_node_size, rss_counter_size;
	uint32_t log_record_size; /* struct printk_log, before v5.10        */
	bool rss_percpu;          /* rss_stat is an array of percpu_counter   */
};

/*
 * Look every member up. Returns 0; SONDE_E_NO_TYPES when one that is needed is missing: err names it.
 */
int layout_resolve(const struct sonde_types *types, struct layout *ret, struct sonde_error *err);

#endif
