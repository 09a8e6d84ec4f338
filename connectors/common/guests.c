/* SPDX-License-Identifier: MIT */
/*
 * QEMU's command line says its name and where its QMP sockets are:
 *   -name X | -name guest=X,debug-threads=on
 *   -qmp unix:PATH,server=on,...
 *   -chardev socket,id=ID,path=PATH,...  with  -mon chardev=ID,mode=control
 * Options start with one dash or two. A comma inside a value is written twice
 * (qemu 7.2 docs/system/invocation, util/keyval.c).
 */
#include "guests.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CMDLINE_MAX (256u << 10)
#define CHARDEVS_MAX 32
#define PROGRAM "qemu-system-"

/* What the command line says of a socket before it is known whether it is a monitor. */
struct chardev {
	char id[64];
	char path[PATH_MAX];
};

struct parse {
	struct guest *guest;
	struct chardev *chardevs; /* [n_chardevs] */
	size_t n_chardevs;
	char monitors[GUEST_QMP_MAX][64]; /* chardevs of mode=control */
	size_t n_monitors;
};

/* The value of a key of "a,b=c,..." into out, doubled commas halved. key NULL: the first, bare one.
 */
static int option_value(const char *text, const char *key, char *out, size_t cap)
{
	size_t key_len = key ? strlen(key) : 0;

	for (int first = 1; *text; first = 0) {
		int match = key ? strncmp(text, key, key_len) == 0 && text[key_len] == '='
				: first && text[strcspn(text, "=,")] != '=';
		const char *p = text + (match && key ? key_len + 1 : 0);
		size_t n = 0;
		while (*p && (*p != ',' || p[1] == ',')) {
			p += *p == ',' && p[1] == ',';
			if (match && n + 1 < cap)
				out[n++] = *p;
			p++;
		}
		if (match) {
			out[n] = '\0';
			return 1;
		}
		text = *p ? p + 1 : p;
	}
	return 0;
}

/* A path of the guest's process, as it is reached from here. */
static void add_qmp(struct guest *guest, const char *path)
{
	char link[48], cwd[PATH_MAX] = "";

	if (!guest->pid || guest->n_qmp == GUEST_QMP_MAX)
		return;
	if (path[0] != '/') {
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)guest->pid);
		ssize_t n = readlink(link, cwd, sizeof(cwd) - 1);
		cwd[n > 0 ? n : 0] = '\0';
	}
	char *to = guest->qmp[guest->n_qmp++];
	int n = snprintf(to, PATH_MAX, "%s%s%s", cwd, path[0] == '/' ? "" : "/", path);
	if (n >= PATH_MAX || access(to, F_OK) == 0)
		return;
	/* In a container, its root is not ours. */
	char inside[PATH_MAX];
	n = snprintf(inside, sizeof(inside), "/proc/%d/root%s", (int)guest->pid, to);
	if (n < (int)sizeof(inside) && access(inside, F_OK) == 0)
		memcpy(to, inside, (size_t)n + 1);
}

static void take_chardev(struct parse *parse, const char *value)
{
	struct chardev *chardev = &parse->chardevs[parse->n_chardevs];

	if (parse->n_chardevs < CHARDEVS_MAX && strncmp(value, "socket,", 7) == 0 &&
	    option_value(value, "id", chardev->id, sizeof(chardev->id)) &&
	    option_value(value, "path", chardev->path, sizeof(chardev->path)))
		parse->n_chardevs++;
}

static void take_monitor(struct parse *parse, const char *value)
{
	char mode[16] = "";
	char *id = parse->monitors[parse->n_monitors];

	if (parse->n_monitors == GUEST_QMP_MAX ||
	    !option_value(value, "mode", mode, sizeof(mode)) || strcmp(mode, "control") != 0)
		return;
	if (option_value(value, "chardev", id, 64) || option_value(value, NULL, id, 64))
		parse->n_monitors++;
}

