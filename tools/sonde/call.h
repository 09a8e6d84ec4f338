/* SPDX-License-Identifier: MIT */
/*
 * `trace`: a call that a processor is about to make, its arguments by the kernel's own types, or by the
 * registers of the calling convention where it tells none.
 */
#ifndef SONDE_TOOL_CALL_H
#define SONDE_TOOL_CALL_H

#include "out.h"

#include <sonde/sonde.h>
#include <stdbool.h>

enum {
	CALL_REGISTERS = 8, /* that an architecture passes arguments in, at most */
	CALL_TEXT = 256,    /* bytes shown of a string                           */
};

/* A function that is traced. */
struct call_function {
	const char *name;
	uint64_t addr;
	struct sonde_parameter parameters[CALL_REGISTERS]; /* [n] */
	uint32_t n;
	bool is_known; /* its prototype                                          */
	bool has_more; /* parameters behind those                                */
};

struct call_argument {
	uint64_t value; /* cut to the parameter's size                           */
	int32_t err;    /* of a string: 0, or why it is not shown                */
	uint32_t len;   /* bytes of text                                         */
	bool is_cut;    /* the string goes on                                    */
	char text[CALL_TEXT];
};

struct call {
	const struct call_function *function;
	const struct sonde_event *event;
	struct sonde_current current;
	int32_t current_err; /* 0: current is filled                              */
	struct call_argument arguments[CALL_REGISTERS]; /* [n]                    */
	uint32_t n;
	bool has_more; /* arguments behind those, which do not lie in registers  */
};

/* What the kernel's types tell of function->name. */
void call_describe(struct call_function *function, const struct sonde_types *types);

/* Reads what strings of the same process have in common once. Zero it. */
struct call_reader {
	struct sonde_os *os;
	struct sonde_space *user; /* of page_table; NULL none */
	uint64_t page_table;
};
void call_reader_finish(struct call_reader *reader);

/* Who calls, and with_arguments with what. What cannot be read is told in the call. */
void call_read(struct call_reader *reader, const struct call_function *function,
	       const struct sonde_event *event, bool with_arguments, struct call *ret);

/* The first argument that is text, -1 none. */
int call_text_index(const struct call_function *function);
/* What it was at the time of the call: len bytes with their NUL, or without where it went on. */
void call_take_text(struct call *call, const char *text, uint32_t len);

/* The index-th argument as "name=value" behind what buf holds. */
void call_argument_text(const struct call *call, uint32_t index, struct buf *buf);

#endif
