/* SPDX-License-Identifier: MIT */
/*
 * What /proc says, as text: files read whole (proc_linux.c), and their words taken apart (proc_text.c). The kernel
 * writes them, but names are anybody's, and a folder given instead of /proc may hold anything.
 *
 * Source: linux v6.12 Documentation/filesystems/proc.rst, fs/proc/array.c, kernel/module/procfs.c.
 */
#ifndef SONDE_NATIVE_PROC_H
#define SONDE_NATIVE_PROC_H

#include <stddef.h>
#include <stdint.h>

/* A file's contents, terminated. All zero is empty; the next file takes the room of the one before. */
struct proc_text {
	char *text;
	size_t len, room;
};

/*
 * Read a file below the folder at, at most most bytes of it.
 * Returns 0; SONDE_E_GONE (no such file or process), _NO_ACCESS, _LIMIT (it is longer), _NO_MEMORY, _IO.
 */
int proc_read(int at, const char *name, size_t most, struct proc_text *text);
void proc_text_finish(struct proc_text *text);
/* Open a folder below another. Returns a descriptor; SONDE_E_GONE, _NO_ACCESS, _IO. */
int proc_open_folder(int at, const char *name);
/* The numbers that a folder has entries of, rising. Returns 0 and *ret_numbers, to free; as proc_open_folder, _NO_MEMORY. */
int proc_numbers(int at, const char *name, int32_t **ret_numbers, size_t *ret_n);
/* Of an errno: SONDE_E_GONE, _NO_ACCESS, _NO_MEMORY or _IO. */
int proc_code(int os_code);

#define PROC_NAME_MAX 64u

/* /proc/PID/stat */
struct proc_stat {
	int32_t pid, ppid;
	char state;
	char name[PROC_NAME_MAX + 1];
	uint64_t flags; /* PF_ of include/linux/sched.h    */
	uint64_t n_threads;
	uint64_t start_ticks; /* after boot              */
	uint64_t vsize;       /* bytes                   */
	uint64_t rss_pages;
};
#define PROC_KTHREAD UINT64_C(0x00200000) /* PF_KTHREAD */

/* Returns 1; 0: it is no such text. */
int proc_parse_stat(const char *text, struct proc_stat *ret);

/* n numbers of a line "key:<TAB>1 2 3" of /proc/PID/status. Returns 1; 0: it has no such line. */
int proc_parse_status(const char *text, const char *key, uint64_t *ret, size_t n);

/* A line of /proc/modules. */
struct proc_module {
	const char *name, *state;  /* "live" "coming" "going"; in the line */
	uint64_t size, refs, base; /* base 0: kept from us                */
};
/* The line, without its newline, is changed in place. Returns 1, 0. */
int proc_parse_module(char *line, struct proc_module *ret);

/* The next line of a text that is changed in place; *at moves behind it. NULL at the end. */
char *proc_next_line(char **at);

#endif
