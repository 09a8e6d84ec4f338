/* SPDX-License-Identifier: MIT */
/*
 * The one table of options and its reading through getopt_long. An option means the same
 * in every command that takes it; but --hex is a switch for `read` and bytes for `write`, and of `trace`, where
 * calls are what is counted and has arguments, --count and --args say so.
 */
#include "opts.h"

#include "out.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, STRING, NUMBER };

struct entry {
	const char *name;
	char letter;     /* 0: none */
	uint8_t kind;    /* enum kind */
	uint16_t field;  /* offset in struct opts */
	const char *arg; /* what the value is called, NULL for a FLAG */
	const char *help;
	uint64_t most; /* NUMBER: 1..most */
};

#define FIELD(f) offsetof(struct opts, f)

static const struct entry entries[OPT_N] = {
	[OPT_JSON] = { "json", 0, FLAG, FIELD(json), NULL, "print one JSON array of objects" },
	[OPT_CSV] = { "csv", 0, FLAG, FIELD(csv), NULL, "print comma-separated values (RFC 4180)" },
	[OPT_NO_HEADER] = { "no-header", 0, FLAG, FIELD(no_header), NULL,
			    "leave out the line of column names" },
	[OPT_COLOR] = { "color", 0, STRING, FIELD(color), "WHEN",
			"auto (on a terminal), always or never" },
	[OPT_ENGINE] = { "engine", 0, STRING, FIELD(engine), "NAME",
			 "auto, sync, direct, io_uring, threads or epoll" },
	[OPT_SYMBOLS] = { "symbols", 0, STRING, FIELD(symbols), "FILE",
			  "a vmlinux, for kernels that carry no types" },
	[OPT_OVERLAY] = { "overlay", 0, STRING, FIELD(overlay), "FILE",
			  "see the target with what FILE holds written over it" },
	[OPT_PAUSE] = { "pause", 0, FLAG, FIELD(pause), NULL,
			"stop a live target while it is read; it goes on afterwards" },
	[OPT_SNAPSHOT] = { "snapshot", 0, FLAG, FIELD(snapshot), NULL,
			   "read a live target as it is at one moment, while it goes on" },
	[OPT_STATS] = { "stats", 0, FLAG, FIELD(stats), NULL,
			"then print time, engine, round trips and memory on stderr" },
	[OPT_VERBOSE] = { "verbose", 'v', FLAG, FIELD(verbose), NULL,
			  "say on stderr what was found and how" },
	[OPT_HELP] = { "help", 'h', FLAG, FIELD(help), NULL, "print this help" },
	[OPT_FIELDS] = { "fields", 'f', STRING, FIELD(fields), "LIST",
			 "show these fields, in this order: pid,name,..." },
	[OPT_PID] = { "pid", 'p', NUMBER, FIELD(pid), "PID", "of the process PID only", INT32_MAX },
	[OPT_ALL] = { "all", 'a', FLAG, FIELD(all), NULL, "all of them" },
	[OPT_ARGS] = { "args", 0, FLAG, FIELD(args), NULL,
		       "show the command line as an array, each argument quoted" },
	[OPT_KERNEL] = { "kernel", 0, FLAG, FIELD(kernel), NULL,
			 "addresses are the kernel's virtual ones" },
	[OPT_PHYS] = { "phys", 0, FLAG, FIELD(phys), NULL,
		       "addresses are physical: the target's own memory" },
	[OPT_OUTPUT] = { "output", 'o', STRING, FIELD(output), "FILE",
			 "put the bytes into FILE, zeros where unreadable" },
	[OPT_RAW] = { "raw", 0, FLAG, FIELD(raw), NULL,
		      "put the bytes on standard output as they are" },
	[OPT_HEX] = { "hex", 0, FLAG, FIELD(hex), NULL, "print hex digits only, no columns" },
	[OPT_HEX_BYTES] = { "hex", 0, STRING, FIELD(hex_bytes), "BYTES",
			    "write these: \"90 90 c3\" or 9090c3" },
	[OPT_FILE] = { "file", 0, STRING, FIELD(file), "FILE", "write the contents of FILE" },
	[OPT_STRING] = { "string", 0, STRING, FIELD(string), "TEXT",
			 "write TEXT, without a terminating NUL" },
	[OPT_WRITE] = { "write", 0, FLAG, FIELD(write), NULL, "yes, change the target's memory" },
	[OPT_NO_VERIFY] = { "no-verify", 0, FLAG, FIELD(no_verify), NULL,
			    "do not read again what was written" },
	[OPT_JOURNAL] = { "journal", 0, STRING, FIELD(journal), "FILE",
			  "the file of old and new bytes, for 'sonde undo'" },
	[OPT_FORCE] = { "force", 0, FLAG, FIELD(force), NULL,
			"also where something else was written since, or in another target" },
	[OPT_LIST] = { "list", 0, FLAG, FIELD(list), NULL, "list the writes in the journal" },
	[OPT_MATCH] = { "match", 'm', STRING, FIELD(match), "GLOB",
			"all whose name matches: 'sys_*'" },
	[OPT_COUNT] = { "count", 'n', NUMBER, FIELD(count), "COUNT", "how many instructions",
			1 << 20 },
	[OPT_REVERSE] = { "reverse", 0, FLAG, FIELD(reverse), NULL,
			  "find the virtual addresses that lead to physical ones" },
	[OPT_TABLE] = { "table", 0, FLAG, FIELD(table), NULL,
			"show the tables' entries, each bit by its name" },
	[OPT_ALIGN] = { "align", 0, NUMBER, FIELD(align), "BYTES",
			"only at multiples of BYTES, a power of two", UINT64_C(1) << 31 },
	[OPT_RANGE] = { "range", 0, STRING, FIELD(range), "FIRST..LAST",
			"only between these addresses, both inclusive" },
	[OPT_THREADS] = { "threads", 0, NUMBER, FIELD(threads), "COUNT",
			  "how many threads, instead of one a processor", 64 },
	[OPT_MAX] = { "max", 0, NUMBER, FIELD(max), "COUNT", "stop behind COUNT hits", UINT64_MAX },
	[OPT_UTF16] = { "utf16", 0, FLAG, FIELD(utf16), NULL,
			"text is looked for as UTF-16, little-endian" },
	[OPT_REGISTERS] = { "registers", 0, FLAG, FIELD(registers), NULL,
			    "stop each thread for a moment, and show its registers" },
	[OPT_CALL_ARGS] = { "args", 0, FLAG, FIELD(args), NULL, "show the arguments of each call" },
	[OPT_CALL_COUNT] = { "count", 'n', NUMBER, FIELD(count), "COUNT", "end after COUNT calls",
			     UINT64_MAX },
	[OPT_TIME] = { "time", 0, NUMBER, FIELD(seconds), "SECONDS", "end after SECONDS",
		       1000000000 },
	[OPT_DUMP_OUTPUT] = { "output", 'o', STRING, FIELD(output), "FILE", "the file to write" },
	[OPT_FORMAT] = { "format", 0, STRING, FIELD(format), "NAME",
			 "elf, kdump-zlib, -zstd, -lzo or -snappy, avml, lime, windows, raw" },
	[OPT_RESUME] = { "resume", 0, FLAG, FIELD(resume), NULL,
			 "go on with FILE.partial of a raw dump that was cut off" },
	[OPT_EXCLUDE] = { "exclude", 0, STRING, FIELD(exclude), "LIST",
			  "leave out pages: free,cache,cache-private,user or all" },
	[OPT_LISTEN] = { "listen", 0, STRING, FIELD(listen), "WHERE",
			 "HOST:PORT or unix:PATH; 127.0.0.1:10809 without" },
	[OPT_NINEP] = { "9p", 0, FLAG, FIELD(ninep), NULL,
			"TARGET is a directory: serve the files below it, by 9P2000.L" },
	[OPT_EXPORT] = { "export", 0, STRING, FIELD(export), "NAME",
			 "what it is called beside \"\"; memory without" },
	[OPT_TLS_CERT] = { "tls-cert", 0, STRING, FIELD(tls_cert), "FILE",
			   "TLS by this certificate (PEM)" },
	[OPT_TLS_KEY] = { "tls-key", 0, STRING, FIELD(tls_key), "FILE",
			  "... and its private key (PEM)" },
	[OPT_TLS_CA] = { "tls-ca", 0, STRING, FIELD(tls_ca), "FILE",
			 "clients need a certificate of this CA's" },
	[OPT_TLS_PSK] = { "tls-psk", 0, STRING, FIELD(tls_psk), "FILE",
			  "TLS by keys known beforehand, lines NAME:HEX" },
	[OPT_INSECURE] = { "insecure", 0, FLAG, FIELD(insecure), NULL,
			   "let others than this machine in, without TLS" },
	[OPT_SERVE_WRITE] = { "write", 0, FLAG, FIELD(write), NULL,
			      "let clients change what is served" },
	[OPT_VERSION] = { "version", 'V', FLAG, FIELD(version), NULL, "print the version" },
};

