/* SPDX-License-Identifier: MIT */
/*
 *   keeper.c           stops the guest, or has QEMU write its RAM; puts back what was changed
 *   receive.c          takes in what QEMU writes
 *   common/ram_copy.c  copies
 */
#include "snapshot.h"

#include "../common/ram_copy.h"
#include "keeper.h"
#include "receive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIAL                                                                                      \
	((uint64_t)64                                                                              \
	 << 20) /* bytes copied before the guest is stopped, to know how long all will take */
#define STREAM_PAGE 4096u /* of the stream, and what is in front of each there, at most */
#define STREAM_HEAD 16u
#define STREAM_REST ((uint64_t)64 << 20) /* devices, and blocks that are not in the map */
#define ROOM_LEFT ((uint64_t)256 << 20)  /* bytes of memory that stay free */

/* One snapshot being taken. */
struct taking {
	struct snapshot *to;
	struct machine *machine;
	const char *qmp_path;
	struct sonde_error *err;
};

void snapshot_init(struct snapshot *ret)
{
	*ret = (struct snapshot){ .fd = -1 };
}

static void drop_file(struct snapshot *snapshot)
{
	if (snapshot->fd >= 0)
		close(snapshot->fd);
	snapshot->fd = -1;
}

void snapshot_finish(struct snapshot *snapshot)
{
	drop_file(snapshot);
	free(snapshot->at);
	free(snapshot->cpus);
	snapshot_init(snapshot);
}

static const char *const way_names[] = { [SNAPSHOT_AUTO] = "auto",
					 [SNAPSHOT_STREAM] = "stream",
					 [SNAPSHOT_CLONE] = "clone",
					 [SNAPSHOT_COPY] = "copy" };

int snapshot_parse(const struct sonde_host *host, const char *text, enum snapshot_way *ret,
		   struct sonde_error *err)
{
	for (int way = SNAPSHOT_AUTO; way <= SNAPSHOT_COPY; way++) {
		if (!text || strcmp(text, way_names[way]) == 0) {
			*ret = (enum snapshot_way)way;
			return 0;
		}
	}
	return host->error_set(err, SONDE_E_BAD_ARG,
			       "qemu: snapshot '%.40s': there are auto, stream, clone and copy",
			       text);
}

/* ---- room --------------------------------------------------------------------------------------------- */

/* Bytes of memory that may be taken. Linux v6.1 Documentation/filesystems/proc.rst, MemAvailable. */
static uint64_t free_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kib = 0;
	char line[128];
	int found = 0;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1;
	if (file)
		fclose(file);
	uint64_t bytes = kib * 1024;
	return bytes > ROOM_LEFT ? bytes - ROOM_LEFT : 0;
}

static uint64_t map_size(const struct memory_map *map)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < map->n; i++)
		sum += map->ranges[i].len <= UINT64_MAX - sum ? map->ranges[i].len
							      : UINT64_MAX - sum;
	return sum;
}

static int check_room(const struct taking *t, uint64_t need)
{
	uint64_t room = free_memory();

	if (need <= room)
		return 0;
	return t->machine->host->error_set(t->err, SONDE_E_LIMIT,
					   "qemu: '%s': a snapshot takes up to %" PRIu64
					   " MiB of memory, and %" PRIu64
					   " MiB are free: pause the guest instead",
					   t->machine->guest.name, need >> 20, room >> 20);
}

static int make_file(const struct taking *t)
{
	t->to->fd = memfd_create("sonde-snapshot", MFD_CLOEXEC);
	return t->to->fd >= 0
		       ? 0
		       : t->machine->host->error_os(t->err, errno, "qemu: room for a snapshot");
}

/* ---- stream ------------------------------------------------------------------------------------------- */

/* Registers that a processor works with are those of an earlier moment; those that lead to its tables stay what they are. */
static void take_registers(const struct taking *t, const struct keeper *keeper, uint32_t but)
{
	for (uint32_t i = 0; i < t->machine->n_cpus; i++) {
		struct full_cpu *cpu = &t->to->cpus[i];
		if (!keeper_cpu(keeper, i, cpu))
			cpu->cpu.valid = 0;
		cpu->cpu.valid &= ~but;
		if (!(cpu->cpu.valid & SONDE_CPU_GENERAL))
			cpu->n_upper = 0;
	}
}

