/* SPDX-License-Identifier: MIT */
/* The subjects: ram in three ways, files, processes, and what stands in front of or over them. */
#include "subject.h"

#include <fcntl.h>
#include <signal.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/paging.h"
#include "synth/avml.h"
#include "synth/crashdmp.h"
#include "synth/gdb_stub.h"
#include "synth/hiberfil.h"
#include "synth/kdump.h"
#include "synth/page_tables.h"
#include "synth/stream.h"
#include "synth/vmss.h"

int subject_has(const struct subject *subject, uint64_t off)
{
	return off < SUBJECT_SIZE &&
	       (subject->no_hole || off < HOLE_ADDR || off >= HOLE_ADDR + HOLE_LEN);
}

const char *subject_missing(const struct subject *subject)
{
	const char *const files[] = { subject->plugin, subject->also };
	const char *folders = getenv("SONDE_PLUGIN_PATH");

	for (int i = 0; i < 2 && files[i]; i++) {
		int found = 0;
		for (const char *at = folders; at && !found; at = strchr(at, ':')) {
			char path[512];
			at += *at == ':';
			snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(at, ":"), at,
				 files[i]);
			found = access(path, R_OK) == 0;
		}
		if (!found)
			return files[i];
	}
	return NULL;
}

static void fill(uint8_t *bytes)
{
	for (uint64_t i = 0; i < SUBJECT_SIZE; i++)
		bytes[i] = (uint8_t)(i / 16);
}

static int open_target(struct subject *subject, struct sonde_loop *loop, const char *name,
		       struct sonde_error *err)
{
	struct sonde_target_options options = { .size = sizeof(options),
						.write = !subject->read_only };
	int r = sonde_target_open(loop, name, &options, &subject->opened, err);

	if (r == 0)
		subject->space = sonde_target_memory(subject->opened);
	return r;
}

static int open_ram(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	return open_target(subject, loop, subject->target, err);
}

/* The last layer writes to a file, which is of no interest here. */
static int open_to_file(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	char name[160];

	snprintf(subject->path, sizeof(subject->path), "/tmp/sonde-conformance-layer-%d",
		 (int)getpid());
	snprintf(name, sizeof(name), "%s,file=%s", subject->target, subject->path);
	return open_target(subject, loop, name, err);
}

/* ---- files -------------------------------------------------------------------------------- */

static FILE *make_file(struct subject *subject)
{
	snprintf(subject->path, sizeof(subject->path), "/tmp/sonde-conformance-XXXXXX");
	int fd = mkstemp(subject->path);

	return fd < 0 ? NULL : fdopen(fd, "wb");
}

static int open_file(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	char name[128];

	snprintf(name, sizeof(name), "%s:%s", subject->target, subject->path);
	return open_target(subject, loop, name, err);
}

static int open_flat(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	FILE *file = make_file(subject);

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	fwrite(subject->model, 1, SUBJECT_SIZE, file);
	fclose(file);
	return open_file(subject, loop, err);
}

/* target is what stands behind the file's name. */
static int open_flat_layered(struct subject *subject, struct sonde_loop *loop,
			     struct sonde_error *err)
{
	char name[128];
	FILE *file = make_file(subject);

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	fwrite(subject->model, 1, SUBJECT_SIZE, file);
	fclose(file);
	snprintf(name, sizeof(name), "flat:%s%s", subject->path, subject->target);
	return open_target(subject, loop, name, err);
}

