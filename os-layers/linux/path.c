/* SPDX-License-Identifier: MIT */
/*
 * Names of files, many at a time. A path is walked from its last component up to the root of its
 *mount namespace; all paths take one step per trip, and a directory or mount that several share is
 *read once. Names too long for their dentry come together in one last trip.
 *
 *	walk    dentry, mount ──▶ parent, mount ──▶ ... at a mount's root: mountpoint, parent mount
 *──▶ ... end
 *
 * A path ends as the guest's own d_path would end it, with the root of its namespace in place of
 *the caller's root. Source: linux v6.1 fs/d_path.c, fs/mount.h, include/linux/dcache.h.
 */
#include <stdlib.h>
#include <string.h>

#include "linux/addr_map.h"
#include "linux/linux.h"

#define COMPONENTS_MAX 256u     /* of one path                                         */
#define STEPS_MAX 512u          /* of one path, mounts crossed included                */
#define PATH_BYTES 4096u        /* PATH_MAX, the terminator included                   */
#define NAME_BYTES 1024u        /* of one name; NAME_MAX is 255, but not for pseudo files */
#define NAMES_BYTES (64u << 20) /* of all names together                           */
#define DENTRIES_MAX (1u << 20)
#define DELETED " (deleted)"

struct dentry {
	uint64_t addr, parent, name, op, inode;
	uint32_t name_len;
	int32_t err;      /* of any member                                    */
	int32_t name_err; /* of text                                          */
	bool unhashed;
	char *text; /* [name_len], not terminated; in scratch           */
};

struct mount {
	uint64_t addr, parent, mountpoint, root;
	int32_t err;
};

/* One path under way. */
struct walk {
	uint32_t dentry, mount; /* where it stands           */
	uint32_t names, steps;  /* so far                    */
	int32_t err;
	bool over;
};

/* A dentry whose operations may name it: how, and the inode number some of them print. */
struct pseudo {
	uint64_t dname; /* address of d_op->d_dname   */
	uint8_t raw_dname[8], raw_ino[8];
	int32_t err, ino_err;
	bool asked;
};

struct resolver {
	struct linux_os *lx;
	struct sonde_batch *batch;
	struct arena scratch;
	struct addr_map dentry_map, mount_map;
	struct dentry *dentries; /* [n_dentries]; the first read_dentries of them are filled */
	struct mount *mounts;    /* likewise                                                 */
	uint32_t n_dentries, cap_dentries, read_dentries;
	uint32_t n_mounts, cap_mounts, read_mounts;
	uint32_t names_bytes; /* in scratch                                              */
	char *text;           /* [PATH_BYTES], for join                                  */
	struct walk *walks;
	size_t n;
};

enum step {
	STEP_WAIT,  /* what it stands on is not read yet               */
	STEP_NAME,  /* the dentry it stood on is a component of it     */
	STEP_MOUNT, /* it crossed into the parent mount                */
	STEP_END,
};

static int grow(void **items, uint32_t *cap, size_t size)
{
	uint32_t more = *cap ? 2 * *cap : 64;
	void *grown = realloc(*items, more * size);

	if (!grown)
		return SONDE_E_NO_MEMORY;
	*items = grown;
	*cap = more;
	return SONDE_OK;
}

static int add_dentry(struct resolver *rs, uint64_t addr, uint32_t *ret)
{
	int r = addr_map_add(&rs->dentry_map, addr, ret);

	if (r != 1)
		return r;
	if (rs->n_dentries == DENTRIES_MAX)
		return SONDE_E_NO_MEMORY;
	if (rs->n_dentries == rs->cap_dentries &&
	    grow((void **)&rs->dentries, &rs->cap_dentries, sizeof(*rs->dentries)) < 0)
		return SONDE_E_NO_MEMORY;
	rs->dentries[rs->n_dentries++] = (struct dentry){ .addr = addr };
	return SONDE_OK;
}

static int add_mount(struct resolver *rs, uint64_t addr, uint32_t *ret)
{
	int r = addr_map_add(&rs->mount_map, addr, ret);

	if (r != 1)
		return r;
	if (rs->n_mounts == rs->cap_mounts &&
	    grow((void **)&rs->mounts, &rs->cap_mounts, sizeof(*rs->mounts)) < 0)
		return SONDE_E_NO_MEMORY;
	rs->mounts[rs->n_mounts++] = (struct mount){ .addr = addr };
	return SONDE_OK;
}