static void take_memory(struct guest *guest, const char *value)
{
	char size[32];
	char *end;

	if (!option_value(value, "size", size, sizeof(size)) &&
	    !option_value(value, NULL, size, sizeof(size)))
		return;
	uint64_t n = strtoull(size, &end, 10);
	int shift = *end == 'T' || *end == 't'   ? 40
		    : *end == 'G' || *end == 'g' ? 30
		    : *end == 'K' || *end == 'k' ? 10
						 : 20; /* bare numbers are MiB */
	guest->memory = n <= UINT64_MAX >> shift ? n << shift : 0;
}

static void take_option(struct parse *parse, const char *option, const char *value)
{
	struct guest *guest = parse->guest;
	char path[PATH_MAX];

	if (strcmp(option, "name") == 0) {
		if (!option_value(value, "guest", guest->name, sizeof(guest->name)))
			option_value(value, NULL, guest->name, sizeof(guest->name));
	} else if (strcmp(option, "qmp") == 0 || strcmp(option, "qmp-pretty") == 0) {
		if (strncmp(value, "unix:", 5) == 0 &&
		    option_value(value + 5, NULL, path, sizeof(path)))
			add_qmp(guest, path);
	} else if (strcmp(option, "chardev") == 0) {
		take_chardev(parse, value);
	} else if (strcmp(option, "mon") == 0) {
		take_monitor(parse, value);
	} else if (strcmp(option, "uuid") == 0) {
		snprintf(guest->uuid, sizeof(guest->uuid), "%s", value);
	} else if (strcmp(option, "m") == 0) {
		take_memory(guest, value);
	} else if (strcmp(option, "machine") == 0 || strcmp(option, "M") == 0) {
		if (!option_value(value, "type", guest->machine, sizeof(guest->machine)))
			option_value(value, NULL, guest->machine, sizeof(guest->machine));
		option_value(value, "memory-backend", guest->memory_backend,
			     sizeof(guest->memory_backend));
	}
}

static void join_monitors(struct parse *parse)
{
	for (size_t m = 0; m < parse->n_monitors; m++) {
		for (size_t c = 0; c < parse->n_chardevs; c++) {
			if (strcmp(parse->monitors[m], parse->chardevs[c].id) == 0)
				add_qmp(parse->guest, parse->chardevs[c].path);
		}
	}
}

/* Next argument behind at, NULL at the end; every one is terminated inside the n bytes. */
static const char *next_arg(const char *at, const char *end)
{
	at += strlen(at) + 1;
	return at < end ? at : NULL;
}

int guest_parse(struct guest *ret, pid_t pid, const char *cmdline, size_t n_bytes)
{
	const char *end = cmdline + n_bytes;

	if (n_bytes == 0 || end[-1] != '\0')
		return 0;
	const char *slash = strrchr(cmdline, '/');
	const char *program = slash ? slash + 1 : cmdline;
	if (strncmp(program, PROGRAM, strlen(PROGRAM)) != 0 && strcmp(program, "qemu-kvm") != 0 &&
	    strcmp(program, "kvm") != 0)
		return 0;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	snprintf(ret->program, sizeof(ret->program), "%s", program);
	struct parse parse = { .guest = ret,
			       .chardevs = calloc(CHARDEVS_MAX + 1, sizeof(struct chardev)) };
	if (!parse.chardevs)
		return 0;
	for (const char *arg = next_arg(cmdline, end); arg; arg = next_arg(arg, end)) {
		const char *value = next_arg(arg, end);
		if (arg[0] != '-' || !value)
			continue;
		take_option(&parse, arg + 1 + (arg[1] == '-'), value);
	}
	join_monitors(&parse);
	free(parse.chardevs);
	return 1;
}

uint32_t guest_arch_named(const char *name)
{
	static const struct {
		const char *name;
		uint32_t arch;
	} known[] = {
		{ "x86_64", SONDE_ARCH_X86_64 },
		{ "i386", SONDE_ARCH_I386 },
		{ "aarch64", SONDE_ARCH_AARCH64 },
		{ "riscv64", SONDE_ARCH_RISCV64 },
	};

	for (size_t i = 0; name && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0)
			return known[i].arch;
	}
	return SONDE_ARCH_NONE;
}

