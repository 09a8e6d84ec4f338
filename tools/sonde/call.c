/* SPDX-License-Identifier: MIT */
#include "call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- where arguments lie ------------------------------------------------------------------------ */

struct convention {
	uint32_t arch;
	uint32_t n;
	struct {
		const char *name;
		uint8_t general; /* of struct sonde_cpu */
	} at[CALL_REGISTERS];
};

/*
 * System V ABI, AMD64 supplement 1.0, 3.2.3; Procedure Call Standard for the Arm 64-bit architecture 2023Q3, 6.8.2; RISC-V
 * calling conventions 1.0, 2.1 (a6 and a7 are not among the registers that are told).
 */
static const struct convention conventions[] = {
	{ SONDE_ARCH_X86_64,
	  6,
	  { { "rdi", 5 }, { "rsi", 4 }, { "rdx", 3 }, { "rcx", 2 }, { "r8", 8 }, { "r9", 9 } } },
	{ SONDE_ARCH_AARCH64,
	  8,
	  { { "x0", 0 },
	    { "x1", 1 },
	    { "x2", 2 },
	    { "x3", 3 },
	    { "x4", 4 },
	    { "x5", 5 },
	    { "x6", 6 },
	    { "x7", 7 } } },
	{ SONDE_ARCH_RISCV64,
	  6,
	  { { "a0", 10 }, { "a1", 11 }, { "a2", 12 }, { "a3", 13 }, { "a4", 14 }, { "a5", 15 } } },
};

static const struct convention *convention_of(const struct sonde_event *event)
{
	for (size_t i = 0; i < sizeof(conventions) / sizeof(conventions[0]); i++) {
		if (conventions[i].arch == event->registers.arch &&
		    event->registers.valid & SONDE_CPU_GENERAL)
			return &conventions[i];
	}
	return NULL;
}

/* What does not lie in one register ends what can be told: a structure by value may take two, or none. */
void call_describe(struct call_function *function, const struct sonde_types *types)
{
	struct sonde_parameter parameter;
	uint32_t id;

	function->is_known = sonde_function_find(types, function->name, &id);
	while (function->is_known && sonde_function_parameter(types, id, function->n, &parameter)) {
		function->has_more = function->n == CALL_REGISTERS ||
				     parameter.kind == SONDE_VALUE_OTHER || parameter.size > 8;
		if (function->has_more)
			return;
		function->parameters[function->n++] = parameter;
	}
}

/* Registers are wider than most parameters, and the rest of them holds anything. */
static uint64_t cut(uint64_t value, const struct sonde_parameter *parameter)
{
	unsigned unused = parameter->size ? 64 - 8 * (unsigned)parameter->size : 0;

	value <<= unused;
	return parameter->kind == SONDE_VALUE_SIGNED ? (uint64_t)((int64_t)value >> unused)
						     : value >> unused;
}

static void take_values(struct call *call)
{
	const struct call_function *function = call->function;
	const struct convention *convention = convention_of(call->event);

	if (!convention)
		return;
	call->n = function->is_known && function->n < convention->n ? function->n : convention->n;
	call->has_more = function->has_more || call->n < function->n;
	for (uint32_t i = 0; i < call->n; i++) {
		uint64_t value = call->event->registers.general[convention->at[i].general];
		call->arguments[i].value =
			function->is_known ? cut(value, &function->parameters[i]) : value;
	}
}

/* ---- strings ------------------------------------------------------------------------------------- */

/* The user memory of who calls; its tables may have changed since the last call. */
static struct sonde_space *user_of(struct call_reader *reader, const struct call *call)
{
	uint64_t table = call->current.page_table;

	if (reader->user && reader->page_table == table) {
		sonde_space_invalidate(reader->user);
		return reader->user;
	}
	call_reader_finish(reader);
	if (sonde_os_table_memory(reader->os, table, &reader->user, NULL) == 0)
		reader->page_table = table;
	return reader->user;
}

void call_reader_finish(struct call_reader *reader)
{
	sonde_space_close(reader->user);
	reader->user = NULL;
}

static bool is_filename(const struct sonde_parameter *parameter)
{
	return parameter->kind == SONDE_VALUE_POINTER &&
	       strcmp(parameter->points_to, "filename") == 0;
}

static bool has_text(const struct call *call, uint32_t i)
{
	const struct sonde_parameter *parameter = &call->function->parameters[i];

	return call->function->is_known &&
	       (parameter->kind == SONDE_VALUE_TEXT || is_filename(parameter));
}

/* Where the text is: a struct filename (linux v6.6 include/linux/fs.h) points to it. 0: not known. */
static void find_texts(struct call_reader *reader, const struct call *call,
		       uint64_t at[CALL_REGISTERS])
{
	struct sonde_xfer pieces[CALL_REGISTERS];
	uint8_t words[CALL_REGISTERS][8];
	uint32_t of[CALL_REGISTERS];
	struct sonde_member name;
	uint32_t type, n = 0;

	for (uint32_t i = 0; i < call->n; i++) {
		at[i] = has_text(call, i) ? call->arguments[i].value : 0;
		if (!at[i] || !is_filename(&call->function->parameters[i]))
			continue;
		at[i] = 0;
		if (!sonde_type_find(sonde_os_types(reader->os), "struct filename", &type) ||
		    !sonde_type_member(sonde_os_types(reader->os), type, "name", &name))
			continue;
		pieces[n] =
			(struct sonde_xfer){ .addr = call->arguments[i].value + name.bit_off / 8,
					     .buf = words[n],
					     .len = sizeof(words[n]) };
		of[n++] = i;
	}
	if (n)
		sonde_space_read(sonde_os_kernel_memory(reader->os), pieces, n);
	for (uint32_t k = 0; k < n; k++)
		at[of[k]] = pieces[k].err ? 0 : sonde_le64(words[k]);
}

