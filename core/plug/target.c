/* SPDX-License-Identifier: MIT */
/*
 * Targets: a name becomes a connector's memory with layers in front, and what the connector
 * knows of the machine beside its bytes. name.c takes the name apart, find.c and
 * sniff.c choose the plugins, space/ moves the bytes.
 */
#include <sonde/events.h>
#include <sonde/target.h>
#include <sonde/task.h>

#include "image/image.h"
#include "image/url.h"
#include "plug/args.h"
#include "plug/chain.h"
#include "plug/host.h"
#include "plug/load.h"
#include "plug/sniff.h"
#include "space/backed.h"
#include "space/space.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct target_layer {
	struct plugin *plugin;
	struct sonde_args args;
	struct sonde_space *tables; /* what it found page tables to map, NULL */
	struct sonde_space *space;
};

struct sonde_target {
	struct arena arena; /* the name and all arguments */
	struct sonde_loop *loop;
	struct sonde_host host; /* what this target's plugins were given */
	int write, snapshot;    /* snapshot: asked for, then: taken */
	struct sonde_snapshot taken;
	const char *name;
	char *shown; /* ... without what nobody else is to see */
	struct target_name parts;
	struct image_shelf images;  /* that the connector reads */
	struct sonde_target *below; /* NULL, or what the last step of the name goes into */
	struct chain_link link;     /* ... and what it opened there                      */
	struct plugin *connector;
	struct sonde_connector_ops ops; /* with only the ways this connection offers */
	struct sonde_args args;
	void *conn;
	struct sonde_space *memory;  /* the connector's own   */
	struct sonde_space *events;  /* NULL: not asked for   */
	struct target_layer *layers; /* [n_found], lowest first  */
	size_t n_found, n_layers;    /* loaded, opened so far    */
	struct sonde_target_info info;
};

/* FILE is the whole head of the name; its own key=value arguments go to whoever reads it. */
static int bind_file(struct sonde_target *target, const char *path, struct sonde_error *err)
{
	struct arena *arena = &target->arena;
	const struct sonde_plugin *desc = &target->connector->desc;
	const struct name_part *part = &target->parts.parts[0];
	struct name_part whole = { .first = "", .n_args = part->n_args + 1 };

	whole.args = arena_array(arena, whole.n_args, sizeof(*whole.args));
	if (!whole.args)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (!desc->main_arg)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT, "%s: takes no file to open",
				       desc->name);
	whole.args[0] = (struct name_arg){ .key = desc->main_arg, .value = path };
	if (part->n_args)
		memcpy(whole.args + 1, part->args, part->n_args * sizeof(*whole.args));
	return args_bind(arena, desc, &whole, target->write, &target->args, err);
}

static int choose_by_content(struct sonde_target *target, const char *path, struct sonde_error *err)
{
	struct sniff_head *head = malloc(sizeof(*head));
	struct sonde_image *image = NULL;
	if (!head)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);

	int r = image_shelf_open(&target->images, "target", path, 0, &image, err);
	if (r == 0)
		r = sniff_read(image, head, err);
	if (r == 0)
		r = sniff_connector(image->shown, head, &target->connector, err);
	image_unref(image);
	free(head);
	return r < 0 ? r : bind_file(target, path, err);
}

/* "word:rest" where word is no connector may still be a URL, or a file of that name. */
static int choose_unknown_word(struct sonde_target *target, const struct name_part *part,
			       struct sonde_error *err)
{
	const char *path = arena_printf(&target->arena, "%s:%s", part->word, part->first);

	if (!path)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (url_is(path) || access(path, F_OK) == 0)
		return choose_by_content(target, path, err);
	sonde_error_prefix(err, "target: '%.200s': neither a file nor known", target->shown);
	return SONDE_E_NOT_FOUND;
}

/* "native" is the connector of that name, without a first argument, unless there is such a file. NULL: a file. */
static const struct name_part *bare_word(struct sonde_target *target, const struct name_part *file)
{
	struct name_part *part = arena_alloc(&target->arena, sizeof(*part));
	struct plugin *plugin;

	if (!part || !name_word_valid(file->first, strlen(file->first)) ||
	    access(file->first, F_OK) == 0 ||
	    plugin_find(file->first, SONDE_PLUGIN_CONNECTOR, &plugin, NULL) < 0)
		return NULL;
	plugin_unref(plugin);
	*part = *file;
	part->word = file->first;
	part->first = "";
	return part;
}

