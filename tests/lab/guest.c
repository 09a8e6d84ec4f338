/* SPDX-License-Identifier: MIT */
/*
 * guest.c - the first process of the lab's guest.
 *
 * Owns: mounting, module loading, the zoo of processes that the tests look for, and the command
 * channel on a serial line over which the guest tells its own truth out of /proc. It never forks to
 * gather that truth, so the process list it tells is the process list that a dump contains.
 * Does not interpret: it ships raw /proc text, lab.py parses it. The protocol and the zoo are
 * described in README.md. The same binary serves as /bin/labproc, the zoo's exec'ed program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 32768u
#define SCRATCH_MAX (1u << 20)
#define MAX_ROLES 64
#define MAX_AREAS 8
#define PAGE 4096u
#define HUGE_PAGE (2u << 20)
#define PATTERN_MAGIC UINT64_C(0x534f4e44452d4c41)
#define SHEET_WORDS UINT64_C(0x5348454554000000)

/* One stretch of memory with known content, told to init through a shared page. */
struct area {
	uint64_t va;
	uint64_t len; /* bytes, a multiple of PAGE */
	char kind[16];
};

/* Shared between init and the zoo: counters and the pattern process's report. */
struct board {
	unsigned n_spawned; /* atomic; extra processes that are about to rest */
	unsigned n_areas;
	struct area areas[MAX_AREAS];
};

struct role {
	char name[24];
	pid_t pid; /* 0: the role could not be set up */
};

/* The command channel: replies are cut into frames, each with its length and CRC-32. */
static struct {
	int fd;
	char id[24];
	unsigned seq;
	size_t len;
	unsigned char *buf; /* [FRAME_MAX] */
} chan = { .fd = -1 };

static struct role roles[MAX_ROLES];
static unsigned n_roles;
static struct board *board;
static char *scratch; /* [SCRATCH_MAX] */
static int kmsg_fd = -1;
static int ready_fd = -1;
static uint32_t crc_table[256];
static unsigned spawn_serial;

/* ---- small helpers ---------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void klog(const char *fmt, ...)
{
	char text[400], line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line), "<4>lab: %s\n", text);
	if (kmsg_fd >= 0 && write(kmsg_fd, line, (size_t)n) < 0)
		return;
}

static bool write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok;

	if (fd < 0)
		return false;
	ok = write_all(fd, text, strlen(text));
	close(fd);
	return ok;
}

/* Read a whole file into @buf, NUL-terminated; -1 when it cannot be opened. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t got = 0;

	if (fd < 0)
		return -1;
	while (got < size - 1) {
		ssize_t n = read(fd, buf + got, size - 1 - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	buf[got] = '\0';
	return (ssize_t)got;
}

static bool copy_file(const char *from, const char *to, mode_t mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	bool ok = in >= 0 && out >= 0;
	char buf[4096];
	ssize_t n;

	while (ok && (n = read(in, buf, sizeof(buf))) != 0)
		ok = n > 0 && write_all(out, buf, (size_t)n);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return ok;
}

static void *map_anon(size_t len, int flags)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void nap_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* ---- the channel ------------------------------------------------------------------------ */

/* CRC-32 with the reflected polynomial of IEEE 802.3, as in zlib's crc32(). */
static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? UINT32_C(0xedb88320) ^ (c >> 1) : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t crc32_of(const unsigned char *p, size_t len)
{
	uint32_t c = UINT32_MAX;

	while (len--)
		c = crc_table[(c ^ *p++) & 0xff] ^ (c >> 8);
	return ~c;
}

static void chan_flush(void)
{
	char head[80];
	int n;

	if (!chan.len)
		return;
	n = snprintf(head, sizeof(head), "\n@@LAB %s %u %zu %08x\n", chan.id, chan.seq++, chan.len,
		     crc32_of(chan.buf, chan.len));
	write_all(chan.fd, head, (size_t)n);
	write_all(chan.fd, chan.buf, chan.len);
	chan.len = 0;
}

static void emit(const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len) {
		size_t n = FRAME_MAX - chan.len;

		if (n > len)
			n = len;
		memcpy(chan.buf + chan.len, p, n);
		chan.len += n;
		p += n;
		len -= n;
		if (chan.len == FRAME_MAX)
			chan_flush();
	}
}

