/* SPDX-License-Identifier: MIT */
/*
 * What a core of a process left out of mapped files, from those files: the right ones, wrong ones, and what a core may name to
 * have something opened that should not be.
 */
#include "../../connectors/elfcore/elf_format.h"
#include "../../connectors/elfcore/elf_mapped.h"
#include "../../connectors/elfcore/elf_root.h"
#include "synth/mapped_core.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ID = 0x5a, DATA_SIZE = 0x2001 };

/* A folder with the files of the core in root/, and beside it what nothing may reach. */
struct world {
	char folder[32];
	uint8_t elf[MAPPED_ELF_SIZE], data[DATA_SIZE], core[MAPPED_CORE_SIZE];
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err;
	char facts[2048];
};

static const char *in_world(const struct world *w, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", w->folder, name);
	return path;
}

static void put_file(const struct world *w, const char *name, const void *bytes, size_t len)
{
	int fd = open(in_world(w, name), O_CREAT | O_TRUNC | O_WRONLY, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->folder, "/tmp/sonde-mapped-XXXXXX");
	if (!mkdtemp(w->folder) || mkdir(in_world(w, "root"), 0755) ||
	    mkdir(in_world(w, "root/lib"), 0755) || sonde_loop_create(NULL, &w->loop, NULL) < 0)
		return -1;
	for (size_t i = 0; i < DATA_SIZE; i++)
		w->data[i] = (uint8_t)(i / 16 + 7);
	synth_mapped_elf(w->elf, ID);
	synth_mapped_core(w->core, w->elf);
	put_file(w, "root/lib/elf", w->elf, sizeof(w->elf));
	put_file(w, "root/lib/data", w->data, sizeof(w->data));
	put_file(w, "root/lib/none", w->data, 2 * MAPPED_PAGE);
	put_file(w, "secret", w->data, 2 * MAPPED_PAGE);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[64];

	sonde_target_close(w->target);
	sonde_loop_destroy(w->loop);
	snprintf(command, sizeof(command), "rm -r %s", w->folder);
	int r = system(command);
	free(w);
	return r;
}

/* files: the argument; NULL: it is not given. */
static int open_core(struct world *w, const char *files, uint32_t write)
{
	char name[128];
	const struct sonde_target_options options = { .size = sizeof(options), .write = write };

	snprintf(name, sizeof(name), "%s/core%s%s", w->folder, files ? ",files=" : "",
		 files ? files : "");
	put_file(w, "core", w->core, sizeof(w->core));
	int r = sonde_target_open(w->loop, name, &options, &w->target, &w->err);
	int64_t n = r < 0 ? 0
			  : sonde_target_note(w->target, SONDE_NOTE_FACTS, w->facts,
					      sizeof(w->facts) - 1);
	assert_true(n >= 0 && n < (int64_t)sizeof(w->facts));
	w->facts[n] = '\0';
	return r;
}

static void must_open(struct world *w)
{
	if (open_core(w, in_world(w, "root"), 0) < 0)
		fail_msg("%s", w->err.text);
}

static void must_say(const struct world *w, const char *line)
{
	if (!strstr(w->facts, line))
		fail_msg("no '%s' in:\n%s", line, w->facts);
}

/* A page, or as much of it as there is. */
static struct sonde_xfer read_page(const struct world *w, uint64_t addr)
{
	static uint8_t page[MAPPED_PAGE];
	struct sonde_xfer x = { .addr = addr, .buf = page, .len = sizeof(page) };

	sonde_space_read(sonde_target_memory(w->target), &x, 1);
	return x;
}

static void must_be(const struct world *w, uint64_t addr, const uint8_t *bytes)
{
	struct sonde_xfer x = read_page(w, addr);

	assert_int_equal(x.err, 0);
	assert_memory_equal(x.buf, bytes, MAPPED_PAGE);
}

static void must_lack(const struct world *w, uint64_t addr, int32_t err)
{
	struct sonde_xfer x = read_page(w, addr);

	assert_int_equal(x.done, 0);
	assert_int_equal(x.err, err);
}

