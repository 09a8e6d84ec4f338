/* SPDX-License-Identifier: MIT */
/* The arguments of a fault layer, and the choice of what is hit. */
#include "rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/numbers.h"
#include "errnos.h"

#define CODES_MAX 127 /* there are no codes below minus this */

/* ---- names of errors -------------------------------------------------------------------------- */

static int32_t code_of(const struct sonde_host *host, const char *name)
{
	if (strcmp(name, "UNKNOWN") == 0)
		return 0;
	for (int32_t code = -1; code >= -CODES_MAX; code--) {
		if (strcmp(host->code_name(code), name) == 0)
			return code;
	}
	return 0;
}

static int read_error(struct fault_rule *rule, const struct sonde_host *host,
		      const struct sonde_args *args, struct sonde_error *err)
{
	const char *code = host->arg(args, "error"), *os = host->arg(args, "errno");

	if (code && os)
		return host->error_set(err, SONDE_E_BAD_ARG, "fault: error= or errno=, not both");
	if (code && !(rule->code = code_of(host, code)))
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"fault: error='%.40s': no such code: IO, GONE, NOT_MAPPED ...", code);
	if (os && !(rule->os_code = errno_by_name(os)))
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "fault: errno='%.40s': no such name or number: EIO, 5 ...",
				       os);
	if (code || os)
		rule->kinds |= FAULT_ERROR;
	return 0;
}

static int obey_open(const struct sonde_host *host, const struct sonde_args *args,
		     struct sonde_error *err)
{
	const char *name = host->arg(args, "open");
	int32_t code;
	int os_code;

	if (!name)
		return 0;
	if ((code = code_of(host, name)) != 0)
		return host->error_set(err, code, "fault: asked to fail: %s",
				       host->code_text(code));
	if ((os_code = errno_by_name(name)) != 0)
		return host->error_os(err, os_code, "fault: asked to fail");
	return host->error_set(err, SONDE_E_BAD_ARG, "fault: open='%.40s': no such error", name);
}

/* ---- arguments --------------------------------------------------------------------------------- */

static int bad_number(const struct sonde_host *host, const char *key, struct sonde_error *err)
{
	return host->error_set(err, SONDE_E_BAD_ARG, "fault: %s: out of its range", key);
}

/* A number in [1, max]; absent: 0. */
static int read_number(const struct sonde_host *host, const struct sonde_args *args,
		       const char *key, uint64_t max, uint64_t *ret, struct sonde_error *err)
{
	int r = host->arg_u64(args, key, ret, err);

	if (r <= 0)
		return r;
	return *ret == 0 || *ret > max ? bad_number(host, key, err) : 1;
}

static int read_kinds(struct fault_rule *rule, const struct sonde_host *host,
		      const struct sonde_args *args, struct sonde_error *err)
{
	const char *drop = host->arg(args, "drop");
	uint64_t len = 0, flips = 0, us = 0;
	int has_short = host->arg_u64(args, "short", &len, err), r;

	if (has_short < 0)
		return has_short;
	if (len > INT32_MAX)
		return bad_number(host, "short", err);
	if ((r = read_number(host, args, "flip", 1024, &flips, err)) < 0 ||
	    (r = read_number(host, args, "delay_us", 60000000, &us, err)) < 0)
		return r;
	if (drop && strcmp(drop, "yes") != 0)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "fault: drop='%.40s': yes, or leave it out", drop);
	rule->short_len = (uint32_t)len;
	rule->n_flips = (uint32_t)flips;
	rule->delay_ns = us * 1000;
	rule->kinds |= (has_short ? FAULT_SHORT : 0) | (drop ? FAULT_DROP : 0) |
		       (flips ? FAULT_FLIP : 0) | (us ? FAULT_DELAY : 0);
	if (rule->kinds & FAULT_SHORT && !rule->code && !rule->os_code)
		rule->code = SONDE_E_TRUNCATED;
	return 0;
}

/* One thing at a time, so that nobody has to guess: only a delay goes with everything. */
static int check_kinds(const struct fault_rule *rule, const struct sonde_host *host,
		       struct sonde_error *err)
{
	uint32_t kinds = rule->kinds & ~(uint32_t)FAULT_DELAY;

	if (!rule->kinds)
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"fault: what is to go wrong? error=, errno=, short=, drop=, flip=, "
			"delay_us= or open=");
	if (kinds & FAULT_SHORT)
		kinds &= ~(uint32_t)FAULT_ERROR;
	if (kinds & (kinds - 1))
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"fault: one of error, short, drop and flip; more of them are "
			"more layers: |fault,...|fault,...");
	if (kinds == FAULT_FLIP && rule->ops & 1u << SONDE_IO_WRITE)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "fault: flip is of what is read: add op=read");
	return 0;
}

static size_t count_items(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == ';';
	return n;
}

/* ADDR+LEN. Returns where it ends, NULL where it is none. */
static const char *read_range(const char *text, struct fault_range *ret)
{
	uint64_t len = 0;
	const char *end = number_read(text, &ret->addr);

	if (!end || *end != '+' || !(end = number_read(end + 1, &len)))
		return NULL;
	if (len == 0 || len - 1 > UINT64_MAX - ret->addr || (*end && *end != ';'))
		return NULL;
	ret->last = ret->addr + (len - 1);
	return end;
}

static int read_ranges(struct fault_rule *rule, const struct sonde_host *host, const char *text,
		       struct sonde_error *err)
{
	const char *end = text;