__attribute__((format(printf, 1, 2))) static void emitf(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		emit(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* A reply ends with a frame of length zero. */
static void chan_end(void)
{
	char head[64];
	int n;

	chan_flush();
	n = snprintf(head, sizeof(head), "\n@@LAB %s %u 0 00000000\n", chan.id, chan.seq);
	write_all(chan.fd, head, (size_t)n);
}

/* One record of the truth: "TAG NUMBER LENGTH\n", the bytes, "\n". */
static void record(const char *tag, long num, const void *data, size_t len)
{
	emitf("%s %ld %zu\n", tag, num, len);
	emit(data, len);
	emit("\n", 1);
}

static void record_file(const char *tag, long num, const char *path)
{
	ssize_t n = read_file(path, scratch, SCRATCH_MAX);

	if (n == SCRATCH_MAX - 1)
		record("truncated", num, path, strlen(path));
	if (n >= 0)
		record(tag, num, scratch, (size_t)n);
}

static void record_link(const char *tag, long num, const char *path)
{
	ssize_t n = readlink(path, scratch, SCRATCH_MAX);

	if (n >= 0)
		record(tag, num, scratch, (size_t)n);
}

/* ---- telling the truth ------------------------------------------------------------------ */

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

static void tell_processes(bool brief)
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

static void tell_system(bool brief)
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

/* ---- the zoo ---------------------------------------------------------------------------- */

/* Wait for ever, quietly: this is what every member of the zoo ends in. */
__attribute__((noreturn)) static void rest(void)
{
	for (;;)
		pause();
}

static void ready(void)
{
	if (ready_fd >= 0 && write(ready_fd, "r", 1) == 1) {
		close(ready_fd);
		ready_fd = -1;
	}
}

__attribute__((noreturn)) static void failed(const char *what)
{
	klog("zoo: %s: %s", what, strerror(errno));
	if (ready_fd >= 0 && write(ready_fd, "x", 1) != 1)
		_exit(112);
	_exit(111);
}

static void set_name(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

static void detach_child(void)
{
	int null = open("/dev/null", O_RDWR);

	if (chan.fd >= 0)
		close(chan.fd);
	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
}

/* Wait for a child's word: 'r' or end of file (it has exec'ed) is good. */
static bool await_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = 'r';

	if (poll(&p, 1, 10000) <= 0)
		return false;
	return read(fd, &c, 1) >= 0 && c == 'r';
}

static void zoo_add(const char *role, void (*body)(void))
{
	struct role *r;
	int p[2];

	if (n_roles == MAX_ROLES || pipe2(p, O_CLOEXEC))
		return;
	r = &roles[n_roles++];
	snprintf(r->name, sizeof(r->name), "%s", role);
	r->pid = fork();
	if (r->pid == 0) {
		ready_fd = p[1];
		close(p[0]);
		detach_child();
		set_name(role);
		body();
		failed(role);
	}
	close(p[1]);
	if (r->pid > 0 && !await_ready(p[0])) {
		klog("zoo: %s did not come up", role);
		r->pid = 0;
	}
	close(p[0]);
}

#define LABPROC "/bin/labproc"

static char *const plain_env[] = { "PATH=/bin", "HOME=/", NULL };

/* Exec a role of our own program; the ready pipe stays open across and is named in the environment.
 */
__attribute__((noreturn)) static void exec_role(const char *path, char *const argv[])
{
	char word[32];
	char *const env[] = { "PATH=/bin", word, NULL };

	snprintf(word, sizeof(word), "LAB_READY=%d", ready_fd);
	fcntl(ready_fd, F_SETFD, 0);
	execve(path, argv, env);
	failed(path);
}

static void exec_simple_role(const char *path, const char *role)
{
	char *const argv[] = { (char *)path, "--role", (char *)role, NULL };

	exec_role(path, argv);
}

static void zoo_sleep(void)
{
	char *const argv[] = { "sleep", "100000", NULL };

	execve("/bin/sleep", argv, plain_env);
}

static void zoo_shell(void)
{
	char *const argv[] = { "-sh", NULL };
	int p[2];

	if (pipe(p))
		return;
	dup2(p[0], 0); /* the write end stays open in the shell itself, so it blocks for ever */
	execve("/bin/sh", argv, plain_env);
}

static void zoo_script(void)
{
	char *const argv[] = { "/srv/tick.sh", "once", NULL };

	mkfifo("/srv/tick.fifo", 0600);
	write_file("/srv/tick.sh", "#!/bin/sh\nread line <>/srv/tick.fifo\n");
	chmod("/srv/tick.sh", 0755);
	execve("/srv/tick.sh", argv, plain_env);
}

static void drop_to(uid_t uid, gid_t gid)
{
	if (setgroups(1, &gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		failed("drop_to");
}

static void zoo_httpd(void)
{
	char *const argv[] = { "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/srv/www", NULL };

	mkdir("/srv/www", 0755);
	drop_to(33, 33);
	execve("/bin/httpd", argv, plain_env);
}

static void zoo_nc(void)
{
	char *const argv[] = { "nc", "-l", "-p", "9000", NULL };

	drop_to(65534, 65534);
	execve("/bin/nc", argv, plain_env);
}

static void zoo_uids(void)
{
	gid_t groups[] = { 4, 24, 2001 };

	if (setgroups(3, groups) || setresgid(2000, 2001, 2002) || setresuid(1000, 1001, 1002))
		return;
	ready();
	rest();
}

static void zoo_oddname(void)
{
	set_name("a b) (c\n\t%\\\"'x");
	ready();
	rest();
}

static void zoo_utf8name(void)
{
	set_name("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"); /* cut in a
											 letter */
	ready();
	rest();
}

static void zoo_longargs(void)
{
	static char a[6001], b[9001];
	char *const argv[] = { LABPROC, "--role", "longargs", a, b, "end", NULL };

	memset(a, 'A', sizeof(a) - 1);
	for (size_t i = 0; i < sizeof(b) - 1; i++)
		b[i] = (char)('a' + i % 26);
	exec_role(LABPROC, argv);
}

static void zoo_args(void)
{
	char *const argv[] = { LABPROC,        "--role",     "args", "",
			       "line1\nline2", "tab\there",  "",     "\xc3\xbcn\xc3\xaf",
			       "\xff\xfe",     "quote\"'\\", "",     NULL };

	exec_role(LABPROC, argv);
}

static void zoo_retitle(void)
{
	char *const argv[] = { LABPROC, "--role", "retitle", "this-will-be", "overwritten", NULL };

	exec_role(LABPROC, argv);
}

static void zoo_proctitle(void)
{
	char *const argv[] = { LABPROC, "--role", "proctitle", NULL };

	exec_role(LABPROC, argv);
}

static void zoo_threads(void)
{
	exec_simple_role(LABPROC, "threads");
}

static void zoo_deadleader(void)
{
	exec_simple_role(LABPROC, "deadleader");
}

static void zoo_zombie(void)
{
	ready();
	_exit(3);
}

static void zoo_stopped(void)
{
	ready();
	raise(SIGSTOP);
	rest();
}

static void zoo_traced(void)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		return;
	ready();
	raise(SIGSTOP);
	rest();
}

static void zoo_deleted_exe(void)
{
	if (!copy_file(LABPROC, "/tmp/gone", 0755))
		return;
	exec_simple_role("/tmp/gone", "deleted-exe");
}

static void zoo_memfd_exe(void)
{
	char *const argv[] = { "from-memfd", "--role", "rest", NULL };
	int fd = memfd_create("lab-program", 0);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || !copy_file(LABPROC, path, 0755))
		return;
	exec_role(path, argv);
}

static void touch(volatile char *p, size_t len)
{
	for (size_t off = 0; off < len; off += PAGE)
		p[off] = (char)(off / PAGE + 1);
}

static void map_one_file(const char *path, size_t len, int prot, int flags, bool unlink_it)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)len))
		failed(path);
	p = mmap(NULL, len, prot, flags, fd, 0);
	if (p == MAP_FAILED)
		failed(path);
	if (prot & PROT_WRITE)
		touch(p, len);
	close(fd);
	if (unlink_it)
		unlink(path);
}

