/* SPDX-License-Identifier: MIT */
/*
 * Rows to text, JSON or CSV; see table.h. Text needs the widths of columns before its
 * first line: the first rows wait for that, later ones stream with the widths
 * found, so that memory stays bounded whatever a guest claims to have.
 */
#include "table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ROWS_WAIT = 8192, BYTES_WAIT = 16 << 20 };

const char style_end[] = "\033[0m";

const char *style_begin(enum table_style style)
{
	static const char *const begin[STYLE_N] = {
		[STYLE_NONE] = "",        [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
		[STYLE_RED] = "\033[31m", [STYLE_YELLOW] = "\033[33m",
	};

	return begin[style];
}

int color_wanted(const struct ctx *ctx)
{
	const char *when = ctx->opts.color;
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when && strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	return isatty(ctx->out.fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static size_t screen_width(int fd)
{
	struct winsize size = { 0 };

	if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

static int find_column(const struct table *t, const char *key, size_t len)
{
	for (uint32_t i = 0; i < t->n_columns; i++)
		if (strlen(t->columns[i].key) == len && memcmp(t->columns[i].key, key, len) == 0)
			return (int)i;
	return -1;
}

static int no_such_field(struct table *t, struct ctx *ctx, const char *key, size_t len)
{
	struct buf known = { 0 };

	for (uint32_t i = 0; i < t->n_columns; i++) {
		if (i > 0)
			buf_char(&known, ',');
		buf_str(&known, t->columns[i].key);
	}
	buf_char(&known, '\0');
	int code = fail(ctx, EXIT_USAGE, "--fields: no field '%.*s'; there are %s", (int)len, key,
			known.bytes);
	buf_finish(&known);
	return code;
}

static int shown_by_default(const struct table *t, uint32_t flags)
{
	if (t->format == TABLE_TEXT)
		return (flags & COLUMN_TEXT) != 0;
	return t->format == TABLE_RECORD || !(flags & COLUMN_LOOKS);
}

static int choose(struct table *t, struct ctx *ctx)
{
	const char *at = ctx->opts.fields;

	if (!at) {
		for (uint32_t i = 0; i < t->n_columns; i++)
			if (shown_by_default(t, t->columns[i].flags))
				t->shown[t->n_shown++] = (uint8_t)i;
		return 0;
	}
	for (;;) {
		size_t len = strcspn(at, ",");
		int i = find_column(t, at, len);

		if (i < 0 || t->wanted[i])
			return i < 0 ? no_such_field(t, ctx, at, len)
				     : fail(ctx, EXIT_USAGE, "--fields: '%.*s' stands twice",
					    (int)len, at);
		t->wanted[i] = 1;
		t->shown[t->n_shown++] = (uint8_t)i;
		if (at[len] == '\0')
			return 0;
		at += len + 1;
	}
}

static int init(struct table *t, struct ctx *ctx, const struct column *columns, size_t n,
		enum table_format text)
{
	assert(n <= TABLE_COLUMNS_MAX);
	*t = (struct table){
		.out = &ctx->out,
		.columns = columns,
		.n_columns = (uint32_t)n,
		.format = ctx->opts.json  ? TABLE_JSON
			  : ctx->opts.csv ? TABLE_CSV
					  : text,
		.header = !ctx->opts.no_header,
		.color = (uint8_t)color_wanted(ctx),
		.screen = screen_width(ctx->out.fd),
	};
	int code = choose(t, ctx);
	if (code != 0)
		return code;
	for (uint32_t i = 0; i < t->n_shown; i++)
		t->wanted[t->shown[i]] = 1;
	t->room = t->format == TABLE_TEXT ? 64 : 1;
	return 0;
}

int table_init(struct table *t, struct ctx *ctx, const struct column *columns, size_t n)
{
	return init(t, ctx, columns, n, TABLE_TEXT);
}

int record_init(struct table *t, struct ctx *ctx, const struct column *columns, size_t n)
{
	return init(t, ctx, columns, n, TABLE_RECORD);
}

void table_flow(struct table *t, const uint8_t *widths)
{
	t->flows = 1;
	for (uint32_t i = 0; i < t->n_columns; i++)
		t->width[i] = widths[i];
}

int table_is_text(const struct table *t)
{
	return t->format == TABLE_TEXT || t->format == TABLE_RECORD;
}

uint32_t table_needs(const struct table *t)
{
	uint32_t need = 0;

	for (uint32_t i = 0; i < t->n_shown; i++)
		need |= t->columns[t->shown[i]].need;
	return need;
}

static enum text_form form(const struct table *t)
{
	return t->format == TABLE_JSON  ? TEXT_JSON
	       : t->format == TABLE_CSV ? TEXT_CSV
					: TEXT_TERMINAL;
}

/* Begin the value of the next column. Returns NULL where that column is not shown. */
static struct cell *begin(struct table *t)
{
	assert(t->next < t->n_columns);
	if (!t->cells)
		t->cells = grow(NULL, t->room * t->n_columns, sizeof(*t->cells));
	struct cell *cell = &t->cells[t->n_rows * t->n_columns + t->next];
	*cell = (struct cell){ .off = (uint32_t)t->bytes.len, .present = 1 };
	return t->wanted[t->next++] ? cell : NULL;
}

static void end_wide(struct table *t, struct cell *cell, size_t width)
{
	cell->len = (uint32_t)(t->bytes.len - cell->off);
	cell->width = (uint32_t)width;
}

static void end(struct table *t, struct cell *cell)
{
	end_wide(t, cell, t->bytes.len - cell->off);
}

void table_null(struct table *t)
{
	struct cell *cell = begin(t);

	if (!cell)
		return;
	cell->present = 0;
	if (t->format == TABLE_JSON)
		buf_str(&t->bytes, "null");
	end(t, cell);
}

void table_u64(struct table *t, uint64_t value)
{
	struct cell *cell = begin(t);

	if (!cell)
		return;
	buf_u64(&t->bytes, value);
	end(t, cell);
}

void table_i64(struct table *t, int64_t value)
{
	struct cell *cell = begin(t);

	if (!cell)
		return;
	if (value < 0)
		buf_char(&t->bytes, '-');
	buf_u64(&t->bytes, value < 0 ? -(uint64_t)value : (uint64_t)value);
	end(t, cell);
}

void table_bool(struct table *t, int value)
{
	struct cell *cell = begin(t);

	if (!cell)
		return;
	if (table_is_text(t))
		buf_str(&t->bytes, value ? "yes" : "no");
	else
		buf_str(&t->bytes, value ? "true" : "false");
	end(t, cell);
}

static void put_addr(struct table *t, uint64_t addr)
{
	const char *quote = t->format == TABLE_JSON ? "\"" : "";

	buf_str(&t->bytes, quote);
	buf_str(&t->bytes, "0x");
	buf_hex(&t->bytes, addr, 1);
	buf_str(&t->bytes, quote);
}

void table_addr(struct table *t, uint64_t addr)
{
	struct cell *cell = begin(t);

	if (!cell)
		return;
	put_addr(t, addr);
	end(t, cell);
}

void table_addr_or_null(struct table *t, uint64_t addr)
{
	if (addr)
		table_addr(t, addr);
	else
		table_null(t);
}

void table_bytes(struct table *t, const char *bytes, size_t len)
{
	struct cell *cell = begin(t);

	if (cell)
		end_wide(t, cell, text_put(&t->bytes, form(t), bytes, len));
}

void table_str(struct table *t, const char *str)
{
	if (str)
		table_bytes(t, str, strlen(str));
	else
		table_null(t);
}

void table_size(struct table *t, uint64_t bytes)
{
	char text[24];

	if (!table_is_text(t)) {
		table_u64(t, bytes);
		return;
	}
	size_text(text, bytes);
	table_str(t, bytes ? text : "0");
}

void table_seconds(struct table *t, uint64_t ns)
{
	struct cell *cell = begin(t);
	char text[40];

	if (!cell)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, ns / 1000000000,
		 ns % 1000000000 / 1000);
	buf_str(&t->bytes, text);
	end(t, cell);
}

/* Strings that each end in NUL; a last one may lack it. */
void table_list(struct table *t, const char *blob, size_t len)
{
	struct cell *cell = begin(t);
	struct buf flat = { 0 };
	size_t width = 0;

	if (!cell)
		return;
	if (t->format == TABLE_JSON)
		buf_char(&t->bytes, '[');
	for (size_t at = 0, n; at < len; at += n + 1) {
		n = strnlen(blob + at, len - at);
		if (t->format == TABLE_JSON) {
			if (at > 0)
				buf_char(&t->bytes, ',');
			text_put(&t->bytes, TEXT_JSON, blob + at, n);
		} else {
			if (at > 0)
				buf_char(&flat, ' ');
			buf_bytes(&flat, blob + at, n);
		}
	}
	if (t->format == TABLE_JSON)
		buf_char(&t->bytes, ']');
	else if (flat.len > 0)
		width = text_put(&t->bytes, form(t), flat.bytes, flat.len);
	buf_finish(&flat);
	end_wide(t, cell, width);
}

void table_addrs(struct table *t, const uint64_t *addrs, size_t n)
{
	struct cell *cell = begin(t);

	if (!cell)
		return;
	if (t->format == TABLE_JSON)
		buf_char(&t->bytes, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_char(&t->bytes, t->format == TABLE_JSON ? ',' : ' ');
		put_addr(t, addrs[i]);
	}
	if (t->format == TABLE_JSON)
		buf_char(&t->bytes, ']');
	end(t, cell);
}

void table_hex(struct table *t, const void *bytes, size_t len)
{
	struct cell *cell = begin(t);
	const char *quote = t->format == TABLE_JSON ? "\"" : "";

	if (!cell)
		return;
	buf_str(&t->bytes, quote);
	buf_hex_bytes(&t->bytes, bytes, len);
	buf_str(&t->bytes, quote);
	end(t, cell);
}

void table_style(struct table *t, enum table_style style)
{
	t->style = (uint8_t)style;
}

static const char *cell_bytes(const struct table *t, const struct cell *cell)
{
	return cell->len > 0 ? t->bytes.bytes + cell->off : "";
}

static void print_json(struct table *t, const struct cell *row)
{
	out_str(t->out, t->n_printed++ == 0 ? "[\n{" : ",\n{");
	for (uint32_t i = 0; i < t->n_shown; i++) {
		const struct cell *cell = &row[t->shown[i]];

		out_str(t->out, i > 0 ? ",\"" : "\"");
		out_str(t->out, t->columns[t->shown[i]].key);
		out_str(t->out, "\":");
		out_bytes(t->out, cell_bytes(t, cell), cell->len);
	}
	out_char(t->out, '}');
}

static void csv_header(struct table *t)
{
	for (uint32_t i = 0; i < t->n_shown; i++) {
		if (i > 0)
			out_char(t->out, ',');
		out_str(t->out, t->columns[t->shown[i]].key);
	}
	out_str(t->out, "\r\n");
}

static void print_csv(struct table *t, const struct cell *row)
{
	if (t->n_printed++ == 0 && t->header)
		csv_header(t);
	for (uint32_t i = 0; i < t->n_shown; i++) {
		const struct cell *cell = &row[t->shown[i]];

		if (i > 0)
			out_char(t->out, ',');
		out_bytes(t->out, cell_bytes(t, cell), cell->len);
	}
	out_str(t->out, "\r\n");
}

static void print_styled(struct table *t, enum table_style style, const char *bytes, size_t len)
{
	if (t->color)
		out_str(t->out, style_begin(style));
	out_bytes(t->out, bytes, len);
	if (t->color && style != STYLE_NONE)
		out_str(t->out, style_end);
}

static void print_record(struct table *t, const struct cell *row)
{
	size_t widest = 0;

	if (t->n_printed++ > 0)
		out_char(t->out, '\n');
	for (uint32_t i = 0; i < t->n_shown; i++) {
		size_t len = strlen(t->columns[t->shown[i]].title);

		if (row[t->shown[i]].present && len > widest)
			widest = len;
	}
	for (uint32_t i = 0; i < t->n_shown; i++) {
		const struct cell *cell = &row[t->shown[i]];
		const char *title = t->columns[t->shown[i]].title;

		if (!cell->present)
			continue;
		print_styled(t, STYLE_BOLD, title, strlen(title));
		out_spaces(t->out, widest - strlen(title) + 2);
		out_bytes(t->out, cell_bytes(t, cell), cell->len);
		out_char(t->out, '\n');
	}
}

/*
 * One line of text. Nothing is padded behind the last column, and on a terminal the line is
 * cut at the screen's edge.
 */
struct word {
	const char *bytes;
	size_t len, width;
};

static void print_line(struct table *t, const struct word *words, enum table_style style)
{
	size_t used = 0;

	if (t->color)
		out_str(t->out, style_begin(style));
	for (uint32_t i = 0; i < t->n_shown; i++) {
		struct word w = words[t->shown[i]];
		size_t room = t->width[t->shown[i]];
		size_t pad = room > w.width ? room - w.width : 0;
		int right = (t->columns[t->shown[i]].flags & COLUMN_RIGHT) != 0;
		int last = i + 1 == t->n_shown;

		if (right)
			out_spaces(t->out, pad);
		used += right ? pad : 0;
		if (t->screen > 0 && last)
			w.len = text_fit(w.bytes, w.len, t->screen > used ? t->screen - used : 0,
					 &w.width);
		out_bytes(t->out, w.bytes, w.len);
		used += w.width;
		if (last)
			break;
		out_spaces(t->out, (right ? 0 : pad) + 1);
		used += (right ? 0 : pad) + 1;
	}
	if (t->color && style != STYLE_NONE)
		out_str(t->out, style_end);
	out_char(t->out, '\n');
}

static void find_widths(struct table *t)
{
	for (uint32_t c = 0; c < t->n_columns; c++) {
		size_t title = t->header ? strlen(t->columns[c].title) : 0;
		size_t most = title > t->width[c] ? title : t->width[c];

		for (size_t r = 0; r < t->n_rows; r++) {
			const struct cell *cell = &t->cells[r * t->n_columns + c];

			if (cell->width > most)
				most = cell->width;
		}
		t->width[c] = most;
	}
}

static void print_header(struct table *t)
{
	struct word words[TABLE_COLUMNS_MAX];

	for (uint32_t c = 0; c < t->n_columns; c++) {
		size_t len = strlen(t->columns[c].title);

		words[c] = (struct word){ t->columns[c].title, len, len };
	}
	print_line(t, words, STYLE_BOLD);
}

static void print_text_row(struct table *t, const struct cell *row)
{
	struct word words[TABLE_COLUMNS_MAX];

	for (uint32_t c = 0; c < t->n_columns; c++) {
		words[c] = (struct word){ cell_bytes(t, &row[c]), row[c].len, row[c].width };
		if (!row[c].present)
			words[c] = (struct word){ "-", 1, 1 };
	}
	print_line(t, words, row[0].style);
}

static void print_waiting(struct table *t)
{
	if (t->n_printed == 0) {
		find_widths(t);
		if (t->header)
			print_header(t);
	}
	for (size_t r = 0; r < t->n_rows; r++, t->n_printed++)
		print_text_row(t, &t->cells[r * t->n_columns]);
	t->n_rows = 0;
	t->bytes.len = 0;
}

void table_row(struct table *t)
{
	struct cell *row = &t->cells[t->n_rows * t->n_columns];

	assert(t->next == t->n_columns);
	row[0].style = t->style;
	t->next = 0;
	t->style = STYLE_NONE;
	if (t->format == TABLE_TEXT) {
		t->n_rows++;
		if (t->flows || t->n_printed > 0 || t->n_rows == ROWS_WAIT ||
		    t->bytes.len > BYTES_WAIT) {
			print_waiting(t);
		} else if (t->n_rows == t->room) {
			t->room *= 2;
			t->cells = grow(t->cells, t->room * t->n_columns, sizeof(*t->cells));
		}
		return;
	}
	if (t->format == TABLE_JSON)
		print_json(t, row);
	else if (t->format == TABLE_CSV)
		print_csv(t, row);
	else
		print_record(t, row);
	t->bytes.len = 0;
}

void table_finish(struct table *t)
{
	if (t->format == TABLE_TEXT && t->n_printed == 0)
		print_waiting(t);
	if (t->format == TABLE_JSON)
		out_str(t->out, t->n_printed == 0 ? "[]\n" : "\n]\n");
	if (t->format == TABLE_CSV && t->n_printed == 0 && t->header)
		csv_header(t);
	buf_finish(&t->bytes);
	free(t->cells);
	t->cells = NULL;
}
