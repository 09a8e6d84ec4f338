/* SPDX-License-Identifier: MIT */
/*
 * elfcore: ELF core files: QEMU's dump-guest-memory, VirtualBox's dumpvmcore, xl dump-core, /proc/vmcore and
 * makedumpfile -E of a crashed kernel, gcore and the kernel's own cores of processes; also flattened. elf_core.c reads the
 * headers; the bytes are moved by the engines, from where the extents told here lie.
 */
#include "../common/flattened.h"
#include "../common/image_file.h"
#include "../common/note.h"
#include "elf_core.h"
#include "elf_format.h"
#include "elf_mapped.h"
#include "elf_process.h"
#include "elf_root.h"
#include "elf_vbox.h"
#include "elf_xen.h"

#include <sonde/plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELF_FLAT_START (FLAT_VERSION_AT + 8) /* by which it is told */

struct elfcore {
	struct image_file file;
	int writable;
	int is_flat;
	struct flattened flat; /* what its headers are read through, where is_flat */
	struct source bytes;   /* of the core, as it would lie on a disk */
	struct elf_core core;
	struct elf_mapped mapped;         /* of a process, where files are asked for */
	struct note_lines facts, process; /* of a process */
	char detail[160];
};

static size_t read_core(void *user, uint64_t off, void *buf, size_t len)
{
	const struct source *source = user;
	int64_t n = off < source->size ? source->read(source->user, off, buf, len) : 0;

	return n < 0 ? 0 : (size_t)n;
}

/* Who wrote it, and on what, with a comma in front; empty where nothing tells. */
static void tell_origin(const struct elf_core *core, char *text, size_t cap)
{
	const struct elf_note *xen = elf_note_find(core, "Xen", XEN_NOTE_VERSION, 0);
	uint32_t vbox = elf_vbox_version(core);

	if (core->by_vaddr)
		snprintf(text, cap, " of a process");
	else if (vbox)
		snprintf(text, cap, ", VirtualBox %u.%u.%u", vbox >> 24, vbox >> 16 & 0xff,
			 vbox & 0xffff);
	else if (core->is_xen && xen && xen->len >= 16)
		snprintf(text, cap, ", Xen %llu.%llu", (unsigned long long)elf_u64(core, xen->desc),
			 (unsigned long long)elf_u64(core, xen->desc + 8));
	else if (core->is_xen)
		snprintf(text, cap, ", Xen");
	else if (elf_note_find(core, "QEMU", -1, 0))
		snprintf(text, cap, ", QEMU");
	else if (elf_note_find(core, "VMCOREINFO", -1, 0))
		snprintf(text, cap, ", kdump");
}

/* 1 where a segment claims bytes that the file does not have. */
static int cut_off(const struct elf_core *core)
{
	for (size_t i = 0; i < core->n_segments; i++) {
		const struct elf_segment *s = &core->segments[i];
		if (s->filesz && (s->off > core->file_size || s->filesz > core->file_size - s->off))
			return 1;
	}
	return core->n_cut > 0;
}

static void describe(struct elfcore *elf)
{
	const struct elf_core *core = &elf->core;
	uint32_t n_cpus = elf_core_cpu_count(core);
	char *at = elf->detail;
	size_t cap = sizeof(elf->detail);
	char origin[64] = "";

	tell_origin(core, origin, sizeof(origin));
	int used = snprintf(at, cap, "ELF%u core%s%s, %u %s%s, %zu segment%s%s", core->word * 8,
			    elf->is_flat ? ", flattened" : "", origin, n_cpus,
			    core->by_vaddr ? "thread" : "CPU", n_cpus == 1 ? "" : "s",
			    core->n_segments, core->n_segments == 1 ? "" : "s",
			    cut_off(core) ? ", cut off" : "");

	if (core->n_refused && used > 0 && (size_t)used < cap)
		used += snprintf(at + used, cap - (size_t)used, ", %llu refused: addresses wrap",
				 (unsigned long long)core->n_refused);
	if (elf->mapped.told.n && used > 0 && (size_t)used < cap)
		snprintf(at + used, cap - (size_t)used, ", %zu of %zu files used",
			 elf->mapped.n_used, elf->mapped.n_files);
}