static void zoo_maps(void)
{
	char *p;
	int fd, id;

	map_one_file("/tmp/map-deleted", 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, true);
	map_one_file("/tmp/map-shared", 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, false);
	map_one_file("/mnt/a/map ro\nodd", 2 * PAGE, PROT_READ, MAP_PRIVATE, false);
	map_one_file("/tmp/map-exec", PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, false);
	p = map_anon(16 * PAGE, MAP_SHARED);
	if (p)
		touch(p, 16 * PAGE);
	if (mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return;
	fd = memfd_create("lab-memory", 0);
	if (fd >= 0 && !ftruncate(fd, 4 * PAGE)) {
		p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED)
			touch(p, 4 * PAGE);
	}
	id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600);
	if (id >= 0) {
		p = shmat(id, NULL, 0);
		if (p != (void *)-1)
			touch(p, 2 * PAGE);
	}
	ready();
	rest();
}

/* Hundreds of mappings make the kernel's tree of them several levels deep. */
static void zoo_manymaps(void)
{
	for (int i = 0; i < 600; i++) {
		int prot = i % 2 ? PROT_READ : PROT_READ | PROT_WRITE;

		if (mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			return;
	}
	ready();
	rest();
}

static void zoo_manyfds(void)
{
	for (int i = 0; i < 300; i++)
		if (open(i % 2 ? "/dev/null" : "/dev/zero", O_RDWR) < 0)
			return;
	ready();
	rest();
}

static void zoo_bigrss(void)
{
	char *p = map_anon(8u << 20, MAP_PRIVATE);

	if (!p)
		return;
	madvise(p, 8u << 20, MADV_NOHUGEPAGE);
	touch(p, 8u << 20);
	ready();
	rest();
}

static void zoo_deep(void)
{
	char path[PATH_MAX] = "/mnt/bind";

	for (int i = 0; i < 22; i++) {
		size_t at = strlen(path);

		snprintf(path + at, sizeof(path) - at, "/component-%02d-abcdefghij", i);
		if (mkdir(path, 0755))
			failed(path);
		if (chdir(path))
			failed(path);
	}
	if (!copy_file(LABPROC, "deep-program", 0755))
		return;
	if (open("deep-data", O_RDWR | O_CREAT, 0600) < 0)
		return;
	strcat(path, "/deep-program");
	exec_simple_role(path, "deep");
}

static void zoo_jail(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC))
		return;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir("/mnt/jail", 0755) ||
	    mount("jail", "/mnt/jail", "tmpfs", 0, NULL) || mkdir("/mnt/jail/bin", 0755) ||
	    mkdir("/mnt/jail/work", 0755) || !copy_file(LABPROC, "/mnt/jail/bin/jailed", 0755))
		return;
	if (sethostname("jail", 4) || chroot("/mnt/jail") || chdir("/work"))
		return;
	exec_simple_role("/bin/jailed", "jail");
}

