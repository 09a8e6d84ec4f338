/* SPDX-License-Identifier: MIT */
/*
 * Results as rows. Columns are described once; each row pushes one value a column, in their
 * order, and ends with table_row. The same calls make aligned text, JSON or CSV.
 *
 *	table_init(&t, ctx, columns, N);      0, or an exit code when --fields names nothing
 *	table_u64(&t, pid), table_str(&t, name), table_row(&t);
 *	table_finish(&t);
 */
#ifndef SONDE_TOOL_TABLE_H
#define SONDE_TOOL_TABLE_H

#include "cmd.h"
#include "text.h"

enum column_flag {
	COLUMN_TEXT = 1u << 0,  /* among the columns that text shows when --fields is not given */
	COLUMN_RIGHT = 1u << 1, /* aligned to the right                                         */
	COLUMN_LOOKS = 1u << 2, /* other columns told prettier: in JSON and CSV only on demand  */
};

struct column {
	const char *key;   /* in JSON, in CSV's header and for --fields; stable, docs/json.md */
	const char *title; /* over the text column                                            */
	uint32_t flags;    /* enum column_flag                                                */
	uint32_t need;     /* the command's own: what must be fetched to fill it              */
};

#define TABLE_COLUMNS_MAX 32

enum table_format { TABLE_TEXT, TABLE_RECORD, TABLE_JSON, TABLE_CSV };

enum table_style { STYLE_NONE, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_YELLOW, STYLE_N };

struct cell {
	uint32_t off, len; /* in the table's bytes           */
	uint32_t width;    /* columns of a terminal          */
	uint8_t present;   /* 0: null                        */
	uint8_t style;     /* of the row, kept in each cell  */
};

struct table {
	struct out *out;
	const struct column *columns; /* [n_columns] */
	uint32_t n_columns;
	uint32_t n_shown;
	uint8_t shown[TABLE_COLUMNS_MAX];  /* [n_shown] indices, in the order they are printed */
	uint8_t wanted[TABLE_COLUMNS_MAX]; /* [n_columns] is it shown                          */
	enum table_format format;
	uint8_t header, color, style, flows;
	uint32_t next;       /* the column the next value is for              */
	size_t screen;       /* columns of the terminal to cut at, 0 no limit */
	struct cell *cells;  /* [n_rows + 1][n_columns]                       */
	size_t n_rows, room; /* rows that wait for their widths; rows of room */
	struct buf bytes;    /* what the cells hold                           */
	size_t width[TABLE_COLUMNS_MAX];
	uint64_t n_printed;
};

/* Returns 0, or EXIT_USAGE having told of a field that is none. */
int table_init(struct table *t, struct ctx *ctx, const struct column *columns, size_t n);
/* As table_init; text is then one line a value, "Title: value", for results of one row. */
int record_init(struct table *t, struct ctx *ctx, const struct column *columns, size_t n);

/* Text is printed a row at a time, as it comes: each column at least as wide as its title and widths[i]. */
void table_flow(struct table *t, const uint8_t *widths);

/* Not 0: text for people, where a value may be put in their way instead of the machines'. */
int table_is_text(const struct table *t);
/* The union of need over the columns that are shown. */
uint32_t table_needs(const struct table *t);

/* One value, for the next column. Bytes of a guest are escaped; NULL is null. */
void table_null(struct table *t);
void table_u64(struct table *t, uint64_t value);
void table_i64(struct table *t, int64_t value);
void table_bool(struct table *t, int value);
void table_addr(struct table *t, uint64_t addr);         /* "0x..." */
void table_addr_or_null(struct table *t, uint64_t addr); /* null for 0 */
void table_str(struct table *t, const char *str);
void table_bytes(struct table *t, const char *bytes, size_t len);
void table_size(struct table *t, uint64_t bytes);               /* text: 1.5M */
void table_list(struct table *t, const char *blob, size_t len); /* strings, each NUL-ended */
void table_seconds(struct table *t, uint64_t ns);               /* 1.234567 */
void table_addrs(struct table *t, const uint64_t *addrs, size_t n);
void table_hex(struct table *t, const void *bytes, size_t len); /* hex digits */

/* The style of the row being filled; then end it. */
void table_style(struct table *t, enum table_style style);
void table_row(struct table *t);
/* Print what waits and free all. */
void table_finish(struct table *t);

/* Is standard output to be coloured (--color, NO_COLOR, TERM)? */
int color_wanted(const struct ctx *ctx);
/* The escape sequence of a style; "" for STYLE_NONE. End with style_end. */
const char *style_begin(enum table_style style);
extern const char style_end[];

#endif
