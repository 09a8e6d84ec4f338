/* SPDX-License-Identifier: MIT */
/*
 * Inside GLib's main loop: a GSource over the loop's descriptor, whose dispatch is one turn. GLib's
 * timeouts and Sonde's tasks run in turns on one thread.
 */
#include <sonde/sonde.h>

#include <glib.h>
#include <stdio.h>

struct sonde_source {
	GSource source; /* first: GLib knows it as this */
	struct sonde_loop *loop;
};

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user)
{
	(void)callback, (void)user;
	sonde_loop_turn(((struct sonde_source *)source)->loop);
	return G_SOURCE_CONTINUE;
}

/* GLib polls the descriptor itself, and dispatches when it is readable. */
static GSource *sonde_source_new(struct sonde_loop *loop)
{
	static GSourceFuncs functions = { .dispatch = dispatch };
	GSource *source = g_source_new(&functions, sizeof(struct sonde_source));

	((struct sonde_source *)source)->loop = loop;
	g_source_add_unix_fd(source, sonde_loop_fd(loop), G_IO_IN);
	return source;
}

static GMainLoop *main_loop;
static struct sonde_loop *loop;
static int n_ticks, n_naps;

static gboolean tick(gpointer user)
{
	(void)user;
	n_ticks++;
	return G_SOURCE_CONTINUE;
}

/* Waits in Sonde's loop for what GLib's does meanwhile. */
static int naps(struct sonde_task *task, void *arg)
{
	(void)arg;
	while (n_naps < 5 || n_ticks < 5) {
		if (sonde_task_sleep(task, 2000000) < 0)
			return 1;
		n_naps++;
	}
	g_main_loop_quit(main_loop);
	return 0;
}

static gboolean too_late(gpointer user)
{
	(void)user;
	g_main_loop_quit(main_loop);
	return G_SOURCE_REMOVE;
}

int main(void)
{
	struct sonde_task *task;

	if (sonde_loop_create(NULL, &loop, NULL) < 0 || sonde_loop_fd(loop) < 0 ||
	    sonde_task_spawn(loop, naps, NULL, &task) < 0)
		return 1;
	main_loop = g_main_loop_new(NULL, FALSE);
	GSource *source = sonde_source_new(loop);
	g_source_attach(source, NULL);
	g_timeout_add(1, tick, NULL);
	g_timeout_add_seconds(60, too_late, NULL);
	g_main_loop_run(main_loop);
	g_source_destroy(source);
	g_source_unref(source);
	g_main_loop_unref(main_loop);
	sonde_task_cancel(task);
	int failed = sonde_task_join(NULL, task);
	printf("GLib ticked, the task took its naps: %s\n", failed ? "no" : "yes");
	sonde_loop_destroy(loop);
	return failed != 0;
}
