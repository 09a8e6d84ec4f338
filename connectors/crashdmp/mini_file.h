/* SPDX-License-Identifier: MIT */
/*
 * A minidump: what Windows (MiniDumpWriteDump), its debuggers, Wine and Breakpad write of one process. A directory of
 * streams; those that are not known here are passed over.
 *
 * Source: Microsoft, minidumpapiset.h as published (MINIDUMP_HEADER, _DIRECTORY, _THREAD, _MODULE, _MEMORY_DESCRIPTOR, _MEMORY_INFO,
 * _SYSTEM_INFO, _MISC_INFO, _EXCEPTION_STREAM); numbers have their low byte first, and nothing is aligned.
 */
#ifndef MINI_FILE_H
#define MINI_FILE_H

#include "../common/full_cpu.h"
#include "../common/note_lines.h"
#include "../common/utf16.h"
#include "dump.h"

#include <sonde/target.h>

#define MINI_MAGIC "MDMP"
/* Against hostile files. */
#define MINI_STREAMS_MAX 4096u
#define MINI_THREADS_MAX 65536u
#define MINI_MODULES_MAX 65536u
#define MINI_INFOS_MAX (1u << 20)
#define MINI_CONTEXT_MAX 4096u /* bytes of a CONTEXT that are looked at */
#define MINI_NAME_MAX 1024u    /* characters                            */

struct mini_thread {
	uint32_t tid;
	uint32_t context_size; /* 0: none */
	uint64_t context_off;
};

/* Entries of a list, of which count are in the file. */
struct mini_list {
	uint64_t off;
	uint32_t count, size; /* of an entry */
};

struct mini_file {
	struct dump dump;
	uint32_t n_streams, time; /* time: Unix */
	uint32_t seen;            /* kinds of streams: of each the first one counts */
	uint64_t flags;           /* MINIDUMP_TYPE */
	uint32_t major, minor, build, n_cpus;
	uint32_t pid, created;                  /* 0: not told */
	uint32_t exception_code, exception_tid; /* code 0: none */
	uint64_t exception_address;
	struct mini_thread *threads; /* [n_threads] */
	uint32_t n_threads;
	struct mini_list modules, infos; /* infos: what is mapped */
};

int mini_probe(const uint8_t *head, size_t len);

/*
 * Read the directory and the lists of a file of file_size bytes.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _CORRUPT, _TRUNCATED (the header), _LIMIT, _NO_MEMORY: ret->dump.why says what is wrong.
 * Owns      *ret: mini_file_finish, also after an error.
 */
int mini_file_read(struct mini_file *ret, dump_read_fn *read, void *user, uint64_t file_size);
void mini_file_finish(struct mini_file *mini);

/* Registers of a thread as those of a processor. Returns 0; SONDE_E_NOT_FOUND, _NOT_SAVED. */
int mini_cpu(struct mini_file *mini, uint32_t index, struct full_cpu *ret);

/* SONDE_NOTE_FACTS, SONDE_NOTE_PROCESS. Each returns 0, SONDE_E_NO_MEMORY. Owns *ret: note_lines_finish, also after an error. */
int mini_facts(const struct mini_file *mini, struct note_lines *ret);
int mini_process(struct mini_file *mini, struct note_lines *ret);

#endif