/* A string ends where it ends, or where the page behind it is missing: what came before that is shown. */
static void take_text(struct call_argument *argument, const struct sonde_xfer *piece)
{
	uint32_t whole = piece->err ? piece->err_off : piece->len;

	argument->len = (uint32_t)strnlen(argument->text, whole);
	argument->is_cut = argument->len == whole;
	argument->err = argument->is_cut && piece->err ? piece->err : 0;
}

/* The strings of one half of memory, in one trip. */
static void read_half(struct sonde_space *space, struct call *call,
		      const uint64_t at[CALL_REGISTERS], uint64_t half)
{
	struct sonde_xfer pieces[CALL_REGISTERS];
	uint32_t of[CALL_REGISTERS], n = 0;

	for (uint32_t i = 0; i < call->n; i++) {
		if (!at[i] || at[i] >> 63 != half)
			continue;
		pieces[n] = (struct sonde_xfer){ .addr = at[i],
						 .buf = call->arguments[i].text,
						 .len = CALL_TEXT };
		of[n++] = i;
	}
	if (n && space)
		sonde_space_read(space, pieces, n);
	for (uint32_t k = 0; k < n && space; k++)
		take_text(&call->arguments[of[k]], &pieces[k]);
}

static void read_texts(struct call_reader *reader, struct call *call)
{
	uint64_t at[CALL_REGISTERS] = { 0 };

	find_texts(reader, call, at);
	for (uint32_t i = 0; i < call->n; i++)
		call->arguments[i].err = has_text(call, i) ? SONDE_E_NOT_MAPPED : 0;
	read_half(sonde_os_kernel_memory(reader->os), call, at, 1);
	read_half(user_of(reader, call), call, at, 0);
}

/* ---- the call -------------------------------------------------------------------------------------- */

void call_read(struct call_reader *reader, const struct call_function *function,
	       const struct sonde_event *event, bool with_arguments, struct call *ret)
{
	*ret = (struct call){ .function = function, .event = event };
	ret->current_err = sonde_os_current(reader->os, event, &ret->current, NULL);
	if (!with_arguments)
		return;
	take_values(ret);
	read_texts(reader, ret);
}

int call_text_index(const struct call_function *function)
{
	for (uint32_t i = 0; function->is_known && i < function->n; i++) {
		if (function->parameters[i].kind == SONDE_VALUE_TEXT)
			return (int)i;
	}
	return -1;
}

void call_take_text(struct call *call, const char *text, uint32_t len)
{
	int i = call_text_index(call->function);

	if (i < 0 || (uint32_t)i >= call->n || len > CALL_TEXT)
		return;
	struct call_argument *argument = &call->arguments[i];
	uint32_t n = (uint32_t)strnlen(text, len);
	if (n == len && argument->err == 0 && argument->len > n &&
	    memcmp(argument->text, text, n) == 0)
		return; /* all of it is still there */
	memcpy(argument->text, text, len);
	argument->len = n;
	argument->is_cut = argument->len == len;
	argument->err = 0;
}

static bool ends_with(const char *text, const char *tail)
{
	size_t len = strlen(text), n = strlen(tail);

	return len >= n && strcmp(text + len - n, tail) == 0;
}

/* As a C string; bytes that cannot be shown are the printer's business. */
static void put_quoted(const struct call_argument *argument, struct buf *buf)
{
	buf_char(buf, '"');
	for (uint32_t i = 0; i < argument->len; i++) {
		char c = argument->text[i];
		if (c == '"' || c == '\\')
			buf_char(buf, '\\');
		if (c == '\n')
			buf_str(buf, "\\n");
		else
			buf_char(buf, c);
	}
	buf_str(buf, argument->is_cut ? "\"..." : "\"");
}

static void put_value(const struct sonde_parameter *parameter, uint64_t value, struct buf *buf)
{
	char text[32];

	if (ends_with(parameter->name, "mode") && parameter->kind == SONDE_VALUE_UNSIGNED)
		snprintf(text, sizeof(text), "0%" PRIo64, value);
	else if (parameter->kind >= SONDE_VALUE_POINTER || ends_with(parameter->name, "flags"))
		snprintf(text, sizeof(text), value ? "0x%" PRIx64 : "0", value);
	else if (parameter->kind == SONDE_VALUE_BOOL)
		snprintf(text, sizeof(text), "%s", value ? "true" : "false");
	else if (parameter->kind == SONDE_VALUE_SIGNED)
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)value);
	else
		snprintf(text, sizeof(text), "%" PRIu64, value);
	buf_str(buf, text);
}

void call_argument_text(const struct call *call, uint32_t index, struct buf *buf)
{
	const struct call_argument *argument = &call->arguments[index];
	const struct sonde_parameter *parameter = &call->function->parameters[index];

	if (!call->function->is_known) {
		buf_str(buf, convention_of(call->event)->at[index].name);
		buf_str(buf, "=0x");
		buf_hex(buf, argument->value, 1);
		return;
	}
	buf_str(buf, parameter->name[0] ? parameter->name : "?");
	buf_char(buf, '=');
	if (has_text(call, index) && !(argument->err && argument->len == 0))
		put_quoted(argument, buf);
	else
		put_value(parameter, argument->value, buf);
}