/* Two PID namespaces, one in the other, each with an init and one more process. */
static void zoo_pidns(void)
{
	static const char *const names[] = { "pidns-init", "pidns-deeper" };

	for (int depth = 0; depth < 2; depth++) {
		pid_t pid;

		if (unshare(CLONE_NEWPID))
			failed("unshare");
		pid = fork();
		if (pid < 0)
			failed("fork");
		if (pid > 0)
			rest();
		set_name(names[depth]);
		if (fork() == 0) {
			set_name("pidns-kid");
			rest();
		}
	}
	ready();
	rest();
}

/* Root in its own user namespace, user 1234 in ours. */
static void zoo_userns(void)
{
	drop_to(1234, 2345);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* else its files in /proc belong to root */
	if (unshare(CLONE_NEWUSER) || !write_file("/proc/self/setgroups", "deny") ||
	    !write_file("/proc/self/uid_map", "0 1234 1\n") ||
	    !write_file("/proc/self/gid_map", "0 2345 1\n"))
		return;
	ready();
	rest();
}

static void zoo_nested(void)
{
	char name[16];

	for (int level = 1; level <= 5; level++) {
		pid_t pid = fork();

		if (pid < 0)
			failed("nested");
		if (pid > 0)
			rest();
		snprintf(name, sizeof(name), "nested-%d", level);
		set_name(name);
	}
	if (fork() == 0)
		_exit(0); /* a zombie whose parent is not init */
	ready();
	rest();
}

static int shared_mm_child(void *arg)
{
	(void)arg;
	set_name("mm-sharer");
	ready();
	rest();
}

static void zoo_clone_vm(void)
{
	char *stack = map_anon(16 * PAGE, MAP_PRIVATE);

	if (!stack || clone(shared_mm_child, stack + 16 * PAGE, CLONE_VM | SIGCHLD, NULL) < 0)
		return;
	rest();
}

/* The parent of a vfork sleeps uninterruptibly (state D) until the child execs: it never does. */
static void zoo_vfork(void)
{
	if (vfork() == 0) {
		set_name("vfork-child");
		ready();
		rest();
	}
	rest();
}

static void tcp_pair(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7777) };
	int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (void *)&a, sizeof(a)) || listen(s, 16) || connect(c, (void *)&a, sizeof(a)))
		failed("tcp");
	if (accept(s, NULL, NULL) < 0 || write(c, "hello", 5) != 5)
		failed("tcp");
}

static void tcp6_listen(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(7776) };
	int s = socket(AF_INET6, SOCK_STREAM, 0);

	a.sin6_addr = in6addr_loopback;
	if (s >= 0 && !bind(s, (void *)&a, sizeof(a)))
		listen(s, 4);
}

static void udp_sockets(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(5353) };
	int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (void *)&a, sizeof(a)) || connect(c, (void *)&a, sizeof(a)))
		failed("udp");
}