static void what_was_left_out_comes_from_the_files(void **state)
{
	struct world *w = *state;
	struct sonde_target_info info;
	uint8_t end[MAPPED_PAGE] = { 0 };

	must_open(w);
	must_be(w, MAPPED_ELF_AT + MAPPED_PAGE, w->elf + MAPPED_PAGE);
	must_be(w, MAPPED_DATA_AT, w->data + MAPPED_PAGE);
	must_be(w, MAPPED_NONE_AT, w->data);
	must_be(w, MAPPED_NONE_AT + MAPPED_PAGE, w->data + MAPPED_PAGE);
	/* Behind the end of a file its last page is zeros. */
	memcpy(end, w->elf + 2 * MAPPED_PAGE, MAPPED_ELF_SIZE - 2 * MAPPED_PAGE);
	must_be(w, MAPPED_ELF_AT + 2 * MAPPED_PAGE, end);
	memset(end, 0, sizeof(end));
	end[0] = w->data[2 * MAPPED_PAGE];
	must_be(w, MAPPED_DATA_AT + MAPPED_PAGE, end);
	must_lack(w, MAPPED_DATA_AT + 2 * MAPPED_PAGE, SONDE_E_NOT_MAPPED);
	must_say(w,
		 "\nfile_by_build_id=/lib/elf\nfile_by_size=/lib/data\nfile_by_size=/lib/none\n");
	sonde_target_info(w->target, &info);
	assert_non_null(strstr(info.detail, ", 3 of 3 files used"));
}

static void without_the_argument_nothing_does(void **state)
{
	struct world *w = *state;

	assert_int_equal(open_core(w, NULL, 0), 0);
	must_lack(w, MAPPED_ELF_AT + MAPPED_PAGE, SONDE_E_NOT_SAVED);
	must_lack(w, MAPPED_DATA_AT, SONDE_E_NOT_SAVED);
	must_lack(w, MAPPED_NONE_AT, SONDE_E_NOT_MAPPED);
	assert_null(strstr(w->facts, "file_"));
}

static void what_the_core_has_counts_before_the_file(void **state)
{
	struct world *w = *state;

	w->core[0x1000 + 0x800] ^= 0xff;
	must_open(w);
	must_say(w, "\nfile_by_build_id=/lib/elf\n");
	must_be(w, MAPPED_ELF_AT, w->core + 0x1000);
	must_be(w, MAPPED_STACK_AT, w->core + MAPPED_STACK_OFF);
}

/* What was cut off had been saved, perhaps because it was changed. */
static void what_was_cut_off_stays_so(void **state)
{
	struct world *w = *state;
	uint64_t cut = MAPPED_CORE_SIZE;

	/* p_offset and p_filesz of the data's segment, the third: a page, behind the end. */
	memcpy(w->core + 64 + 2 * 56 + 8, &cut, 8);
	cut = MAPPED_PAGE;
	memcpy(w->core + 64 + 2 * 56 + 32, &cut, 8);
	must_open(w);
	must_lack(w, MAPPED_DATA_AT, SONDE_E_TRUNCATED);
	assert_int_equal(read_page(w, MAPPED_DATA_AT + MAPPED_PAGE).err, 0);
}

static void a_file_of_another_build_is_refused_alone(void **state)
{
	struct world *w = *state;

	synth_mapped_elf(w->elf, ID + 1);
	put_file(w, "root/lib/elf", w->elf, sizeof(w->elf));
	must_open(w);
	must_lack(w, MAPPED_ELF_AT + MAPPED_PAGE, SONDE_E_NOT_SAVED);
	must_be(w, MAPPED_DATA_AT, w->data + MAPPED_PAGE);
	must_say(w, "\nfile_refused=another build ID: /lib/elf\n");
}

