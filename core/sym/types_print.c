/* SPDX-License-Identifier: MIT */
/*
 * Types as C text: declarations with the offset and size of each member in a comment behind
 * it. Named types inside stay names, anonymous ones are written out in place.
 *
 * The text is bounded whatever the records say: lines, nesting, the length of one declaration.
 */
#include "sym/types_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINES 10000u   /* anonymous structures inside one another can multiply */
#define MAX_HOPS 30000u    /* of all declarations; C needs about five each         */
#define MAX_DECL_HOPS 500u /* of one with all its arguments                        */
#define COMMENT_COLUMN 56u
#define DECL_MAX 400u /* bytes of one declaration                             */
#define MAX_ARGS 16u
#define MAX_PROTOS 3u /* functions taking functions taking functions          */

/* Counts what it cannot hold, as snprintf. */
struct out {
	char *buf;
	size_t cap, len;
	size_t column;
	uint32_t lines;
	uint32_t hops, decl_hops; /* used of MAX_HOPS, MAX_DECL_HOPS */
};

/* Names come from the target and end on terminals: no control bytes pass. */
static char shown(char c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' ? c : '?';
}

static void put_text(struct out *o, const char *text)
{
	for (; *text; text++) {
		if (o->len + 1 < o->cap)
			o->buf[o->len] = shown(*text);
		o->len++;
		if (*text == '\n') {
			o->column = 0;
			o->lines++;
		} else {
			o->column = *text == '\t' ? (o->column | 7) + 1 : o->column + 1;
		}
	}
}

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *fmt, ...)
{
	char text[DECL_MAX * 2 + 128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(o, text);
}

static void indent(struct out *o, unsigned depth)
{
	while (depth--)
		put_text(o, "\t");
}

static void pad_to_comment(struct out *o)
{
	do
		put_text(o, " ");
	while (o->column < COMMENT_COLUMN);
}

/* --- one declaration ------------------------------------------------------------------------ */

/*
 * A declarator grows outwards from the name: pointers to its left, arrays and arguments to its
 * right.
 */
struct decl {
	char text[DECL_MAX];
	int pointer; /* the outermost part is a '*', which binds weaker than what follows */
};

static void decl_wrap(struct decl *d, const char *left, const char *right)
{
	char old[DECL_MAX];

	memcpy(old, d->text, sizeof(old));
	/* A cut text is legible, and only hostile or absurd types are that long. */
	if (snprintf(d->text, sizeof(d->text), "%s%s%s", left, old, right) >= (int)sizeof(d->text))
		memcpy(d->text + sizeof(d->text) - 4, "...", 4);
}

static void decl_suffix(struct decl *d, const char *suffix)
{
	if (d->pointer)
		decl_wrap(d, "(", ")");
	d->pointer = 0;
	decl_wrap(d, "", suffix);
}

static const char *keyword(const struct btf_type *type)
{
	switch (type->kind) {
	case BTF_STRUCT:
		return "struct ";
	case BTF_UNION:
		return "union ";
	case BTF_ENUM:
	case BTF_ENUM64:
		return "enum ";
	case BTF_FWD:
		return type->kflag ? "union " : "struct ";
	default:
		return "";
	}
}

static void write_decl(struct out *o, const struct btf *btf, uint32_t id, const char *name,
		       unsigned protos, struct decl *ret);

static void decl_args(struct out *o, const struct btf *btf, const struct btf_type *proto,
		      unsigned protos, struct decl *d)
{
	char args[DECL_MAX];
	size_t len = 1;
	struct decl arg;

	snprintf(args, sizeof(args), "(");
	for (uint32_t i = 0; i < proto->vlen; i++) {
		uint32_t id = btf_param_type(btf, proto, i);
		int last = i + 1 == proto->vlen;
		if (i >= MAX_ARGS || protos >= MAX_PROTOS || (!id && last))
			snprintf(arg.text, sizeof(arg.text), "...");
		else
			write_decl(o, btf, id, "", protos + 1, &arg);
		int n = snprintf(args + len, sizeof(args) - len, "%s%s", i ? ", " : "", arg.text);
		len += (size_t)n;
		if (i >= MAX_ARGS || len >= sizeof(args) - 1)
			break;
	}
	if (!proto->vlen)
		snprintf(args, sizeof(args), "(void");
	decl_suffix(d, args);
	decl_wrap(d, "", ")");
}

/* What stands at the left end: "const struct x". */
static void decl_base(const struct btf_type *type, const char *quals, struct decl *d)
{
	char base[DECL_MAX];
	const char *name = type->name;

	if (type->kind == BTF_VOID)
		name = "void";
	else if (!name[0])
		name = "{...}";
	snprintf(base, sizeof(base), "%s%s%s%s", quals, keyword(type), name, d->text[0] ? " " : "");
	decl_wrap(d, base, "");
}

static const char *qualifier(uint32_t kind)
{
	switch (kind) {
	case BTF_CONST:
		return "const ";
	case BTF_VOLATILE:
		return "volatile ";
	case BTF_RESTRICT:
		return "restrict ";
	default:
		return "";
	}
}

static void write_decl(struct out *o, const struct btf *btf, uint32_t id, const char *name,
		       unsigned protos, struct decl *ret)
{
	char quals[64] = "", suffix[16];
	struct btf_type type;
	struct btf_array array;

	*ret = (struct decl){ 0 };
	snprintf(ret->text, sizeof(ret->text), "%s", name);
	if (!protos)
		o->decl_hops = 0;
	for (unsigned hops = 0; hops < TYPES_MAX_HOPS; hops++) {
		if (o->hops++ >= MAX_HOPS || o->decl_hops++ >= MAX_DECL_HOPS)
			break;
		if (!btf_type_get(btf, id, &type)) {
			decl_wrap(ret, "<no such type> ", "");
			return;
		}
		switch (type.kind) {
		case BTF_CONST:
		case BTF_VOLATILE:
		case BTF_RESTRICT:
		case BTF_TYPE_TAG: {
			size_t used = strlen(quals);
			snprintf(quals + used, sizeof(quals) - used, "%s", qualifier(type.kind));
			id = type.ref;
			continue;
		}
		case BTF_PTR:
			decl_wrap(ret, quals, "");
			decl_wrap(ret, "*", "");
			quals[0] = '\0';
			ret->pointer = 1;
			id = type.ref;
			continue;
		case BTF_ARRAY:
			btf_array_get(btf, &type, &array);
			snprintf(suffix, sizeof(suffix), array.n ? "[%u]" : "[]", array.n);
			decl_suffix(ret, suffix);
			id = array.elem;
			continue;
		case BTF_FUNC_PROTO:
			decl_args(o, btf, &type, protos, ret);
			id = type.ref;
			continue;
		default:
			decl_base(&type, quals, ret);
			return;
		}
	}
	decl_wrap(ret, "<endless> ", "");
}

/* --- bodies --------------------------------------------------------------------------------- */

static void put_body(struct out *o, const struct btf *btf, const struct btf_type *type,
		     uint64_t base_bits, unsigned depth);

static void put_place(struct out *o, const struct btf *btf, const struct btf_member *m,
		      uint64_t base_bits)
{
	uint64_t bits = base_bits + m->bit_off;

	pad_to_comment(o);
	if (m->bit_width)
		put(o, "/* %5llu:%llu  %3u %s */\n", (unsigned long long)bits / 8,
		    (unsigned long long)bits % 8, m->bit_width, m->bit_width == 1 ? "bit" : "bits");
	else
		put(o, "/* %5llu %7lld */\n", (unsigned long long)bits / 8,
		    (long long)types_size(btf, m->type));
}

/*
 * True when the member's type, behind qualifiers and arrays, is anonymous and so written in
 * place.
 */
static int is_inline(const struct btf *btf, uint32_t id, struct btf_type *ret)
{
	struct btf_array array;

	for (unsigned hops = 0; hops < TYPES_MAX_HOPS && btf_type_get(btf, id, ret); hops++) {
		switch (ret->kind) {
		case BTF_CONST:
		case BTF_VOLATILE:
		case BTF_TYPE_TAG:
			id = ret->ref;
			break;
		case BTF_ARRAY:
			btf_array_get(btf, ret, &array);
			id = array.elem;
			break;
		case BTF_STRUCT:
		case BTF_UNION:
		case BTF_ENUM:
		case BTF_ENUM64:
			return !ret->name[0];
		default:
			return 0;
		}
	}
	return 0;
}

static void put_member(struct out *o, const struct btf *btf, const struct btf_type *outer,
		       uint32_t index, uint64_t base_bits, unsigned depth)
{
	struct btf_member m;
	struct btf_type inner;
	struct decl d;
	static const char braces[] = "{...}";

	types_member(btf, outer, index, &m);
	indent(o, depth);
	write_decl(o, btf, m.type, m.name, 0, &d);
	const char *place = strstr(d.text, braces);
	if (place && depth < TYPES_MAX_DEPTH && is_inline(btf, m.type, &inner)) {
		put(o, "%.*s{\n", (int)(place - d.text), d.text);
		put_body(o, btf, &inner, base_bits + m.bit_off, depth + 1);
		indent(o, depth);
		put(o, "}%s;", place + sizeof(braces) - 1);
	} else if (m.bit_width) {
		put(o, "%s:%u;", d.text, m.bit_width);
	} else {
		put(o, "%s;", d.text);
	}
	put_place(o, btf, &m, base_bits);
}

static void put_enumerators(struct out *o, const struct btf *btf, const struct btf_type *type,
			    unsigned depth)
{
	struct btf_enumerator e;

	for (uint32_t i = 0; i < type->vlen && o->lines < MAX_LINES; i++) {
		btf_enumerator_get(btf, type, i, &e);
		indent(o, depth);
		put(o, "%.*s = %lld,\n", (int)DECL_MAX, e.name, (long long)e.value);
	}
}

static void put_body(struct out *o, const struct btf *btf, const struct btf_type *type,
		     uint64_t base_bits, unsigned depth)
{
	if (type->kind == BTF_ENUM || type->kind == BTF_ENUM64) {
		put_enumerators(o, btf, type, depth);
	} else {
		for (uint32_t i = 0; i < type->vlen && o->lines < MAX_LINES; i++)
			put_member(o, btf, type, i, base_bits, depth);
	}
	if (o->lines >= MAX_LINES) {
		indent(o, depth);
		put_text(o, "/* ... */\n");
	}
}

static void put_definition(struct out *o, const struct btf *btf, const struct btf_type *type,
			   const char *prefix, const char *suffix)
{
	int is_enum = type->kind == BTF_ENUM || type->kind == BTF_ENUM64;

	put(o, "%s%s%.*s%s{\n", prefix, keyword(type), (int)DECL_MAX, type->name,
	    type->name[0] ? " " : "");
	put_body(o, btf, type, 0, 1);
	put(o, "}%s%.*s; /* size: %u, %s: %u */\n", suffix[0] ? " " : "", (int)DECL_MAX, suffix,
	    type->size, is_enum ? "enumerators" : "members", type->vlen);
}

static void put_typedef(struct out *o, const struct btf *btf, uint32_t id,
			const struct btf_type *type)
{
	struct btf_type target;
	struct decl d;

	if (btf_type_get(btf, type->ref, &target) && target.kind != BTF_ARRAY &&
	    is_inline(btf, type->ref, &target)) {
		put_definition(o, btf, &target, "typedef ", type->name);
		return;
	}
	write_decl(o, btf, type->ref, type->name, 0, &d);
	put(o, "typedef %s; /* size: %lld */\n", d.text, (long long)types_size(btf, id));
}

static void put_type(struct out *o, const struct btf *btf, uint32_t id, const struct btf_type *type)
{
	struct decl d;

	switch (type->kind) {
	case BTF_STRUCT:
	case BTF_UNION:
	case BTF_ENUM:
	case BTF_ENUM64:
		put_definition(o, btf, type, "", "");
		break;
	case BTF_TYPEDEF:
		put_typedef(o, btf, id, type);
		break;
	case BTF_FUNC:
	case BTF_VAR:
		write_decl(o, btf, type->ref, type->name, 0, &d);
		put(o, "%s;\n", d.text);
		break;
	case BTF_FWD:
		put(o, "%s%.*s; /* incomplete */\n", keyword(type), (int)DECL_MAX, type->name);
		break;
	default:
		write_decl(o, btf, id, "", 0, &d);
		put(o, "%s; /* size: %lld */\n", d.text, (long long)types_size(btf, id));
		break;
	}
}

int sonde_type_print(const struct sonde_types *types, uint32_t id, char *buf, size_t cap)
{
	const struct btf *btf = &types->state->btf;
	struct out o = { .buf = buf, .cap = cap };
	struct btf_type type;

	if (!btf_type_get(btf, id, &type)) {
		if (cap)
			buf[0] = '\0';
		return SONDE_E_BAD_ARG;
	}
	put_type(&o, btf, id, &type);
	if (cap)
		buf[o.len < cap ? o.len : cap - 1] = '\0';
	return (int)o.len;
}