static void unix_sockets(void)
{
	struct sockaddr_un named = { .sun_family = AF_UNIX, .sun_path = "/tmp/lab.sock" };
	struct sockaddr_un hidden = { .sun_family = AF_UNIX, .sun_path = "\0lab-abstract" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	int d = socket(AF_UNIX, SOCK_DGRAM, 0), pair[2];

	if (bind(s, (void *)&named, sizeof(named)) || listen(s, 4) ||
	    connect(c, (void *)&named, sizeof(named)) ||
	    bind(d, (void *)&hidden, offsetof(struct sockaddr_un, sun_path) + 13) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		failed("unix");
}

static void zoo_sockets(void)
{
	tcp_pair();
	tcp6_listen();
	udp_sockets();
	unix_sockets();
	ready();
	rest();
}

static void zoo_files(void)
{
	sigset_t set;
	int p[2], fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	mkfifo("/tmp/lab.fifo", 0600);
	fd = open("/tmp/open-deleted", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, "still here", 10) != 10 || unlink("/tmp/open-deleted"))
		return;
	if (pipe(p) || write(p[1], "in the pipe", 11) != 11 || eventfd(7, 0) < 0 ||
	    epoll_create1(0) < 0 || inotify_init1(0) < 0 || signalfd(-1, &set, 0) < 0 ||
	    timerfd_create(CLOCK_MONOTONIC, 0) < 0 || memfd_create("lab-fd", 0) < 0)
		return;
	if (open("/tmp/lab.fifo", O_RDWR) < 0 || open("/proc", O_RDONLY | O_DIRECTORY) < 0 ||
	    open("/bin/busybox", O_PATH) < 0 || open("/proc/version", O_RDONLY) < 0 ||
	    open("/dev/zero", O_RDONLY) < 0)
		return;
	ready();
	rest();
}

static void zoo_realtime(void)
{
	struct sched_param param = { .sched_priority = 7 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		return;
	ready();
	rest();
}

/* Fill with words that depend on their own address, so that a wrong translation cannot pass. */
static void fill_pattern(void *p, size_t len, const char *kind)
{
	struct area *a = &board->areas[board->n_areas++];
	uint64_t *word = p;

	for (size_t i = 0; i < len / 8; i++)
		word[i] = PATTERN_MAGIC ^ (uint64_t)(uintptr_t)&word[i];
	a->va = (uint64_t)(uintptr_t)p;
	a->len = len;
	snprintf(a->kind, sizeof(a->kind), "%s", kind);
}

static void pattern_at(uintptr_t hint, size_t len, int flags, const char *kind)
{
	void *p = mmap((void *)hint, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		return;
	if (!strcmp(kind, "thp"))
		madvise(p, len, MADV_HUGEPAGE);
	fill_pattern(p, len, kind);
	if (!strcmp(kind, "swapped")) {
		if (madvise(p, len, MADV_PAGEOUT))
			klog("MADV_PAGEOUT: %s", strerror(errno));
		return;
	}
	mlock(p, len);
	if (!strcmp(kind, "prot-none"))
		mprotect(p, len, PROT_NONE);
}

static void zoo_pattern(void)
{
	pattern_at(0x510000000000, 4 * PAGE, 0, "small");
	pattern_at(0x520000000000, HUGE_PAGE, MAP_HUGETLB, "hugetlb");
	pattern_at(0x530000000000, 2 * HUGE_PAGE, 0, "thp");
	pattern_at(0x540000000000, 2 * PAGE, 0, "prot-none");
	pattern_at(0x550000000000, 2 * PAGE, 0, "swapped");
	pattern_at((uintptr_t)1 << 52, 2 * PAGE, 0, "high"); /* low where there are 4 levels only */
	ready();
	rest();
}

static void make_places(void)
{
	mkdir("/srv", 0755);
	mkdir("/mnt/a", 0755);
	mkdir("/mnt/bind", 0755);
	if (mount("lab-a", "/mnt/a", "tmpfs", 0, "size=16m") || mkdir("/mnt/a/one", 0755) ||
	    mkdir("/mnt/a/one/two", 0755) ||
	    mount("/mnt/a/one/two", "/mnt/bind", NULL, MS_BIND, NULL))
		klog("places: %s", strerror(errno));
}

static void make_zoo(void)
{
	static const struct {
		const char *role;
		void (*body)(void);
	} members[] = {
		{ "sleep", zoo_sleep },
		{ "shell", zoo_shell },
		{ "script", zoo_script },
		{ "httpd", zoo_httpd },
		{ "nc", zoo_nc },
		{ "uids", zoo_uids },
		{ "oddname", zoo_oddname },
		{ "utf8name", zoo_utf8name },
		{ "longargs", zoo_longargs },
		{ "args", zoo_args },
		{ "retitle", zoo_retitle },
		{ "proctitle", zoo_proctitle },
		{ "threads", zoo_threads },
		{ "deadleader", zoo_deadleader },
		{ "zombie", zoo_zombie },
		{ "stopped", zoo_stopped },
		{ "traced", zoo_traced },
		{ "deleted-exe", zoo_deleted_exe },
		{ "memfd-exe", zoo_memfd_exe },
		{ "maps", zoo_maps },
		{ "manymaps", zoo_manymaps },
		{ "manyfds", zoo_manyfds },
		{ "bigrss", zoo_bigrss },
		{ "deep", zoo_deep },
		{ "jail", zoo_jail },
		{ "pidns", zoo_pidns },
		{ "userns", zoo_userns },
		{ "nested", zoo_nested },
		{ "clone-vm", zoo_clone_vm },
		{ "vfork", zoo_vfork },
		{ "sockets", zoo_sockets },
		{ "files", zoo_files },
		{ "realtime", zoo_realtime },
		{ "pattern", zoo_pattern },
	};

	make_places();
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		zoo_add(members[i].role, members[i].body);
}

/* ---- roles of the exec'ed program ------------------------------------------------------- */

static pthread_barrier_t threads_up;

static void *thread_body(void *arg)
{
	set_name(arg);
	pthread_barrier_wait(&threads_up);
	rest();
}

static void start_threads(unsigned n, const char *stem)
{
	static char names[16][32];
	pthread_attr_t attr;
	pthread_t thread;

	pthread_barrier_init(&threads_up, NULL, n + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64u << 10);
	for (unsigned i = 0; i < n && i < 16; i++) {
		snprintf(names[i], sizeof(names[i]), "%s-%u", stem, i);
		if (pthread_create(&thread, &attr, thread_body, names[i]))
			failed("pthread_create");
	}
	pthread_barrier_wait(&threads_up);
}

static void role_threads(char **argv)
{
	(void)argv;
	set_name("threaded");
	start_threads(8, "worker");
}

static void role_deadleader(char **argv)
{
	(void)argv;
	set_name("deadleader");
	start_threads(3, "orphan");
	ready();
	syscall(SYS_exit, 0); /* this thread only: the group lives on behind a zombie leader */
}

static char *args_end(char **argv)
{
	char *end = argv[0];

	for (; *argv; argv++)
		end = *argv + strlen(*argv) + 1;
	return end;
}

static void role_retitle(char **argv)
{
	char *end = args_end(argv);

	memset(argv[0], 0, (size_t)(end - argv[0]));
	strcpy(argv[0], "new title");
}

/* Without a NUL at the end of the argument area the kernel reads on into the environment. */
static void role_proctitle(char **argv)
{
	static const char title[] = "proctitle: runs over the end of the arguments";
	size_t room = (size_t)(args_end(argv) - argv[0]);

	if (room >= sizeof(title) - 1)
		failed("proctitle: too many arguments");
	memcpy(argv[0], title, sizeof(title)); /* the environment that follows holds the rest */
}

static void role_deleted_exe(char **argv)
{
	unlink(argv[0]);
}

static int run_role(char **argv)
{
	static const struct {
		const char *role;
		void (*body)(char **argv);
	} bodies[] = {
		{ "threads", role_threads },         { "deadleader", role_deadleader },
		{ "retitle", role_retitle },         { "proctitle", role_proctitle },
		{ "deleted-exe", role_deleted_exe },
	};
	const char *fd = getenv("LAB_READY");

	if (fd)
		ready_fd = (int)strtol(fd, NULL, 10);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		if (!strcmp(bodies[i].role, argv[2])) {
			bodies[i].body(argv);
			break;
		}
	}
	ready();
	rest();
}

/* ---- start ------------------------------------------------------------------------------ */

static void mount_all(void)
{
	static const struct {
		const char *what, *where, *type, *options;
	} mounts[] = {
		{ "proc", "/proc", "proc", NULL },
		{ "sysfs", "/sys", "sysfs", NULL },
		{ "devtmpfs", "/dev", "devtmpfs", NULL },
		{ "tmpfs", "/tmp", "tmpfs", "mode=1777" },
		{ "tmpfs", "/run", "tmpfs", "mode=0755" },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].where, 0755);
		mount(mounts[i].what, mounts[i].where, mounts[i].type, 0, mounts[i].options);
	}
	mkdir("/mnt", 0755);
}

