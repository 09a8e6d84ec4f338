/* SPDX-License-Identifier: MIT */
/* The file system in memory: every operation, done in the submitting call. */
#include "fs/memory.h"

#include <errno.h>
#include <sonde/error.h>
#include <stddef.h>

#include "base/mem.h"

#define HANDLES_MAX 65536u
#define WRITES (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND)

/* ---- handles ------------------------------------------------------------------------------------- */

static struct memory_handle *handle_of(const struct memory *memory, int32_t file)
{
	if (file < 0 || (size_t)file >= memory->n_handles || !memory->handles[file].node)
		return NULL;
	return &memory->handles[file];
}

static int32_t grow_handles(struct memory *memory)
{
	size_t n = memory->n_handles ? 2 * memory->n_handles : 16;
	struct memory_handle *handles;

	if (n > HANDLES_MAX)
		return -EMFILE;
	handles = mem_resize(memory->handles, n, sizeof(*handles));
	if (!handles)
		return -ENOMEM;
	memset(handles + memory->n_handles, 0, (n - memory->n_handles) * sizeof(*handles));
	memory->handles = handles;
	memory->n_handles = n;
	return 0;
}

/* The lowest that is free, as descriptors are given. It stays free. */
static int32_t free_handle(struct memory *memory)
{
	size_t i = memory->first_free;

	while (i < memory->n_handles && memory->handles[i].node)
		i++;
	memory->first_free = i;
	int32_t r = i == memory->n_handles ? grow_handles(memory) : 0;
	return r < 0 ? r : (int32_t)i;
}

static int32_t add_handle(struct memory *memory, struct memory_node *node, uint32_t flags)
{
	int32_t i = free_handle(memory);

	if (i < 0)
		return i;
	memory->handles[i] = (struct memory_handle){ node, flags };
	node->n_open++;
	return i;
}

static int32_t do_close(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_handle *handle = handle_of(memory, io->file);

	if (!handle)
		return -EBADF;
	struct memory_node *node = handle->node;
	handle->node = NULL;
	if ((size_t)io->file < memory->first_free)
		memory->first_free = (size_t)io->file;
	node->n_open--;
	memory_release(memory, node);
	return 0;
}

/* ---- places --------------------------------------------------------------------------------------- */

static int32_t find_at(const struct memory *memory, int32_t dir, const char *path, uint32_t flags,
		       enum memory_links links, struct memory_place *ret)
{
	const struct memory_handle *handle = handle_of(memory, dir);

	if (dir != SONDE_FS_ROOT && !handle)
		return -EBADF;
	return memory_find(memory, handle ? handle->node : memory->root, path, flags, links, ret);
}

static int32_t find(const struct memory *memory, const struct sonde_fs_io *io,
		    enum memory_links links, struct memory_place *ret)
{
	return find_at(memory, io->dir, io->path, io->flags, links, ret);
}

/* What is there; a place without a name is a directory that is there. */
static int32_t find_node(const struct memory *memory, const struct sonde_fs_io *io,
			 enum memory_links links, struct memory_node **ret)
{
	struct memory_place at;
	int32_t r = find(memory, io, links, &at);

	if (r < 0)
		return r;
	*ret = at.node;
	return at.node ? 0 : -ENOENT;
}

/* By path, or by handle where path is NULL. */
static int32_t find_either(const struct memory *memory, const struct sonde_fs_io *io,
			   enum memory_links links, struct memory_node **ret)
{
	struct memory_handle *handle;

	if (io->path)
		return find_node(memory, io, links, ret);
	handle = handle_of(memory, io->file);
	if (!handle)
		return -EBADF;
	*ret = handle->node;
	return 0;
}

/* May a name be added here, or taken away? */
static int32_t may_change(const struct memory *memory, const struct memory_node *dir)
{
	if (!dir->parent)
		return -ENOENT;
	return memory_may(memory, dir, MEMORY_WRITE | MEMORY_SEARCH) ? 0 : -EACCES;
}

/* A place for something new. */
static int32_t check_new(const struct memory *memory, const struct memory_place *at, bool directory)
{
	if (at->node)
		return -EEXIST;
	if (at->slash && !directory)
		return -ENOENT;
	return may_change(memory, at->dir);
}

