/* SPDX-License-Identifier: MIT */
/*
 * Memory comes and goes while a machine runs. /proc/kcore is laid out anew then, for who opens it next, and the offsets
 * of all its bytes may move (its headers are rounded up to a page): so each batch looks first whether the header is the
 * one that the map was made of, and an address that no range holds has the file opened again, now and then.
 */
#include "own.h"

#include "iomem.h"
#include "kcore_map.h"
#include "text.h"

#include "../common/note.h"
#include "../common/own_arch.h"
#include "../elfcore/elf_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IOMEM_MAX (4u << 20)
#define VMCOREINFO_MAX (64u << 10)    /* of the note: the kernel has 4 KiB and a head */
#define REOPEN_NS UINT64_C(100000000) /* between two looks for memory that came later */
#define LOW_MEMORY                                                                                 \
	UINT64_C(0x100000) /* read by old programs: kernels answer here what they refuse above */
#define HEAD_SIZE 64       /* Elf64_Ehdr */

struct own {
	const struct sonde_host *host;
	const char *who;
	enum own_way way;
	struct own_paths paths;
	pthread_mutex_t lock; /* of map, which a transfer may replace on another thread */
	struct reader reader;
	struct memory_map map;
	uint8_t head[HEAD_SIZE]; /* OWN_KCORE: of the file, when map was made */
	uint64_t read_ns;        /* ... and when that was                     */
	uint32_t arch;
	uint8_t *vmcoreinfo; /* [n_vmcoreinfo] */
	size_t n_vmcoreinfo;
	char detail[160];
};

static const char *const usual[OWN_WAYS] = {
	[OWN_KCORE] = "/proc/kcore",
	[OWN_CRASH] = "/dev/crash",
	[OWN_MEM] = "/dev/mem",
};

static int refuse(const struct own *own, struct refusal *refusal, struct sonde_error *err)
{
	char why[160];

	refusal->way = own->way;
	refusal_look(refusal);
	int code = refusal_explain(refusal, why, sizeof(why));
	return own->host->error_set(err, code, "%s: '%.100s': %s", own->who, own->paths.file, why);
}

/* A container hides /proc/kcore behind /dev/null or an empty file. */
static int is_hidden(const struct own *own, int fd)
{
	struct stat st;
	uint8_t byte;

	if (own->way != OWN_KCORE)
		return 0;
	return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || pread(fd, &byte, 1, 0) == 0;
}

static int open_file(const struct own *own, int *ret, struct sonde_error *err)
{
	struct refusal refusal = { 0 };
	int fd = open(own->paths.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		refusal.os_code = errno;
	else
		refusal.is_hidden = is_hidden(own, fd);
	if (!refusal.os_code && !refusal.is_hidden) {
		*ret = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return refuse(own, &refusal, err);
}

/* ---- /proc/kcore ---------------------------------------------------------------------------- */

static size_t read_headers(void *user, uint64_t off, void *buf, size_t len)
{
	return reader_get(*(const int *)user, off, buf, len);
}

static int read_kcore(const struct own *own, int fd, struct kcore_map *ret, struct sonde_error *err)
{
	const char *why;
	int r = kcore_map_read(ret, read_headers, &fd, &why);

	if (r < 0)
		return own->host->error_set(err, r, "%s: '%.200s': %s", own->who, own->paths.file,
					    why);
	return 0;
}

/* Before the map: should it change in between, the next batch finds the header to be another. */
static void note_head(struct own *own)
{
	memset(own->head, 0, sizeof(own->head));
	reader_get(own->reader.fd, 0, own->head, sizeof(own->head));
	own->read_ns = own->host->now_ns();
}

static int open_kcore(struct own *own, struct sonde_error *err)
{
	struct kcore_map kcore;

	note_head(own);
	int r = read_kcore(own, own->reader.fd, &kcore, err);
	if (r < 0) {
		kcore_map_finish(&kcore);
		return r;
	}
	own->map = kcore.map;
	own->arch = kcore.arch;
	own->vmcoreinfo = kcore.vmcoreinfo;
	own->n_vmcoreinfo = kcore.n_vmcoreinfo;
	return 0;
}

/* With a new descriptor, for it is opening that has the kernel look. What cannot be read leaves all as it is. */
static void reopen_kcore(struct own *own)
{
	struct kcore_map kcore = { 0 };
	int fd;

	own->read_ns = own->host->now_ns();
	if (open_file(own, &fd, NULL) < 0)
		return;
	int before = own->reader.fd;
	own->reader.fd = fd;
	note_head(own);
	if (read_kcore(own, fd, &kcore, NULL) == 0) {
		struct memory_map old = own->map;
		own->map = kcore.map;
		kcore.map = old;
		close(before);
	} else {
		own->reader.fd = before;
		close(fd);
	}
	kcore_map_finish(&kcore);
}

static int has_other_head(const struct own *own)
{
	uint8_t head[HEAD_SIZE] = { 0 };

	reader_get(own->reader.fd, 0, head, sizeof(head));
	return memcmp(head, own->head, sizeof(head)) != 0;
}

static int misses(const struct own *own, struct sonde_io *const *ios, size_t n)
{
	uint64_t gap;

	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++) {
			if (!memory_map_find(&own->map, ios[k]->xfers[i].addr, &gap))
				return 1;
		}
	}
	return 0;
}