static int choose_connector(struct sonde_target *target, struct sonde_error *err)
{
	const struct name_part *part = &target->parts.parts[0];

	if (!part->word[0] && (part = bare_word(target, part)) == NULL)
		return choose_by_content(target, target->parts.parts[0].first, err);
	int r = plugin_find(part->word, SONDE_PLUGIN_CONNECTOR, &target->connector, err);
	if (r == SONDE_E_NOT_FOUND)
		return choose_unknown_word(target, part, err);
	if (r < 0)
		return r;
	return args_bind(&target->arena, &target->connector->desc, part, target->write,
			 &target->args, err);
}

/* A slot this connection does not offer is as good as NULL to everyone above. */
static int choose_ways(struct sonde_target *target, struct sonde_error *err)
{
	struct sonde_connector_ops *ops = &target->ops;
	uint32_t ways = ops->ways ? ops->ways(target->conn) : UINT32_MAX;

	if (!(ways & SONDE_WAY_EXTENTS))
		ops->extents = NULL;
	if (!(ways & SONDE_WAY_TRANSFER))
		ops->transfer = NULL;
	if (!(ways & SONDE_WAY_SUBMIT))
		ops->submit = NULL;
	if (ops->extents || ops->transfer || ops->submit)
		return 0;
	return sonde_error_set(err, SONDE_E_BAD_FORMAT, "%s: offers no way to its memory",
			       target->connector->desc.name);
}

/* What does not change is one already. */
static int take_snapshot(struct sonde_target *target, struct sonde_error *err)
{
	const char *connector = target->connector->desc.name;
	struct sonde_target_info info = { 0 };

	if (!target->snapshot)
		return 0;
	target->ops.info(target->conn, &info);
	target->snapshot = (info.flags & SONDE_TARGET_LIVE) != 0;
	if (!target->snapshot)
		return 0;
	if (target->args.write)
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"%s: a snapshot cannot be written: open the target itself, or put "
			"a layer in front that keeps what is written (overlay)",
			connector);
	if (!target->ops.snapshot)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"%s: has no way to a snapshot of what it reads: pause it instead",
			connector);
	return target->ops.snapshot(target->conn, &target->taken, err);
}

static int open_connector(struct sonde_target *target, struct sonde_error *err)
{
	void *conn = NULL;
	int r;

	target->ops = target->connector->connector;
	if ((r = target->ops.open(&target->host, &target->args, &conn, err)) < 0)
		return r;
	target->conn = conn;
	if ((r = take_snapshot(target, err)) < 0 || (r = choose_ways(target, err)) < 0 ||
	    (r = space_from_connector(target->loop, &target->ops, conn, &target->memory, err)) < 0)
		return r;

	struct sonde_target_info *info = &target->info;
	target->ops.info(conn, info);
	info->name = target->shown;
	info->connector = target->connector->desc.name;
	info->detail = info->detail ? info->detail : "";
	return 0;
}

/* What lies below a layer that knows of page tables is what they map. */
static int open_tables(struct sonde_target *target, struct target_layer *layer,
		       struct sonde_error *err)
{
	const struct sonde_layer_ops *ops = &layer->plugin->layer;
	struct sonde_tables tables = { 0 };

	if (!ops->tables)
		return 0;
	if (target->info.flags & SONDE_TARGET_LIVE)
		tables.forget_ns = LIVE_FORGET_NS;
	int r = ops->tables(&target->host, &layer->args, &tables, err);
	if (r < 0)
		return r;
	r = sonde_space_tables(sonde_target_memory(target), &tables, &layer->tables);
	if (r == SONDE_E_BAD_ARG)
		return sonde_error_set(err, r, "%s: no page-table format '%.40s'",
				       layer->plugin->desc.name,
				       tables.format ? tables.format : "");
	return r < 0 ? sonde_error_set(err, r, NULL) : 0;
}

