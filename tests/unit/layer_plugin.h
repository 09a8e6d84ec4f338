/* SPDX-License-Identifier: MIT */
/*
 * A layer's plugin as its users load it, in front of a space of the test (fake.h), with a clock that only
 * goes when the test says so: timers of the layer fire when it is moved past them.
 */
#ifndef TESTS_LAYER_PLUGIN_H
#define TESTS_LAYER_PLUGIN_H

#include "fake.h"
#include "plug/args.h"
#include "plug/host.h"
#include "plug/load.h"
#include "plug/name.h"
#include "space/space.h"

enum { CLOCK_TIMERS = 64 };

/* The time of the layer under test; one at a time, since the host table has no room for more. */
static struct {
	uint64_t now_ns;
	struct sonde_timer *timers[CLOCK_TIMERS];
	size_t n;
} test_clock __attribute__((unused));

static uint64_t __attribute__((unused)) clock_now(void)
{
	return test_clock.now_ns;
}

static int __attribute__((unused)) clock_start(struct sonde_loop *loop, struct sonde_timer *timer)
{
	(void)loop;
	assert_true(test_clock.n < CLOCK_TIMERS);
	for (size_t i = 0; i < test_clock.n; i++)
		assert_ptr_not_equal(test_clock.timers[i], timer);
	test_clock.timers[test_clock.n++] = timer;
	return 0;
}

static int __attribute__((unused)) clock_stop(struct sonde_loop *loop, struct sonde_timer *timer)
{
	(void)loop;
	for (size_t i = 0; i < test_clock.n; i++) {
		if (test_clock.timers[i] == timer) {
			test_clock.timers[i] = test_clock.timers[--test_clock.n];
			return 1;
		}
	}
	return 0;
}

/* Move on; what is due fires in its order. */
static inline void clock_pass(uint64_t ns)
{
	uint64_t end = test_clock.now_ns + ns;

	for (;;) {
		struct sonde_timer *next = NULL;
		for (size_t i = 0; i < test_clock.n; i++) {
			struct sonde_timer *t = test_clock.timers[i];
			if (t->at_ns <= end && (!next || t->at_ns < next->at_ns))
				next = t;
		}
		if (!next)
			break;
		if (next->at_ns > test_clock.now_ns)
			test_clock.now_ns = next->at_ns;
		clock_stop(NULL, next);
		next->fire(next);
	}
	test_clock.now_ns = end;
}

struct layer_plugin {
	struct arena arena;
	struct plugin *plugin;
	struct sonde_args args;
	struct sonde_host host;
	struct sonde_space *space;
};

/* text: "delay,ms=2". Returns as space_from_layer; 0: layer_plugin_close. */
static inline int layer_plugin_try(struct layer_plugin *layer, struct sonde_space *below,
				   const char *text, int write, struct sonde_error *err)
{
	struct target_name name;
	char whole[1024];

	memset(layer, 0, sizeof(*layer));
	snprintf(whole, sizeof(whole), "ram:|%s", text);
	if (name_parse(&layer->arena, whole, &name, err) < 0)
		fail_msg("%s", err->text);
	assert_int_equal(name.n_parts, 2);
	host_init(&layer->host);
	layer->host.now_ns = clock_now;
	layer->host.timer_start = clock_start;
	layer->host.timer_stop = clock_stop;
	int r = plugin_find(name.parts[1].word, SONDE_PLUGIN_LAYER, &layer->plugin, err);
	if (r == 0)
		r = args_bind(&layer->arena, &layer->plugin->desc, &name.parts[1], write,
			      &layer->args, err);
	if (r == 0)
		r = space_from_layer(below->loop, &layer->plugin->layer, &layer->host, &layer->args,
				     below, &layer->space, err);
	if (r < 0) {
		plugin_unref(layer->plugin);
		arena_finish(&layer->arena);
	}
	return r;
}

static inline void layer_plugin_open(struct layer_plugin *layer, struct sonde_space *below,
				     const char *text, int write)
{
	struct sonde_error err = { 0 };

	test_clock.now_ns = 1000000000;
	test_clock.n = 0;
	if (layer_plugin_try(layer, below, text, write, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static inline void layer_plugin_close(struct layer_plugin *layer)
{
	sonde_space_close(layer->space);
	plugin_unref(layer->plugin);
	arena_finish(&layer->arena);
	assert_int_equal(test_clock.n, 0);
}

static inline void layer_plugin_refuses(struct sonde_space *below, const char *text, int code,
					const char *words)
{
	struct layer_plugin layer;
	struct sonde_error err = { 0 };
	int r = layer_plugin_try(&layer, below, text, 0, &err);

	if (r != code || !strstr(err.text, words))
		fail_msg("%s: got %d '%s', want %d '%s'", text, r, err.text, code, words);
}

struct stat_wanted {
	const char *name;
	uint64_t value;
	int found;
};

static int __attribute__((unused)) find_stat(void *user, const struct sonde_stat *stat)
{
	struct stat_wanted *wanted = user;

	if (strcmp(stat->name, wanted->name) != 0)
		return 0;
	wanted->value = stat->value;
	wanted->found = 1;
	return 1;
}

/* A figure of the layer; there must be one of that name. */
static inline uint64_t layer_stat(struct layer_plugin *layer, const char *name)
{
	struct stat_wanted wanted = { .name = name };

	space_layer_stats(layer->space, find_stat, &wanted);
	if (!wanted.found)
		fail_msg("no figure '%s'", name);
	return wanted.value;
}

#endif