	if (!text)
		return 0;
	rule->ranges = calloc(count_items(text), sizeof(*rule->ranges));
	if (!rule->ranges)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	do {
		end = read_range(text, &rule->ranges[rule->n_ranges++]);
		if (!end)
			return host->error_set(err, SONDE_E_BAD_ARG,
					       "fault: at: '%.60s' is not ADDR+LEN;...", text);
		text = end + 1;
	} while (*end);
	return 0;
}

static int read_ops(struct fault_rule *rule, const struct sonde_host *host, const char *text,
		    struct sonde_error *err)
{
	uint32_t read = 1u << SONDE_IO_READ, write = 1u << SONDE_IO_WRITE;

	rule->ops = !text || strcmp(text, "both") == 0 ? read | write
		    : strcmp(text, "read") == 0        ? read
		    : strcmp(text, "write") == 0       ? write
						       : 0;
	return rule->ops ? 0
			 : host->error_set(err, SONDE_E_BAD_ARG,
					   "fault: op='%.40s': read, write or both", text);
}

static int read_choice(struct fault_rule *rule, const struct sonde_host *host,
		       const struct sonde_args *args, struct sonde_error *err)
{
	uint64_t seed = 1;
	int r;

	if ((r = read_number(host, args, "every", UINT64_MAX, &rule->every, err)) < 0 ||
	    (r = read_number(host, args, "random", UINT64_MAX, &rule->random, err)) < 0 ||
	    (r = read_number(host, args, "after", UINT64_MAX, &rule->after, err)) < 0 ||
	    (r = read_number(host, args, "times", UINT64_MAX, &rule->times, err)) < 0 ||
	    (r = host->arg_u64(args, "seed", &seed, err)) < 0)
		return r;
	rule->state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	return 0;
}

static void describe(struct fault_rule *rule, const struct sonde_host *host)
{
	const char *kind = rule->kinds & FAULT_SHORT   ? "short"
			   : rule->kinds & FAULT_DROP  ? "drop"
			   : rule->kinds & FAULT_FLIP  ? "flip"
			   : rule->kinds & FAULT_ERROR ? "error"
						       : "delay";

	if (rule->os_code)
		snprintf(rule->what, sizeof(rule->what), "%s (errno %d, %s)", kind, rule->os_code,
			 strerror(rule->os_code));
	else if (rule->code)
		snprintf(rule->what, sizeof(rule->what), "%s (%s, %s)", kind,
			 host->code_name(rule->code), host->code_text(rule->code));
	else
		snprintf(rule->what, sizeof(rule->what), "%s", kind);
}

int rule_read(struct fault_rule *rule, const struct sonde_host *host, const struct sonde_args *args,
	      struct sonde_error *err)
{
	int r;

	if ((r = obey_open(host, args, err)) < 0 || (r = read_error(rule, host, args, err)) < 0 ||
	    (r = read_kinds(rule, host, args, err)) < 0 ||
	    (r = read_ops(rule, host, host->arg(args, "op"), err)) < 0 ||
	    (r = check_kinds(rule, host, err)) < 0 ||
	    (r = read_ranges(rule, host, host->arg(args, "at"), err)) < 0 ||
	    (r = read_choice(rule, host, args, err)) < 0)
		return r;
	describe(rule, host);
	return 0;
}

void rule_finish(struct fault_rule *rule)
{
	free(rule->ranges);
}

/* ---- the choice ------------------------------------------------------------------------------------ */

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016. */
uint64_t rule_random(struct fault_rule *rule)
{
	rule->state ^= rule->state >> 12;
	rule->state ^= rule->state << 25;
	rule->state ^= rule->state >> 27;
	return rule->state * UINT64_C(0x2545f4914f6cdd1d);
}

static int in_ranges(const struct fault_rule *rule, const struct sonde_xfer *x)
{
	uint64_t last = x->len - 1 <= UINT64_MAX - x->addr ? x->addr + (x->len - 1) : UINT64_MAX;

	for (size_t i = 0; i < rule->n_ranges; i++) {
		if (x->addr <= rule->ranges[i].last && last >= rule->ranges[i].addr)
			return 1;
	}
	return rule->n_ranges == 0;
}

int rule_hits(struct fault_rule *rule, const struct sonde_xfer *x, uint32_t op)
{
	if (!(rule->ops >> op & 1) || !in_ranges(rule, x))
		return 0;
	uint64_t seen = ++rule->n_seen;
	if (seen <= rule->after || (rule->times && rule->n_hit >= rule->times))
		return 0;
	if (rule->every && (seen - rule->after) % rule->every)
		return 0;
	if (rule->random && (rule_random(rule) >> 11) % rule->random)
		return 0;
	rule->n_hit++;
	return 1;
}

uint32_t rule_run(const struct fault_rule *rule, const struct sonde_xfer *x, uint32_t off,
		  uint32_t len, int *ret_inside)
{
	uint64_t addr = x->addr + off;

	*ret_inside = rule->n_ranges == 0;
	for (size_t i = 0; i < rule->n_ranges; i++) {
		const struct fault_range *range = &rule->ranges[i];
		if (addr >= range->addr && addr <= range->last) {
			*ret_inside = 1;
			return len - 1 > range->last - addr ? (uint32_t)(range->last - addr) + 1
							    : len;
		}
		if (range->addr > addr && range->addr - addr < len)
			len = (uint32_t)(range->addr - addr);
	}
	return len;
}

int32_t rule_code(const struct fault_rule *rule, const struct sonde_host *host, uint32_t op)
{
	return rule->code ? rule->code : host->errno_code(rule->os_code, op);
}