static void fail(struct walk *w, int32_t err)
{
	w->err = err;
	w->over = true;
}

/* Stand on a dentry and a mount. Only running out of memory is an error of the call. */
static int stand(struct resolver *rs, struct walk *w, uint64_t dentry, uint64_t mount)
{
	if (!linux_pointer_plausible(rs->lx, dentry) || !linux_pointer_plausible(rs->lx, mount)) {
		fail(w, SONDE_E_CORRUPT);
		return SONDE_OK;
	}
	int r = add_dentry(rs, dentry, &w->dentry);
	if (r == SONDE_OK)
		r = add_mount(rs, mount, &w->mount);
	if (r == SONDE_E_LIMIT) {
		fail(w, r);
		return SONDE_OK;
	}
	return r;
}

static int start(struct resolver *rs, const struct linux_path *paths)
{
	uint32_t mnt_off = rs->lx->layout.mount_mnt.off;

	for (size_t i = 0; i < rs->n; i++) {
		int r = stand(rs, &rs->walks[i], paths[i].dentry, paths[i].mnt - mnt_off);
		if (r < 0)
			return r;
	}
	return SONDE_OK;
}

/* One step up, *ret_step says which. Where it stands is read (the caller looks), so nothing but
 * memory can be wanting. */
static int step(struct resolver *rs, struct walk *w, enum step *ret_step)
{
	const struct dentry *d = &rs->dentries[w->dentry];
	const struct mount *m = &rs->mounts[w->mount];

	*ret_step = STEP_END;
	if (d->err || m->err) {
		fail(w, d->err ? d->err : m->err);
		return SONDE_OK;
	}
	if (++w->steps > STEPS_MAX) {
		fail(w, SONDE_E_LIMIT);
		return SONDE_OK;
	}
	if (d->addr == m->root) {
		w->over = m->parent == m->addr;
		*ret_step = w->over ? STEP_END : STEP_MOUNT;
		return w->over ? SONDE_OK : stand(rs, w, m->mountpoint, m->parent);
	}
	/* A root that is not its mount's: a pseudo file, or a directory that was moved away from
	 * under it. */
	if (d->parent == d->addr) {
		w->over = true;
		return SONDE_OK;
	}
	if (++w->names > COMPONENTS_MAX) {
		fail(w, SONDE_E_LIMIT);
		return SONDE_OK;
	}
	*ret_step = STEP_NAME;
	return stand(rs, w, d->parent, m->addr);
}

static bool is_read(const struct resolver *rs, const struct walk *w)
{
	return w->dentry < rs->read_dentries && w->mount < rs->read_mounts;
}

static int step_all(struct resolver *rs)
{
	for (size_t i = 0; i < rs->n; i++) {
		struct walk *w = &rs->walks[i];
		enum step done;
		while (!w->over && is_read(rs, w)) {
			int r = step(rs, w, &done);
			if (r < 0)
				return r;
		}
	}
	return SONDE_OK;
}

/* The name, when it lies in the dentry itself. */
static void take_inline_name(struct resolver *rs, struct dentry *d, const struct rows *rows,
			     size_t row)
{
	struct field iname = rs->lx->layout.dentry_iname;

	if (d->name_len > NAME_BYTES || rs->names_bytes > NAMES_BYTES) {
		d->name_err = SONDE_E_LIMIT;
		return;
	}
	rs->names_bytes += d->name_len;
	d->text = arena_alloc(&rs->scratch, d->name_len);
	if (!d->text) {
		d->name_err = SONDE_E_NO_MEMORY;
		return;
	}
	if (d->name != d->addr + iname.off)
		return;
	const uint8_t *bytes = rows_bytes(rows, row, iname, &d->name_err);
	if (!bytes)
		return;
	if (d->name_len > iname.size)
		d->name_err = SONDE_E_CORRUPT;
	else
		memcpy(d->text, bytes, d->name_len);
}

static bool name_is_inline(const struct resolver *rs, const struct dentry *d)
{
	return d->name == d->addr + rs->lx->layout.dentry_iname.off;
}

static void first_error(int32_t *err, int32_t r)
{
	if (!*err)
		*err = r;
}