static void follow_changes(struct own *own, struct sonde_io *const *ios, size_t n)
{
	if (own->way != OWN_KCORE)
		return;
	if (has_other_head(own) ||
	    (own->host->now_ns() - own->read_ns >= REOPEN_NS && misses(own, ios, n)))
		reopen_kcore(own);
}

/* ---- /dev/mem and /dev/crash ------------------------------------------------------------------ */

/* The text's own words for its failures. */
static const char *iomem_why(int code)
{
	return code == SONDE_E_NO_ACCESS    ? "shows zeros for addresses: needs CAP_SYS_ADMIN"
	       : code == SONDE_E_BAD_FORMAT ? "names no RAM"
	       : code == SONDE_E_LIMIT      ? "has more ranges than can be followed"
					    : "out of memory";
}

static int read_iomem(struct own *own, int take, struct sonde_error *err)
{
	char *text = text_read(own->paths.iomem, IOMEM_MAX);

	if (!text)
		return own->host->error_os(err, errno, "%s: '%.200s'", own->who, own->paths.iomem);
	memory_map_finish(&own->map);
	int r = iomem_parse(&own->map, text, take);
	free(text);
	if (r < 0)
		return own->host->error_set(err, r, "%s: '%.200s': %s", own->who, own->paths.iomem,
					    iomem_why(r));
	return 0;
}

/* CONFIG_STRICT_DEVMEM refuses RAM, and below 1 MiB gives zeros for it, when a page is read. errno, or 0. */
static int try_ram(const struct own *own)
{
	uint8_t byte;

	for (size_t i = 0; i < own->map.n; i++) {
		const struct memory_range *range = &own->map.ranges[i];
		if (!(range->flags & SONDE_REGION_RAM) || range->addr < LOW_MEMORY)
			continue;
		return pread(own->reader.fd, &byte, 1, (off_t)range->off) < 0 ? errno : 0;
	}
	return 0;
}

/* The note as the kernel keeps it for its dumps: where it lies is told in /sys, "0xADDRESS SIZE" in hex. */
static void find_vmcoreinfo(struct own *own)
{
	char *text = text_read(own->paths.vmcoreinfo, 64);
	struct elf_core core = { .word = 8 };
	const struct elf_note *note;
	uint64_t addr = 0, gap;
	uint32_t len = 0;

	if (text && sscanf(text, "%" SCNx64 " %" SCNx32, &addr, &len) == 2 && len &&
	    len <= VMCOREINFO_MAX && memory_map_find(&own->map, addr, &gap))
		own->vmcoreinfo = calloc(1, len);
	free(text);
	if (!own->vmcoreinfo)
		return;
	for (uint32_t done = 0, some; done < len; done += some) {
		some = READER_PAGE - (uint32_t)((addr + done) % READER_PAGE);
		some = some < len - done ? some : len - done;
		reader_get(own->reader.fd, addr + done, own->vmcoreinfo + done, some);
	}
	if (elf_notes_add(&core, own->vmcoreinfo, len) == 0 &&
	    (note = elf_note_find(&core, "VMCOREINFO", -1, 0)) != NULL) {
		own->n_vmcoreinfo = note->len;
		memmove(own->vmcoreinfo, note->desc, note->len);
	}
	elf_core_finish(&core);
}

