/* SPDX-License-Identifier: MIT */
/*
 * Telling the truth: raw text of /proc, that lab.py parses. It never forks, so the process list it tells is the
 * process list that a dump contains.
 */
#include "truth.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base.h"
#include "channel.h"
#include "zoo.h"

/* Symbols that the tests compare; sorted for bsearch at start. */
static const char *wanted_symbols[] = {
	"_text",
	"_stext",
	"_etext",
	"_sdata",
	"_edata",
	"__bss_start",
	"__bss_stop",
	"_end",
	"__init_begin",
	"__init_end",
	"__start_rodata",
	"__end_rodata",
	"__start_BTF",
	"__stop_BTF",
	"init_task",
	"init_pid_ns",
	"init_mm",
	"init_cred",
	"init_uts_ns",
	"init_user_ns",
	"init_nsproxy",
	"init_fs",
	"init_files",
	"init_css_set",
	"modules",
	"prb",
	"printk_rb_static",
	"swapper_pg_dir",
	"init_top_pgt",
	"level4_kernel_pgt",
	"linux_banner",
	"linux_proc_banner",
	"vmcoreinfo_data",
	"vmcoreinfo_note",
	"saved_command_line",
	"boot_command_line",
	"jiffies",
	"jiffies_64",
	"phys_base",
	"page_offset_base",
	"vmemmap_base",
	"vmalloc_base",
	"__pgtable_l5_enabled",
	"sys_call_table",
	"idt_table",
	"per_cpu__current_task",
	"current_task",
	"__per_cpu_offset",
	"nr_cpu_ids",
	"__cpu_online_mask",
	"runqueues",
	"timekeeper",
	"tk_core",
	"super_blocks",
	"file_systems",
	"inet_stream_ops",
	"tcp_hashinfo",
	"kallsyms_token_table",
	"kallsyms_names",
	"schedule",
	"do_exit",
	"vfs_read",
	"kmalloc_caches",
	"high_memory",
	"max_pfn",
	"mem_section",
	"start_kernel",
	"log_buf",
	"iomem_resource",
	"slab_caches",
	"find_module",
	"kernel_clone",
};
#define N_WANTED (sizeof(wanted_symbols) / sizeof(wanted_symbols[0]))

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct symbol_scan {
	unsigned long n_core;
	unsigned long n_total;
	unsigned n_of_module;
	char module[64];
};

/* "ADDRESS TYPE NAME[\t[MODULE]]": tell the wanted ones and two functions of each module. */
static void scan_symbol(struct symbol_scan *scan, char *line)
{
	char *name = strchr(line, ' ');
	char *module;
	bool tell;
	char type;

	if (!name || !name[1] || name[2] != ' ')
		return;
	type = name[1];
	name += 3;
	scan->n_total++;
	module = strchr(name, '\t');
	if (!module) {
		scan->n_core++;
		tell = bsearch(&name, wanted_symbols, N_WANTED, sizeof(char *), compare_names);
	} else {
		if (strcmp(scan->module, module + 1)) {
			snprintf(scan->module, sizeof(scan->module), "%s", module + 1);
			scan->n_of_module = 0;
		}
		tell = (type == 't' || type == 'T') && scan->n_of_module++ < 2;
	}
	if (tell)
		record("sym", 0, line, strlen(line));
}

static void tell_symbols(void)
{
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	struct symbol_scan scan = { 0 };
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return;
	while ((n = read(fd, scratch + have, SCRATCH_MAX - 1 - have)) > 0) {
		char *line = scratch, *end;

		have += (size_t)n;
		scratch[have] = '\0';
		while ((end = memchr(line, '\n', have - (size_t)(line - scratch)))) {
			*end = '\0';
			scan_symbol(&scan, line);
			line = end + 1;
		}
		have -= (size_t)(line - scratch);
		memmove(scratch, line, have);
	}
	close(fd);
	emitf("symcount 0 %d\n%20lu %20lu\n", 41, scan.n_core, scan.n_total);
}

