/* SPDX-License-Identifier: MIT */
/*
 * migration: migration streams of QEMU that were kept in files: by "migrate", by libvirt, by "savevm".
 *
 *	image      where in the file the stream is (save_image, qcow2); spans: its bytes
 *	ram        the stream indexed once (page_index), its pages read (xbzrle)
 *	devices    processors and CMOS behind the RAM (registers)
 *	layout     blocks of RAM at physical addresses
 */
#include "../common/image_file.h"
#include "devices.h"
#include "image.h"
#include "layout.h"
#include "ram.h"

#include <sonde/plugin.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOTE_MAX 65536u

struct migration {
	const struct sonde_host *host;
	struct image_file file;
	const char *path; /* for messages */
	struct image image;
	struct ram ram;
	struct devices devices;
	struct memory_map map;
	struct fault no_devices; /* code 0: all of them were read */
	char detail[600];
};

/* ---- what it is ------------------------------------------------------------------------------------ */

static void add(struct migration *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct migration *m, const char *fmt, ...)
{
	size_t len = strlen(m->detail);
	va_list args;

	va_start(args, fmt);
	vsnprintf(m->detail + len, sizeof(m->detail) - len, fmt, args);
	va_end(args);
}

static void describe_snapshots(struct migration *m)
{
	const struct qcow2 *qcow2 = &m->image.qcow2;
	time_t seconds = m->image.snapshot->seconds;
	struct tm utc;
	char when[32] = "";

	if (gmtime_r(&seconds, &utc))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	add(m, "snapshot '%.80s' of %s in a qcow2 image", m->image.snapshot->name, when);
	for (size_t i = 0, n = 0; i < qcow2->n && qcow2->n > 1; i++) {
		if (qcow2->snapshots[i].state_len)
			add(m, "%s'%.60s'", n++ ? ", " : " that has ", qcow2->snapshots[i].name);
	}
	add(m, "; ");
}

static void describe(struct migration *m)
{
	static const char *const damages[] = { "", ", cut off", ", damaged" };
	uint64_t bytes = 0;

	if (m->image.kind == IMAGE_QCOW2)
		describe_snapshots(m);
	if (m->image.kind == IMAGE_SAVE)
		add(m, "saved by libvirt while it %s%s%s; ",
		    m->image.save.was_running ? "ran" : "was paused",
		    m->image.save.packing ? ", packed by " : "",
		    save_packing_name(m->image.save.packing));
	for (size_t i = 0; i < m->map.n; i++)
		bytes += m->map.ranges[i].len;
	add(m, "migration stream of QEMU, machine %.63s, %llu MiB of RAM, %zu CPU%s%s",
	    m->ram.end.machine[0] ? m->ram.end.machine : "not told",
	    (unsigned long long)(bytes >> 20), m->devices.n_cpus, m->devices.n_cpus == 1 ? "" : "s",
	    damages[!m->ram.damage                       ? 0
		    : m->ram.damage == SONDE_E_TRUNCATED ? 1
							 : 2]);
	if (m->ram.damage)
		add(m, " at byte %llu of the stream", (unsigned long long)m->ram.end.at);
	else if (m->no_devices.code < 0)
		add(m, ", %s", m->no_devices.why);
}