static int open_layer(struct sonde_target *target, const struct name_part *part, int write,
		      struct sonde_error *err)
{
	struct target_layer *layer = &target->layers[target->n_layers];
	int r = args_bind(&target->arena, &layer->plugin->desc, part, write, &layer->args, err);

	if (r == 0)
		r = open_tables(target, layer, err);
	if (r == 0)
		r = space_from_layer(target->loop, &layer->plugin->layer, &target->host,
				     &layer->args,
				     layer->tables ? layer->tables : sonde_target_memory(target),
				     &layer->space, err);
	if (r < 0) {
		sonde_space_close(layer->tables);
		layer->tables = NULL;
		return r;
	}
	space_layer_info(layer->space, &target->info);
	target->n_layers++;
	return 0;
}

/*
 * Load every layer's plugin. *ret_keeper is how many parts of the name, the connector first, lie below
 * one that keeps what is written: they are not opened for writing, whatever the user asked for.
 */
static int find_layers(struct sonde_target *target, size_t first, size_t *ret_keeper,
		       struct sonde_error *err)
{
	size_t n = target->parts.n_parts - first;

	target->layers = arena_array(&target->arena, n, sizeof(*target->layers));
	if (!target->layers)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	*ret_keeper = 0;
	for (size_t i = 0; i < n; i++) {
		struct plugin **plugin = &target->layers[i].plugin;
		int r = plugin_find(target->parts.parts[first + i].word, SONDE_PLUGIN_LAYER, plugin,
				    err);
		if (r < 0) {
			sonde_error_prefix(err, "target: '%.200s'", target->shown);
			return r;
		}
		target->n_found++;
		if ((*plugin)->layer.flags & SONDE_LAYER_KEEPS_WRITES)
			*ret_keeper = first + i;
	}
	return 0;
}

/* The part of the name that is the last step into another target; 0: there is none. */
static size_t last_step(const struct target_name *name)
{
	size_t step = 0;

	for (size_t i = 1; i < name->n_parts; i++)
		step = name->parts[i].is_step ? i : step;
	return step;
}

/* What is in front of the step is a target of its own. */
static int open_step(struct sonde_target *target, const struct name_part *step, int write,
		     struct sonde_error *err)
{
	struct sonde_target_options options = { .size = sizeof(options),
						.write = (uint32_t)write,
						.snapshot = (uint32_t)target->snapshot };
	const char *front = arena_strndup(&target->arena, target->name, step->at);

	if (!front)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (step->n_args)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "target: '%.200s': %s: takes no %s=", target->shown,
				       step->word, step->args[0].key);
	int r = sonde_target_open(target->loop, front, &options, &target->below, err);
	if (r == 0)
		r = chain_open(target->below, step->word, step->first, &target->link, err);
	if (r < 0)
		return r;
	target->memory = target->link.memory;
	target->info = (struct sonde_target_info){ .name = target->shown,
						   .connector = step->word,
						   .detail = target->link.detail,
						   .arch = target->link.arch,
						   .flags = target->link.flags };
	return 0;
}

static int open_bottom(struct sonde_target *target, size_t step, int write, struct sonde_error *err)
{
	if (step)
		return open_step(target, &target->parts.parts[step], write, err);
	target->args.write = write;
	target->args.images = &target->images;
	return open_connector(target, err);
}

static int open_parts(struct sonde_target *target, struct sonde_error *err)
{
	size_t keeper = 0, step = last_step(&target->parts);
	int r = step ? 0 : choose_connector(target, err);

	if (r == 0)
		r = find_layers(target, step + 1, &keeper, err);
	if (r < 0)
		return r;
	r = open_bottom(target, step, target->write && keeper == 0, err);
	for (size_t i = step + 1; r == 0 && i < target->parts.n_parts; i++)
		r = open_layer(target, &target->parts.parts[i], target->write && i >= keeper, err);
	return r;
}

static int open_all(struct sonde_target *target, const char *name, struct sonde_error *err)
{
	target->name = arena_strndup(&target->arena, name, strlen(name));
	target->shown = arena_strndup(&target->arena, name, strlen(name));
	if (!target->name || !target->shown)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	url_conceal(target->shown);
	int r = name_parse(&target->arena, name, &target->parts, err);
	return r < 0 ? r : open_parts(target, err);
}