static void tell_kmsg(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned budget = 200000;
	ssize_t n;

	if (fd < 0)
		return;
	while (budget--) {
		n = read(fd, scratch, SCRATCH_MAX);
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* EPIPE: overwritten meanwhile, the next read goes on */
		if (n <= 0)
			break;
		record("kmsg", 0, scratch, (size_t)n);
	}
	close(fd);
}

/* Flags of a task, field 9 of stat; the name before it may hold any character. */
static unsigned long stat_flags(const char *text, char *ret_state, long *ret_ppid,
				unsigned long long *ret_start)
{
	const char *p = strrchr(text, ')');
	unsigned long flags = 0;

	*ret_state = '?';
	*ret_ppid = 0;
	*ret_start = 0;
	if (p)
		sscanf(p + 1,
		       " %c %ld %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		       "%*d %llu",
		       ret_state, ret_ppid, &flags, ret_start);
	return flags;
}

#define PF_KTHREAD 0x00200000ul /* linux include/linux/sched.h */

/* Names in a directory that are numbers, in the order the directory gives them. */
static long next_number(DIR *dir)
{
	struct dirent *ent;

	while ((ent = readdir(dir)))
		if (isdigit((unsigned char)ent->d_name[0]))
			return strtol(ent->d_name, NULL, 10);
	return -1;
}

