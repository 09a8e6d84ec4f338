/* SPDX-License-Identifier: MIT */
/* GLib's main loop, on a context of its own. */
#include "foreign.h"

#include <glib-unix.h>
#include <stdbool.h>
#include <stdlib.h>

struct by_glib {
	struct watched *watched;
	GMainContext *context;
	GMainLoop *loop;
};

static gboolean is_ready(gint fd, GIOCondition condition, gpointer user)
{
	struct by_glib *by = user;

	(void)fd, (void)condition;
	by->watched->ready(by->watched);
	return G_SOURCE_CONTINUE;
}

static gboolean ticks(gpointer user)
{
	struct by_glib *by = user;

	by->watched->tick(by->watched);
	return G_SOURCE_CONTINUE;
}

static gboolean is_over(gpointer user)
{
	g_main_loop_quit(((struct by_glib *)user)->loop);
	return G_SOURCE_CONTINUE;
}

static GSource *add(struct by_glib *by, GSource *source, GSourceFunc fn)
{
	g_source_set_callback(source, fn, by, NULL);
	g_source_attach(source, by->context);
	g_source_unref(source); /* the context's now */
	return source;
}

static void *open_glib(struct watched *watched)
{
	struct by_glib *by = calloc(1, sizeof(*by));

	if (!by)
		return NULL;
	by->watched = watched;
	by->context = g_main_context_new();
	by->loop = g_main_loop_new(by->context, FALSE);
	add(by, g_unix_fd_source_new(watched->fd, G_IO_IN), G_SOURCE_FUNC(is_ready));
	if (watched->tick)
		add(by, g_timeout_source_new(1), ticks);
	return by;
}

static void run_glib(void *state, unsigned limit_ms)
{
	struct by_glib *by = state;
	GSource *limit = add(by, g_timeout_source_new(limit_ms), is_over);

	g_main_loop_run(by->loop);
	g_source_destroy(limit);
}

static void quit_glib(void *state)
{
	is_over(state);
}

static void close_glib(void *state)
{
	struct by_glib *by = state;

	g_main_loop_unref(by->loop);
	g_main_context_unref(by->context);
	free(by);
}

const struct foreign foreign_glib = { "GLib", open_glib, run_glib, quit_glib, close_glib };
