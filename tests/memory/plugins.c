/* SPDX-License-Identifier: MIT */
/*
 * Layers and connectors, linked into this program so that their allocations are refused as well (meson.build gives
 * each descriptor a name of its own), and targets by name with the plugins as they are loaded.
 */
#include <sonde/error.h>
#include <sonde/target.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plug/args.h"
#include "plug/host.h"
#include "refuse.h"
#include "space/backed.h"
#include "space/space.h"
#include "world.h"

extern const struct sonde_plugin plugin_cache, plugin_delay, plugin_fault, plugin_overlay,
	plugin_paging, plugin_record, plugin_remap, plugin_throttle, plugin_trace;
extern const struct sonde_plugin plugin_flat, plugin_process, plugin_ram;

static const struct {
	const struct sonde_plugin *plugin;
	const char *text; /* as in a target's name; "%s" is a new file */
} layers[] = {
	{ &plugin_cache, "cache,mb=1" },
	{ &plugin_delay, "delay,us=1" },
	{ &plugin_fault, "fault,error=IO,at=0x9000000+1;0xa000000+2" },
	{ &plugin_fault, "fault,short=1m,every=2" },
	{ &plugin_overlay, "overlay,mb=1" },
	{ &plugin_overlay, "overlay,mb=1,file=%s" },
	{ &plugin_record, "record,file=%s" },
	{ &plugin_remap, "remap,map=0+0x5001@0;0x5001+1m@0x5001" },
	{ &plugin_throttle, "throttle,batches=1000000" },
	{ &plugin_trace, "trace,detail=piece,file=%s" },
	{ &plugin_paging, "paging,format=ept4,root=0" },
};

static const struct {
	const struct sonde_plugin *plugin;
	const char *text;
} connectors[] = {
	{ &plugin_flat, "flat:%s" },
	{ &plugin_process, "process:self" },
	{ &plugin_ram, "ram:64k" },
	{ &plugin_ram, "ram:64k,mode=transfer" },
	{ &plugin_ram, "ram:64k,mode=submit" },
};

/* ---- names ---------------------------------------------------------------------------------------- */

struct bound {
	struct arena arena;
	struct sonde_args args;
	struct sonde_host host;
};

/* The part of a target's name at index: 0 the connector, 1 the layer behind it. */
static int bind(struct bound *bound, const struct sonde_plugin *plugin, const char *name,
		size_t index)
{
	struct target_name parts;

	*bound = (struct bound){ 0 };
	host_init(&bound->host);
	int r = name_parse(&bound->arena, name, &parts, NULL);
	return r < 0 ? r
		     : args_bind(&bound->arena, plugin, &parts.parts[index], 1, &bound->args, NULL);
}

static const char *file_name(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/sonde-memory-%d", (int)getpid());
	return path;
}

/* ---- layers ---------------------------------------------------------------------------------------- */

static int write_some(struct sonde_space *space)
{
	uint8_t bytes[48];
	struct sonde_xfer x = { .addr = 0x2ff0, .buf = bytes, .len = sizeof(bytes) };

	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = world_byte(x.addr + i);
	int r = sonde_space_write(space, &x, 1);
	assert_true(x.err == 0 || x.err == SONDE_E_NO_MEMORY || x.err == SONDE_E_READ_ONLY);
	return r < 0 ? r : x.err == SONDE_E_NO_MEMORY ? x.err : 0;
}

static int use(struct sonde_space *space)
{
	int r = world_read(space, 0, 3);

	r = r < 0 ? r : world_read(space, 0, 120);
	r = r < 0 ? r : write_some(space);
	return r < 0 ? r : world_read(space, 0, 120);
}

static int with_layer(struct sonde_space *below, uint32_t i)
{
	struct sonde_space *space = NULL;
	struct bound bound;
	char name[160] = "x:|";

	snprintf(name + 3, sizeof(name) - 3, layers[i].text, file_name());
	unlink(file_name());
	int r = bind(&bound, layers[i].plugin, name, 1);
	if (r == 0)
		r = space_from_layer(below->loop, layers[i].plugin->layer, &bound.host, &bound.args,
				     below, &space, NULL);
	if (r == 0)
		r = use(space);
	sonde_space_close(space);
	arena_finish(&bound.arena);
	unlink(file_name());
	return r;
}

static int layer(uint32_t i)
{
	static const uint32_t ways[] = { SONDE_WAY_EXTENTS, SONDE_WAY_SUBMIT };
	struct sonde_loop *loop = NULL;
	int r = world_loop(SONDE_ENGINE_SYNC, &loop);

	for (int way = 0; r == 0 && way < 2; way++) {
		struct sonde_space *below = NULL;
		r = world_open(loop, ways[way], &below);
		if (r == 0)
			r = with_layer(below, i);
		sonde_space_close(below);
	}
	sonde_loop_destroy(loop);
	return r;
}