int sonde_target_open(struct sonde_loop *loop, const char *name,
		      const struct sonde_target_options *options, struct sonde_target **ret,
		      struct sonde_error *err)
{
	struct sonde_target_options given = { 0 };

	if (!loop || !name || !ret)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "target: loop, name and ret must be given");
	if (options)
		memcpy(&given, options,
		       options->size < sizeof(given) ? options->size : sizeof(given));

	struct sonde_target *target = calloc(1, sizeof(*target));
	if (!target)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	target->loop = loop;
	target->write = given.write != 0;
	target->snapshot = given.snapshot != 0;
	host_init(&target->host);
	int r = open_all(target, name, err);
	if (r < 0) {
		sonde_target_close(target);
		return r;
	}
	*ret = target;
	return 0;
}

void sonde_target_close(struct sonde_target *target)
{
	if (!target)
		return;
	sonde_space_close(target->events);
	while (target->n_layers > 0) {
		struct target_layer *layer = &target->layers[--target->n_layers];
		sonde_space_close(layer->space);
		sonde_space_close(layer->tables);
	}
	chain_close(&target->link);
	if (!target->below)
		sonde_space_close(target->memory); /* and with it the connection, which it took */
	if (target->conn && !target->memory)
		target->ops.close(target->conn);
	image_shelf_close(&target->images);
	sonde_target_close(target->below);
	while (target->n_found > 0)
		plugin_unref(target->layers[--target->n_found].plugin);
	plugin_unref(target->connector);
	arena_finish(&target->arena);
	free(target);
}

struct sonde_loop *sonde_target_loop(const struct sonde_target *target)
{
	return target->loop;
}

struct sonde_space *sonde_target_memory(const struct sonde_target *target)
{
	return target->n_layers ? target->layers[target->n_layers - 1].space : target->memory;
}

void sonde_target_info(const struct sonde_target *target, struct sonde_target_info *ret)
{
	*ret = target->info;
}

int sonde_target_cpu(struct sonde_target *target, uint32_t index, struct sonde_cpu *ret)
{
	struct sonde_cpu cpu = { 0 };
	int r = space_cpu(sonde_target_memory(target), index, &cpu);

	if (r == 0)
		*ret = cpu;
	return r;
}

int64_t sonde_target_note(struct sonde_target *target, const char *name, void *buf, size_t cap)
{
	return space_note(sonde_target_memory(target), name, buf, cap);
}

struct layer_visit {
	struct sonde_layer_stat stat;
	sonde_layer_stat_fn *fn;
	void *user;
};

static int visit_stat(void *user, const struct sonde_stat *stat)
{
	struct layer_visit *visit = user;

	visit->stat.name = stat->name;
	visit->stat.text = stat->text;
	visit->stat.value = stat->value;
	return visit->fn(visit->user, &visit->stat);
}

int sonde_target_layer_stats(const struct sonde_target *target, sonde_layer_stat_fn *fn, void *user)
{
	struct layer_visit visit = { .fn = fn, .user = user };
	int r = 0;

	for (size_t i = 0; i < target->n_layers && r == 0; i++) {
		visit.stat.layer = target->layers[i].plugin->desc.name;
		visit.stat.index = (uint32_t)i;
		r = space_layer_stats(target->layers[i].space, visit_stat, &visit);
	}
	return r;
}

int sonde_target_pause(struct sonde_target *target, struct sonde_error *err)
{
	if (target->below)
		return sonde_target_pause(target->below, err);
	if (!target->ops.pause)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED, "%s: cannot be paused",
				       target->info.connector);
	return target->ops.pause(target->conn, err);
}

static int resume(struct sonde_target *target, struct sonde_error *err)
{
	if (!target->ops.resume)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED, "%s: cannot be paused or resumed",
				       target->info.connector);
	return target->ops.resume(target->conn, err);
}

int sonde_target_resume(struct sonde_target *target, struct sonde_error *err)
{
	int r = target->below ? sonde_target_resume(target->below, err) : resume(target, err);

	if (r == 0)
		sonde_space_invalidate(sonde_target_memory(target));
	return r;
}