/* The core in *file as it would lie on a disk. */
static int unflatten(struct elfcore *elf, struct source *file, const char **ret_why)
{
	uint8_t head[ELF_FLAT_START];
	int64_t n = file->read(file->user, 0, head, sizeof(head));

	elf->is_flat = n == (int64_t)sizeof(head) && flattened_probe(head, sizeof(head));
	if (!elf->is_flat)
		return 0;
	int r = flattened_open(&elf->flat, file, ret_why);
	*file = flattened_source(&elf->flat);
	return r;
}

static int read_headers(struct elfcore *elf, struct sonde_error *err)
{
	const char *why;

	elf->bytes = image_file_source(&elf->file);
	int r = unflatten(elf, &elf->bytes, &why);
	if (r == 0)
		r = elf_core_read(&elf->core, read_core, &elf->bytes, elf->bytes.size, &why);
	return r < 0 ? image_file_refuse(&elf->file, "elfcore", r, why, err) : 0;
}

/* What the core left out, below the folder that stands for the root of its machine. */
static int find_files(struct elfcore *elf, const struct sonde_host *host, const char *folder,
		      struct sonde_error *err)
{
	const char *name = image_file_name(&elf->file);

	if (!elf->core.by_vaddr)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "elfcore: '%.300s': files= is for a core of a process, and "
				       "this is one of a machine",
				       name);
	int root = elf_root_open(folder);
	if (root < 0)
		return host->error_os(err, errno, "elfcore: files='%.300s'", folder);
	int r = elf_mapped_find(&elf->mapped, &elf->core, read_core, &elf->bytes, root);
	close(root);
	if (r == SONDE_E_NOT_SAVED)
		return host->error_set(err, r,
				       "elfcore: '%.300s': it has not even what the process "
				       "changed, so that files are not what was in its memory: "
				       "leave out files=",
				       name);
	return r < 0 ? host->error_set(err, r, NULL) : 0;
}

static int tell_process(struct elfcore *elf, const struct sonde_host *host, struct sonde_error *err)
{
	int r = note_lines_open(&elf->facts);

	if (r == 0) {
		r = elf_process_facts(&elf->core, &elf->facts);
		elf_mapped_facts(&elf->mapped, &elf->facts);
		int closed = note_lines_close(&elf->facts);
		r = r < 0 ? r : closed;
	}
	if (r == 0)
		r = elf_process_note(&elf->core, &elf->process);
	return r < 0 ? host->error_set(err, r, NULL) : 0;
}

static int read_all(struct elfcore *elf, const struct sonde_host *host,
		    const struct sonde_args *args, struct sonde_error *err)
{
	const char *folder = host->arg(args, "files");
	int r = read_headers(elf, err);

	if (r == 0 && folder)
		r = find_files(elf, host, folder, err);
	if (r < 0)
		return r;
	describe(elf);
	return elf->core.by_vaddr ? tell_process(elf, host, err) : 0;
}

static void elfcore_close(void *conn)
{
	struct elfcore *elf = conn;

	note_lines_finish(&elf->facts);
	note_lines_finish(&elf->process);
	elf_mapped_finish(&elf->mapped);
	elf_core_finish(&elf->core);
	flattened_finish(&elf->flat);
	image_file_close(&elf->file);
	free(elf);
}

static int elfcore_open(const struct sonde_host *host, const struct sonde_args *args,
			void **ret_conn, struct sonde_error *err)
{
	struct elfcore *elf = calloc(1, sizeof(*elf));

	if (!elf)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	elf->writable = host->arg_write(args);
	int r = image_file_open(&elf->file, host, args, "elfcore", err);
	if (r == 0)
		r = read_all(elf, host, args, err);
	if (r < 0) {
		elfcore_close(elf);
		return r;
	}
	*ret_conn = elf;
	return 0;
}