static void without_a_build_id_the_header_is_compared(void **state)
{
	struct world *w = *state;

	synth_mapped_elf(w->elf, 0);
	synth_mapped_core(w->core, w->elf);
	put_file(w, "root/lib/elf", w->elf, sizeof(w->elf));
	must_open(w);
	must_say(w, "\nfile_by_elf_header=/lib/elf\n");
	must_be(w, MAPPED_ELF_AT + MAPPED_PAGE, w->elf + MAPPED_PAGE);
	sonde_target_close(w->target);

	w->elf[MAPPED_PAGE - 1] ^= 1;
	put_file(w, "root/lib/elf", w->elf, sizeof(w->elf));
	must_open(w);
	must_say(w, "\nfile_refused=another ELF header: /lib/elf\n");
	must_lack(w, MAPPED_ELF_AT + MAPPED_PAGE, SONDE_E_NOT_SAVED);
}

static void a_file_that_is_shorter_is_refused(void **state)
{
	struct world *w = *state;

	put_file(w, "root/lib/data", w->data, 2 * MAPPED_PAGE);
	put_file(w, "root/lib/none", w->data, 0);
	must_open(w);
	must_lack(w, MAPPED_DATA_AT, SONDE_E_NOT_SAVED);
	must_lack(w, MAPPED_NONE_AT, SONDE_E_NOT_MAPPED);
	must_say(w, "\nfile_refused=shorter than what was mapped of it: /lib/data\n");
	must_say(w, "\nfile_refused=shorter than what was mapped of it: /lib/none\n");
	must_be(w, MAPPED_ELF_AT + MAPPED_PAGE, w->elf + MAPPED_PAGE);
}

/* What stands where /lib/none was, and what is said of it; NULL: its bytes are those of root/lib/none. */
static void put_in_place(struct world *w, const char *why)
{
	char line[128];

	must_open(w);
	if (why) {
		snprintf(line, sizeof(line), "\nfile_refused=%s: /lib/none\n", why);
		must_say(w, line);
		must_lack(w, MAPPED_NONE_AT, SONDE_E_NOT_MAPPED);
	} else {
		must_be(w, MAPPED_NONE_AT, w->data);
	}
	must_be(w, MAPPED_DATA_AT, w->data + MAPPED_PAGE);
	sonde_target_close(w->target);
	w->target = NULL;
	unlink(in_world(w, "root/lib/none"));
}

static void what_is_no_file_of_the_folder_is_not_opened(void **state)
{
	struct world *w = *state;
	const char *at = "root/lib/none";
	char out[64];

	unlink(in_world(w, at));
	put_in_place(w, "not there");
	assert_int_equal(mkfifo(in_world(w, at), 0644), 0);
	put_in_place(w, "no regular file");
	assert_int_equal(mkdir(in_world(w, at), 0755), 0);
	put_in_place(w, "no regular file");
	rmdir(in_world(w, at));
	assert_int_equal(symlink("/dev/zero", in_world(w, at)), 0);
	put_in_place(w, "not there");
	assert_int_equal(symlink("../../secret", in_world(w, at)), 0);
	put_in_place(w, "not there");
	snprintf(out, sizeof(out), "%s/secret", w->folder);
	assert_int_equal(symlink(out, in_world(w, at)), 0);
	put_in_place(w, "not there");
	assert_int_equal(symlink("none", in_world(w, at)), 0);
	put_in_place(w, "its links lead nowhere");
	/* Links within the folder are those of the other machine. */
	put_file(w, "root/moved", w->data, 2 * MAPPED_PAGE);
	assert_int_equal(symlink("/moved", in_world(w, at)), 0);
	put_in_place(w, NULL);
	assert_int_equal(symlink("../../../moved", in_world(w, at)), 0);
	put_in_place(w, NULL);
}

/* The path in the note may be anything; this one is as long as the one that it replaces. */
static void put_path(struct world *w, const char *path)
{
	uint8_t *at = memmem(w->core, sizeof(w->core), "/lib/none", 9);

	assert_non_null(at);
	memset(at, '/', 9);
	memcpy(at + 9 - strlen(path), path, strlen(path));
}

static void paths_do_not_lead_out_of_the_folder(void **state)
{
	struct world *w = *state;

	put_path(w, "../secret");
	must_open(w);
	must_say(w, "\nfile_refused=not there: ../secret\n");
	must_lack(w, MAPPED_NONE_AT, SONDE_E_NOT_MAPPED);
}

