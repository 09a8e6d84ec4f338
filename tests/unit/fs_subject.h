/* SPDX-License-Identifier: MIT */
/*
 * File systems to test, each fresh for each test: subject_setup and subject_teardown of cmocka,
 * with all tests once for each kind.
 */
#ifndef UNIT_FS_SUBJECT_H
#define UNIT_FS_SUBJECT_H

#include <cmocka.h>
#include <ftw.h>
#include <sonde/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs_diod.h"
#include "fs_served.h"

struct subject_kind {
	const char *name;
	uint32_t engine;
	int in_memory;
	enum { NOT_SERVED, SERVED, BY_DIOD } served; /* ... and this is the client */
};

static const struct subject_kind subject_kinds[] = {
	{ "sync", SONDE_ENGINE_SYNC },
	{ "threads", SONDE_ENGINE_THREADS },
	{ "epoll", SONDE_ENGINE_EPOLL },
	{ "direct", SONDE_ENGINE_DIRECT },
	{ "memory", SONDE_ENGINE_SYNC, 1 },
	{ "uring", SONDE_ENGINE_URING },
	{ "auto", SONDE_ENGINE_AUTO },
	{ "remote native", SONDE_ENGINE_EPOLL, 0, SERVED },
	{ "remote memory", SONDE_ENGINE_AUTO, 1, SERVED },
	{ "remote diod", SONDE_ENGINE_AUTO, 0, BY_DIOD },
};

struct subject {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	char folder[32]; /* "": it has none */
	struct served served;
	struct diod diod;
};

/* The kind whose turn it is. */
static const struct subject_kind *subject_kind;

static inline struct sonde_fs *subject_fs(void **state)
{
	return ((struct subject *)*state)->fs;
}

/* diod asks for the path again of what is open, and it may lead elsewhere by then. */
static inline int subject_goes_by_paths(void)
{
	return subject_kind->served == BY_DIOD;
}

static inline int subject_loop(uint32_t engine, struct sonde_loop **ret)
{
	struct sonde_loop_options options = { .size = sizeof(options), .engine = engine };

	return sonde_loop_create(&options, ret, NULL);
}

static inline int subject_serve(struct subject *subject)
{
	subject->served.folder = *subject->folder ? subject->folder : NULL;
	subject->served.flags = SONDE_FS_SERVER_WRITES;
	if (served_start(&subject->served) < 0)
		return -1;
	return sonde_fs_remote(NULL, subject->loop, subject->served.address, NULL, &subject->fs,
			       NULL);
}

static inline int subject_setup(void **state)
{
	struct subject *subject = calloc(1, sizeof(*subject));

	if (!subject || subject_loop(subject_kind->engine, &subject->loop) < 0)
		return -1;
	*state = subject;
	if (!subject_kind->in_memory) {
		strcpy(subject->folder, "/tmp/sonde-fs-XXXXXX");
		if (!mkdtemp(subject->folder))
			return -1;
	}
	if (subject_kind->served == BY_DIOD)
		return diod_start(&subject->diod, subject->folder) ||
		       diod_open(&subject->diod, subject->loop, subject->folder, &subject->fs);
	if (subject_kind->served)
		return subject_serve(subject);
	if (subject_kind->in_memory)
		return sonde_fs_memory(subject->loop, NULL, &subject->fs);
	return sonde_fs_native(subject->loop, subject->folder, 0, &subject->fs, NULL);
}

static inline int subject_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* By what is not under test. */
static inline int subject_remove_folder(const char *folder)
{
	return nftw(folder, subject_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int subject_teardown(void **state)
{
	struct subject *subject = *state;

	sonde_fs_destroy(subject->fs);
	sonde_loop_destroy(subject->loop);
	diod_stop(&subject->diod);
	if (subject_kind->served == SERVED)
		served_stop(&subject->served);
	int r = *subject->folder ? subject_remove_folder(subject->folder) : 0;
	free(subject);
	return r;
}

/* A kernel without rings, or a sandbox: said, and passed over. */
static inline int subject_is_there(const struct subject_kind *kind)
{
	struct sonde_loop *loop = NULL;
	int there = subject_loop(kind->engine, &loop) == 0 &&
		    (kind->served != BY_DIOD || diod_is_there());

	sonde_loop_destroy(loop);
	if (!there)
		printf("no %s here: passed over\n", kind->name);
	return there;
}

enum subjects { SUBJECTS_ALL, SUBJECTS_NATIVE };

/* Returns how many tests failed. */
static inline int subject_run_all(const struct CMUnitTest *tests, size_t n, enum subjects which)
{
	int failed = 0;

	umask(022);
	for (size_t i = 0; i < sizeof(subject_kinds) / sizeof(subject_kinds[0]); i++) {
		subject_kind = &subject_kinds[i];
		if (which == SUBJECTS_NATIVE && (subject_kind->in_memory || subject_kind->served))
			continue;
		if (subject_is_there(subject_kind))
			failed += _cmocka_run_group_tests(subject_kind->name, tests, n, NULL, NULL);
	}
	return failed;
}

#endif
