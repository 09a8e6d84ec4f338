/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv costs about 1.3 us a piece, whatever its length, because each one looks
 * up and pins its pages: so pieces of one page are fetched as one, and runs that touch are
 * one stretch of the process. A call stops at the first page that it cannot move; that page goes by
 * /proc/PID/mem, which may do what a debugger may (pages of PROT_NONE, writing to read-only ones), or
 * fails, and the rest is asked for again, so that no hole hides what lies behind it. The file is also
 * the way where the call is refused (old kernels, sandboxes).
 */
#include "note.h"
#include "procmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What one remote vector of a call serves: one piece, or several of a page through a bounce. */
struct run {
	uint64_t addr;
	uint32_t len;
	uint8_t *buf;
	uint32_t first, n_pieces;
};

/* Of a process that is on its way out: linux include/linux/sched.h, in the field flags. */
#define PF_EXITING 0x4u

int procmem_open_proc(const struct procmem *pm, const char *name)
{
	int fd = openat(pm->proc_fd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A short file, terminated; "" when it cannot be read. Takes fd. */
static void read_text(int fd, char *text, size_t cap)
{
	ssize_t n = fd >= 0 ? read(fd, text, cap - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
}

/* The 9th and the 22nd field of /proc/PID/stat (proc.rst), counted from behind the name in parentheses. */
struct stat_fields {
	unsigned flags;
	uint64_t start;
};

/* Returns 0; -errno: it cannot be opened; -ESRCH also where it says nothing. */
static int read_stat(const struct procmem *pm, struct stat_fields *ret)
{
	char text[512];
	int fd = procmem_open_proc(pm, "stat");

	if (fd < 0)
		return fd;
	read_text(fd, text, sizeof(text));
	const char *name_end = strrchr(text, ')');
	int n = name_end ? sscanf(name_end + 1,
				  " %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
				  "%*d %*d %*d %" SCNu64,
				  &ret->flags, &ret->start)
			 : 0;
	return n == 2 ? 0 : -ESRCH;
}

/* Its memory and its files go before it is told to have ended, some milliseconds before where there is much of them. */
static int is_ending(const struct procmem *pm)
{
	struct stat_fields fields;
	int r = read_stat(pm, &fields);

	return r == 0 ? fields.flags & PF_EXITING : r == -ESRCH || r == -ENOENT;
}

/* Its number is nobody else's before this is true. */
static int has_ended(const struct procmem *pm)
{
	struct pollfd poller = { .fd = pm->pidfd, .events = POLLIN };

	return poll(&poller, 1, 0) > 0;
}

int procmem_alive(struct procmem *pm)
{
	if (!pm->gone)
		pm->gone = (pm->pidfd >= 0 && has_ended(pm)) || is_ending(pm);
	return !pm->gone;
}

/*
 * Was what a call has just moved its memory? The call holds the address space for as long as it takes, so one
 * that is about to end is no reason for doubt (linux v6.6 mm/process_vm_access.c).
 */
static int was_its_own(struct procmem *pm)
{
	if (pm->pidfd < 0)
		return procmem_alive(pm);
	pm->gone |= has_ended(pm);
	return !pm->gone;
}

static int open_mem(struct procmem *pm)
{
	if (pm->mem_fd < 0)
		pm->mem_fd =
			openat(pm->proc_fd, "mem", (pm->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	return pm->mem_fd < 0 ? -errno : 0;
}

/* The two sides of a call. Stretches of the process that touch are one: each is looked up anew. */
struct vectors {
	struct iovec local[PROCMEM_BATCH], remote[PROCMEM_BATCH];
	size_t n_local, n_remote;
};

static void vectors_add(struct vectors *v, const struct run *run, uint32_t off)
{
	struct iovec *last = v->n_remote ? &v->remote[v->n_remote - 1] : NULL;
	uintptr_t addr = (uintptr_t)(run->addr + off);
	uint32_t len = run->len - off;

	v->local[v->n_local++] = (struct iovec){ run->buf + off, len };
	if (last && (uintptr_t)last->iov_base + last->iov_len == addr)
		last->iov_len += len;
	else
		v->remote[v->n_remote++] = (struct iovec){ (void *)addr, len };
}

/* Both return bytes moved (at least 1), or a negative errno; EFAULT: the first page is not there.
 */
static ssize_t move_by_call(struct procmem *pm, uint32_t write, const struct vectors *v)
{
	ssize_t got =
		write ? process_vm_writev(pm->pid, v->local, v->n_local, v->remote, v->n_remote, 0)
		      : process_vm_readv(pm->pid, v->local, v->n_local, v->remote, v->n_remote, 0);
	int os_code = got > 0 ? 0 : got < 0 ? errno : EFAULT;

	if (!os_code)
		return was_its_own(pm) ? got : -ESRCH;
	if (os_code != EPERM && os_code != ENOSYS && !procmem_alive(pm))
		return -ESRCH;
	return -os_code;
}

static ssize_t file_once(struct procmem *pm, uint32_t write, void *buf, size_t len, uint64_t addr)
{
	int r = open_mem(pm);

	if (r < 0)
		return r;
	ssize_t got = write ? pwrite(pm->mem_fd, buf, len, (off_t)addr)
			    : pread(pm->mem_fd, buf, len, (off_t)addr);
	if (got >= 0)
		return got;
	return errno == EIO || errno == EINVAL ? -EFAULT : -errno;
}

static ssize_t move_by_file(struct procmem *pm, uint32_t write, void *buf, size_t len,
			    uint64_t addr)
{
	if (addr > INT64_MAX)
		return -EFAULT;
	ssize_t got = file_once(pm, write, buf, len, addr);
	/* 0: the address space that the file was opened on is gone, by exec or with the process. */
	if (got == 0 && procmem_alive(pm)) {
		close(pm->mem_fd);
		pm->mem_fd = -1;
		got = file_once(pm, write, buf, len, addr);
	}
	return got == 0 ? -ESRCH : got;
}

static int32_t code_of(ssize_t moved)
{
	switch (-moved) {
	case EFAULT:
		return SONDE_E_NOT_MAPPED;
	case ESRCH:
		return SONDE_E_GONE;
	case EPERM:
	case EACCES:
		return SONDE_E_NO_ACCESS;
	default:
		return SONDE_E_IO;
	}
}

/* Bytes [off, off + len) of a run are final. A bounced run lies in one page: it is told whole. */
static void tell(struct procmem *pm, const struct run *run, uint32_t off, uint32_t len, int32_t err)
{
	for (uint32_t k = run->first; k < run->first + run->n_pieces; k++) {
		const struct procmem_piece *p = &pm->pieces[k];
		if (run->n_pieces == 1) {
			sonde_progress(pm->host, p->io, p->i, p->off + off, len, err);
			continue;
		}
		if (err == 0)
			memcpy((uint8_t *)p->io->xfers[p->i].buf + p->off,
			       run->buf + (p->addr - run->addr), p->len);
		sonde_progress(pm->host, p->io, p->i, p->off, p->len, err);
	}
}

static uint32_t rest_of_page(uint64_t addr, uint32_t len)
{
	uint32_t rest = PROCMEM_PAGE - (uint32_t)(addr % PROCMEM_PAGE);

	return len < rest ? len : rest;
}

/* What the call could not move of a page may still go the way a debugger takes. */
static int32_t force_move(struct procmem *pm, uint32_t op, const struct run *run, uint32_t off,
			  uint32_t len)
{
	ssize_t moved = 0;

	for (uint32_t done = 0; done < len; done += (uint32_t)moved) {
		moved = move_by_file(pm, op, run->buf + off + done, len - done,
				     run->addr + off + done);
		if (moved < 0)
			return moved == -ESRCH ? SONDE_E_GONE : SONDE_E_NOT_MAPPED;
	}
	return 0;
}

/* The bytes from off on that did not move: as far as the same answer is sure to hold. */
static uint32_t settle_failure(struct procmem *pm, uint32_t op, const struct run *run, uint32_t off,
			       ssize_t moved)
{
	uint32_t left = run->len - off;
	int32_t err = code_of(moved);
	uint32_t len = run->n_pieces > 1 || err == SONDE_E_GONE
			       ? left
			       : rest_of_page(run->addr + off, left);

	if (err == SONDE_E_NOT_MAPPED && !pm->by_file)
		err = force_move(pm, op, run, off, len);
	if (err == SONDE_E_GONE) /* its memory goes before its pidfd tells */
		pm->gone = 1;
	tell(pm, run, off, len, err);
	return len;
}

/* len bytes from off on have moved. A bounced run lies in one page: in part is not at all. */
static void settle_success(struct procmem *pm, const struct run *run, uint32_t off, uint32_t len)
{
	if (run->n_pieces > 1 && len < run->len)
		tell(pm, run, 0, run->len, SONDE_E_NOT_MAPPED);
	else
		tell(pm, run, off, len, 0);
}

/* How far a list of runs has come. */
struct cursor {
	const struct run *runs; /* [n] */
	size_t n, at;
	uint32_t off; /* in runs[at] */
};

static void advance(struct cursor *c, uint32_t len)
{
	const struct run *run = &c->runs[c->at];

	c->off = run->n_pieces > 1 ? run->len : c->off + len;
	if (c->off == run->len) {
		c->at++;
		c->off = 0;
	}
}

/* Ask for all that is left in one call, or for the front run where only the file is open to us. */
static ssize_t move_rest(struct procmem *pm, uint32_t op, const struct cursor *c)
{
	struct vectors v = { 0 };

	vectors_add(&v, &c->runs[c->at], c->off);
	for (size_t k = c->at + 1; k < c->n; k++)
		vectors_add(&v, &c->runs[k], 0);
	if (pm->gone)
		return -ESRCH;
	if (!pm->by_file) {
		ssize_t moved = move_by_call(pm, op, &v);
		if (-moved != ENOSYS && -moved != EPERM)
			return moved;
		pm->by_file = 1;
	}
	return move_by_file(pm, op, v.local[0].iov_base, v.local[0].iov_len,
			    c->runs[c->at].addr + c->off);
}

static void move_runs(struct procmem *pm, uint32_t op, const struct run *runs, size_t n)
{
	struct cursor c = { .runs = runs, .n = n };

	while (c.at < n) {
		ssize_t moved = move_rest(pm, op, &c);
		if (moved < 0)
			advance(&c, settle_failure(pm, op, &runs[c.at], c.off, moved));
		while (moved > 0 && c.at < n) {
			uint32_t left = runs[c.at].len - c.off;
			uint32_t len = moved < (ssize_t)left ? (uint32_t)moved : left;
			settle_success(pm, &runs[c.at], c.off, len);
			advance(&c, len);
			moved -= len;
		}
	}
}

/* By insertion: at most 64, often in order already, and qsort would allocate. */
static void sort_pieces(struct procmem_piece *pieces, size_t n)
{
	for (size_t k = 1; k < n; k++) {
		struct procmem_piece piece = pieces[k];
		size_t at = k;
		for (; at > 0 && pieces[at - 1].addr > piece.addr; at--)
			pieces[at] = pieces[at - 1];
		pieces[at] = piece;
	}
}

/* How many pieces from k on lie in one page; *ret_last is the last byte of any of them. */
static uint32_t count_same_page(const struct procmem *pm, size_t k, uint64_t *ret_last)
{
	const struct procmem_piece *p = &pm->pieces[k];
	uint64_t page_last = p->addr | (PROCMEM_PAGE - 1);
	uint32_t n = 0;

	*ret_last = p->addr;
	for (; k + n < pm->n; n++) {
		const struct procmem_piece *q = &pm->pieces[k + n];
		if (q->addr > page_last || q->len - 1 > page_last - q->addr)
			break;
		if (q->addr + (q->len - 1) > *ret_last)
			*ret_last = q->addr + (q->len - 1);
	}
	return n > 1 ? n : 1;
}

/* Writes keep their order and are never merged: overlapping ones must end as if done one by one. */
static size_t make_runs(struct procmem *pm, uint32_t op, struct run *runs)
{
	size_t n_runs = 0, n_bounced = 0;

	if (op == SONDE_IO_READ)
		sort_pieces(pm->pieces, pm->n);
	for (size_t k = 0; k < pm->n; k += runs[n_runs++].n_pieces) {
		const struct procmem_piece *p = &pm->pieces[k];
		struct run *run = &runs[n_runs];
		uint64_t last;
		uint32_t n = op == SONDE_IO_READ ? count_same_page(pm, k, &last) : 1;

		*run = (struct run){
			.addr = p->addr, .len = p->len, .first = (uint32_t)k, .n_pieces = n
		};
		run->buf = (uint8_t *)p->io->xfers[p->i].buf + p->off;
		if (n > 1) {
			run->len = (uint32_t)(last - p->addr) + 1;
			run->buf = pm->bounce[n_bounced++];
		}
	}
	return n_runs;
}

void procmem_flush(struct procmem *pm)
{
	struct run runs[PROCMEM_BATCH];

	if (pm->n == 0)
		return;
	uint32_t op = pm->pieces[0].io->op;
	size_t n = make_runs(pm, op, runs);
	move_runs(pm, op, runs, n);
	pm->n = 0;
}

void procmem_add(struct procmem *pm, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
		 uint64_t addr)
{
	if (io->op == SONDE_IO_WRITE && !pm->writable) {
		sonde_progress(pm->host, io, i, off, len, SONDE_E_READ_ONLY);
		return;
	}
	if (len - 1 > UINT64_MAX - addr) {
		uint32_t fit = (uint32_t)(UINT64_MAX - addr) + 1;
		sonde_progress(pm->host, io, i, off + fit, len - fit, SONDE_E_NOT_MAPPED);
		len = fit;
	}
	if (pm->n == PROCMEM_BATCH || (pm->n && pm->pieces[0].io->op != io->op))
		procmem_flush(pm);
	pm->pieces[pm->n++] =
		(struct procmem_piece){ .io = io, .i = i, .off = off, .len = len, .addr = addr };
}

static ssize_t move_one(struct procmem *pm, void *buf, size_t len, uint64_t addr)
{
	const struct vectors one = { .local = { { buf, len } },
				     .remote = { { (void *)(uintptr_t)addr, len } },
				     .n_local = 1,
				     .n_remote = 1 };

	return pm->by_file ? move_by_file(pm, SONDE_IO_READ, buf, len, addr)
			   : move_by_call(pm, SONDE_IO_READ, &one);
}

int procmem_get(struct procmem *pm, uint64_t addr, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t moved = move_one(pm, (uint8_t *)buf + done, len - done, addr + done);
		if (!pm->by_file && (-moved == ENOSYS || -moved == EPERM)) {
			pm->by_file = 1;
			continue;
		}
		if (moved < 0)
			return code_of(moved);
		done += (size_t)moved;
	}
	return 0;
}

/* The setting that most often stands in the way, by its value on this machine. */
static int refuse_access(const struct procmem *pm, const char *who, struct sonde_error *err)
{
	char scope[16] = "absent";
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = read(fd, scope, sizeof(scope) - 1);
		scope[n > 0 ? n : 0] = '\0';
		scope[strcspn(scope, "\n")] = '\0';
		close(fd);
	}
	return pm->host->error_set(err, SONDE_E_NO_ACCESS,
				   "%s: '%d': not allowed to read its memory: be its user, or have "
				   "CAP_SYS_PTRACE (root has); /proc/sys/kernel/yama/ptrace_scope "
				   "is %s (with 0, or where "
				   "it is absent, a user may read his own processes)",
				   who, (int)pm->pid, scope);
}

/* One byte is tried at once, so that a refusal comes at opening and not at the first read. */
static int try_access(struct procmem *pm, const char *who, struct sonde_error *err)
{
	uint8_t byte;
	ssize_t moved = move_one(pm, &byte, 1, 0);

	if (-moved == ENOSYS || -moved == EPERM) {
		pm->by_file = 1;
		moved = move_one(pm, &byte, 1, 0);
	}
	if (moved > 0 || -moved == EFAULT)
		return pm->writable && open_mem(pm) < 0 ? refuse_access(pm, who, err) : 0;
	if (-moved == EPERM || -moved == EACCES)
		return refuse_access(pm, who, err);
	if (-moved == ESRCH && procmem_alive(pm))
		return pm->host->error_set(err, SONDE_E_UNSUPPORTED,
					   "%s: '%d': a kernel thread has no memory of its own",
					   who, (int)pm->pid);
	if (-moved == ESRCH)
		return pm->host->error_set(err, SONDE_E_GONE, "%s: '%d': has ended", who,
					   (int)pm->pid);
	return pm->host->error_os(err, (int)-moved, "%s: '%d': memory", who, (int)pm->pid);
}

void procmem_init(struct procmem *pm)
{
	pm->pidfd = pm->proc_fd = pm->mem_fd = -1;
}

int procmem_open(struct procmem *ret, const struct sonde_host *host, const char *who, pid_t pid,
		 int write, struct sonde_error *err)
{
	char path[32];

	ret->host = host;
	ret->pid = pid;
	ret->writable = write;
	ret->n = 0;
	ret->gone = 0;
	procmem_init(ret);
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	ret->proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int os_code = ret->pidfd < 0 ? errno : 0;
	/* A folder that is of the owner of the number still is of the one the pidfd was taken of. */
	if (os_code == ESRCH || os_code == EINVAL || ret->proc_fd < 0 ||
	    faccessat(ret->proc_fd, "stat", F_OK, 0) < 0)
		return host->error_set(err, SONDE_E_NOT_FOUND,
				       "%s: '%d': no such process, or /proc does not show it", who,
				       (int)pid);
	/* Without a pidfd (before Linux 5.3) only what /proc/PID opens is sure to be the same process. */
	ret->by_file = os_code != 0;
	return try_access(ret, who, err);
}

void procmem_close(struct procmem *pm)
{
	if (pm->mem_fd >= 0)
		close(pm->mem_fd);
	if (pm->pidfd >= 0)
		close(pm->pidfd);
	if (pm->proc_fd >= 0)
		close(pm->proc_fd);
	procmem_init(pm);
}

/* ---- which process ----------------------------------------------------------------------------- */

int procmem_start(const struct procmem *pm, uint64_t *ret)
{
	struct stat_fields fields;

	if (read_stat(pm, &fields) < 0)
		return SONDE_E_GONE;
	*ret = fields.start;
	return 0;
}

int64_t procmem_identity(const struct procmem *pm, void *buf, size_t cap)
{
	char boot[64], text[160];
	uint64_t start = 0;

	int r = procmem_start(pm, &start);
	if (r < 0)
		return r;
	read_text(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC), boot,
		  sizeof(boot));
	boot[strcspn(boot, "\n")] = '\0';
	snprintf(text, sizeof(text), "process %d, started at tick %" PRIu64 ", boot %s",
		 (int)pm->pid, start, boot);
	return note_text(text, buf, cap);
}