/* QEMU must be able to write all of it, or its guest hangs: keeper.c says why. */
static int may_write(const struct taking *t)
{
	const struct guest *guest = &t->machine->guest;
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	char path[48], label[128] = "";

	prlimit(guest->pid, RLIMIT_FSIZE, NULL, &limit);
	snprintf(path, sizeof(path), "/proc/%d/attr/current", (int)guest->pid);
	FILE *file = fopen(path, "re");
	if (file && !fgets(label, sizeof(label), file))
		label[0] = '\0';
	if (file)
		fclose(file);
	if (limit.rlim_cur == RLIM_INFINITY && (!label[0] || strstr(label, "unconfined")))
		return 0;
	return t->machine->host->error_set(
		t->err, SONDE_E_UNSUPPORTED,
		"qemu: '%s': is confined, so it may not be able to write "
		"its RAM into a file of ours",
		guest->name);
}

/* Its pages are there before QEMU writes: what it takes is ours, and writing does not fail. */
static int make_stream(const struct taking *t, int *ret)
{
	uint64_t ram = map_size(&t->machine->map);
	uint64_t len = ram + ram / STREAM_PAGE * STREAM_HEAD + STREAM_REST;
	int fd = memfd_create("sonde-stream", MFD_CLOEXEC);
	int failed = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)len);

	if (failed == 0) {
		*ret = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return t->machine->host->error_os(t->err, failed, "qemu: room for a snapshot");
}

static int write_stream(const struct taking *t, int stream)
{
	struct keeper keeper;
	int r = keeper_start(&keeper, t->machine, t->qmp_path, KEEPER_STREAM, stream, t->err);

	if (r < 0)
		return r;
	r = keeper_wait(&keeper, t->err);
	if (r == 0)
		take_registers(t, &keeper, SONDE_CPU_GENERAL);
	keeper_end(&keeper, NULL);
	t->to->told.stopped_ns = keeper_stopped_ns(&keeper);
	keeper_forget(&keeper);
	return r;
}

/* QEMU first touches all of its RAM: of a shared file that makes pages of what were holes. */
static uint64_t stream_need(const struct machine *machine)
{
	uint64_t ram = map_size(&machine->map);

	return machine->via == VIA_MAP && ram <= UINT64_MAX / 2 ? 2 * ram : ram;
}

static int take_stream(const struct taking *t)
{
	int stream = -1;
	int r = may_write(t);

	if (r < 0 || (r = check_room(t, stream_need(t->machine))) < 0 ||
	    (r = make_stream(t, &stream)) < 0)
		return r;
	r = write_stream(t, stream);
	if (r == 0)
		r = make_file(t);
	if (r == 0)
		r = receive_ram(t->machine, stream, t->to->fd, t->to->at, SNAPSHOT_NONE,
				free_memory(), t->err);
	close(stream);
	return r;
}

/* ---- while it stands still ------------------------------------------------------------------------------ */

typedef int while_stopped_fn(const struct taking *t, void *user);

/* Stop the guest, call fn, let it go on. */
static int stop_for(const struct taking *t, while_stopped_fn *fn, void *user)
{
	struct keeper keeper;
	struct sonde_error why = { 0 };
	int r = keeper_start(&keeper, t->machine, t->qmp_path, KEEPER_STOP, -1, t->err);

	if (r < 0)
		return r;
	r = keeper_wait(&keeper, t->err);
	if (r == 0) {
		take_registers(t, &keeper, 0);
		r = fn(t, user);
	}
	int left = keeper_end(&keeper, &why);
	if (left < 0)
		r = t->machine->host->error_set(t->err, left, "%s", why.text);
	t->to->told.stopped_ns = keeper_stopped_ns(&keeper);
	keeper_forget(&keeper);
	return r;
}

/* ---- clone -------------------------------------------------------------------------------------------- */

static int no_clone(const struct taking *t, const char *why)
{
	return t->machine->host->error_set(t->err, SONDE_E_UNSUPPORTED,
					   "qemu: '%s': its RAM cannot be cloned: %s",
					   t->machine->guest.name, why);
}

/* The one mapping that all RAM lies in; NULL where there is none, or more. Places the ranges. */
static const struct backing *one_file(const struct taking *t)
{
	struct machine *machine = t->machine;
	struct backing *found = NULL;

	for (size_t i = 0; i < machine->map.n; i++) {
		const struct memory_range *range = &machine->map.ranges[i];
		t->to->at[i] = SNAPSHOT_NONE;
		if (!(range->flags & SONDE_REGION_RAM))
			continue;
		struct backing *backing = backings_find(&machine->backings, range->hva);
		if (!backing || (found && backing != found) ||
		    range->len > backing->end - range->hva)
			return NULL;
		t->to->at[i] = backing->off + (range->hva - backing->start);
		found = backing;
	}
	return found && backing_open(&machine->backings, found, 0) ? found : NULL;
}