/* A node gets a name there; where that fails it is gone if it has no other. */
static int32_t put(struct memory *memory, const struct memory_place *at, struct memory_node *node)
{
	int32_t r = memory_add_name(memory, at->dir, at->text, at->len, node);

	if (r < 0)
		memory_release(memory, node);
	return r;
}

static int32_t make_at(struct memory *memory, const struct memory_place *at, uint32_t kind,
		       uint32_t mode, struct memory_node **ret)
{
	int32_t r = check_new(memory, at, kind == SONDE_KIND_DIRECTORY);

	if (r == 0)
		r = memory_make(memory, kind, mode, ret);
	return r < 0 ? r : put(memory, at, *ret);
}

static void take_away(struct memory *memory, const struct memory_place *at)
{
	memory_remove_name(memory, memory_lookup(memory, at->dir, at->text, at->len));
	memory_release(memory, at->node);
}

/* ---- opening -------------------------------------------------------------------------------------- */

static int32_t check_open(const struct memory *memory, const struct memory_node *node,
			  uint32_t flags)
{
	uint32_t rights = (flags & SONDE_FS_FOR_READ ? MEMORY_READ : 0) |
			  (flags & WRITES ? MEMORY_WRITE : 0) |
			  (flags & SONDE_FS_DIRECTORY ? MEMORY_READ : 0);

	if (flags & SONDE_FS_DIRECTORY && node->kind != SONDE_KIND_DIRECTORY)
		return -ENOTDIR;
	if (node->kind == SONDE_KIND_SYMLINK)
		return -ELOOP;
	if (node->kind == SONDE_KIND_DIRECTORY && flags & (WRITES | SONDE_FS_CREATE))
		return -EISDIR;
	return memory_may(memory, node, rights) ? 0 : -EACCES;
}

static int32_t open_nameless(struct memory *memory, struct sonde_fs_io *io, struct memory_node *dir)
{
	struct memory_node *node;
	int32_t r = dir->kind == SONDE_KIND_DIRECTORY ? may_change(memory, dir) : -ENOTDIR;

	if (r == 0)
		r = memory_make(memory, SONDE_KIND_FILE, io->mode, &node);
	if (r < 0)
		return r;
	node->nameless = true;
	r = add_handle(memory, node, io->flags);
	memory_release(memory, node);
	return r;
}

static int32_t open_there(struct memory *memory, struct sonde_fs_io *io, struct memory_node *node)
{
	int32_t r = check_open(memory, node, io->flags);

	if (r < 0)
		return r;
	r = add_handle(memory, node, io->flags);
	if (r >= 0 && io->flags & SONDE_FS_TRUNCATE)
		memory_resize(memory, node, 0);
	return r;
}

static int32_t open_new(struct memory *memory, struct sonde_fs_io *io,
			const struct memory_place *at)
{
	struct memory_node *node;
	int32_t r = at->slash ? -EISDIR : free_handle(memory);

	if (r >= 0) /* or else it would be there, and not open */
		r = make_at(memory, at, SONDE_KIND_FILE, io->mode, &node);
	return r < 0 ? r : add_handle(memory, node, io->flags);
}