static void take_dentry(struct resolver *rs, struct dentry *d, const struct rows *rows, size_t row)
{
	const struct layout *l = &rs->lx->layout;
	uint64_t len = 0, pprev = 0;

	first_error(&d->err, rows_u64(rows, row, l->dentry_parent, &d->parent));
	first_error(&d->err, rows_u64(rows, row, l->dentry_hash_pprev, &pprev));
	first_error(&d->err, rows_u64(rows, row, l->dentry_name, &d->name));
	first_error(&d->err, rows_u64(rows, row, l->dentry_name_len, &len));
	/* Without these two a path is no worse unless it is a pseudo file's. */
	rows_u64(rows, row, l->dentry_op, &d->op);
	rows_u64(rows, row, l->dentry_inode, &d->inode);
	d->unhashed = pprev == 0;
	d->name_len = (uint32_t)len;
	if (!d->err)
		take_inline_name(rs, d, rows, row);
}

static void take_mount(struct resolver *rs, struct mount *m, const struct rows *rows, size_t row)
{
	const struct layout *l = &rs->lx->layout;
	struct field root = l->vfsmount_root;

	root.off += l->mount_mnt.off;
	first_error(&m->err, rows_u64(rows, row, l->mount_parent, &m->parent));
	first_error(&m->err, rows_u64(rows, row, l->mount_mountpoint, &m->mountpoint));
	first_error(&m->err, rows_u64(rows, row, root, &m->root));
}

static struct plan dentry_plan(const struct layout *l)
{
	struct plan plan = { 0 };

	plan_add(&plan, l->dentry_parent);
	plan_add(&plan, l->dentry_hash_pprev);
	plan_add(&plan, l->dentry_name);
	plan_add(&plan, l->dentry_name_len);
	plan_add(&plan, l->dentry_iname);
	plan_add(&plan, l->dentry_op);
	plan_add(&plan, l->dentry_inode);
	return plan;
}

static struct plan mount_plan(const struct layout *l)
{
	struct plan plan = { 0 };
	struct field root = l->vfsmount_root;

	if (has(root))
		root.off += l->mount_mnt.off;
	plan_add(&plan, l->mount_parent);
	plan_add(&plan, l->mount_mountpoint);
	plan_add(&plan, root);
	return plan;
}

static int fetch(struct resolver *rs, struct rows *dentries, struct rows *mounts)
{
	struct sonde_space *kernel = rs->lx->os.kernel_memory;
	int r = SONDE_OK;

	for (size_t i = 0; i < dentries->n && r == SONDE_OK; i++)
		r = rows_want(dentries, i, rs->dentries[rs->read_dentries + i].addr, kernel,
			      rs->batch);
	for (size_t i = 0; i < mounts->n && r == SONDE_OK; i++)
		r = rows_want(mounts, i, rs->mounts[rs->read_mounts + i].addr, kernel, rs->batch);
	int run = sonde_batch_run(rs->batch);
	if (r < 0 || run < 0)
		return r < 0 ? r : run;
	for (size_t i = 0; i < dentries->n; i++)
		take_dentry(rs, &rs->dentries[rs->read_dentries + i], dentries, i);
	for (size_t i = 0; i < mounts->n; i++)
		take_mount(rs, &rs->mounts[rs->read_mounts + i], mounts, i);
	rs->read_dentries += (uint32_t)dentries->n;
	rs->read_mounts += (uint32_t)mounts->n;
	return SONDE_OK;
}

/* Read whatever was added since the last trip. */
static int read_new(struct resolver *rs)
{
	struct plan of_dentry = dentry_plan(&rs->lx->layout),
		    of_mount = mount_plan(&rs->lx->layout);
	struct rows dentries = { 0 }, mounts = { 0 };
	int r = rows_init(&dentries, &of_dentry, rs->n_dentries - rs->read_dentries);

	if (r == SONDE_OK)
		r = rows_init(&mounts, &of_mount, rs->n_mounts - rs->read_mounts);
	if (r == SONDE_OK)
		r = fetch(rs, &dentries, &mounts);
	rows_finish(&dentries);
	rows_finish(&mounts);
	return r;
}

static int want_names(struct resolver *rs)
{
	for (uint32_t i = 0; i < rs->n_dentries; i++) {
		struct dentry *d = &rs->dentries[i];
		if (d->err || d->name_err || name_is_inline(rs, d) || !d->name_len)
			continue;
		int r = sonde_batch_add(rs->batch, rs->lx->os.kernel_memory, d->name, d->text,
					d->name_len, &d->name_err);
		if (r < 0)
			return r;
	}
	return SONDE_OK;
}

