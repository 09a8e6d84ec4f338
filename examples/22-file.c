/* SPDX-License-Identifier: MIT */
/*
 * A file through three doors: open it, read it to its end, print it. The same request blocks, parks
 * a task, or calls back; on any engine, and on any file system.
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <stdlib.h>

static int print(struct sonde_file_load *load, const char *door)
{
	printf("%s: %zu bytes: %s", door, load->len, load->bytes ? load->bytes : "none\n");
	free(load->bytes);
	return load->result;
}

/* Plain code: the loop is pumped until all of it is there. */
static int blocking(struct sonde_fs *fs, const char *path)
{
	struct sonde_file_load load = { .fs = fs, .dir = SONDE_FS_ROOT, .path = path };

	sonde_file_load(NULL, &load);
	return print(&load, "blocking");
}

struct job {
	struct sonde_fs *fs;
	const char *path;
};

/* A task: it waits, and others run. */
static int in_a_task(struct sonde_task *task, void *arg)
{
	struct job *job = arg;
	struct sonde_file_load load = { .fs = job->fs, .dir = SONDE_FS_ROOT, .path = job->path };

	sonde_file_load(task, &load);
	return print(&load, "task");
}

/* A callback: whoever submitted has gone on long since. */
static void loaded(struct sonde_file_load *load)
{
	*(int *)load->user = print(load, "callback");
}

static int run(struct sonde_loop *loop, struct sonde_fs *fs, const char *path)
{
	struct job job = { fs, path };
	struct sonde_task *task;
	int called = 1, r = blocking(fs, path);
	struct sonde_file_load load = {
		.fs = fs, .dir = SONDE_FS_ROOT, .path = path, .done = loaded, .user = &called
	};

	if (r == 0)
		r = sonde_task_spawn(loop, in_a_task, &job, &task);
	if (r == 0)
		r = sonde_task_join(NULL, task);
	if (r == 0)
		r = sonde_file_load_submit(&load);
	sonde_loop_run(loop);
	return r ? r : called;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/proc/sys/kernel/ostype";
	struct sonde_error err = { 0 };
	struct sonde_loop *loop = NULL;
	struct sonde_fs *fs = NULL;
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_fs_native(loop, ".", 0, &fs, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else if ((failed = run(loop, fs, path)))
		fprintf(stderr, "%s: %s\n", path, sonde_strerror(failed));
	sonde_fs_destroy(fs);
	sonde_loop_destroy(loop);
	return failed != 0;
}