static void put(uint8_t *at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* System V gABI, "Program Header": 56 bytes, those of a loadable stretch of physical memory. */
static void put_load(uint8_t *ph, uint64_t off, uint64_t paddr, uint64_t len)
{
	put(ph, 1, 4);       /* p_type PT_LOAD */
	put(ph + 8, off, 8); /* p_offset       */
	put(ph + 24, paddr, 8);
	put(ph + 32, len, 8); /* p_filesz       */
	put(ph + 40, len, 8); /* p_memsz        */
}

/* An ELF64 core of two stretches, at an offset that is no multiple of a page. */
static int open_elfcore(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	uint8_t head[64 + 2 * 56 + 24] = "\177ELF\2\1\1";
	uint64_t behind = HOLE_ADDR + HOLE_LEN;
	FILE *file = make_file(subject);

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	put(head + 16, 4, 2);  /* e_type ET_CORE       */
	put(head + 18, 62, 2); /* e_machine EM_X86_64  */
	put(head + 20, 1, 4);  /* e_version            */
	put(head + 32, 64, 8); /* e_phoff              */
	put(head + 52, 64, 2); /* e_ehsize             */
	put(head + 54, 56, 2); /* e_phentsize          */
	put(head + 56, 2, 2);  /* e_phnum              */
	put_load(head + 64, sizeof(head), 0, HOLE_ADDR);
	put_load(head + 64 + 56, sizeof(head) + HOLE_ADDR, behind, SUBJECT_SIZE - behind);
	fwrite(head, 1, sizeof(head), file);
	fwrite(subject->model, 1, HOLE_ADDR, file);
	fwrite(subject->model + behind, 1, SUBJECT_SIZE - behind, file);
	fclose(file);
	return open_file(subject, loop, err);
}

/* The same two stretches as an image of LiME. */
static int open_lime(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	const uint64_t from[2] = { 0, HOLE_ADDR + HOLE_LEN }, end[2] = { HOLE_ADDR, SUBJECT_SIZE };
	FILE *file = make_file(subject);

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	for (int i = 0; i < 2; i++) {
		uint8_t head[32] = "EMiL\1";
		put(head + 8, from[i], 8);
		put(head + 16, end[i] - 1, 8);
		fwrite(head, 1, sizeof(head), file);
		fwrite(subject->model + from[i], 1, end[i] - from[i], file);
	}
	fclose(file);
	return open_file(subject, loop, err);
}

/* The same two stretches within a state file of VMware, behind padding that makes them begin at no page. */
static int open_vmware(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	const uint64_t behind = (HOLE_ADDR + HOLE_LEN) / 4096, end = SUBJECT_SIZE / 4096;
	struct synth_vmss *state = calloc(1, sizeof(*state));
	FILE *file = make_file(subject);

	if (!state || !file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	synth_vmss_begin(state, 0xbed2bed2, 1);
	synth_vmss_group(state, "memory");
	synth_vmss_number(state, "regionsCount", -1, -1, 4, 2);
	synth_vmss_region(state, 0, 0, 0, HOLE_ADDR / 4096);
	synth_vmss_region(state, 1, behind, behind, end - behind);
	synth_vmss_block(state, "Memory", 0, 0, 63, subject->model, SUBJECT_SIZE, 99);
	synth_vmss_end(state);
	fwrite(state->bytes, 1, state->size, file);
	fclose(file);
	free(state);
	return open_file(subject, loop, err);
}

/* Sixteen pages, packed in every way in turn; one is no memory. */
static int open_kdump(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	uint8_t kinds[SUBJECT_SIZE / 4096];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = sizeof(kinds) };
	FILE *file = make_file(subject);
	size_t size;

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	for (size_t i = 0; i < sizeof(kinds); i++)
		kinds[i] = (uint8_t)(SYNTH_PLAIN + i % (SYNTH_ZSTD - SYNTH_PLAIN + 1));
	kinds[HOLE_ADDR / 4096] = SYNTH_NO_MEMORY;
	uint8_t *dump = synth_kdump(&spec, &size);
	fwrite(dump, 1, size, file);
	fclose(file);
	free(dump);
	return open_file(subject, loop, err);
}

/* The two stretches of elfcore, packed; the second one's first chunk is not. */
static int open_avml(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	uint64_t behind = HOLE_ADDR + HOLE_LEN;
	struct synth_avml image = { 0 };
	FILE *file = make_file(subject);

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	synth_avml_add(&image, 0, subject->model, HOLE_ADDR, 0);
	synth_avml_add(&image, behind, subject->model + behind, SUBJECT_SIZE - behind, 1);
	fwrite(image.bytes, 1, image.size, file);
	fclose(file);
	free(image.bytes);
	return open_file(subject, loop, err);
}

/* The same pages as a crash dump of Windows, told by a bitmap. */
static int open_crashdmp(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	char present[SUBJECT_SIZE / 4096 + 1] = "";
	struct synth_crash spec = { .word = 8, .type = 5, .machine = 0x8664, .present = present };
	FILE *file = make_file(subject);
	size_t size;

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	memset(present, '#', sizeof(present) - 1);
	present[HOLE_ADDR / 4096] = '.';
	uint8_t *dump = synth_crash(&spec, &size);
	fwrite(dump, 1, size, file);
	fclose(file);
	free(dump);
	return open_file(subject, loop, err);
}

/* The two stretches again, as Windows hibernates: in two sets, of which the first has both sides of the hole. */
static int open_hiberfil(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	const uint64_t behind = (HOLE_ADDR + HOLE_LEN) / 4096, end = SUBJECT_SIZE / 4096;
	const struct synth_hiber_run runs[] = {
		{ 0, HOLE_ADDR / 4096, subject->model },
		{ behind, 4, subject->model + behind * 4096 },
		{ behind + 4, 1, subject->model + (behind + 4) * 4096 },
		{ behind + 5, end - behind - 5, subject->model + (behind + 5) * 4096 },
	};
	struct synth_hiber spec = { .length = SYNTH_WINDOWS_10, .runs = runs, .n_runs = 4 };
	FILE *file = make_file(subject);

	if (!file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	synth_hiber(&spec, file);
	fclose(file);
	return open_file(subject, loop, err);
}

/* A PC of sixteen pages, each told twice; the first time it was another. */
static int open_migration(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	struct synth_stream *s = calloc(1, sizeof(*s));
	FILE *file = make_file(subject);

	if (!s || !file)
		return sonde_error_set(err, SONDE_E_IO, "%s: cannot be made", subject->path);
	synth_head(s, "pc-q35-7.2", 12);
	synth_start(s, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(s, 8, SUBJECT_SIZE | SYNTH_BLOCKS_FLAG);
	synth_block(s, "pc.ram", SUBJECT_SIZE);
	for (uint64_t at = 0; at < SUBJECT_SIZE; at += 4096)
		synth_fill(s, at, at ? NULL : "pc.ram", 0xee);
	synth_end(s);
	synth_next(s, 3);
	for (uint64_t at = 0; at < SUBJECT_SIZE; at += 4096) {
		synth_page_head(s, at, NULL, SYNTH_PAGE_FLAG);
		synth_bytes(s, subject->model + at, 4096);
	}
	synth_end(s);
	fwrite(s->bytes, 1, s->len, file);
	fclose(file);
	free(s);
	return open_file(subject, loop, err);
}

/* ---- processes ------------------------------------------------------------------------------ */

/* Shared, so that a child forked now and this process see the same bytes; a hole on either side. */
static int make_region(struct subject *subject)
{
	size_t room = 3 * SUBJECT_SIZE;
	uint8_t *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	munmap(p, SUBJECT_SIZE);
	munmap(p + 2 * SUBJECT_SIZE, SUBJECT_SIZE);
	subject->memory = p + SUBJECT_SIZE;
	fill(subject->memory);
	munmap(p + SUBJECT_SIZE + HOLE_ADDR, HOLE_LEN);
	subject->base = (uint64_t)(uintptr_t)subject->memory;
	return 0;
}

/*
 * The hole of the process itself must stay one, whatever else it maps: nothing may move in. A map of an
 * empty file that is not even open for writing can be neither read nor written, by a debugger either.
 */
static int hold_hole(const struct subject *subject)
{
	uint8_t *p = subject->memory;
	struct {
		uint8_t *at;
		size_t len;
	} holes[] = { { p - SUBJECT_SIZE, SUBJECT_SIZE },
		      { p + HOLE_ADDR, HOLE_LEN },
		      { p + SUBJECT_SIZE, SUBJECT_SIZE } };
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600), failed = fd < 0;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int empty = open(path, O_RDONLY);
	for (int i = 0; i < 3 && !failed; i++)
		failed = mmap(holes[i].at, holes[i].len, PROT_NONE, MAP_SHARED | MAP_FIXED, empty,
			      0) == MAP_FAILED;
	close(empty);
	close(fd);
	return failed ? -1 : 0;
}

static int open_process(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err,
			int pid)
{
	char name[64];

	snprintf(name, sizeof(name), "%s:%d", subject->target, pid);
	return open_target(subject, loop, name, err);
}

static int open_self(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	if (make_region(subject) || hold_hole(subject))
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "no memory for the region");
	return open_process(subject, loop, err, (int)getpid());
}

static int open_child(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	if (make_region(subject))
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "no memory for the region");
	subject->child = fork();
	if (subject->child == 0) {
		for (;;)
			pause();
	}
	/* The child's holes are real ones; ours are held, for they are given back with the rest. */
	if (subject->child < 0 || hold_hole(subject))
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "no child");
	return open_process(subject, loop, err, subject->child);
}