static void set_limits(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit files = { 4096, 4096 };

	setrlimit(RLIMIT_NPROC, &none);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_MEMLOCK, &none);
	write_file("/proc/sys/kernel/kptr_restrict", "0");
	write_file("/proc/sys/kernel/pid_max", "65536");
	write_file("/proc/sys/kernel/threads-max", "60000");
	write_file("/proc/sys/vm/overcommit_memory", "1");
	write_file("/proc/sys/vm/max_map_count", "262144");
	write_file("/proc/sys/vm/nr_hugepages", "2");
	write_file("/sys/kernel/mm/transparent_hugepage/enabled",
		   "madvise"); /* off in small guests */
	write_file("/proc/sys/kernel/printk_devkmsg", "on");
	sethostname("sonde-guest", 11);
}

/* /modules/order names the files, each after those it depends on. */
static void load_modules(void)
{
	char list[4096], path[160];
	char *save = NULL;

	if (read_file("/modules/order", list, sizeof(list)) < 0)
		return;
	for (char *n = strtok_r(list, "\n", &save); n; n = strtok_r(NULL, "\n", &save)) {
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", n);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			klog("module %s: %s", n, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
}

static void raise_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return;
	if (!ioctl(s, SIOCGIFFLAGS, &ifr)) {
		ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
		ioctl(s, SIOCSIFFLAGS, &ifr);
	}
	close(s);
}

/* A small swap space in compressed RAM; the header is as in linux include/linux/swap.h. */
static void enable_swap(void)
{
	const uint32_t n_pages = (8u << 20) / PAGE;
	uint32_t info[3] = { 1, n_pages - 1, 0 }; /* version, last_page, nr_badpages at 1024 */
	char page[PAGE];
	bool ok;
	int fd;

	if (!write_file("/sys/block/zram0/disksize", "8388608"))
		return;
	memset(page, 0, sizeof(page));
	memcpy(page + 1024, info, sizeof(info));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	fd = open("/dev/zram0", O_RDWR | O_CLOEXEC);
	ok = fd >= 0 && write_all(fd, page, sizeof(page));
	if (fd >= 0)
		close(fd);
	if (!ok || swapon("/dev/zram0", 0))
		klog("swap: %s", strerror(errno));
}

static void link_busybox(void)
{
	static const char *const names[] = { "sh", "sleep", "httpd", "nc" };
	char path[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/bin/%s", names[i]);
		link("/bin/busybox", path);
	}
	link("/init", LABPROC);
}

/* Open the command channel: the terminal that lab.tty= on the kernel command line names. */
static bool open_channel(void)
{
	char line[4096], path[64] = "/dev/ttyS0";
	struct termios t;
	char *p;

	if (read_file("/proc/cmdline", line, sizeof(line)) > 0 && (p = strstr(line, "lab.tty=")))
		snprintf(path, sizeof(path), "/dev/%.*s", (int)strcspn(p + 8, " \n"), p + 8);
	chan.fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (chan.fd < 0) {
		klog("channel %s: %s", path, strerror(errno));
		return false;
	}
	if (!tcgetattr(chan.fd, &t)) {
		cfmakeraw(&t);
		t.c_cflag |= CLOCAL | CREAD;
		cfsetspeed(&t, B115200);
		tcsetattr(chan.fd, TCSANOW, &t);
	}
	return true;
}