static void tell_tasks(long pid)
{
	char path[80];
	DIR *dir;
	long tid;

	snprintf(path, sizeof(path), "/proc/%ld/task", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((tid = next_number(dir)) >= 0) {
		snprintf(path, sizeof(path), "/proc/%ld/task/%ld/stat", pid, tid);
		record_file("task", pid, path);
	}
	closedir(dir);
}

static void tell_fds(long pid)
{
	char path[80];
	DIR *dir;
	long fd;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((fd = next_number(dir)) >= 0) {
		ssize_t n;
		int at = snprintf(scratch, 32, "%ld ", fd);

		snprintf(path, sizeof(path), "/proc/%ld/fd/%ld", pid, fd);
		n = readlink(path, scratch + at, SCRATCH_MAX - 32);
		if (n >= 0)
			record("fd", pid, scratch, (size_t)at + (size_t)n);
	}
	closedir(dir);
}

static void tell_process(long pid)
{
	static const char *const links[] = { "exe", "cwd", "root", "ns/pid", "ns/mnt", "ns/user" };
	unsigned long long start;
	unsigned long flags;
	char path[80];
	char state;
	long ppid;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (read_file(path, scratch, SCRATCH_MAX) <= 0)
		return;
	flags = stat_flags(scratch, &state, &ppid, &start);
	record("stat", pid, scratch, strlen(scratch));
	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	record_file("status", pid, path);
	if (flags & PF_KTHREAD) {
		snprintf(path, sizeof(path), "/proc/%ld/sched", pid);
		record_file("sched", pid, path);
		return;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%ld/%s", pid, links[i]);
		record_link(links[i], pid, path);
	}
	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	record_file("cmdline", pid, path);
	snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
	record_file("maps", pid, path);
	tell_tasks(pid);
	tell_fds(pid);
}

static long status_field(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtol(p + strlen(key), NULL, 10) : -1;
}

/* One line per process: pid tgid ppid uid gid state kthread start_ticks name. */
static void tell_process_short(long pid)
{
	unsigned long long start;
	unsigned long flags;
	char path[80];
	char state;
	char name[64] = "";
	char *open_paren, *close_paren;
	long ppid, tgid, uid, gid;
	int n;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (read_file(path, scratch, PAGE) <= 0)
		return;
	flags = stat_flags(scratch, &state, &ppid, &start);
	open_paren = strchr(scratch, '(');
	close_paren = strrchr(scratch, ')');
	if (open_paren && close_paren && close_paren > open_paren)
		snprintf(name, sizeof(name), "%.*s", (int)(close_paren - open_paren - 1),
			 open_paren + 1);
	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	if (read_file(path, scratch, PAGE) <= 0)
		return;
	tgid = status_field(scratch, "\nTgid:\t");
	uid = status_field(scratch, "\nUid:\t");
	gid = status_field(scratch, "\nGid:\t");
	n = snprintf(scratch, PAGE, "%ld %ld %ld %ld %ld %c %d %llu %s", pid, tgid, ppid, uid, gid,
		     state, flags & PF_KTHREAD ? 1 : 0, start, name);
	record("short", pid, scratch, (size_t)n);
	if (flags & PF_KTHREAD) {
		snprintf(path, sizeof(path), "/proc/%ld/sched", pid);
		record_file("sched", pid, path);
	}
}

void tell_processes(bool brief)
{
	DIR *dir = opendir("/proc");
	long pid;

	if (!dir)
		return;
	while ((pid = next_number(dir)) >= 0) {
		if (brief)
			tell_process_short(pid);
		else
			tell_process(pid);
	}
	closedir(dir);
}

/* Page frame numbers of the pattern process (Documentation/admin-guide/mm/pagemap.rst). */
static void tell_areas(void)
{
	char path[64];
	pid_t pid = 0;
	int fd;

	for (unsigned i = 0; i < n_roles; i++)
		if (!strcmp(roles[i].name, "pattern"))
			pid = roles[i].pid;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	for (unsigned i = 0; i < board->n_areas; i++) {
		const struct area *a = &board->areas[i];
		char head[96];
		uint64_t entry;
		int n;

		for (uint64_t off = 0; off<a->len; off += a->len> 16 * PAGE ? HUGE_PAGE : PAGE) {
			if (pread(fd, &entry, sizeof(entry), (off_t)((a->va + off) / PAGE * 8)) !=
			    8)
				break;
			n = snprintf(head, sizeof(head), "%016llx %016llx %s",
				     (unsigned long long)(a->va + off), (unsigned long long)entry,
				     a->kind);
			record("page", pid, head, (size_t)n);
		}
	}
	close(fd);
}

void tell_system(bool brief)
{
	static const struct {
		const char *tag, *path;
	} files[] = {
		{ "release", "/proc/sys/kernel/osrelease" },
		{ "version", "/proc/version" },
		{ "kcmdline", "/proc/cmdline" },
		{ "boot_id", "/proc/sys/kernel/random/boot_id" },
		{ "hostname", "/proc/sys/kernel/hostname" },
		{ "uptime", "/proc/uptime" },
		{ "kstat", "/proc/stat" },
		{ "meminfo", "/proc/meminfo" },
		{ "modules", "/proc/modules" },
		{ "mounts", "/proc/self/mountinfo" },
		{ "iomem", "/proc/iomem" },
		{ "vmcoreinfo", "/sys/kernel/vmcoreinfo" },
		{ "tcp", "/proc/net/tcp" },
		{ "tcp6", "/proc/net/tcp6" },
		{ "udp", "/proc/net/udp" },
		{ "udp6", "/proc/net/udp6" },
		{ "unix", "/proc/net/unix" },
	};
	struct utsname uts;

	uname(&uts);
	record("machine", 0, uts.machine, strlen(uts.machine));
	emitf("pagesize 0 20\n%20ld\n", sysconf(_SC_PAGESIZE));
	emitf("hz 0 20\n%20ld\n", sysconf(_SC_CLK_TCK));
	emitf("cpus 0 20\n%20ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		record_file(files[i].tag, 0, files[i].path);
	for (unsigned i = 0; i < n_roles; i++)
		record("role", roles[i].pid, roles[i].name, strlen(roles[i].name));
	tell_areas();
	tell_kmsg();
	if (!brief)
		tell_symbols();
}

void truth_init(void)
{
	qsort(wanted_symbols, N_WANTED, sizeof(char *), compare_names);
}