/* ---- a stub ------------------------------------------------------------------------------------- */

_Static_assert(STUB_SIZE == SUBJECT_SIZE && STUB_HOLE == HOLE_ADDR && STUB_HOLE_LEN == HOLE_LEN,
	       "the stub's memory is the subjects'");

/* target is what stands behind the stub's name; one that may not be written to acknowledges. */
static int open_stub(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	char name[128];

	subject->stub = calloc(1, sizeof(*subject->stub));
	if (!subject->stub)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	subject->stub->packet_size = 0x1000;
	subject->stub->no_ack = !subject->read_only;
	subject->stub->binary_read = subject->stub->binary_write = subject->also == NULL;
	if (gdb_stub_start(subject->stub) < 0)
		return sonde_error_set(err, SONDE_E_IO, "the stub cannot listen");
	snprintf(name, sizeof(name), "%s%s", subject->stub->target, subject->target);
	return open_target(subject, loop, name, err);
}

#define RAM "ram:64k,hole=0x3000+0x1000"

/* ---- a server ----------------------------------------------------------------------------------- */

/* sonde serve, of ram with the subjects' bytes and hole. Returns the child, below 0: there is none. */
static int start_server(const struct subject *subject)
{
	char where[80];
	int child = fork();

	if (child != 0)
		return child;
	snprintf(where, sizeof(where), "unix:%s", subject->path);
	if (!freopen("/dev/null", "w", stdout))
		_exit(127);
	execl(getenv("SONDE_EXE"), "sonde", "serve", RAM, "--listen", where,
	      subject->read_only ? NULL : "--write", NULL);
	_exit(127);
}