static void what_the_kernel_makes_up_is_no_file(void **state)
{
	struct world *w = *state;

	put_path(w, "proc/stat"); /* which says that it is a regular one */
	if (open_core(w, "/", 0) < 0)
		fail_msg("%s", w->err.text);
	must_say(w, "\nfile_refused=no regular file: proc/stat\n");
}

/* A file system of its own, whichever version of it this machine has. */
static void nor_is_what_tells_of_control_groups(void **state)
{
	struct world *w = *state;
	const char *folder = "/sys/fs/cgroup/memory", *name = "tasks";

	if (access("/sys/fs/cgroup/cpu.stat", R_OK) == 0) {
		folder = "/sys/fs/cgroup";
		name = "cpu.stat";
	} else if (access("/sys/fs/cgroup/memory/tasks", R_OK) < 0) {
		skip();
	}
	put_path(w, name);
	if (open_core(w, folder, 0) < 0)
		fail_msg("%s", w->err.text);
	must_say(w, "\nfile_refused=no regular file: ");
}

static void a_core_without_changed_pages_is_refused(void **state)
{
	struct world *w = *state;

	w->core[64 + 3 * 56 + 4] = 4; /* the stack's flags: it cannot be written */
	assert_int_equal(open_core(w, in_world(w, "root"), 0), SONDE_E_NOT_SAVED);
	assert_non_null(strstr(w->err.text, "leave out files="));
}

static void a_machine_has_no_files(void **state)
{
	struct world *w = *state;

	w->core[64 + 3 * 56 + 24] = 1; /* a p_paddr */
	assert_int_equal(open_core(w, in_world(w, "root"), 0), SONDE_E_BAD_ARG);
	assert_non_null(strstr(w->err.text, "this is one of a machine"));
}

static void the_folder_must_be_there(void **state)
{
	struct world *w = *state;

	assert_int_equal(open_core(w, in_world(w, "nowhere"), 0), SONDE_E_NOT_FOUND);
	assert_non_null(strstr(w->err.text, "/nowhere'"));
	assert_int_equal(open_core(w, in_world(w, "secret"), 0), SONDE_E_NOT_DIRECTORY);
}