/* ---- connectors --------------------------------------------------------------------------------------- */

static void make_file(void)
{
	refuse_pause();
	FILE *file = fopen(file_name(), "w");
	assert_non_null(file);
	for (uint64_t i = 0; i < SIZE; i++)
		fputc(world_byte(i), file);
	fclose(file);
	refuse_resume();
}

static int read_byte(struct sonde_space *space)
{
	static const uint8_t here = 77; /* of a process; the others have something at 0x100 */
	uint8_t byte;
	int r = sonde_space_u8(space, (uint64_t)(uintptr_t)&here, &byte);

	if (r == SONDE_E_NOT_MAPPED || r == SONDE_E_TRUNCATED)
		return sonde_space_u8(space, 0x100, &byte);
	if (r == 0)
		assert_int_equal(byte, here);
	return r;
}

static int open_connection(struct sonde_loop *loop, const struct sonde_plugin *plugin,
			   const struct bound *bound, struct sonde_space **ret)
{
	struct sonde_connector_ops ops = *plugin->connector;
	void *conn = NULL;
	int r = ops.open(&bound->host, &bound->args, &conn, NULL);

	if (r < 0)
		return r;
	uint32_t ways = ops.ways ? ops.ways(conn) : UINT32_MAX;
	ops.extents = ways & SONDE_WAY_EXTENTS ? ops.extents : NULL;
	ops.transfer = ways & SONDE_WAY_TRANSFER ? ops.transfer : NULL;
	r = space_from_connector(loop, &ops, conn, ret, NULL);
	if (r < 0)
		ops.close(conn);
	return r;
}

static int connector(uint32_t i)
{
	struct sonde_space *space = NULL;
	struct sonde_loop *loop = NULL;
	struct bound bound = { 0 };
	char name[160];
	int r = world_loop(SONDE_ENGINE_SYNC, &loop);

	make_file();
	snprintf(name, sizeof(name), connectors[i].text, file_name());
	if (strcmp(name, "process:self") == 0)
		snprintf(name, sizeof(name), "process:%d", (int)getpid());
	r = r < 0 ? r : bind(&bound, connectors[i].plugin, name, 0);
	r = r < 0 ? r : open_connection(loop, connectors[i].plugin, &bound, &space);
	r = r < 0 ? r : read_byte(space);
	sonde_space_close(space);
	arena_finish(&bound.arena);
	sonde_loop_destroy(loop);
	unlink(file_name());
	return r;
}

/* ---- targets by name ----------------------------------------------------------------------------------- */

static const char *const targets[] = {
	"ram:64k",
	"ram:64k,mode=transfer|delay,us=1|overlay|cache",
	"flat:%s|trace,file=%s.trace|remap,map=0+32k@0",
};

static int target(uint32_t i)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_target *opened = NULL;
	struct sonde_loop *loop = NULL;
	struct sonde_error err = { 0 };
	char name[256], trace[80];
	int r = world_loop(SONDE_ENGINE_SYNC, &loop);

	make_file();
	snprintf(name, sizeof(name), targets[i], file_name(), file_name());
	snprintf(trace, sizeof(trace), "%s.trace", file_name());
	unlink(trace);
	if (r == 0)
		r = sonde_target_open(loop, name, &options, &opened, &err);
	assert_true(r == 0 || !loop || (err.code == r && err.text[0]));
	if (r == 0)
		r = read_byte(sonde_target_memory(opened));
	sonde_target_close(opened);
	sonde_loop_destroy(loop);
	unlink(file_name());
	unlink(trace);
	return r;
}

static int seen(void *user, const struct sonde_plugin_info *info)
{
	*(unsigned *)user += info->refused == NULL;
	return 0;
}

static int list_plugins(uint32_t arg)
{
	unsigned n = 0;
	int r = sonde_plugins(seen, &n);

	(void)arg;
	return r;
}

/* One line an index of the tables above. */
const struct scenario plugin_scenarios[] = {
	{ "cache", layer, 0 },
	{ "delay", layer, 1 },
	{ "fault", layer, 2 },
	{ "fault, hits that do not hurt", layer, 3 },
	{ "overlay", layer, 4 },
	{ "overlay with a file", layer, 5 },
	{ "record", layer, 6 },
	{ "remap", layer, 7 },
	{ "throttle", layer, 8 },
	{ "trace", layer, 9 },
	{ "paging", layer, 10 },
	{ "flat", connector, 0 },
	{ "process", connector, 1 },
	{ "ram", connector, 2 },
	{ "ram, transfer", connector, 3 },
	{ "ram, submit", connector, 4 },
	{ "a target", target, 0 },
	{ "a target with layers", target, 1 },
	{ "a file with layers", target, 2 },
	{ "the list of plugins", list_plugins, 0 },
};
const size_t n_plugin_scenarios = sizeof(plugin_scenarios) / sizeof(plugin_scenarios[0]);