/* Buffers of the channel are populated now, so that telling the truth does not change our size. */
static bool make_buffers(void)
{
	board = map_anon(PAGE, MAP_SHARED | MAP_POPULATE);
	chan.buf = map_anon(FRAME_MAX, MAP_PRIVATE | MAP_POPULATE);
	scratch = map_anon(SCRATCH_MAX, MAP_PRIVATE | MAP_POPULATE);
	if (!board || !chan.buf || !scratch)
		return false;
	madvise(chan.buf, FRAME_MAX, MADV_DONTFORK);
	madvise(scratch, SCRATCH_MAX, MADV_DONTFORK);
	return true;
}

/* ---- commands --------------------------------------------------------------------------- */

/*
 * Wait, at most some seconds, until every process but us sleeps: /proc/loadavg counts the runnable
 * ones ("0.00 0.00 0.00 RUNNABLE/ALL LAST"), which costs the same for ten and for ten thousand.
 */
static void settle(void)
{
	int quiet = 0;

	for (int round = 0; round < 400 && quiet < 3; round++) {
		char text[128];
		long n_runnable = 0;

		if (read_file("/proc/loadavg", text, sizeof(text)) > 0)
			sscanf(text, "%*s %*s %*s %ld/", &n_runnable);
		quiet = n_runnable == 1 ? quiet + 1 : 0;
		nap_ms(5);
	}
	if (quiet < 3)
		klog("some processes did not come to rest");
}

__attribute__((noreturn)) static void spawned_body(const char *name)
{
	set_name(name);
	close(chan.fd);
	__atomic_add_fetch(&board->n_spawned, 1, __ATOMIC_SEQ_CST);
	rest();
}

/* Real ids for the next children: set here because under TCG each child would need a millisecond.
 */
static void set_real_ids(uid_t uid, gid_t gid)
{
	if (setresgid(gid, (gid_t)-1, (gid_t)-1) || setresuid(uid, (uid_t)-1, (uid_t)-1))
		klog("setresuid: %s", strerror(errno));
}

static unsigned do_spawn(unsigned n)
{
	unsigned made = 0;
	char name[24];

	__atomic_store_n(&board->n_spawned, 0, __ATOMIC_SEQ_CST);
	for (; made < n; made++) {
		unsigned group = spawn_serial / 16;
		pid_t pid;

		if (made == 0 || spawn_serial % 16 == 0)
			set_real_ids(20000 + group % 7, 30000 + group % 5);
		snprintf(name, sizeof(name), "spawn-%u", spawn_serial);
		pid = fork();
		if (pid == 0)
			spawned_body(name);
		if (pid < 0)
			break;
		spawn_serial++;
	}
	set_real_ids(0, 0);
	for (int i = 0; i < 3000; i++) {
		if (__atomic_load_n(&board->n_spawned, __ATOMIC_SEQ_CST) == made)
			break;
		nap_ms(10);
	}
	return made;
}

static void command_spawn(const char *arg)
{
	unsigned long n = strtoul(arg, NULL, 10);
	unsigned made;

	if (n == 0 || n > 50000) {
		emitf("error spawn: '%s': want a number from 1 to 50000\n", arg);
		return;
	}
	made = do_spawn((unsigned)n);
	if (made < n)
		emitf("error spawn: only %u of %lu processes came up\n", made, n);
	else
		emitf("ok %u\n", made);
}

static void command_truth(const char *arg)
{
	bool brief = !strcmp(arg, "short");

	settle();
	tell_system(brief);
	tell_processes(brief);
}

static void command_ping(void)
{
	char id[64];

	if (read_file("/proc/sys/kernel/random/boot_id", id, sizeof(id)) < 0)
		id[0] = '\0';
	emitf("ok %s\n", strtok(id, "\n"));
}

static void command_kmsg(const char *text)
{
	int n;
	bool ok;

	/* Without the line break the kernel keeps the record open for more, and shows it to nobody.
	 */
	n = snprintf(scratch, SCRATCH_MAX, "%s\n", text);
	ok = write(kmsg_fd, scratch, (size_t)n) == n;
	emitf(ok ? "ok\n" : "error kmsg: %s\n", strerror(errno));
}

/*
 * Two pages of ours that the host looks at while they change; each is full of a word of its own, and len bytes of
 * addresses come with it: a page's, or all that one table maps.
 */
static struct {
	uint64_t *at, *other;
	size_t len;
	uint64_t word, other_word;
	unsigned n_made;
} sheet;

