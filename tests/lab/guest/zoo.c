/* SPDX-License-Identifier: MIT */
/*
 * The zoo of processes that the tests look for. Each is a role; those that need a program of their own exec
 * this one again, as LABPROC. README.md describes them.
 */
#include "zoo.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base.h"
#include "channel.h"
#include "load.h"

#define PATTERN_MAGIC UINT64_C(0x534f4e44452d4c41)

struct role roles[MAX_ROLES];
unsigned n_roles;
struct board *board;
static int ready_fd = -1;

/* Wait for ever, quietly: this is what every member of the zoo ends in. */
__attribute__((noreturn)) void rest(void)
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

void set_name(const char *name)
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
	pattern_at((uintptr_t)1 << 51, 2 * PAGE, 0, "high"); /* low where addresses have 48 bits */
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

void make_zoo(void)
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

int run_role(char **argv)
{
	static const struct {
		const char *role;
		void (*body)(char **argv);
	} bodies[] = {
		{ "threads", role_threads },         { "deadleader", role_deadleader },
		{ "retitle", role_retitle },         { "proctitle", role_proctitle },
		{ "deleted-exe", role_deleted_exe }, { "brief", role_brief },
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

bool zoo_make_board(void)
{
	board = map_anon(PAGE, MAP_SHARED | MAP_POPULATE);
	return board;
}