static void files_are_never_written(void **state)
{
	struct world *w = *state;
	struct sonde_xfer x = { .addr = MAPPED_DATA_AT, .buf = w->elf, .len = 16 };

	assert_int_equal(open_core(w, in_world(w, "root"), 1), 0);
	assert_int_equal(sonde_space_write(sonde_target_memory(w->target), &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_READ_ONLY);
	must_be(w, MAPPED_DATA_AT, w->data + MAPPED_PAGE);
	x.addr = MAPPED_STACK_AT;
	assert_int_equal(sonde_space_write(sonde_target_memory(w->target), &x, 1), 1);
}

/* What a core has of many mappings of the beginning of one file is no ELF header. */
enum { MANY = 4000 };

struct many {
	uint8_t note[16 + MANY * (24 + 9)];
	size_t n_reads;
};

static void put_word(uint8_t *at, uint64_t word)
{
	memcpy(at, &word, 8);
}

static void make_many(struct many *many)
{
	put_word(many->note, MANY);
	put_word(many->note + 8, MAPPED_PAGE);
	for (size_t i = 0; i < MANY; i++) {
		put_word(many->note + 16 + 24 * i, MAPPED_ELF_AT + i * MAPPED_PAGE);
		put_word(many->note + 16 + 24 * i + 8, MAPPED_ELF_AT + (i + 1) * MAPPED_PAGE);
		memcpy(many->note + 16 + MANY * 24 + i * 9, "/lib/elf", 9);
	}
}

static size_t count_read(void *user, uint64_t off, void *buf, size_t len)
{
	(void)off;
	((struct many *)user)->n_reads++;
	memset(buf, 0, len);
	return len;
}

static void one_file_mapped_often_is_not_compared_as_often(void **state)
{
	struct world *w = *state;
	struct many *many = calloc(1, sizeof(*many));
	struct elf_segment segments[] = {
		{ .vaddr = MAPPED_ELF_AT + (uint64_t)MANY * MAPPED_PAGE,
		  .filesz = MAPPED_PAGE,
		  .flags = ELF_FLAG_WRITE },
		{ .vaddr = MAPPED_ELF_AT, .filesz = (MANY - 1) * MAPPED_PAGE },
	};
	struct elf_note note = { .name = "CORE",
				 .name_len = 4,
				 .type = ELF_NOTE_FILE,
				 .desc = many->note,
				 .len = sizeof(many->note) };
	const struct elf_core core = {
		.word = 8, .segments = segments, .n_segments = 2, .notes = &note, .n_notes = 1
	};
	struct elf_mapped mapped;
	int root = elf_root_open(in_world(w, "root"));

	make_many(many);
	assert_int_equal(elf_mapped_find(&mapped, &core, count_read, many, root), 0);
	assert_int_equal(mapped.n_files, 1);
	assert_int_equal(mapped.n_ranges, 1);
	assert_in_range(many->n_reads, 1, 64);
	elf_mapped_finish(&mapped);
	close(root);
	free(many);
}

/* Later names sort before earlier ones, and between them. */
static void a_file_is_found_again_whatever_the_others_are_called(void **state)
{
	struct world *w = *state;
	static const char *const names[] = { "/m", "/a", "/z", "/g", "/m", "/a", "/z", "/g" };
	enum { N = 8 };
	uint8_t bytes[16 + N * (24 + 3)];
	struct elf_segment segments[] = {
		{ .vaddr = MAPPED_STACK_AT, .filesz = MAPPED_PAGE, .flags = ELF_FLAG_WRITE },
	};
	struct elf_note note = { .name = "CORE",
				 .name_len = 4,
				 .type = ELF_NOTE_FILE,
				 .desc = bytes,
				 .len = sizeof(bytes) };
	const struct elf_core core = {
		.word = 8, .segments = segments, .n_segments = 1, .notes = &note, .n_notes = 1
	};
	struct elf_mapped mapped;
	int root = elf_root_open(in_world(w, "root"));

	memset(bytes, 0, sizeof(bytes));
	put_word(bytes, N);
	for (size_t i = 0; i < N; i++) {
		put_word(bytes + 16 + 24 * i, MAPPED_ELF_AT + i * MAPPED_PAGE);
		put_word(bytes + 16 + 24 * i + 8, MAPPED_ELF_AT + (i + 1) * MAPPED_PAGE);
		memcpy(bytes + 16 + N * 24 + i * 3, names[i], 3);
	}
	assert_int_equal(elf_mapped_find(&mapped, &core, count_read, &(struct many){ 0 }, root), 0);
	assert_int_equal(mapped.n_files, 4);
	assert_int_equal(mapped.n_ranges, N);
	for (size_t i = 0; i < N; i++)
		assert_string_equal(mapped.ranges[i].file->path, names[i]);
	elf_mapped_finish(&mapped);
	close(root);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_left_out_comes_from_the_files),
		TEST(without_the_argument_nothing_does),
		TEST(what_the_core_has_counts_before_the_file),
		TEST(what_was_cut_off_stays_so),
		TEST(a_file_of_another_build_is_refused_alone),
		TEST(without_a_build_id_the_header_is_compared),
		TEST(a_file_that_is_shorter_is_refused),
		TEST(what_is_no_file_of_the_folder_is_not_opened),
		TEST(paths_do_not_lead_out_of_the_folder),
		TEST(what_the_kernel_makes_up_is_no_file),
		TEST(nor_is_what_tells_of_control_groups),
		TEST(a_core_without_changed_pages_is_refused),
		TEST(a_machine_has_no_files),
		TEST(the_folder_must_be_there),
		TEST(files_are_never_written),
		TEST(one_file_mapped_often_is_not_compared_as_often),
		TEST(a_file_is_found_again_whatever_the_others_are_called),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