int sonde_target_snapshot(const struct sonde_target *target, struct sonde_snapshot *ret)
{
	if (target->below)
		return sonde_target_snapshot(target->below, ret);
	if (target->snapshot)
		*ret = target->taken;
	return target->snapshot;
}

int sonde_target_gone(struct sonde_target *target, struct sonde_error *err)
{
	if (target->below)
		return sonde_target_gone(target->below, err);
	int r = image_shelf_failure(&target->images, err);
	return r == 0 && target->ops.gone ? target->ops.gone(target->conn, err) : r;
}

int sonde_target_images(const struct sonde_target *target, sonde_image_figures_fn *fn, void *user)
{
	int r = target->below ? sonde_target_images(target->below, fn, user) : 0;

	for (size_t i = 0; r == 0 && i < target->images.n; i++)
		r = image_figures(target->images.at[i], fn, user);
	return r;
}

/* ---- events ------------------------------------------------------------------------------------- */

static int has_no_events(const struct sonde_target *target, struct sonde_error *err)
{
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "%s: tells no events: breakpoints need a stub of GDB's protocol, as "
			       "in gdb:HOST:PORT or gdb:qemu:NAME",
			       target->info.connector);
}

static int is_sound(const struct sonde_breakpoint *breakpoint)
{
	if (breakpoint->kind <= SONDE_BREAK_HARDWARE)
		return breakpoint->len == 0;
	return breakpoint->kind <= SONDE_BREAK_ACCESS && breakpoint->len >= 1 &&
	       breakpoint->len <= 8;
}

static int switch_breakpoint(struct sonde_target *target, int on,
			     const struct sonde_breakpoint *breakpoint, struct sonde_error *err)
{
	if (!target->ops.breakpoint || !target->ops.events)
		return has_no_events(target, err);
	if (!is_sound(breakpoint))
		return sonde_error_set(
			err, SONDE_E_BAD_ARG, "breakpoint at 0x%llx: kind %u with %u bytes is none",
			(unsigned long long)breakpoint->addr, breakpoint->kind, breakpoint->len);
	return target->ops.breakpoint(target->conn, on, breakpoint, err);
}

int sonde_breakpoint_set(struct sonde_target *target, const struct sonde_breakpoint *breakpoint,
			 struct sonde_error *err)
{
	return switch_breakpoint(target, 1, breakpoint, err);
}

int sonde_breakpoint_remove(struct sonde_target *target, const struct sonde_breakpoint *breakpoint,
			    struct sonde_error *err)
{
	return switch_breakpoint(target, 0, breakpoint, err);
}

/* The connection is that of the memory, and closed with it. */
static void leave_open(void *conn)
{
	(void)conn;
}

int sonde_target_events(struct sonde_target *target, struct sonde_space **ret,
			struct sonde_error *err)
{
	struct sonde_connector_ops ops = { .close = leave_open,
					   .submit = target->ops.events,
					   .cancel = target->ops.cancel_event };
	int r = SONDE_OK;

	if (!target->ops.events)
		return has_no_events(target, err);
	if (!target->events)
		r = space_from_connector(target->loop, &ops, target->conn, &target->events, err);
	if (r == SONDE_OK)
		*ret = target->events;
	return r;
}

static void event_is_told(struct sonde_io *io)
{
	(void)io;
}

int sonde_event_wait(struct sonde_target *target, uint64_t what, uint64_t deadline_ns,
		     struct sonde_event *ret, size_t size)
{
	struct sonde_xfer piece = { .addr = what, .buf = ret, .len = (uint32_t)size };
	struct sonde_io io = {
		.xfers = &piece, .n = 1, .done = event_is_told, .deadline_ns = deadline_ns
	};
	struct sonde_space *events = NULL;
	int r = sonde_target_events(target, &events, NULL);

	memset(ret, 0, size);
	if (r == SONDE_OK)
		r = sonde_io_submit(events, &io);
	if (r == SONDE_OK)
		r = sonde_task_await(sonde_task_current(target->loop), &io);
	if (piece.done == size)
		return SONDE_OK; /* it came before the end that was asked for */
	return r < 0 ? r : piece.err;
}