static int open_served(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	char name[128];

	if (!getenv("SONDE_EXE"))
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "SONDE_EXE: the tool is not named");
	snprintf(subject->path, sizeof(subject->path), "/tmp/sonde-conformance-nbd-%d",
		 (int)getpid());
	unlink(subject->path);
	subject->child = start_server(subject);
	snprintf(name, sizeof(name), "nbd:unix:%s%s", subject->path, subject->target);
	for (int tries = 0; tries < 1000; tries++) {
		int r = open_target(subject, loop, name, err);
		if (subject->child < 0 || (r != SONDE_E_NOT_FOUND && r != SONDE_E_GONE))
			return r;
		usleep(20000);
	}
	return err->code;
}

/* ---- virtual memory over ram ------------------------------------------------------------------ */

#define VIRTUAL_BASE UINT64_C(0x00007ffff0000000)
#define RAM_SIZE UINT64_C(0x100000)
#define TABLES_AT UINT64_C(0x80000)

/* Sixteen pages, each somewhere else in memory and the fourth nowhere, written through the space. */
static int open_virtual(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	uint8_t *image = calloc(1, RAM_SIZE);
	struct page_tables tables;
	int r = open_target(subject, loop, subject->target, err);

	if (!image || r < 0) {
		free(image);
		return r < 0 ? r : SONDE_E_NO_MEMORY;
	}
	tables_build(&tables, image, RAM_SIZE, TABLES_AT, 4, "");
	for (uint64_t page = 0; page < SUBJECT_SIZE / 4096; page++) {
		uint64_t pa = (page * 5 % 16 + 3) * 4096;
		if (page == HOLE_ADDR / 4096)
			continue;
		*tables_entry(&tables, VIRTUAL_BASE + page * 4096, 0) = pa | 3;
		memcpy(image + pa, subject->model + page * 4096, 4096);
	}
	r = sonde_space_put(subject->space, 0, image, RAM_SIZE);
	free(image);
	if (r < 0)
		return sonde_error_set(err, r, "the page tables cannot be written");
	subject->base = VIRTUAL_BASE;
	return paging_space(subject->space, paging_map(paging_x86_64(4), tables.root), 0,
			    &subject->space);
}

