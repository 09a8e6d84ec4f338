/* SPDX-License-Identifier: MIT */
/*
 * The PID IDR. Sources: linux v6.6 include/linux/xarray.h (xa_is_node: low bits 10 and above
 * 4096; 64 slots a node), include/linux/pid.h (struct pid.tasks by enum pid_type), kernel/pid.c.
 */
#include "linux/pid_tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define XA_SLOTS 64u /* XA_CHUNK_SIZE without CONFIG_BASE_SMALL */
#define XA_NODE_BIT 2u
#define XA_LEVELS_MAX 6u /* 2^36 identifiers */
#define LIST_STEPS_MAX 65536u

enum { PIDTYPE_PID = 0, PIDTYPE_TGID = 1 };

static int push(struct task_addrs *addrs, uint64_t at)
{
	if (addrs->n == addrs->cap) {
		size_t cap = addrs->cap ? 2 * addrs->cap : 256;
		uint64_t *grown = realloc(addrs->at, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		addrs->at = grown;
		addrs->cap = cap;
	}
	addrs->at[addrs->n++] = at;
	return SONDE_OK;
}

void task_addrs_finish(struct task_addrs *addrs)
{
	free(addrs->at);
	*addrs = (struct task_addrs){ 0 };
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_unique(struct task_addrs *addrs)
{
	size_t n = 0;

	if (addrs->n)
		qsort(addrs->at, addrs->n, sizeof(*addrs->at), by_value);
	for (size_t i = 0; i < addrs->n; i++) {
		if (i == 0 || addrs->at[i] != addrs->at[i - 1])
			addrs->at[n++] = addrs->at[i];
	}
	addrs->n = n;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool is_node(uint64_t entry)
{
	return (entry & 3) == XA_NODE_BIT && entry > 4096;
}

/* One entry: a node goes on to the next level, a pointer is a struct pid. */
static int sort_entry(struct linux_os *lx, uint64_t entry, struct task_addrs *nodes,
		      struct task_addrs *pids)
{
	if (is_node(entry))
		return push(nodes, entry - XA_NODE_BIT);
	if (entry && linux_pointer_plausible(lx, entry))
		return push(pids, entry);
	return SONDE_OK;
}

/* Read the slots of all nodes of one level; returns how many nodes could not be read. */
static int read_level(struct linux_os *lx, const struct task_addrs *nodes, struct task_addrs *next,
		      struct task_addrs *pids)
{
	struct sonde_batch *batch = sonde_batch_create(lx->loop);
	uint64_t(*slots)[XA_SLOTS] = malloc(nodes->n * sizeof(*slots) + 1);
	int32_t *errs = malloc(nodes->n * sizeof(*errs) + 1);
	int r = batch && slots && errs ? SONDE_OK : SONDE_E_NO_MEMORY, n_bad = 0;

	for (size_t i = 0; i < nodes->n && r == SONDE_OK; i++)
		r = sonde_batch_add(batch, lx->os.kernel_memory,
				    nodes->at[i] + lx->layout.xa_slots.off, slots[i],
				    sizeof(slots[i]), &errs[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(batch);
	for (size_t i = 0; i < nodes->n && r >= 0; i++) {
		n_bad += errs[i] != 0;
		for (uint32_t k = 0; k < XA_SLOTS && r >= 0; k++)
			r = sort_entry(lx, sonde_le64(&slots[i][k]), next, pids);
	}
	sonde_batch_destroy(batch);
	free(slots);
	free(errs);
	return r < 0 ? r : n_bad;
}

/* All struct pid in the tree under head. Returns how many nodes were lost, or an error. */
static int walk_tree(struct linux_os *lx, uint64_t head, struct task_addrs *pids)
{
	struct task_addrs nodes = { 0 }, next = { 0 };
	int r = sort_entry(lx, head, &nodes, pids), n_bad = 0;

	for (uint32_t level = 0; level < XA_LEVELS_MAX && nodes.n && r >= 0; level++) {
		r = read_level(lx, &nodes, &next, pids);
		if (r < 0)
			break;
		n_bad += r;
		/* A node that stands in the tree twice is a cycle or a lie: it is read once. */
		sort_unique(&next);
		if (next.n > TASKS_MAX / XA_SLOTS || pids->n > TASKS_MAX) {
			next.n = 0;
			n_bad++;
		}
		task_addrs_finish(&nodes);
		nodes = next;
		next = (struct task_addrs){ 0 };
	}
	n_bad += nodes.n != 0 && r >= 0;
	task_addrs_finish(&nodes);
	task_addrs_finish(&next);
	sort_unique(pids);
	return r < 0 ? r : n_bad;
}

/* From struct pid to its task: the first link of its list of that type lies inside the task_struct. */
static int tasks_of_pids(struct linux_os *lx, enum os_tasks what, const struct task_addrs *pids,
			 struct task_addrs *ret)
{
	const struct layout *l = &lx->layout;
	uint32_t type = what == OS_PROCESSES ? PIDTYPE_TGID : PIDTYPE_PID;
	uint32_t link = l->task_pid_links.off + 16 * type; /* struct hlist_node: two pointers */
	struct sonde_batch *batch = sonde_batch_create(lx->loop);
	uint64_t *first = malloc(pids->n * sizeof(*first) + 1);
	int32_t *errs = malloc(pids->n * sizeof(*errs) + 1);
	int r = batch && first && errs ? SONDE_OK : SONDE_E_NO_MEMORY, n_bad = 0;

	for (size_t i = 0; i < pids->n && r == SONDE_OK; i++)
		r = sonde_batch_add(batch, lx->os.kernel_memory,
				    pids->at[i] + l->pid_tasks.off + 8 * type, &first[i], 8,
				    &errs[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(batch);
	for (size_t i = 0; i < pids->n && r >= 0; i++) {
		uint64_t node = sonde_le64(&first[i]);
		if (errs[i] || (node && !linux_pointer_plausible(lx, node)))
			n_bad++;
		else if (node)
			r = push(ret, node - link);
	}
	sonde_batch_destroy(batch);
	free(first);
	free(errs);
	return r < 0 ? r : n_bad;
}

static int from_tree(struct linux_os *lx, enum os_tasks what, struct task_addrs *ret)
{
	const struct layout *l = &lx->layout;
	struct task_addrs pids = { 0 };
	uint64_t ns, head;

	if (!linux_symbol(lx, "init_pid_ns", &ns) || !has(l->pidns_idr_head) ||
	    !has(l->pid_tasks) || !has(l->task_pid_links) || !has(l->xa_slots))
		return SONDE_E_NOT_FOUND;
	int r = sonde_space_u64(lx->os.kernel_memory, ns + l->pidns_idr_head.off, &head);
	if (r < 0)
		return r;
	int n_bad = walk_tree(lx, head, &pids);
	r = n_bad < 0 ? n_bad : tasks_of_pids(lx, what, &pids, ret);
	task_addrs_finish(&pids);
	return r < 0 ? r : n_bad + r;
}

/* ---- the list ---------------------------------------------------------------------------------- */

/*
 * One direction of init_task's list: a step a trip, which is what a list is. Ends where it comes
 * back, turns round, or cannot be read. Returns 1 when it came back whole, 0 broken, or an error.
 */
static int walk_list(struct linux_os *lx, uint64_t init, uint32_t pointer, struct task_addrs *ret)
{
	uint32_t tasks = lx->layout.task_tasks.off;
	uint64_t head = init + tasks, at, brent = head;
	uint32_t power = 1, steps = 0;

	if (sonde_space_u64(lx->os.kernel_memory, head + pointer, &at) < 0)
		return 0;
	for (uint32_t i = 0; i < LIST_STEPS_MAX; i++) {
		if (at == head)
			return 1;
		/* Brent: compare with a point that moves ahead in powers of two. */
		if (at == brent || !linux_pointer_plausible(lx, at))
			return 0;
		if (++steps == power) {
			brent = at;
			power *= 2;
			steps = 0;
		}
		uint64_t next;
		if (sonde_space_u64(lx->os.kernel_memory, at + pointer, &next) < 0)
			return 0;
		int r = push(ret, at - tasks);
		if (r < 0)
			return r;
		at = next;
	}
	return 0;
}

/* Forwards, and where that breaks backwards too, so that one bad link hides nobody else. */
static int from_list(struct linux_os *lx, struct task_addrs *ret)
{
	uint64_t init;

	if (!linux_symbol(lx, "init_task", &init))
		return SONDE_E_NOT_FOUND;
	int r = walk_list(lx, init, 0, ret);
	if (r != 0)
		return r;
	return walk_list(lx, init, 8, ret) < 0 ? SONDE_E_NO_MEMORY : 0;
}

int pid_tree_tasks(struct linux_os *lx, enum os_tasks what, struct task_addrs *ret,
		   struct sonde_processes *list, struct sonde_error *err)
{
	int tree = from_tree(lx, what, ret);

	if (tree == SONDE_E_NO_MEMORY)
		return sonde_error_set(err, tree, NULL);
	if (tree != 0 || !ret->n) {
		int whole = from_list(lx, ret);
		const char *rest = whole == 1 ? "the task list was whole"
				   : whole == 0
					   ? "the task list is broken: some tasks may be missing"
					   : "there is no task list";
		if (tree == 0)
			LIST_DAMAGE(list, "the PID tree is empty; %s", rest);
		else if (tree > 0)
			LIST_DAMAGE(list, "%d nodes of the PID tree could not be read; %s", tree,
				    rest);
		else if (tree != SONDE_E_NOT_FOUND || whole != 1)
			LIST_DAMAGE(list, "the PID tree cannot be read (%s); %s",
				    sonde_strerror(tree), rest);
	}
	if (!ret->n)
		return sonde_error_set(
			err, tree < 0 ? tree : SONDE_E_CORRUPT,
			"linux: neither the PID tree nor the task list can be read: %s",
			list->damage ? list->damage : "both are empty");
	sort_unique(ret);
	return SONDE_OK;
}

/* ---- one pid ------------------------------------------------------------------------------------
 */

/* The slot for index in the node at entry. *ret_shift falls at each level, which bounds the
 * descent. */
static int descend(struct linux_os *lx, uint64_t *entry, uint64_t index, uint32_t *shift)
{
	const struct layout *l = &lx->layout;
	uint64_t node = *entry - XA_NODE_BIT;
	uint8_t own;
	int r = sonde_space_u8(lx->os.kernel_memory, node + l->xa_shift.off, &own);

	if (r < 0)
		return r;
	if (own >= *shift || own >= 36)
		return SONDE_E_CORRUPT;
	*shift = own;
	uint64_t slot = index >> own;
	if (slot >= XA_SLOTS)
		slot &= XA_SLOTS - 1;
	return sonde_space_u64(lx->os.kernel_memory, node + l->xa_slots.off + 8 * slot, entry);
}

static int find_struct_pid(struct linux_os *lx, int32_t pid, uint64_t *ret)
{
	uint64_t ns, entry;
	uint32_t shift = 64;

	if (!linux_symbol(lx, "init_pid_ns", &ns) || !has(lx->layout.pidns_idr_head) ||
	    !has(lx->layout.xa_shift) || !has(lx->layout.pid_tasks) ||
	    !has(lx->layout.task_pid_links))
		return SONDE_E_UNSUPPORTED;
	int r = sonde_space_u64(lx->os.kernel_memory, ns + lx->layout.pidns_idr_head.off, &entry);
	while (r == SONDE_OK && is_node(entry))
		r = descend(lx, &entry, (uint64_t)pid, &shift);
	if (r < 0)
		return r;
	if (!linux_pointer_plausible(lx, entry))
		return SONDE_E_NOT_FOUND;
	*ret = entry;
	return SONDE_OK;
}

int pid_tree_find(struct linux_os *lx, int32_t pid, uint64_t *ret_task)
{
	const struct layout *l = &lx->layout;
	uint64_t at, node, task;
	uint32_t own;
	int r = find_struct_pid(lx, pid, &at);

	if (r < 0)
		return r;
	r = sonde_space_u64(lx->os.kernel_memory, at + l->pid_tasks.off + 8 * PIDTYPE_PID, &node);
	if (r < 0)
		return r;
	if (!linux_pointer_plausible(lx, node))
		return SONDE_E_NOT_FOUND;
	task = node - l->task_pid_links.off - 16 * PIDTYPE_PID;
	r = sonde_space_u32(lx->os.kernel_memory, task + l->task_pid.off, &own);
	if (r < 0)
		return r;
	/* A pid above what the tree reaches wraps into a wrong slot; the task itself says who it is. */
	if ((int32_t)own != pid)
		return SONDE_E_NOT_FOUND;
	*ret_task = task;
	return SONDE_OK;
}