/* As d_path asks: not for what is the root of its mount. */
static bool may_be_pseudo(const struct resolver *rs, const struct dentry *d, const struct mount *m)
{
	return !d->err && !m->err && has(rs->lx->layout.dop_dname) &&
	       linux_pointer_plausible(rs->lx, d->op) &&
	       (d->parent != d->addr || d->addr != m->root);
}

static int want_pseudo(struct resolver *rs, const struct dentry *d, struct pseudo *p)
{
	const struct layout *l = &rs->lx->layout;
	struct sonde_space *kernel = rs->lx->os.kernel_memory;

	p->asked = true;
	p->err = p->ino_err = SONDE_E_NOT_MAPPED;
	int r = sonde_batch_add(rs->batch, kernel, d->op + l->dop_dname.off, p->raw_dname,
				sizeof(p->raw_dname), &p->err);
	if (r == SONDE_OK && has(l->inode_ino) && linux_pointer_plausible(rs->lx, d->inode))
		r = sonde_batch_add(rs->batch, kernel, d->inode + l->inode_ino.off, p->raw_ino,
				    sizeof(p->raw_ino), &p->ino_err);
	return r;
}

/* The last trip: names outside their dentries, and how the pseudo files among the paths are named.
 */
static int read_names(struct resolver *rs, const struct linux_path *paths, struct pseudo *pseudo)
{
	int r = want_names(rs);

	for (size_t i = 0; i < rs->n && r == SONDE_OK; i++) {
		uint32_t d, m;
		if (!addr_map_find(&rs->dentry_map, paths[i].dentry, &d) ||
		    !addr_map_find(&rs->mount_map, paths[i].mnt - rs->lx->layout.mount_mnt.off, &m))
			continue;
		if (may_be_pseudo(rs, &rs->dentries[d], &rs->mounts[m]))
			r = want_pseudo(rs, &rs->dentries[d], &pseudo[i]);
	}
	int run = sonde_batch_run(rs->batch);
	if (r < 0 || run < 0)
		return r < 0 ? r : run;
	for (size_t i = 0; i < rs->n; i++) {
		if (pseudo[i].asked && !pseudo[i].err)
			pseudo[i].dname = sonde_le64(pseudo[i].raw_dname);
	}
	return SONDE_OK;
}

/* KIND of "KIND:[inode]", as the function with this name prints it: pipefs_dname, ns_dname ... */
static int kind_of(const char *function, const char **ret)
{
	size_t len = strcspn(function, "_");

	*ret = function;
	if (strcmp(function, "sockfs_dname") == 0) {
		*ret = "socket";
		len = 6;
	} else if (len > 2 && strncmp(function + len - 2, "fs", 2) == 0) {
		len -= 2;
	}
	return (int)len;
}

/*
 * What the function behind d_dname would print; which function it is, its symbol tells. Shared
 * memory, memfd and /dev/zero have simple_dname.
 */
static void name_pseudo(const struct resolver *rs, const struct dentry *d, const struct pseudo *p,
			struct linux_path *path, struct arena *arena)
{
	struct sonde_symbol symbol = { .name = "unknown" };
	const char *kind;
	int len = (int)d->name_len;

	if (d->name_err) {
		path->err = d->name_err;
		return;
	}
	if (rs->lx->os.symbols)
		sonde_symbol_at(rs->lx->os.symbols, p->dname, &symbol);
	if (strcmp(symbol.name, "simple_dname") == 0) {
		path->text = arena_printf(arena, "/%.*s" DELETED, len, d->text);
	} else if (strcmp(symbol.name, "anon_inodefs_dname") == 0) {
		path->text = arena_printf(arena, "anon_inode:%.*s", len, d->text);
	} else if (strcmp(symbol.name, "dmabuffs_dname") == 0) {
		path->text = arena_printf(arena, "/%.*s:", len, d->text);
	} else if (p->ino_err) {
		path->err = p->ino_err;
		return;
	} else {
		int n = kind_of(symbol.name, &kind);
		path->text = arena_printf(arena, "%.*s:[%llu]", n, kind,
					  (unsigned long long)sonde_le64(p->raw_ino));
	}
	if (!path->text)
		path->err = SONDE_E_NO_MEMORY;
}