static void elfcore_info(void *conn, struct sonde_target_info *ret)
{
	struct elfcore *elf = conn;

	ret->detail = elf->detail;
	ret->arch = elf_core_arch(&elf->core);
	ret->flags = (elf->core.by_vaddr ? SONDE_TARGET_PROCESS : SONDE_TARGET_PHYSICAL) |
		     (elf->writable ? SONDE_TARGET_WRITABLE : 0);
	ret->n_cpus = elf_core_cpu_count(&elf->core);
}

static uint32_t region_flags(const struct elfcore *elf, const struct elf_segment *s)
{
	uint32_t flags = SONDE_REGION_READ | (elf->writable ? SONDE_REGION_WRITE : 0);

	if (!elf->core.by_vaddr)
		return flags | SONDE_REGION_RAM;
	return flags | (s->flags & ELF_FLAG_WRITE ? SONDE_REGION_WRITE : 0) |
	       (s->flags & ELF_FLAG_EXEC ? SONDE_REGION_EXEC : 0);
}

/* Bytes of a segment that are in the file. */
static uint64_t present(const struct elf_core *core, const struct elf_segment *s)
{
	if (s->off >= core->file_size)
		return 0;
	uint64_t left = core->file_size - s->off;
	return s->filesz < left ? s->filesz : left;
}

/* A stretch of memory whose bytes lie in the pieces of a flattened core: in front of and between them are zeros. */
static int tell_pieces(const struct flattened *flat, const struct sonde_extent *all,
		       sonde_extent_fn *fn, void *user)
{
	uint64_t done = 0;
	int r = 0;

	for (size_t i = flattened_find(flat, all->off); r == 0 && done < all->len; i++) {
		struct sonde_extent extent = *all;
		uint64_t off = all->off + done, left = all->len - done;
		const struct flat_piece *piece = i < flat->n ? &flat->at[i] : NULL;
		uint64_t gap = !piece ? left : piece->off > off ? piece->off - off : 0;
		extent.addr += done;
		extent.kind = SONDE_EXTENT_ZERO;
		extent.len = gap < left ? gap : left;
		if (extent.len)
			r = fn(user, &extent);
		done += extent.len;
		if (r || !piece || done == all->len)
			break;
		uint64_t inside = all->off + done - piece->off;
		extent = *all;
		extent.addr += done;
		extent.off = piece->pos + inside;
		extent.len = piece->len - inside < all->len - done ? piece->len - inside
								   : all->len - done;
		r = fn(user, &extent);
		done += extent.len;
	}
	return r;
}

static int tell_present(struct elfcore *elf, const struct elf_segment *s, sonde_extent_fn *fn,
			void *user)
{
	struct sonde_extent extent =
		image_file_extent(&elf->file, elf_segment_addr(&elf->core, s),
				  present(&elf->core, s), region_flags(elf, s), s->off);

	if (elf->is_flat)
		return tell_pieces(&elf->flat, &extent, fn, user);
	return extent.len ? fn(user, &extent) : 0;
}

/* Behind what is in the file: what was cut off. */
static int tell_cut(struct elfcore *elf, const struct elf_segment *s, sonde_extent_fn *fn,
		    void *user)
{
	uint64_t have = present(&elf->core, s);
	struct sonde_extent cut = {
		.addr = elf_segment_addr(&elf->core, s) + have,
		.len = s->filesz - have,
		.kind = SONDE_EXTENT_ABSENT,
		.err = SONDE_E_TRUNCATED,
	};

	return cut.len ? fn(user, &cut) : 0;
}

/* ... and what was never saved. */
static int tell_unsaved(struct elfcore *elf, const struct elf_segment *s, sonde_extent_fn *fn,
			void *user)
{
	struct sonde_extent unsaved = {
		.addr = elf_segment_addr(&elf->core, s) + s->filesz,
		.len = s->memsz > s->filesz ? s->memsz - s->filesz : 0,
		.kind = SONDE_EXTENT_ABSENT,
		.err = SONDE_E_NOT_SAVED,
	};

	return unsaved.len ? fn(user, &unsaved) : 0;
}

