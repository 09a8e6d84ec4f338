/* SPDX-License-Identifier: MIT */
/*
 * The first process of the lab's guest: mounting, module loading, and commands on a serial line. The same binary
 * serves as /bin/labproc, the zoo's exec'ed program.
 *
 *	base.c      files, memory, the kernel log
 *	channel.c   replies in frames
 *	truth.c     what the guest says of itself
 *	run.c       programs that the host has run
 *	zoo.c       the processes that the tests look for
 *	sheet.c     pages that change on command
 *	load.c      processes that come and go all the time
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "channel.h"
#include "load.h"
#include "run.h"
#include "sheet.h"
#include "spell.h"
#include "truth.h"
#include "zoo.h"

static unsigned spawn_serial;

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

/* Populated now, so that telling the truth does not change our size. */
static bool make_buffers(void)
{
	scratch = map_anon(SCRATCH_MAX, MAP_PRIVATE | MAP_POPULATE);
	if (!scratch || !zoo_make_board() || !chan_make_buffer())
		return false;
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

/* Nanoseconds of the guest's own clock, which stands still with it. */
static void command_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	emitf("ok %llu\n",
	      (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec);
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

/* Be in user space, as good as all the time. */
static void command_spin(const char *ms)
{
	struct spell spell = spell_begin(ms);
	uint32_t sum = 0;

	while (spell_lasts(&spell))
		sum ^= crc32_of((const unsigned char *)scratch, SCRATCH_MAX);
	emitf("ok %x\n", sum);
}

/* A process of its own, which opens nothing else: files that are not there, each of a name of its own. */
static void command_opens(const char *arg)
{
	unsigned long n = strtoul(arg, NULL, 10);
	pid_t pid = fork();

	if (pid == 0) {
		set_name("opener");
		for (unsigned long i = 0; i < n; i++) {
			char path[32];
			snprintf(path, sizeof(path), "/opened/%06lu", i);
			if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != ENOENT)
				_exit(1);
		}
		_exit(0);
	}
	int status = -1;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		emitf("error opens: status %x: %s\n", (unsigned)status, strerror(errno));
	else
		emitf("ok %d\n", (int)pid);
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

	if (!verb || verb == line || chan_is_repeat(line))
		return;
	*verb++ = '\0';
	arg = verb + strcspn(verb, " ");
	if (*arg)
		*arg++ = '\0';
	chan_begin(line);
	if (!strcmp(verb, "ping"))
		command_ping();
	else if (!strcmp(verb, "clock"))
		command_clock();
	else if (!strcmp(verb, "truth"))
		command_truth(arg);
	else if (!strcmp(verb, "spawn"))
		command_spawn(arg);
	else if (!strcmp(verb, "load"))
		command_load(arg);
	else if (!strcmp(verb, "kmsg"))
		command_kmsg(arg);
	else if (!strcmp(verb, "page"))
		command_page(arg);
	else if (!strcmp(verb, "run"))
		command_run(arg);
	else if (!strcmp(verb, "spin"))
		command_spin(arg);
	else if (!strcmp(verb, "opens"))
		command_opens(arg);
	else if (!strcmp(verb, "reboot"))
		restart(RB_AUTOBOOT);
	else if (!strcmp(verb, "quit"))
		restart(RB_POWER_OFF);
	else
		emitf("error unknown command\n");
	chan_end();
}

__attribute__((noreturn)) static void serve(void)
{
	for (;;) {
		char *line = chan_line(-1);

		if (line)
			run_command(line);
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
	truth_init();
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