/* Put the components, found from the last to the first, in front of each other. */
static void join(const struct resolver *rs, const uint32_t *chain, uint32_t n, bool deleted,
		 struct linux_path *path, struct arena *arena)
{
	char *text = rs->text;
	size_t tail = deleted ? strlen(DELETED) : 0, at = PATH_BYTES - 1 - tail;

	memcpy(text + at, DELETED, tail);
	for (uint32_t i = 0; i < n; i++) {
		const struct dentry *d = &rs->dentries[chain[i]];
		if (d->name_err || d->name_len + 2 > at) {
			path->err = d->name_err ? d->name_err : SONDE_E_LIMIT;
			return;
		}
		at -= d->name_len;
		memcpy(text + at, d->text, d->name_len);
		text[--at] = '/';
	}
	if (n == 0)
		text[--at] = '/';
	path->text = arena_strndup(arena, text + at, PATH_BYTES - 1 - at);
	if (!path->text)
		path->err = SONDE_E_NO_MEMORY;
}

/* Walk the path again, now that all is there, and write it down. */
static int build(struct resolver *rs, struct linux_path *path, struct arena *arena)
{
	uint32_t chain[COMPONENTS_MAX], n = 0;
	struct walk w = { 0 };
	int r = stand(rs, &w, path->dentry, path->mnt - rs->lx->layout.mount_mnt.off);

	while (r == SONDE_OK && !w.over && is_read(rs, &w)) {
		uint32_t here = w.dentry;
		enum step done;
		r = step(rs, &w, &done);
		if (done == STEP_NAME && n < COMPONENTS_MAX)
			chain[n++] = here;
	}
	if (r < 0)
		return r;
	if (w.err) {
		path->err = w.err;
		return SONDE_OK;
	}
	uint32_t first;
	addr_map_find(&rs->dentry_map, path->dentry, &first);
	const struct dentry *d = &rs->dentries[first];
	join(rs, chain, n, d->unhashed && d->parent != d->addr, path, arena);
	return SONDE_OK;
}

static int build_all(struct resolver *rs, struct linux_path *paths, const struct pseudo *pseudo,
		     struct arena *arena)
{
	int r = SONDE_OK;

	for (size_t i = 0; i < rs->n && r == SONDE_OK; i++) {
		uint32_t d;
		if (pseudo[i].dname && addr_map_find(&rs->dentry_map, paths[i].dentry, &d))
			name_pseudo(rs, &rs->dentries[d], &pseudo[i], &paths[i], arena);
		else
			r = build(rs, &paths[i], arena);
	}
	return r;
}

static int resolve(struct resolver *rs, struct linux_path *paths, struct arena *arena)
{
	int r = start(rs, paths);

	/* Every trip takes each unfinished path at least one step, and those are bounded. */
	while (r == SONDE_OK &&
	       (rs->read_dentries < rs->n_dentries || rs->read_mounts < rs->n_mounts)) {
		r = read_new(rs);
		if (r == SONDE_OK)
			r = step_all(rs);
	}
	if (r < 0)
		return r;
	struct pseudo *pseudo = calloc(rs->n + 1, sizeof(*pseudo));
	if (!pseudo)
		return SONDE_E_NO_MEMORY;
	r = read_names(rs, paths, pseudo);
	if (r == SONDE_OK)
		r = build_all(rs, paths, pseudo, arena);
	free(pseudo);
	return r;
}

int linux_paths(struct linux_os *lx, struct linux_path *paths, size_t n, struct arena *arena)
{
	struct resolver rs = { .lx = lx, .n = n };
	int r = SONDE_E_NO_MEMORY;

	for (size_t i = 0; i < n; i++) {
		paths[i].text = NULL;
		paths[i].err = SONDE_OK;
	}
	if (n == 0)
		return SONDE_OK;
	rs.batch = sonde_batch_create(lx->loop);
	rs.walks = calloc(n, sizeof(*rs.walks));
	rs.text = arena_alloc(&rs.scratch, PATH_BYTES);
	if (rs.batch && rs.walks && rs.text)
		r = resolve(&rs, paths, arena);
	sonde_batch_destroy(rs.batch);
	arena_finish(&rs.scratch);
	addr_map_finish(&rs.dentry_map);
	addr_map_finish(&rs.mount_map);
	free(rs.dentries);
	free(rs.mounts);
	free(rs.walks);
	return r;
}