typedef int tell_fn(struct elfcore *elf, const struct elf_segment *s, sonde_extent_fn *fn,
		    void *user);

static int tell_each(struct elfcore *elf, tell_fn *tell, sonde_extent_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < elf->core.n_segments; i++)
		r = tell(elf, &elf->core.segments[i], fn, user);
	return r;
}

/*
 * All that is present before anything absent: where segments overlap, bytes beat their lack. Files stand for what was not saved, not
 * for what was cut off, which may have been changed.
 */
static int elfcore_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct elfcore *elf = conn;
	int r = tell_each(elf, tell_present, fn, user);

	(void)err;
	if (r == 0)
		r = tell_each(elf, tell_cut, fn, user);
	if (r == 0)
		r = elf_mapped_extents(&elf->mapped, fn, user);
	return r == 0 ? tell_each(elf, tell_unsaved, fn, user) : r;
}

static int elfcore_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	const struct elf_core *core = &((struct elfcore *)conn)->core;

	return elf_core_cpu_count(core) ? elf_core_cpu(core, index, ret) : SONDE_E_UNSUPPORTED;
}

/* FNV-1a, 64 bits (RFC 9923): tells dumps apart, and is no proof against who wants two to look alike. */
static uint64_t hash(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* By what writing to its memory does not change: size, segments, and the notes with the registers. */
static int64_t identity(const struct elf_core *core, void *buf, size_t cap)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	char text[96];

	for (size_t i = 0; i < core->n_segments; i++) {
		const struct elf_segment *s = &core->segments[i];
		const uint64_t numbers[] = { elf_segment_addr(core, s), s->off, s->filesz,
					     s->memsz };
		sum = hash(sum, numbers, sizeof(numbers));
	}
	sum = hash(sum, core->note_bytes, core->n_note_bytes);
	snprintf(text, sizeof(text), "ELF core of %llu bytes, headers %016llx",
		 (unsigned long long)core->file_size, (unsigned long long)sum);
	return note_text(text, buf, cap);
}

static int64_t elfcore_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct elfcore *elf = conn;

	if (strcmp(name, SONDE_NOTE_IDENTITY) == 0)
		return identity(&elf->core, buf, cap);
	if (strcmp(name, SONDE_NOTE_FACTS) == 0 && elf->facts.text)
		return note_bytes(elf->facts.text, elf->facts.len, buf, cap);
	if (strcmp(name, SONDE_NOTE_PROCESS) == 0 && elf->process.text)
		return note_bytes(elf->process.text, elf->process.len, buf, cap);
	return elf_core_note(&elf->core, name, buf, cap);
}

static int elfcore_probe(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	size_t start = flattened_start(head, head_len);

	(void)file_size;
	if (start == head_len) /* its beginning comes later; kdump's comes first */
		return flattened_probe(head, head_len) ? 30 : 0;
	if (head_len - start < ELF_TYPE_AT + 2)
		return 0;
	head += start;
	if (memcmp(head, "\177ELF", 4) != 0)
		return 0;
	int big = head[ELF_IDENT_DATA] == ELF_DATA_BIG;
	uint16_t type = sonde_le16(head + ELF_TYPE_AT);
	return (big ? __builtin_bswap16(type) : type) == ELF_TYPE_CORE ? 90 : 0;
}

static const struct sonde_connector_ops elfcore_ops = {
	.size = sizeof(elfcore_ops),
	.open = elfcore_open,
	.close = elfcore_close,
	.info = elfcore_info,
	.extents = elfcore_extents,
	.cpu = elfcore_cpu,
	.note = elfcore_note,
	.probe = elfcore_probe,
};

SONDE_PLUGIN(.name = "elfcore", .summary = "ELF core of a guest, a crashed kernel or a process",
	     .main_arg = "path",
	     .args_help =
		     "path=FILE  the core to read, or its URL (required)\n"
		     "files=DIR  core of a process: take what it left out of mapped files from\n"
		     "           those below DIR, / for this machine's, where they are the same\n",
	     .connector = &elfcore_ops);
