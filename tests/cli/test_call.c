/* SPDX-License-Identifier: MIT */
/*
 * The arguments of a call that is traced: out of registers, by the function's prototype, as text. The kernel is made
 * of constants: a page of its own memory, a page and a half of a process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "call.h"

#include "common/os.h"
#include "sym/types.h"
#include "synth/array_space.h"
#include "synth/btf_blob.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL UINT64_C(0xffff888000001000)
#define USER UINT64_C(0x7f0000001000)
enum { KERNEL_LEN = 4096, USER_LEN = 6000, ROOT = 0x5000 };

static uint8_t kernel_bytes[KERNEL_LEN], user_bytes[USER_LEN];
static struct array_space kernel_array = { KERNEL, KERNEL_LEN, kernel_bytes },
			  user_array = { USER, USER_LEN, user_bytes };

static struct stage {
	struct sonde_loop *loop;
	struct sonde_os os;
	struct call_reader reader;
	unsigned n_spaces; /* that were made of a process's tables */
} w;

static int current_of(struct sonde_os *os, const struct sonde_event *event,
		      struct sonde_current *ret, struct sonde_error *err)
{
	(void)os;
	(void)err;
	if (event->cpu == 9)
		return SONDE_E_CORRUPT;
	*ret = (struct sonde_current){
		.pid = 7, .tgid = 6, .name = "sh", .page_table = event->cpu == 8 ? 0 : ROOT
	};
	return 0;
}

static int table_memory(struct sonde_os *os, uint64_t page_table, struct sonde_space **ret)
{
	(void)os;
	assert_int_equal(page_table, ROOT);
	w.n_spaces++;
	return array_space_open(&user_array, w.loop, ret);
}

static const struct os_layer layer = { .name = "constants",
				       .current = current_of,
				       .table_memory = table_memory };