int parse_u64(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "kMGT";
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	errno = 0;
	unsigned long long value = strtoull(text, &end, hex ? 16 : 10);
	if (errno != 0 || (hex && end == text + 2) || (hex && end == text + 1))
		return 0;
	if (*end != '\0') {
		const char *suffix = strchr(suffixes, *end == 'K' ? 'k' : *end);
		if (!suffix || end[1] != '\0')
			return 0;
		unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
		if (value > UINT64_MAX >> shift)
			return 0;
		value <<= shift;
	}
	*ret = value;
	return 1;
}

static int take(struct opts *opts, const struct entry *e, const char *value, char why[256])
{
	char *field = (char *)opts + e->field;
	uint64_t number;

	switch (e->kind) {
	case FLAG:
		*(bool *)field = true;
		return 0;
	case STRING:
		*(const char **)field = value;
		return 0;
	default:
		if (!parse_u64(value, &number) || number < 1 || number > e->most) {
			snprintf(why, 256, "--%s '%s': not a number from 1 to %llu", e->name, value,
				 (unsigned long long)e->most);
			return -1;
		}
		*(uint64_t *)field = number;
		return 0;
	}
}

static int check(const struct opts *opts, char why[256])
{
	const char *color = opts->color;

	if (color && strcmp(color, "auto") && strcmp(color, "always") && strcmp(color, "never")) {
		snprintf(why, 256, "--color '%s': not auto, always or never", color);
		return -1;
	}
	if (opts->json && opts->csv) {
		snprintf(why, 256, "--json and --csv exclude each other");
		return -1;
	}
	if (opts->snapshot && opts->pause) {
		snprintf(why, 256, "--snapshot and --pause exclude each other");
		return -1;
	}
	return 0;
}