/* A file without a name beside that of the RAM: a clone stays in its file system. */
static int beside(const struct machine *machine, const struct backing *backing)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)machine->guest.pid, backing->path);
	char *slash = strrchr(path, '/');
	if (backing->path[0] != '/' || !slash)
		return -1;
	slash[1] = '\0';
	return open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int clone_file(const struct taking *t, void *user)
{
	const struct backing *backing = user;

	if (ioctl(t->to->fd, FICLONE, backing->fd) == 0)
		return 0;
	return no_clone(t, errno == EOPNOTSUPP || errno == EXDEV || errno == EINVAL
				   ? "its file system does not clone (btrfs and XFS do)"
				   : strerror(errno));
}

/* Once before the guest is stopped, which says whether it goes and writes out what the file system would write out then. */
static int take_clone(const struct taking *t)
{
	const struct backing *backing = one_file(t);

	if (!backing)
		return no_clone(t, "it is not in one file that may be opened");
	t->to->fd = beside(t->machine, backing);
	if (t->to->fd < 0)
		return no_clone(t, "no file can be made beside its own");
	int r = clone_file(t, (void *)(uintptr_t)backing);
	return r < 0 ? r : stop_for(t, clone_file, (void *)(uintptr_t)backing);
}

/* ---- copy --------------------------------------------------------------------------------------------- */

struct copy {
	uint8_t *image; /* [len] the file, mapped */
	uint64_t len;
	uint8_t *bad; /* [map.n] */
};

static int copy_all(const struct taking *t, void *user)
{
	struct copy *copy = user;
	const struct machine *machine = t->machine;

	memset(copy->bad, 0, machine->map.n);
	ram_copy(machine->guest.pid, &machine->map, t->to->at, copy->image, copy->len, copy->bad);
	return 0;
}

static uint64_t expected_ns(const struct taking *t, struct copy *copy)
{
	const struct machine *machine = t->machine;
	uint64_t trial = copy->len < TRIAL ? copy->len : TRIAL, began = machine->host->now_ns();

	ram_copy(machine->guest.pid, &machine->map, t->to->at, copy->image, trial, copy->bad);
	return (machine->host->now_ns() - began) * (copy->len / trial);
}

/* A process that may not be read by the one call is not read at all. */
static int drop_bad(const struct taking *t, const struct copy *copy)
{
	size_t n_bad = 0;

	for (size_t i = 0; i < t->machine->map.n; i++) {
		if (copy->bad[i])
			t->to->at[i] = SNAPSHOT_NONE;
		n_bad += copy->bad[i];
	}
	if (n_bad < t->machine->map.n)
		return 0;
	return t->machine->host->error_set(t->err, SONDE_E_UNSUPPORTED,
					   "qemu: '%s': its memory cannot be copied: "
					   "process_vm_readv is refused, or it has ended",
					   t->machine->guest.name);
}

/* All memory is there before the guest is stopped: what remains is copying. */
static int map_file(const struct taking *t, struct copy *ret)
{
	uint64_t end = 0;

	for (size_t i = 0; i < t->machine->map.n; i++) {
		t->to->at[i] = end;
		end += t->machine->map.ranges[i].len;
	}
	int failed = posix_fallocate(t->to->fd, 0, (off_t)end);
	void *image = failed ? MAP_FAILED
			     : mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
				    t->to->fd, 0);
	if (image == MAP_FAILED)
		return t->machine->host->error_os(t->err, failed ? failed : errno,
						  "qemu: room for a snapshot");
	*ret = (struct copy){ .image = image, .len = end };
	return 0;
}

static int copy_mapped(const struct taking *t, struct copy *copy)
{
	copy->bad = calloc(t->machine->map.n, 1);
	if (!copy->bad)
		return t->machine->host->error_set(t->err, SONDE_E_NO_MEMORY, NULL);
	t->to->told.expected_ns = expected_ns(t, copy);
	int r = stop_for(t, copy_all, copy);
	if (r == 0)
		r = drop_bad(t, copy);
	free(copy->bad);
	return r;
}

static int take_copy(const struct taking *t)
{
	struct copy copy;
	int r = check_room(t, map_size(&t->machine->map));

	if (r == 0)
		r = make_file(t);
	if (r == 0)
		r = map_file(t, &copy);
	if (r < 0)
		return r;
	r = copy_mapped(t, &copy);
	munmap(copy.image, copy.len);
	return r;
}