static void put_pointer(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/*
 *	struct filename { const char *name; };
 *	int go(int dfd, const char *path, struct filename *file, long unsigned int flags, unsigned short mode, _Bool once,
 *	       struct other *o);
 *	int odd(struct { int counter; } by_value, int);
 */
static struct sonde_types *make_types(void)
{
	struct btf_build b = { 0 };
	struct sonde_types *types;
	size_t len;

	uint32_t long_ = btf_build_type(&b, BTF_INT, "long unsigned int", 0, 0, 8);
	btf_build_int(&b, 0, 0, 64);
	uint32_t int_ = btf_build_type(&b, BTF_INT, "int", 0, 0, 4);
	btf_build_int(&b, BTF_INT_SIGNED, 0, 32);
	uint32_t char_ = btf_build_type(&b, BTF_INT, "char", 0, 0, 1);
	btf_build_int(&b, BTF_INT_SIGNED, 0, 8);
	uint32_t short_ = btf_build_type(&b, BTF_INT, "short unsigned int", 0, 0, 2);
	btf_build_int(&b, 0, 0, 16);
	uint32_t bool_ = btf_build_type(&b, BTF_INT, "_Bool", 0, 0, 1);
	btf_build_int(&b, BTF_INT_BOOL, 0, 8);
	uint32_t text = btf_build_type(&b, BTF_PTR, "", 0, 0, char_);
	uint32_t filename = btf_build_type(&b, BTF_STRUCT, "filename", 1, 0, 8);
	btf_build_member(&b, "name", text, 0);
	uint32_t file = btf_build_type(&b, BTF_PTR, "", 0, 0, filename);
	uint32_t other = btf_build_type(&b, BTF_FWD, "other", 0, 0, 0);
	uint32_t others = btf_build_type(&b, BTF_PTR, "", 0, 0, other);
	uint32_t value = btf_build_type(&b, BTF_STRUCT, "", 1, 0, 4);
	btf_build_member(&b, "counter", int_, 0);
	uint32_t go = btf_build_type(&b, BTF_FUNC_PROTO, "", 7, 0, int_);
	btf_build_param(&b, "dfd", int_);
	btf_build_param(&b, "path", text);
	btf_build_param(&b, "file", file);
	btf_build_param(&b, "open_flags", long_);
	btf_build_param(&b, "mode", short_);
	btf_build_param(&b, "once", bool_);
	btf_build_param(&b, "o", others);
	btf_build_type(&b, BTF_FUNC, "go", 1, 0, go);
	uint32_t odd = btf_build_type(&b, BTF_FUNC_PROTO, "", 2, 0, int_);
	btf_build_param(&b, "by_value", value);
	btf_build_param(&b, "n", int_);
	btf_build_type(&b, BTF_FUNC, "odd", 1, 0, odd);
	assert_false(b.failed);
	uint8_t *blob = btf_blob(&b, BLOB_HOST_ORDER, &len);
	assert_int_equal(types_from_btf(blob, len, TYPES_COPY, "a test", &types, NULL), 0);
	free(blob);
	btf_build_finish(&b);
	return types;
}

static int set_up(void **state)
{
	(void)state;
	memset(kernel_bytes, 'k', sizeof(kernel_bytes));
	memset(user_bytes, 'u', sizeof(user_bytes));
	strcpy((char *)user_bytes, "/etc/passwd");
	strcpy((char *)kernel_bytes, "/bin/\"sh\"\\\n");
	put_pointer(kernel_bytes + 64, KERNEL);
	w = (struct stage){ .os = { .layer = &layer } };
	assert_int_equal(sonde_loop_create(NULL, &w.loop, NULL), 0);
	w.os.types = make_types();
	w.reader.os = &w.os;
	return array_space_open(&kernel_array, w.loop, &w.os.kernel_memory);
}

static int tear_down(void **state)
{
	(void)state;
	call_reader_finish(&w.reader);
	sonde_space_close(w.os.kernel_memory);
	types_destroy(w.os.types);
	sonde_loop_destroy(w.loop);
	return 0;
}

/* Registers with garbage in the halves that a parameter does not use. */
static struct sonde_event event_of(uint64_t path, uint64_t file)
{
	struct sonde_event event = { .kind = SONDE_EVENT_BREAK };

	event.registers.arch = SONDE_ARCH_X86_64;
	event.registers.valid = SONDE_CPU_GENERAL;
	event.registers.general[5] = UINT64_C(0xbadbadbaffffff9c); /* rdi */
	event.registers.general[4] = path;                         /* rsi */
	event.registers.general[3] = file;                         /* rdx */
	event.registers.general[2] = 0x8241;                       /* rcx */
	event.registers.general[8] = UINT64_C(0xbadbad01a4);       /* r8  */
	event.registers.general[9] = UINT64_C(0xbadbad00);         /* r9  */
	return event;
}

static void expect(const char *name, const struct sonde_event *event, const char *want)
{
	struct call_function function = { .name = name };
	static struct call call;
	struct buf buf = { 0 };

	call_describe(&function, w.os.types);
	call_read(&w.reader, &function, event, true, &call);
	for (uint32_t i = 0; i < call.n; i++) {
		buf_str(&buf, i ? " " : "");
		call_argument_text(&call, i, &buf);
	}
	buf_str(&buf, call.has_more ? " ..." : "");
	buf_char(&buf, '\0');
	if (strcmp(buf.bytes, want) != 0)
		fail_msg("got  %s\nwant %s", buf.bytes, want);
	buf_finish(&buf);
}

static void arguments_are_shown_by_their_types(void **state)
{
	(void)state;
	struct sonde_event event = event_of(USER, KERNEL + 64);

	expect("go", &event,
	       "dfd=-100 path=\"/etc/passwd\" file=\"/bin/\\\"sh\\\"\\\\\\n\" open_flags=0x8241 "
	       "mode=0644 once=false ...");
	event.registers.general[9] = 1;
	event.registers.general[2] = 0;
	expect("go", &event,
	       "dfd=-100 path=\"/etc/passwd\" file=\"/bin/\\\"sh\\\"\\\\\\n\" open_flags=0 "
	       "mode=0644 "
	       "once=true ...");
	assert_int_equal(w.n_spaces, 1); /* the process is the same */
}

static void without_a_prototype_registers_are_shown(void **state)
{
	(void)state;
	struct sonde_event event = event_of(USER, 0);

	expect("unknown", &event,
	       "rdi=0xbadbadbaffffff9c rsi=0x7f0000001000 rdx=0x0 rcx=0x8241 r8=0xbadbad01a4 "
	       "r9=0xbadbad00");
	event.registers.arch = SONDE_ARCH_I386;
	expect("unknown", &event, "");
	event.registers.arch = SONDE_ARCH_X86_64;
	event.registers.valid = 0;
	expect("go", &event, "");
}

static void a_structure_by_value_ends_the_list(void **state)
{
	(void)state;
	struct sonde_event event = event_of(0, 0);

	expect("odd", &event, " ...");
}

/* A string that is cut off by what is missing behind it, one that is too long, ones that lead nowhere. */
static void strings_that_cannot_be_read_are_addresses(void **state)
{
	(void)state;
	static const char tail[] = "open_flags=0x8241 mode=0644 once=false ...";
	static const struct {
		uint64_t path, file;
		uint32_t cpu;
		const char *want;
	} cases[] = {
		{ 0, 0, 0, "path=0 file=0" },
		{ USER + USER_LEN, KERNEL + KERNEL_LEN, 0,
		  "path=0x7f0000002770 file=0xffff888000002000" },
		{ USER + USER_LEN - 3, KERNEL + 63, 0, "path=\"uuu\"... file=0xffff88800000103f" },
		{ UINT64_MAX, UINT64_MAX, 0, "path=0xffffffffffffffff file=0xffffffffffffffff" },
		{ UINT64_MAX - 100, UINT64_MAX - 7, 0,
		  "path=0xffffffffffffff9b file=0xfffffffffffffff8" },
		{ USER, KERNEL + 64, 8, "path=0x7f0000001000 file=\"/bin/\\\"sh\\\"\\\\\\n\"" },
		{ USER, KERNEL + 64, 9, "path=0x7f0000001000 file=\"/bin/\\\"sh\\\"\\\\\\n\"" },
	};
	char want[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sonde_event event = event_of(cases[i].path, cases[i].file);
		event.cpu = cases[i].cpu;
		snprintf(want, sizeof(want), "dfd=-100 %s %s", cases[i].want, tail);
		expect("go", &event, want);
	}
	struct sonde_event event = event_of(USER + 1000, 0);
	memset(want, 'u', sizeof(want));
	int at = snprintf(want, sizeof(want), "dfd=-100 path=\"");
	memset(want + at, 'u', CALL_TEXT);
	snprintf(want + at + CALL_TEXT, sizeof(want) - (size_t)at - CALL_TEXT, "\"... file=0 %s",
		 tail);
	expect("go", &event, want);
}

#define WITH_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(arguments_are_shown_by_their_types),
		WITH_WORLD(without_a_prototype_registers_are_shown),
		WITH_WORLD(a_structure_by_value_ends_the_list),
		WITH_WORLD(strings_that_cannot_be_read_are_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