static void migration_info(void *conn, struct sonde_target_info *ret)
{
	struct migration *m = conn;

	ret->detail = m->detail;
	ret->arch = m->devices.arch;
	ret->flags = SONDE_TARGET_PHYSICAL;
	ret->n_cpus = (uint32_t)m->devices.n_cpus;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static int refuse_sparse(const struct migration *m, struct sonde_error *err)
{
	return m->host->error_set(err, SONDE_E_UNSUPPORTED,
				  "migration: '%.200s': saved by libvirt in the format sparse "
				  "(mapped-ram): save it as raw: save_image_format in "
				  "/etc/libvirt/qemu.conf",
				  m->path);
}

/* What unpacks it, from where on. */
static int say_how_to_unpack(const struct migration *m, int code, const char *why,
			     struct sonde_error *err)
{
	const struct save_image *save = &m->image.save;
	const char *packing = save_packing_name(save->packing);

	return m->host->error_set(
		err, code,
		"migration: '%.120s': saved by libvirt, packed by %s%s: unpack it "
		"and open that: tail -c +%llu '%.120s' | %s -dc > FILE",
		m->path, packing, why, (unsigned long long)save->stream_at + 1, m->path, packing);
}

/* In place of the file comes what it unpacks to. */
static void replace_file(struct migration *m, struct sonde_image *image)
{
	struct sonde_image_info info;

	image_file_close(&m->file);
	m->host->image_info(image, &info);
	m->file.image = image;
	m->file.fd = info.fd;
	m->file.size = info.bytes;
	m->path = info.name;
}

static int unpack(struct migration *m, const struct sonde_args *args, struct sonde_error *err)
{
	const struct sonde_host *host = m->host;
	struct sonde_image *image;
	int r = SONDE_E_UNSUPPORTED;

	if (m->image.save.packing == SAVE_SPARSE)
		return refuse_sparse(m, err);
	if (host->size >= offsetof(struct sonde_host, image_unpack) + sizeof(host->image_unpack))
		r = host->image_unpack(args, m->file.image, m->image.save.stream_at, &image, err);
	if (r == SONDE_E_UNSUPPORTED)
		return say_how_to_unpack(m, r, ", which cannot be unpacked here", err);
	if (r == SONDE_E_LIMIT)
		return say_how_to_unpack(
			m, r, " to more than may be unpacked into memory (SONDE_UNPACK_MAX=MiB)",
			err);
	if (r == 0)
		replace_file(m, image);
	return r;
}

static int open_image(struct migration *m, const struct sonde_args *args, struct sonde_error *err)
{
	struct source source = image_file_source(&m->file);
	struct fault fault = { 0 };
	char why[256];
	int r = image_open(&m->image, &source, m->host->arg(args, "snapshot"), &fault);

	if (r == SONDE_E_UNSUPPORTED && m->image.kind == IMAGE_SAVE &&
	    *save_packing_name(m->image.save.packing)) {
		r = unpack(m, args, err);
		if (r < 0)
			return r;
		source = image_file_source(&m->file);
		r = image_open_unpacked(&m->image, &source, &fault);
	}
	if (r == 0)
		return 0;
	snprintf(why, sizeof(why), "%s (at byte %llu)", fault.why, (unsigned long long)fault.at);
	return image_file_refuse(&m->file, "migration", r, why, err);
}

static int open_ram(struct migration *m, struct sonde_error *err)
{
	int r = ram_open(&m->ram, &m->image.spans, m->file.fd);
	const struct ram_stream_end *end = &m->ram.end;
	char why[320];

	if (r == 0)
		return 0;
	snprintf(why, sizeof(why), "the stream %.150s%s%.40s (at byte %llu of it)",
		 end->why ? end->why : "cannot be indexed: its RAM is beyond bounds",
		 end->about[0] ? ": " : "", end->about, (unsigned long long)end->at);
	return image_file_refuse(&m->file, "migration", r, why, err);
}

/* Without them memory is read all the same, and the kernel is found in it. */
static int read_devices(struct migration *m)
{
	uint64_t at = m->ram.end.at, left = m->image.spans.len - at;
	size_t len = left < DEVICES_LEN_MAX ? (size_t)left : DEVICES_LEN_MAX;
	uint8_t *bytes = m->ram.damage ? NULL : malloc(len ? len : 1);

	if (!bytes)
		return fault_set(&m->no_devices, SONDE_E_TRUNCATED, "no devices", at);
	int64_t n = spans_read(&m->image.spans, at, bytes, len);
	int r = devices_read(&m->devices, bytes, n < 0 ? 0 : (size_t)n, &m->no_devices);
	free(bytes);
	return r;
}

static int open_layout(struct migration *m, struct sonde_error *err)
{
	struct layout_facts facts = {
		.machine = m->ram.end.machine,
		.arch = m->devices.arch,
		.below_4g = m->devices.below_4g,
		.above_4g = m->devices.above_4g,
	};
	int r = layout_make(&m->map, &facts, m->ram.blocks, m->ram.n_blocks);

	if (r < 0)
		return m->host->error_set(
			err, r,
			"migration: '%.300s': the stream is of a machine '%.63s': "
			"where its RAM is, is known of pc, q35 and virt only",
			m->path, m->ram.end.machine);
	return 0;
}

static void migration_close(void *conn)
{
	struct migration *m = conn;

	memory_map_finish(&m->map);
	devices_finish(&m->devices);
	ram_finish(&m->ram);
	image_close(&m->image);
	image_file_close(&m->file);
	free(m);
}

static int open_all(struct migration *m, const struct sonde_args *args, struct sonde_error *err)
{
	m->path = image_file_name(&m->file);
	int r = open_image(m, args, err);
	if (r == 0)
		r = open_ram(m, err);
	if (r < 0)
		return r;
	read_devices(m);
	r = open_layout(m, err);
	if (r == 0)
		describe(m);
	return r;
}

static int migration_open(const struct sonde_host *host, const struct sonde_args *args,
			  void **ret_conn, struct sonde_error *err)
{
	const char *path = image_file_path(host, args, "migration", err);

	if (!path)
		return SONDE_E_BAD_ARG;
	if (host->arg_write(args))
		return host->error_set(err, SONDE_E_READ_ONLY,
				       "migration: '%.300s': a stream cannot be written: put an "
				       "overlay in front, 'migration:%.100s|overlay'",
				       path, path);
	struct migration *m = calloc(1, sizeof(*m));
	if (!m)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	m->host = host;
	int r = image_file_open_name(&m->file, host, args, path, err);
	if (r == 0)
		r = open_all(m, args, err);
	if (r < 0) {
		migration_close(m);
		return r;
	}
	*ret_conn = m;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static void migration_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct migration *m = conn;

	ram_transfer(&m->ram, &m->map, m->host, ios, n);
}

static int migration_regions(void *conn, sonde_region_fn *fn, void *user)
{
	return memory_map_regions(&((struct migration *)conn)->map, 0, fn, user);
}

static int migration_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	const struct devices *devices = &((struct migration *)conn)->devices;

	if (index >= devices->n_cpus)
		return devices->n_cpus ? SONDE_E_NOT_FOUND : SONDE_E_UNSUPPORTED;
	*ret = devices->cpus[index].cpu;
	return 0;
}

static int64_t migration_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct devices *devices = &((struct migration *)conn)->devices;
	uint32_t index;

	if (!full_cpu_asked(name, &index) || index >= devices->n_cpus)
		return SONDE_E_NOT_FOUND;
	return full_cpu_note(&devices->cpus[index], buf, cap);
}

static int migration_probe(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return image_probe(head, head_len) == IMAGE_NONE ? 0 : 90;
}

static const struct sonde_connector_ops migration_ops = {
	.size = sizeof(migration_ops),
	.open = migration_open,
	.close = migration_close,
	.info = migration_info,
	.transfer = migration_transfer,
	.regions = migration_regions,
	.cpu = migration_cpu,
	.note = migration_note,
	.probe = migration_probe,
};

SONDE_PLUGIN(.name = "migration",
	     .summary = "saved guest of QEMU: migration stream, virsh save, savevm in qcow2",
	     .main_arg = "path",
	     .args_help =
		     "path=FILE  the file to read, or its URL (required)\n"
		     "snapshot=NAME  of a qcow2 image: which, by name or number (the youngest)\n",
	     .connector = &migration_ops);