/* len bytes of addresses at a multiple of len; around them stays a hole. */
static void *sheet_place(void)
{
	char *all = mmap(NULL, 3 * sheet.len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	munmap(all, 3 * sheet.len);
	return all + sheet.len + (-(uintptr_t)all & (sheet.len - 1));
}

static uint64_t *new_sheet(void *where, uint64_t *ret_word)
{
	uint64_t *page = mmap(where, sheet.len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (!where || page == MAP_FAILED)
		return NULL;
	madvise(page, sheet.len, MADV_NOHUGEPAGE);
	*ret_word = SHEET_WORDS + ++sheet.n_made;
	for (size_t i = 0; i < PAGE / sizeof(*page); i++)
		page[i] = *ret_word;
	return page;
}

/* Afterwards each of both pages lies where the other was. */
static bool swap_sheets(void)
{
	void *aside = sheet_place();
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	uint64_t word = sheet.word;
	size_t len = sheet.len;

	if (!aside || mremap(sheet.at, len, len, flags, aside) == MAP_FAILED ||
	    mremap(sheet.other, len, len, flags, sheet.at) == MAP_FAILED ||
	    mremap(aside, len, len, flags, sheet.other) == MAP_FAILED)
		return false;
	sheet.word = sheet.other_word;
	sheet.other_word = word;
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool flip_sheets(const char *ms)
{
	uint64_t end = now_ms() + strtoul(ms, NULL, 10);
	bool ok = true;

	while (ok && now_ms() < end)
		ok = swap_sheets();
	return ok;
}

static bool map_sheets(size_t len)
{
	sheet.len = len;
	return (sheet.at = new_sheet(sheet_place(), &sheet.word)) &&
	       (sheet.other = new_sheet(sheet_place(), &sheet.other_word));
}

static bool change_sheet(const char *action)
{
	if (!strcmp(action, "map"))
		return map_sheets(PAGE);
	if (!strcmp(action, "map-table"))
		return map_sheets(HUGE_PAGE);
	if (!sheet.at)
		return false;
	if (!strcmp(action, "swap"))
		return swap_sheets();
	if (!strncmp(action, "flip ", 5))
		return flip_sheets(action + 5);
	if (!strcmp(action, "close"))
		return mprotect(sheet.at, sheet.len, PROT_NONE) == 0;
	if (!strcmp(action, "seal"))
		return mprotect(sheet.at, sheet.len, PROT_READ) == 0;
	if (!strcmp(action, "open"))
		return mprotect(sheet.at, sheet.len, PROT_READ | PROT_WRITE) == 0;
	if (!strcmp(action, "unmap"))
		return munmap(sheet.at, sheet.len) == 0;
	return !strcmp(action, "renew") && new_sheet(sheet.at, &sheet.word);
}

static void command_page(const char *action)
{
	if (change_sheet(action))
		emitf("ok %lx %llx %llx\n", (unsigned long)sheet.at, (unsigned long long)sheet.word,
		      (unsigned long long)sheet.other_word);
	else
		emitf("error page %s: %s\n", action, strerror(errno));
}

/* Be in user space, as good as all the time. */
static void command_spin(const char *ms)
{
	uint64_t end = now_ms() + strtoul(ms, NULL, 10);
	uint32_t sum = 0;

	while (now_ms() < end)
		sum ^= crc32_of((const unsigned char *)scratch, SCRATCH_MAX);
	emitf("ok %x\n", sum);
}

static void restart(int how)
{
	emitf("ok\n");
	chan_end();
	tcdrain(chan.fd);
	sync();
	reboot(how);
}

/* "ID COMMAND [ARGUMENT]"; the ID comes back in every frame of the reply. */
static void run_command(char *line)
{
	char *arg, *verb = strchr(line, ' ');

	if (!verb || verb == line)
		return;
	*verb++ = '\0';
	arg = verb + strcspn(verb, " ");
	if (*arg)
		*arg++ = '\0';
	snprintf(chan.id, sizeof(chan.id), "%.23s", line);
	chan.seq = 0;
	chan.len = 0;
	if (!strcmp(verb, "ping"))
		command_ping();
	else if (!strcmp(verb, "truth"))
		command_truth(arg);
	else if (!strcmp(verb, "spawn"))
		command_spawn(arg);
	else if (!strcmp(verb, "kmsg"))
		command_kmsg(arg);
	else if (!strcmp(verb, "page"))
		command_page(arg);
	else if (!strcmp(verb, "spin"))
		command_spin(arg);
	else if (!strcmp(verb, "reboot"))
		restart(RB_AUTOBOOT);
	else if (!strcmp(verb, "quit"))
		restart(RB_POWER_OFF);
	else
		emitf("error unknown command\n");
	chan_end();
}

/* Serve for ever. Lines that are too long are thrown away whole. */
__attribute__((noreturn)) static void serve(void)
{
	static char line[4096];
	size_t len = 0;
	bool skip = false;

	for (;;) {
		char c;
		ssize_t n = read(chan.fd, &c, 1);

		if (n <= 0) {
			nap_ms(100);
			continue;
		}
		if (c == '\n' || c == '\r') {
			line[len] = '\0';
			if (!skip && len)
				run_command(line);
			len = 0;
			skip = false;
		} else if (len < sizeof(line) - 1) {
			line[len++] = c;
		} else {
			skip = true;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "--role"))
		return run_role(argv);
	if (getpid() != 1) {
		fprintf(stderr, "guest: this is the init of a test guest: boot it with lab.py\n");
		return 1;
	}
	crc_init();
	qsort(wanted_symbols, N_WANTED, sizeof(char *), compare_names);
	mount_all();
	kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (!make_buffers())
		klog("out of memory");
	set_limits();
	load_modules();
	raise_loopback();
	enable_swap();
	link_busybox();
	make_zoo();
	settle();
	if (!open_channel())
		rest();
	klog("ready: %u roles", n_roles);
	serve();
}