/* Build what getopt wants. Values of long options lie above those of any letter. */
static void tables(uint64_t takes, bool first_only, struct option longs[OPT_N + 1],
		   char shorts[2 * OPT_N + 3])
{
	size_t n = 0, s = 0;

	if (first_only)
		shorts[s++] = '+';
	shorts[s++] = ':';
	for (int i = 0; i < OPT_N; i++) {
		if (!(takes >> i & 1))
			continue;
		longs[n++] = (struct option){ entries[i].name,
					      entries[i].arg ? required_argument : no_argument,
					      NULL, 256 + i };
		if (entries[i].letter) {
			shorts[s++] = entries[i].letter;
			if (entries[i].arg)
				shorts[s++] = ':';
		}
	}
	longs[n] = (struct option){ 0 };
	shorts[s] = '\0';
}

static const struct entry *by_letter(uint64_t takes, int letter)
{
	for (int i = 0; i < OPT_N; i++)
		if ((takes >> i & 1) && entries[i].letter == letter)
			return &entries[i];
	return NULL;
}

/* A long option is named as it stands on the command line, a letter as a letter. */
static int refuse(int result, char **argv, char why[256])
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (optopt > 0 && optopt < 256)
		word = letter;
	snprintf(why, 256,
		 result == ':'   ? "option '%s' needs a value"
		 : optopt >= 256 ? "option '%s' takes no value"
				 : "unknown option '%s'",
		 word);
	return -1;
}

int opts_parse(struct opts *opts, uint64_t takes, bool first_only, int argc, char **argv,
	       char why[256])
{
	struct option longs[OPT_N + 1];
	char shorts[2 * OPT_N + 3];
	int result;

	tables(takes, first_only, longs, shorts);
	optind = 0; /* glibc: start over, with these tables */
	opterr = 0;
	while ((result = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (result == '?' || result == ':')
			return refuse(result, argv, why);
		const struct entry *e =
			result >= 256 ? &entries[result - 256] : by_letter(takes, result);
		if (e && take(opts, e, optarg, why) < 0)
			return -1;
	}
	return check(opts, why) < 0 ? -1 : optind;
}

void opts_help(struct out *out, uint64_t takes)
{
	for (int i = 0; i < OPT_N; i++) {
		const struct entry *e = &entries[i];
		char left[40];

		if (!(takes >> i & 1))
			continue;
		if (e->letter)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", e->letter, e->name,
				 e->arg ? " " : "", e->arg ? e->arg : "");
		else
			snprintf(left, sizeof(left), "    --%s%s%s", e->name, e->arg ? " " : "",
				 e->arg ? e->arg : "");
		out_printf(out, "  %-22s %s\n", left, e->help);
	}
}