/* ---- which way ------------------------------------------------------------------------------------------ */

static const struct {
	int (*take)(const struct taking *t);
	const char *how;
} ways[] = {
	[SNAPSHOT_STREAM] = { take_stream, "QEMU wrote its RAM while it ran on" },
	[SNAPSHOT_CLONE] = { take_clone, "its file was cloned while it stood still" },
	[SNAPSHOT_COPY] = { take_copy, "its memory was copied while it stood still" },
};

static void describe(struct snapshot *snapshot, enum snapshot_way way, const char *why_not)
{
	snprintf(snapshot->how, sizeof(snapshot->how), "%s%s%.200s%s", ways[way].how,
		 why_not[0] ? " (" : "", why_not, why_not[0] ? ")" : "");
	snapshot->told.how = snapshot->how;
}

static int take_one(const struct taking *t, enum snapshot_way way)
{
	int r = ways[way].take(t);

	if (r < 0)
		drop_file(t->to);
	return r;
}

/* The first that goes; the others say why not. */
static int take_best(const struct taking *t, enum snapshot_way *ret, struct sonde_error *why_not)
{
	int r = SONDE_E_UNSUPPORTED;

	for (int way = SNAPSHOT_STREAM; way <= SNAPSHOT_COPY && r == SONDE_E_UNSUPPORTED; way++) {
		*ret = (enum snapshot_way)way;
		r = take_one(t, *ret);
		if (way == SNAPSHOT_STREAM && r == SONDE_E_UNSUPPORTED)
			*why_not = *t->err;
	}
	return r;
}

int snapshot_take(struct snapshot *ret, struct machine *machine, const char *qmp_path,
		  enum snapshot_way way, struct sonde_error *err)
{
	struct sonde_error local, why_not = { 0 };
	struct taking t = {
		.to = ret, .machine = machine, .qmp_path = qmp_path, .err = err ? err : &local
	};

	if (machine->map.n == 0)
		return machine->host->error_set(err, SONDE_E_UNSUPPORTED,
						"qemu: '%s': shows no memory", machine->guest.name);
	ret->at = calloc(machine->map.n, sizeof(*ret->at));
	ret->cpus = calloc(machine->n_cpus + 1u, sizeof(*ret->cpus));
	if (!ret->at || !ret->cpus)
		return machine->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = way == SNAPSHOT_AUTO ? take_best(&t, &way, &why_not) : take_one(&t, way);
	if (r == 0)
		describe(ret, way, why_not.text);
	return r;
}

/* ---- the slots ------------------------------------------------------------------------------------------- */

int snapshot_extents(const struct snapshot *snapshot, const struct machine *machine,
		     sonde_extent_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < machine->map.n; i++) {
		const struct memory_range *range = &machine->map.ranges[i];
		int is_there = snapshot->at[i] != SNAPSHOT_NONE;
		struct sonde_extent extent = {
			.addr = range->addr,
			.len = range->len,
			.kind = is_there ? SONDE_EXTENT_FILE : SONDE_EXTENT_ABSENT,
			.flags = range->flags & ~(uint32_t)SONDE_REGION_WRITE,
			.off = is_there ? snapshot->at[i] : 0,
			.fd = snapshot->fd,
			.err = SONDE_E_NOT_SAVED,
		};
		r = fn(user, &extent);
	}
	return r;
}

int snapshot_regions(const struct snapshot *snapshot, const struct machine *machine,
		     sonde_region_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < machine->map.n; i++) {
		const struct memory_range *range = &machine->map.ranges[i];
		struct sonde_region region = { .addr = range->addr,
					       .len = range->len,
					       .flags =
						       range->flags & ~(uint32_t)SONDE_REGION_WRITE,
					       .name = range->name };
		if (snapshot->at[i] != SNAPSHOT_NONE)
			r = fn(user, &region);
	}
	return r;
}

int snapshot_cpu(const struct snapshot *snapshot, const struct machine *machine, uint32_t index,
		 struct full_cpu *ret)
{
	if (index >= machine->n_cpus)
		return machine->n_cpus ? SONDE_E_NOT_FOUND : SONDE_E_UNSUPPORTED;
	if (!snapshot->cpus[index].cpu.valid)
		return SONDE_E_UNSUPPORTED;
	*ret = snapshot->cpus[index];
	return 0;
}
