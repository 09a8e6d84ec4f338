/* SPDX-License-Identifier: MIT */
/*
 * relist TARGET N: open a guest once and list its processes N times.
 *
 *	list CODE TEXT                                       how a list went; its rows follow
 *	row PID PPID UID MISSING CODE NAME ARGUMENTS         name and arguments in hexadecimal digits, "-" for none
 *	gone CODE TEXT                                       at the end: what became of the guest meanwhile
 */
#include <sonde/sonde.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_hex(const char *bytes, uint64_t len)
{
	fputs(len ? " " : " -", stdout);
	for (uint64_t i = 0; i < len; i++)
		printf("%02x", (uint8_t)bytes[i]);
}

static void put_row(const struct sonde_process *p)
{
	printf("row %" PRId32 " %" PRId32 " %" PRIu32 " %" PRIu32 " %s", p->pid, p->ppid, p->uid,
	       p->missing, p->err ? sonde_error_name(p->err) : "OK");
	put_hex(p->name, p->name ? strlen(p->name) : 0);
	put_hex(p->cmdline, p->cmdline ? p->cmdline_len : 0);
	putchar('\n');
}

static void list(struct sonde_os *os)
{
	struct sonde_processes *all = NULL;
	struct sonde_error err = { 0 };
	int r = sonde_os_processes(os, SONDE_PROCESS_ALL, &all, &err);

	printf("list %s %s\n", r < 0 ? sonde_error_name(r) : "OK",
	       r < 0                         ? err.text
	       : sonde_processes_damage(all) ? sonde_processes_damage(all)
					     : "");
	for (size_t i = 0; r >= 0 && i < sonde_processes_count(all); i++)
		put_row(sonde_processes_at(all, i));
	sonde_processes_destroy(all);
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_os *os = NULL;
	struct sonde_error err = { 0 };
	int n = argc == 3 ? atoi(argv[2]) : 0;

	int failed = sonde_loop_create(NULL, &loop, &err) < 0 ||
		     sonde_target_open(loop, argc == 3 ? argv[1] : "", NULL, &target, &err) < 0 ||
		     sonde_os_attach(target, NULL, &os, &err) < 0;
	if (failed)
		fprintf(stderr, "%s\n", err.text);
	for (int i = 0; !failed && i < n; i++)
		list(os);
	if (!failed) {
		int r = sonde_target_gone(target, &err);
		printf("gone %s %s\n", r < 0 ? sonde_error_name(r) : "OK", err.text);
	}
	sonde_os_detach(os);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