/* ---- all ---------------------------------------------------------------------------------------- */

#define REMAP "|remap,map=0+0x3000@0x10000;0x4000+0x4000@0x14000;0x8000+0x8000@0"
struct subject subjects[] = {
	{ "ram, extents", "ram.so", NULL, open_ram, RAM, 0, 0 },
	{ "ram, transfer", "ram.so", NULL, open_ram, RAM ",mode=transfer", 0, 0 },
	{ "ram, submit", "ram.so", NULL, open_ram, RAM ",mode=submit", 0, 0 },
	{ "ram, submit one at a time", "ram.so", NULL, open_ram, RAM ",mode=submit,take=1,seed=5",
	  0, 0 },
	{ "ram, read only", "ram.so", NULL, open_ram, RAM, 1, 0 },
	{ "flat", "flat.so", NULL, open_flat, "flat", 0, 1 },
	{ "flat, read only", "flat.so", NULL, open_flat, "flat", 1, 1 },
	{ "elfcore", "elfcore.so", NULL, open_elfcore, "elfcore", 0, 0 },
	{ "elfcore, read only", "elfcore.so", NULL, open_elfcore, "elfcore", 1, 0 },
	{ "kcore", "kcore.so", NULL, open_elfcore, "kcore", 1, 0 },
	{ "kdump", "kdump.so", NULL, open_kdump, "kdump", 1, 0 },
	{ "lime", "lime.so", NULL, open_lime, "lime", 0, 0 },
	{ "hiberfil", "hiberfil.so", NULL, open_hiberfil, "hiberfil", 1, 0 },
	{ "vmware", "vmware.so", NULL, open_vmware, "vmware", 0, 0 },
	{ "avml", "avml.so", NULL, open_avml, "avml", 1, 0 },
	{ "crashdmp", "crashdmp.so", NULL, open_crashdmp, "crashdmp", 0, 0 },
	{ "crashdmp, read only", "crashdmp.so", NULL, open_crashdmp, "crashdmp", 1, 0 },
	{ "migration", "migration.so", NULL, open_migration, "migration", 1, 1 },
	{ "process, itself", "process.so", NULL, open_self, "process", 0, 0 },
	{ "process, a child", "process.so", NULL, open_child, "process", 0, 0 },
	{ "gdb", "gdb.so", NULL, open_stub, "", 0, 0 },
	{ "gdb, read only", "gdb.so", NULL, open_stub, ",ram=0+12k;16k+48k", 1, 0 },
	{ "cache of gdb", "gdb.so", "cache.so", open_stub, "|cache", 0, 0 },
	{ "nbd", "nbd.so", "ram.so", open_served, "", 0, 0 },
	{ "nbd, read only", "nbd.so", "ram.so", open_served, ",depth=3", 1, 0 },
	{ "virtual over ram, extents", "ram.so", NULL, open_virtual, "ram:1m", 0, 0 },
	{ "virtual over ram, transfer", "ram.so", NULL, open_virtual, "ram:1m,mode=transfer", 0,
	  0 },
	{ "virtual over ram, submit", "ram.so", NULL, open_virtual, "ram:1m,mode=submit,take=2", 0,
	  0 },
	{ "delay before ram", "ram.so", "delay.so", open_ram, RAM "|delay,us=20", 0, 0 },
	{ "delay before ram, submit", "ram.so", "delay.so", open_ram,
	  RAM ",mode=submit|delay,us=20", 0, 0 },
	{ "remap of ram", "ram.so", "remap.so", open_ram, "ram:128k" REMAP, 0, 0 },
	{ "remap of ram, submit", "ram.so", "remap.so", open_ram, "ram:128k,mode=submit" REMAP, 0,
	  0 },
	{ "virtual over remap", "ram.so", "remap.so", open_virtual,
	  "ram:1m|remap,map=512k+512k@0;0+512k@512k", 0, 0 },
	{ "cache of ram", "ram.so", "cache.so", open_ram, RAM "|cache", 0, 0 },
	{ "cache of ram, transfer", "ram.so", "cache.so", open_ram, RAM ",mode=transfer|cache", 0,
	  0 },
	{ "cache of ram, submit", "ram.so", "cache.so", open_ram,
	  RAM ",mode=submit,take=2|cache,mb=1,ms=1", 0, 0 },
	{ "cache of a file", "flat.so", "cache.so", open_flat_layered, "|cache,mb=1", 0, 1 },
	{ "virtual over cache", "ram.so", "cache.so", open_virtual, "ram:1m,mode=submit|cache", 0,
	  0 },
	{ "overlay over ram", "ram.so", "overlay.so", open_ram, RAM "|overlay", 0, 0 },
	{ "overlay over ram, submit", "ram.so", "overlay.so", open_ram,
	  RAM ",mode=submit,take=3|overlay", 0, 0 },
	{ "overlay kept in a file", "ram.so", "overlay.so", open_to_file, RAM "|overlay", 0, 0 },
	{ "overlay, read only", "ram.so", "overlay.so", open_ram, RAM "|overlay", 1, 0 },
	{ "overlay over a file", "flat.so", "overlay.so", open_flat_layered, "|overlay", 0, 1 },
	{ "virtual over overlay", "ram.so", "overlay.so", open_virtual, "ram:1m|overlay", 0, 0 },
	{ "trace of ram", "ram.so", "trace.so", open_to_file, RAM "|trace,detail=piece", 0, 0 },
	{ "trace of ram, submit", "ram.so", "trace.so", open_to_file,
	  RAM ",mode=submit|trace,detail=batch", 0, 0 },
	{ "record of ram", "ram.so", "record.so", open_to_file, RAM "|record", 0, 0 },
	{ "record of ram, submit", "ram.so", "record.so", open_to_file, RAM ",mode=submit|record",
	  0, 0 },
	{ "throttle of ram", "ram.so", "throttle.so", open_ram, RAM "|throttle,bytes=1g,batches=1m",
	  0, 0 },
	{ "throttle of ram, submit", "ram.so", "throttle.so", open_ram,
	  RAM ",mode=submit|throttle,bytes=1g,batches=100k,burst_ms=0", 0, 0 },
	{ "fault that hits nothing", "ram.so", "fault.so", open_ram, RAM "|fault,error=IO,after=1t",
	  0, 0 },
	{ "fault that spoils nothing", "ram.so", "fault.so", open_ram, RAM "|fault,short=1g", 0,
	  0 },
	{ "fault that spoils nothing, submit", "ram.so", "fault.so", open_ram,
	  RAM ",mode=submit|fault,short=1g,every=2", 0, 0 },
	{ "fault where there is no memory", "ram.so", "fault.so", open_ram,
	  "ram:64k|fault,error=NOT_MAPPED,at=0x3000+0x1000", 0, 0 },
	{ "fault where there is no memory, submit", "ram.so", "fault.so", open_ram,
	  "ram:64k,mode=submit|fault,error=NOT_MAPPED,at=0x3000+0x1000", 0, 0 },
	{ "virtual over delay", "ram.so", "delay.so", open_virtual, "ram:1m|delay,us=20", 0, 0 },
};
const unsigned n_subjects = sizeof(subjects) / sizeof(subjects[0]);

int subject_open(struct subject *subject, struct sonde_loop *loop, struct sonde_error *err)
{
	subject->space = NULL;
	subject->opened = NULL;
	subject->base = 0;
	subject->path[0] = 0;
	subject->memory = NULL;
	subject->child = 0;
	subject->stub = NULL;
	subject->model = malloc(SUBJECT_SIZE);
	if (!subject->model)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	fill(subject->model);
	return subject->open(subject, loop, err);
}

void subject_close(struct subject *subject)
{
	if (subject->opened && subject->space != sonde_target_memory(subject->opened))
		sonde_space_close(subject->space);
	sonde_target_close(subject->opened);
	if (subject->stub)
		gdb_stub_stop(subject->stub);
	free(subject->stub);
	if (subject->path[0])
		unlink(subject->path);
	if (subject->memory)
		munmap((uint8_t *)subject->memory - SUBJECT_SIZE, 3 * SUBJECT_SIZE);
	if (subject->child > 0) {
		kill(subject->child, SIGKILL);
		waitpid(subject->child, NULL, 0);
	}
	free(subject->model);
}
