/* SPDX-License-Identifier: MIT */
/*
 * Options. Each is described once, in the table of opts.c: how it is spelled, what it says
 * in --help, which field it fills. A subcommand names the ones it takes as bits.
 */
#ifndef SONDE_TOOL_OPTS_H
#define SONDE_TOOL_OPTS_H

#include <stdbool.h>
#include <stdint.h>

enum opt {
	/* taken by every command */
	OPT_JSON,
	OPT_CSV,
	OPT_NO_HEADER,
	OPT_COLOR,
	OPT_ENGINE,
	OPT_SYMBOLS,
	OPT_OVERLAY,
	OPT_PAUSE,
	OPT_SNAPSHOT,
	OPT_STATS,
	OPT_VERBOSE,
	OPT_HELP,
	/* taken by those that name them */
	OPT_FIELDS,
	OPT_PID,
	OPT_ALL,
	OPT_ARGS,
	OPT_KERNEL,
	OPT_PHYS,
	OPT_OUTPUT,
	OPT_RAW,
	OPT_HEX,
	OPT_HEX_BYTES,
	OPT_FILE,
	OPT_STRING,
	OPT_WRITE,
	OPT_NO_VERIFY,
	OPT_JOURNAL,
	OPT_FORCE,
	OPT_LIST,
	OPT_MATCH,
	OPT_COUNT,
	OPT_REVERSE,
	OPT_TABLE,
	OPT_ALIGN,
	OPT_RANGE,
	OPT_THREADS,
	OPT_MAX,
	OPT_UTF16,
	OPT_REGISTERS,
	OPT_CALL_ARGS,
	OPT_CALL_COUNT,
	OPT_TIME,
	OPT_DUMP_OUTPUT,
	OPT_FORMAT,
	OPT_RESUME,
	OPT_EXCLUDE,
	OPT_NINEP,
	OPT_LISTEN,
	OPT_EXPORT,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_TLS_CA,
	OPT_TLS_PSK,
	OPT_INSECURE,
	OPT_SERVE_WRITE,
	OPT_VERSION, /* of the tool itself, in front of a command */
	OPT_N,
};
#define OPT_BIT(name) (UINT64_C(1) << OPT_##name)
#define OPTS_COMMON (OPT_BIT(FIELDS) - 1)

struct opts {
	bool json, csv, no_header, pause, snapshot, stats, verbose, help, version;
	const char *color;   /* "auto" "always" "never"; NULL auto  */
	const char *engine;  /* NULL auto                           */
	const char *symbols; /* file, NULL none                     */
	const char *overlay; /* file, NULL none                     */
	const char *fields;  /* comma-separated keys, NULL: the usual ones */
	uint64_t pid;        /* 1..INT32_MAX; 0 not given           */
	bool all, args, kernel, phys, raw, hex, write, reverse, table;
	const char *output, *hex_bytes, *file, *string, *match;
	uint64_t count, align, threads, max, seconds; /* 0 not given */
	const char *range;
	bool utf16, registers, no_verify, force, list, resume;
	const char *journal; /* file, NULL none */
	const char *format;  /* of a dump, NULL elf */
	const char *exclude; /* uses of pages, comma-separated; NULL none */
	const char *listen, *export, *tls_cert, *tls_key, *tls_ca, *tls_psk; /* NULL not given */
	bool insecure, ninep;
};

/*
 * Parse the options in takes from argv (argv[0] is skipped), moving operands behind them; with
 * first_only, stop at the first operand. Returns the index of the first operand, or -1 with one
 * line in why.
 */
int opts_parse(struct opts *opts, uint64_t takes, bool first_only, int argc, char **argv,
	       char why[256]);

struct out;
/* Lines for --help. */
void opts_help(struct out *out, uint64_t takes);

/* "4096", "0x1000", "64k", "2M", "1G": 1 and *ret, 0 when it is no such number or too large. */
int parse_u64(const char *text, uint64_t *ret);

#endif