static int32_t do_open(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_place at;
	bool follow = !(io->flags & (SONDE_FS_NO_FOLLOW | SONDE_FS_EXCLUSIVE));
	int32_t r = find(memory, io, follow ? MEMORY_FOLLOWED : MEMORY_ITSELF, &at);

	if (r < 0)
		return r;
	if (!at.node)
		return io->flags & SONDE_FS_CREATE ? open_new(memory, io, &at) : -ENOENT;
	if (io->flags & SONDE_FS_UNNAMED)
		return open_nameless(memory, io, at.node);
	if (io->flags & SONDE_FS_EXCLUSIVE)
		return -EEXIST;
	return open_there(memory, io, at.node);
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

static int32_t find_open(const struct memory *memory, const struct sonde_fs_io *io, uint32_t flags,
			 struct memory_handle **ret)
{
	struct memory_handle *handle = handle_of(memory, io->file);

	if (!handle)
		return -EBADF;
	*ret = handle;
	return handle->flags & flags ? 0 : -EBADF;
}

static int32_t do_read(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_handle *handle;
	int32_t r = find_open(memory, io, SONDE_FS_FOR_READ | SONDE_FS_DIRECTORY, &handle);

	if (r < 0)
		return r;
	struct memory_node *node = handle->node;
	if (node->kind == SONDE_KIND_DIRECTORY)
		return -EISDIR;
	uint64_t left = io->off < node->length ? node->length - io->off : 0;
	uint32_t len = io->len < left ? io->len : (uint32_t)left;
	if (len)
		memcpy(io->buf, node->bytes + io->off, len);
	node->accessed_ns = memory_now_ns();
	return (int32_t)len;
}

/* As many bytes as there is room for, as on a disk. */
static int32_t write_at(struct memory *memory, struct memory_node *node, uint64_t off,
			const void *buf, uint32_t len)
{
	uint64_t room = memory->max_bytes - memory->n_bytes;
	uint64_t end = node->length > UINT64_MAX - room ? UINT64_MAX : node->length + room;

	if (len == 0)
		return 0;
	if (off >= end)
		return -ENOSPC;
	if (len > end - off)
		len = (uint32_t)(end - off);
	if (off + len > node->length) {
		int32_t r = memory_resize(memory, node, off + len);
		if (r < 0)
			return r;
	}
	memcpy(node->bytes + off, buf, len);
	node->modified_ns = node->changed_ns = memory_now_ns();
	return (int32_t)len;
}

static int32_t do_write(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_handle *handle;
	int32_t r = find_open(memory, io, WRITES, &handle);

	if (r < 0)
		return r;
	uint64_t off = handle->flags & SONDE_FS_APPEND ? handle->node->length : io->off;
	return write_at(memory, handle->node, off, io->buf, io->len);
}

static int32_t do_sync(struct memory *memory, struct sonde_fs_io *io)
{
	return handle_of(memory, io->file) ? 0 : -EBADF;
}

/* Of a handle that is not for writing linux says EINVAL. */
static int32_t do_set_length(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_handle *handle;

	if (!handle_of(memory, io->file))
		return -EBADF;
	if (find_open(memory, io, WRITES, &handle) < 0)
		return -EINVAL;
	return memory_resize(memory, handle->node, io->off);
}

/* ---- what is known -------------------------------------------------------------------------------- */

static int32_t do_stat(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_node *node;
	bool follow = !(io->flags & SONDE_FS_NO_FOLLOW);
	int32_t r = find_either(memory, io, follow ? MEMORY_FOLLOWED : MEMORY_ITSELF, &node);

	if (r < 0)
		return r;
	*io->info = (struct sonde_fs_info){
		.length = node->length,
		.allocated = node->cap,
		.node = node->number,
		.kind = node->kind,
		.mode = node->mode,
		.n_links = node->n_names,
		.modified_ns = node->modified_ns,
		.changed_ns = node->changed_ns,
		.accessed_ns = node->accessed_ns,
		.created_ns = node->created_ns,
	};
	return 0;
}

static int32_t do_set_mode(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_node *node;
	int32_t r = find_either(memory, io, MEMORY_FOLLOWED, &node);

	if (r < 0)
		return r;
	node->mode = io->mode;
	node->changed_ns = memory_now_ns();
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int32_t do_mkdir(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_place at;
	struct memory_node *node;
	int32_t r = find(memory, io, MEMORY_NAME, &at);

	return r < 0 ? r : make_at(memory, &at, SONDE_KIND_DIRECTORY, io->mode, &node);
}

static int32_t do_symlink(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_place at;
	struct memory_node *node;
	size_t len = strlen(io->to);
	int32_t r = find(memory, io, MEMORY_NAME, &at);

	if (len > SONDE_FS_PATH_MAX)
		return -ENAMETOOLONG;
	if (len == 0)
		return -ENOENT;
	if (r == 0)
		r = check_new(memory, &at, false);
	if (r == 0)
		r = memory_make(memory, SONDE_KIND_SYMLINK, 0777, &node);
	if (r < 0)
		return r;
	r = memory_resize(memory, node, len);
	if (r < 0) {
		memory_release(memory, node);
		return r;
	}
	memcpy(node->bytes, io->to, len + 1);
	return put(memory, &at, node);
}

static int32_t do_read_link(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_node *node;
	int32_t r = find_node(memory, io, MEMORY_ITSELF, &node);

	if (r < 0)
		return r;
	if (node->kind != SONDE_KIND_SYMLINK || io->len == 0)
		return -EINVAL;
	uint32_t len = io->len < node->length ? io->len : (uint32_t)node->length;
	memcpy(io->buf, node->bytes, len);
	return (int32_t)len;
}

static int32_t do_link(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_place to;
	struct memory_node *node;
	int32_t r = find_either(memory, io, MEMORY_ITSELF, &node);

	if (r == 0)
		r = find_at(memory, io->to_dir, io->to, io->flags, MEMORY_NAME, &to);
	if (r == 0)
		r = check_new(memory, &to, false);
	if (r < 0)
		return r;
	if (node->kind == SONDE_KIND_DIRECTORY)
		return -EPERM;
	if (node->n_names == 0 && !node->nameless)
		return -ENOENT;
	return put(memory, &to, node);
}

/* Of ".", ".." and "/" there is no name to take away. */
static int32_t check_remove(const struct memory *memory, const struct memory_place *at,
			    bool directory)
{
	if (at->len == 0)
		return !directory ? -EISDIR : at->dots ? -ENOTEMPTY : -EINVAL;
	if (!at->node)
		return -ENOENT;
	int32_t r = may_change(memory, at->dir);
	if (r < 0)
		return r;
	if ((directory || at->slash) && at->node->kind != SONDE_KIND_DIRECTORY)
		return -ENOTDIR;
	if (!directory && at->node->kind == SONDE_KIND_DIRECTORY)
		return -EISDIR;
	return at->node->first ? -ENOTEMPTY : 0;
}

static int32_t do_remove(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_place at;
	int32_t r = find(memory, io, MEMORY_NAME, &at);

	if (r == 0)
		r = check_remove(memory, &at, io->flags & SONDE_FS_DIRECTORY);
	if (r == 0)
		take_away(memory, &at);
	return r;
}

/* ---- renaming ------------------------------------------------------------------------------------- */

/* Is it one of the directories that dir lies in, or dir? */
static bool is_above(const struct memory_node *node, const struct memory_node *dir)
{
	while (dir && dir != node && dir->parent != dir)
		dir = dir->parent;
	return dir == node;
}

/* In the order in which linux looks: where several things are wrong, one of them is told. */
static int32_t check_rename(const struct memory *memory, const struct memory_place *from,
			    const struct memory_place *to, uint32_t flags)
{
	if (from->len == 0 || to->len == 0)
		return -EBUSY;
	if (!from->node)
		return -ENOENT;
	if (to->node && flags & SONDE_FS_NO_REPLACE)
		return -EEXIST;
	bool directory = from->node->kind == SONDE_KIND_DIRECTORY;
	if (!directory && (from->slash || to->slash))
		return -ENOTDIR;
	if (directory && is_above(from->node, to->dir))
		return -EINVAL;
	if (to->node && is_above(to->node, from->dir))
		return -ENOTEMPTY;
	int32_t r = may_change(memory, from->dir);
	return r < 0 ? r : may_change(memory, to->dir);
}

static int32_t check_replace(const struct memory_node *from, const struct memory_node *to)
{
	bool directory = from->kind == SONDE_KIND_DIRECTORY;

	if (directory != (to->kind == SONDE_KIND_DIRECTORY))
		return directory ? -ENOTDIR : -EISDIR;
	return to->first ? -ENOTEMPTY : 0;
}

/* The new name is made before anything is taken away: where there is no room for it, nothing has changed. */
static int32_t move_name(struct memory *memory, const struct memory_place *from,
			 const struct memory_place *to)
{
	struct memory_name *old = memory_lookup(memory, from->dir, from->text, from->len);
	struct memory_name *replaced =
		to->node ? memory_lookup(memory, to->dir, to->text, to->len) : NULL;

	if (replaced) {
		struct memory_node *node = replaced->node;
		replaced->node = old->node;
		old->node = node;
		replaced->node->changed_ns = memory_now_ns();
		if (replaced->node->kind == SONDE_KIND_DIRECTORY)
			replaced->node->parent = to->dir;
		node->parent = NULL;
		memory_remove_name(memory, old);
		memory_release(memory, node);
		return 0;
	}
	memory->n_names--; /* for a moment there is one more, which no limit is for */
	int32_t r = memory_add_name(memory, to->dir, to->text, to->len, old->node);
	memory->n_names++;
	if (r == 0)
		memory_remove_name(memory, old);
	if (r == 0 && from->node->kind == SONDE_KIND_DIRECTORY)
		from->node->parent = to->dir;
	return r;
}

static int32_t do_rename(struct memory *memory, struct sonde_fs_io *io)
{
	struct memory_place from, to;
	int32_t r = find(memory, io, MEMORY_NAME, &from);

	if (r == 0)
		r = find_at(memory, io->to_dir, io->to, io->flags, MEMORY_NAME, &to);
	if (r == 0)
		r = check_rename(memory, &from, &to, io->flags);
	if (r < 0 || from.node == to.node)
		return r;
	r = to.node ? check_replace(from.node, to.node) : 0;
	return r < 0 ? r : move_name(memory, &from, &to);
}

/* ---- lists ---------------------------------------------------------------------------------------- */

static uint32_t entry_size(const struct memory_name *name)
{
	return (uint32_t)(offsetof(struct sonde_fs_entry, name) + name->len + 1 + 7) & ~7u;
}

static void fill_entry(struct sonde_fs_entry *entry, const struct memory_name *name)
{
	entry->node = name->node->number;
	entry->next = (int64_t)name->number;
	entry->size = (uint16_t)entry_size(name);
	entry->kind = (uint8_t)name->node->kind;
	memcpy(entry->name, name->text, name->len + 1);
}

static int32_t do_list(struct memory *memory, struct sonde_fs_io *io)
{
	const struct memory_handle *handle = handle_of(memory, io->file);
	uint32_t used = 0;

	if (!handle)
		return -EBADF;
	if (handle->node->kind != SONDE_KIND_DIRECTORY)
		return -ENOTDIR;
	for (const struct memory_name *name = handle->node->first; name; name = name->next) {
		if (name->number <= io->off)
			continue;
		if (entry_size(name) > io->len - used)
			break;
		fill_entry((struct sonde_fs_entry *)(void *)((char *)io->buf + used), name);
		used += entry_size(name);
	}
	return (int32_t)used;
}

/* ---- the file system -------------------------------------------------------------------------------- */

/* Not COPY: reading and writing is no slower here. */
static int32_t (*const operations[SONDE_FS_N_OPS])(struct memory *memory,
						   struct sonde_fs_io *io) = {
	[SONDE_FS_OPEN] = do_open,       [SONDE_FS_CLOSE] = do_close,
	[SONDE_FS_READ] = do_read,       [SONDE_FS_WRITE] = do_write,
	[SONDE_FS_SYNC] = do_sync,       [SONDE_FS_SET_LENGTH] = do_set_length,
	[SONDE_FS_STAT] = do_stat,       [SONDE_FS_SET_MODE] = do_set_mode,
	[SONDE_FS_RENAME] = do_rename,   [SONDE_FS_REMOVE] = do_remove,
	[SONDE_FS_MKDIR] = do_mkdir,     [SONDE_FS_LINK] = do_link,
	[SONDE_FS_SYMLINK] = do_symlink, [SONDE_FS_READ_LINK] = do_read_link,
	[SONDE_FS_LIST] = do_list,
};

static void memory_submit(void *impl, struct sonde_fs_io *io)
{
	fs_finish_os(io, operations[io->op] ? operations[io->op](impl, io) : -EOPNOTSUPP);
}

static void memory_close(void *impl)
{
	memory_finish(impl);
	mem_release(impl);
}

static const struct sonde_fs_ops memory_ops = {
	.size = sizeof(memory_ops),
	.submit = memory_submit,
	.close = memory_close,
};

static uint64_t limit(uint64_t asked)
{
	return asked ? asked : UINT64_MAX;
}

int sonde_fs_memory(struct sonde_loop *loop, const struct sonde_fs_memory_options *options,
		    struct sonde_fs **ret)
{
	struct sonde_fs_memory_options own = { 0 };
	struct memory *memory = mem_alloc(1, sizeof(*memory));
	int r = SONDE_E_NO_MEMORY;

	if (!memory)
		return SONDE_E_NO_MEMORY;
	if (options)
		memcpy(&own, options, options->size < sizeof(own) ? options->size : sizeof(own));
	memory->max_bytes = limit(own.max_bytes);
	memory->max_nodes = limit(own.max_nodes);
	memory->checks_mode = own.flags & SONDE_FS_CHECKS_MODE;
	if (memory_init(memory) == 0)
		r = sonde_fs_create(loop, &memory_ops, memory, ret);
	if (r < 0)
		memory_close(memory);
	return r;
}