static int open_by_iomem(struct own *own, struct sonde_error *err)
{
	struct refusal refusal = { .is_read = 1 };
	int r = read_iomem(own, IOMEM_RAM | (own->paths.devices ? IOMEM_DEVICES : 0), err);

	if (r < 0)
		return r;
	refusal.os_code = try_ram(own);
	if (refusal.os_code && own->paths.devices)
		return read_iomem(own, IOMEM_DEVICES, err);
	if (refusal.os_code)
		return refuse(own, &refusal, err);
	find_vmcoreinfo(own);
	return 0;
}

/* ---- the connector ---------------------------------------------------------------------------- */

static void describe(struct own *own)
{
	uint64_t ram = 0, highest = 0;

	for (size_t i = 0; i < own->map.n; i++) {
		const struct memory_range *range = &own->map.ranges[i];
		ram += range->flags & SONDE_REGION_RAM ? range->len : 0;
		highest = range->addr + (range->len - 1);
	}
	snprintf(own->detail, sizeof(own->detail),
		 "this machine's kernel, %.80s, %" PRIu64 " MiB of RAM%s up to 0x%" PRIx64,
		 own->paths.file, ram >> 20, own->paths.devices ? ", and devices," : "", highest);
}

static void take_paths(struct own *own, const struct own_paths *paths)
{
	own->paths = *paths;
	if (!own->paths.file)
		own->paths.file = usual[own->way];
	if (!own->paths.iomem)
		own->paths.iomem = "/proc/iomem";
	if (!own->paths.vmcoreinfo)
		own->paths.vmcoreinfo = "/sys/kernel/vmcoreinfo";
}

void own_close(void *conn)
{
	struct own *own = conn;

	if (own->reader.fd >= 0)
		close(own->reader.fd);
	memory_map_finish(&own->map);
	free(own->vmcoreinfo);
	pthread_mutex_destroy(&own->lock);
	free(own);
}

int own_open(const struct sonde_host *host, const struct sonde_args *args, const char *who,
	     enum own_way way, const struct own_paths *paths, void **ret_conn,
	     struct sonde_error *err)
{
	if (host->arg_write(args))
		return host->error_set(err, SONDE_E_READ_ONLY,
				       "%s: a running kernel is only read: leave out --write", who);
	struct own *own = calloc(1, sizeof(*own));
	if (!own)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	own->host = host;
	own->who = who;
	own->way = way;
	own->arch = own_arch();
	own->reader = (struct reader){ .host = host, .fd = -1, .by_page = way != OWN_KCORE };
	take_paths(own, paths);
	pthread_mutex_init(&own->lock, NULL);
	int r = open_file(own, &own->reader.fd, err);
	if (r == 0)
		r = way == OWN_KCORE ? open_kcore(own, err) : open_by_iomem(own, err);
	if (r < 0) {
		own_close(own);
		return r;
	}
	describe(own);
	*ret_conn = own;
	return 0;
}

void own_info(void *conn, struct sonde_target_info *ret)
{
	const struct own *own = conn;

	ret->detail = own->detail;
	ret->arch = own->arch;
	ret->flags = SONDE_TARGET_LIVE | SONDE_TARGET_PHYSICAL;
}

void own_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct own *own = conn;

	pthread_mutex_lock(&own->lock);
	follow_changes(own, ios, n);
	reader_begin(&own->reader);
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			memory_map_cut(&own->map, own->host, ios[k], i, reader_move, &own->reader);
	}
	pthread_mutex_unlock(&own->lock);
}

/* fn may read, and reading may replace the map: so it is shown a copy. */
int own_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct own *own = conn;
	struct memory_map map;

	pthread_mutex_lock(&own->lock);
	int r = memory_map_copy(&map, &own->map);
	pthread_mutex_unlock(&own->lock);
	if (r == 0)
		r = memory_map_regions(&map, 0, fn, user);
	memory_map_finish(&map);
	return r;
}

int64_t own_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct own *own = conn;

	if (strcmp(name, "VMCOREINFO") != 0 || !own->n_vmcoreinfo)
		return SONDE_E_NOT_FOUND;
	return note_bytes(own->vmcoreinfo, own->n_vmcoreinfo, buf, cap);
}