uint32_t guest_arch(const struct guest *guest)
{
	int told = strncmp(guest->program, PROGRAM, strlen(PROGRAM)) == 0;

	return guest_arch_named(told ? guest->program + strlen(PROGRAM) : "x86_64");
}

int guest_read(struct guest *ret, pid_t pid)
{
	char path[48];
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? malloc(CMDLINE_MAX) : NULL;
	size_t used = 0;
	ssize_t n = 1;
	while (text && n > 0 && used < CMDLINE_MAX - 1) {
		n = read(fd, text + used, CMDLINE_MAX - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	}
	if (text) {
		if (used && text[used - 1])
			text[used++] = '\0'; /* cut, or rewritten by the process */
		found = guest_parse(ret, pid, text, used);
	}
	free(text);
	if (fd >= 0)
		close(fd);
	return found;
}

int guest_each(guest_fn *fn, void *user)
{
	struct guest *guest = malloc(sizeof(*guest));
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	while (guest && proc && r == 0 && (entry = readdir(proc))) {
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    guest_read(guest, (pid_t)strtol(entry->d_name, NULL, 10)))
			r = fn(user, guest);
	}
	if (proc)
		closedir(proc);
	free(guest);
	return r;
}

struct search {
	const char *name;
	pid_t pid; /* of the name read as a number; 0 none */
	struct guest *best;
	int n_named, by_pid;
	char all[300], same[200]; /* lists for messages */
};

static void append(char *list, size_t cap, const struct guest *guest)
{
	size_t used = strlen(list);

	snprintf(list + used, cap - used, "%s'%.60s' (pid %d)", used ? ", " : "", guest->name,
		 (int)guest->pid);
}

static int consider(void *user, const struct guest *guest)
{
	struct search *search = user;

	append(search->all, sizeof(search->all), guest);
	if (guest->name[0] && strcmp(guest->name, search->name) == 0) {
		append(search->same, sizeof(search->same), guest);
		search->n_named++;
		*search->best = *guest;
	} else if (guest->pid == search->pid && search->n_named == 0) {
		search->by_pid = 1;
		*search->best = *guest;
	}
	return 0;
}

int guest_find(const struct sonde_host *host, const char *name, struct guest *ret,
	       struct sonde_error *err)
{
	struct search search = { .name = name, .best = ret };

	if (strspn(name, "0123456789") == strlen(name) && strlen(name) < 10)
		search.pid = (pid_t)strtol(name, NULL, 10);
	guest_each(consider, &search);
	if (search.n_named > 1)
		return host->error_set(
			err, SONDE_E_AMBIGUOUS,
			"qemu: '%.60s': several guests have this name: %s: name one by its pid",
			name, search.same);
	if (search.n_named == 0 && !search.by_pid)
		return host->error_set(err, SONDE_E_NOT_FOUND,
				       "qemu: '%.60s': no such guest; there %s%s", name,
				       search.all[0] ? "are: " : "is none", search.all);
	return 0;
}

struct qmp_search {
	struct stat socket;
	struct guest *ret;
};

static int has_qmp(void *user, const struct guest *guest)
{
	struct qmp_search *search = user;
	struct stat st;

	for (size_t i = 0; i < guest->n_qmp; i++) {
		if (stat(guest->qmp[i], &st) == 0 && st.st_ino == search->socket.st_ino &&
		    st.st_dev == search->socket.st_dev) {
			*search->ret = *guest;
			return 1;
		}
	}
	return 0;
}

int guest_find_qmp(const char *path, struct guest *ret)
{
	struct qmp_search search = { .ret = ret };

	return stat(path, &search.socket) == 0 && guest_each(has_qmp, &search);
}

struct uuid_search {
	const char *uuid;
	struct guest *ret;
	int n;
};

static int has_uuid(void *user, const struct guest *guest)
{
	struct uuid_search *search = user;

	if (strcasecmp(guest->uuid, search->uuid) == 0) {
		*search->ret = *guest;
		search->n++;
	}
	return 0;
}

int guest_find_uuid(const char *uuid, struct guest *ret)
{
	struct uuid_search search = { .uuid = uuid, .ret = ret };

	guest_each(has_uuid, &search);
	return search.n;
}
