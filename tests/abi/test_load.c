/* SPDX-License-Identifier: MIT */
/*
 * The loader: what it takes, what it refuses and in which words. The plugins it is shown
 * are the cases beside; files nobody should be trusted with are made here.
 */
#include "plug/load.h"
#include "plug/search.h"

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

static const char *folder_of(const char *variable)
{
	const char *folder = getenv(variable);

	if (!folder)
		fail_msg("%s is not set: run by meson test", variable);
	return folder;
}

static void case_path(char *buf, size_t cap, const char *name)
{
	snprintf(buf, cap, "%s/%s.so", folder_of("SONDE_ABI_FOLDER"), name);
}

static const struct {
	const char *name;
	int code;
	uint32_t abi;
	const char *text[2]; /* both in the message */
} refused[] = {
	{ "wrong-abi", SONDE_E_ABI, 4242, { "interface 4242", "library has 1" } },
	{ "small-descriptor", SONDE_E_BAD_FORMAT, 1, { "descriptor has 24 bytes", "need 56" } },
	{ "lying-descriptor", SONDE_E_BAD_FORMAT, 1, { "claims 4096 bytes", "the file has 56" } },
	{ "small-table", SONDE_E_BAD_FORMAT, 1, { "connector table has 32 bytes", "need 56" } },
	{ "small-layer", SONDE_E_BAD_FORMAT, 1, { "layer table has 24 bytes", "need 32" } },
	{ "lacks-close", SONDE_E_BAD_FORMAT, 1, { "lacks open, close or info", "" } },
	{ "no-way", SONDE_E_BAD_FORMAT, 1, { "none of extents, transfer and submit", "" } },
	{ "both", SONDE_E_BAD_FORMAT, 1, { "connector and layer at once", "" } },
	{ "neither", SONDE_E_BAD_FORMAT, 1, { "neither connector nor layer", "" } },
	{ "bad-name", SONDE_E_BAD_FORMAT, 1, { "'Bad Name' is no plugin name", "" } },
	{ "other-name", SONDE_E_BAD_FORMAT, 1, { "calls itself 'flat'", "must be flat.so" } },
	{ "no-symbol", SONDE_E_BAD_FORMAT, 0, { "exports no 'sonde_plugin'", "" } },
	{ "tiny-symbol", SONDE_E_BAD_FORMAT, 0, { "too small to be a descriptor", "" } },
	{ "not-there", SONDE_E_NOT_FOUND, 0, { "No such file", "" } },
};

static void each_broken_rule_is_named_with_its_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char path[4096];
		struct plugin *plugin = NULL;
		struct plugin_glimpse glimpse;
		struct sonde_error err = { 0 };
		case_path(path, sizeof(path), refused[i].name);
		int r = plugin_ref(path, &plugin, &glimpse, &err);
		if (r != refused[i].code || glimpse.abi != refused[i].abi || plugin ||
		    !strstr(err.text, path) || !strstr(err.text, refused[i].text[0]) ||
		    !strstr(err.text, refused[i].text[1]))
			fail_msg("%s: got %d abi %u '%s', want %d abi %u '%s' '%s'",
				 refused[i].name, r, glimpse.abi, err.text, refused[i].code,
				 refused[i].abi, refused[i].text[0], refused[i].text[1]);
	}
}

static void tables_of_another_size_are_copied_and_padded(void **state)
{
	(void)state;
	char path[4096];
	struct plugin *plugin;
	struct sonde_error err;

	case_path(path, sizeof(path),
		  "large"); /* larger than ours: its later fields are not seen */
	if (plugin_ref(path, &plugin, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(plugin->kind, SONDE_PLUGIN_CONNECTOR);
	assert_string_equal(plugin->desc.summary, "from the future");
	assert_string_equal(plugin->desc.args_help, "");
	plugin_unref(plugin);

	case_path(path, sizeof(path), "frozen-v1"); /* smaller than ours: what it lacks is NULL */
	if (plugin_ref(path, &plugin, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(plugin->connector.size < sizeof(plugin->connector));
	assert_null(plugin->connector.ways);
	assert_non_null(plugin->connector.extents);
	plugin_unref(plugin);
}

static void a_plugin_is_loaded_once_and_counted(void **state)
{
	(void)state;
	char path[4096];
	struct plugin *first, *second;

	case_path(path, sizeof(path), "large");
	assert_int_equal(plugin_ref(path, &first, NULL, NULL), 0);
	assert_int_equal(plugin_ref(path, &second, NULL, NULL), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(first->refs, 2);
	plugin_unref(first);
	assert_string_equal(second->desc.name, "large");
	plugin_unref(second);
	plugin_unref(NULL);
}

static void a_plugin_of_the_first_interface_still_works(void **state)
{
	(void)state;
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err;
	struct sonde_target_info info;
	uint8_t byte = 0;

	setenv("SONDE_PLUGIN_PATH", folder_of("SONDE_ABI_FOLDER"), 1);
	assert_int_equal(sonde_loop_create(NULL, &loop, &err), 0);
	if (sonde_target_open(loop, "frozen-v1:,fill=0x5a", NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(target, &info);
	assert_string_equal(info.detail, "from the past");
	assert_int_equal(sonde_space_u8(sonde_target_memory(target), 0x103f, &byte), 0);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(sonde_space_u8(sonde_target_memory(target), 0x1040, &byte),
			 SONDE_E_NOT_MAPPED);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
}

static int no_stat(void *user, const struct sonde_layer_stat *stat)
{
	(void)user;
	fail_msg("a figure '%s'", stat->name);
	return 0;
}

static int sum_region(void *user, const struct sonde_region *region)
{
	*(uint64_t *)user += region->len;
	return 0;
}

static void a_layer_of_the_first_interface_passes_on_what_it_does_not_know(void **state)
{
	(void)state;
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err;
	struct sonde_cpu cpu;
	struct sonde_target_info info;
	uint64_t sum = 0;
	uint8_t byte = 0;

	setenv("SONDE_PLUGIN_PATH", folder_of("SONDE_ABI_FOLDER"), 1);
	assert_int_equal(sonde_loop_create(NULL, &loop, &err), 0);
	if (sonde_target_open(loop, "frozen-v1:,fill=0x5a|frozen-layer", NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	struct sonde_space *memory = sonde_target_memory(target);
	assert_int_equal(sonde_space_u8(memory, 0x103f, &byte), 0);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(sonde_space_regions(memory, sum_region, &sum), 0);
	assert_int_equal(sum, 64);
	assert_null(sonde_space_borrow(memory, 0x1000, 1));
	assert_int_equal(sonde_target_cpu(target, 0, &cpu), SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_target_note(target, "X", NULL, 0), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_target_layer_stats(target, no_stat, NULL), 0);
	sonde_target_info(target, &info);
	assert_string_equal(info.detail, "from the past");
	sonde_space_trim(memory);
	sonde_space_invalidate(memory);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
}

/* ---- folders and files that are not to be trusted ---- */

static char scratch[] = "/tmp/sonde-load-XXXXXX";

static void copy_file(const char *from, const char *to, mode_t mode)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	assert_int_equal(fchmod(out, mode), 0);
	close(in);
	close(out);
}

/* scratch/NAME, filled by snprintf. */
static const char *in_scratch(const char *name)
{
	static char path[2][256];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", scratch, name);
	return path[turn];
}

static void put_flat(const char *folder, mode_t folder_mode, mode_t mode)
{
	char from[4096], to[256];

	snprintf(from, sizeof(from), "%s/flat.so", folder_of("SONDE_GOOD_FOLDER"));
	mkdir(in_scratch(folder), 0700);
	snprintf(to, sizeof(to), "%s/%s/flat.so", scratch, folder);
	unlink(to);
	copy_file(from, to, mode);
	assert_int_equal(chmod(in_scratch(folder), folder_mode), 0);
}

static void expect_load(const char *file, int want, const char *text)
{
	struct plugin *plugin = NULL;
	struct sonde_error err = { 0 };
	int r = plugin_ref(in_scratch(file), &plugin, NULL, &err);

	if (r != want || !strstr(err.text, text))
		fail_msg("%s: got %d '%s', want %d '%s'", file, r, err.text, want, text);
	plugin_unref(plugin);
}

static void what_others_may_write_is_refused(void **state)
{
	(void)state;
	put_flat("good", 0755, 0644);
	expect_load("good/flat.so", 0, "");
	put_flat("world", 0755, 0646);
	expect_load("world/flat.so", SONDE_E_NO_ACCESS, "mode 0646: others may write to it");
	put_flat("group", 0755, 0664);
	expect_load("group/flat.so", SONDE_E_NO_ACCESS, "mode 0664: its group may write to it");
	put_flat("open", 0777, 0644);
	expect_load("open/flat.so", SONDE_E_NO_ACCESS, "mode 0777: others may write to it");

	/* A link is followed, and what it leads to is what counts. */
	assert_int_equal(mkdir(in_scratch("links"), 0755), 0);
	assert_int_equal(symlink("../world/flat.so", in_scratch("links/flat.so")), 0);
	expect_load("links/flat.so", SONDE_E_NO_ACCESS, "mode 0646");
	unlink(in_scratch("links/flat.so"));
	assert_int_equal(symlink("../open/flat.so", in_scratch("links/flat.so")), 0);
	expect_load("links/flat.so", SONDE_E_NO_ACCESS, "its folder");

	assert_int_equal(mkdir(in_scratch("good/dir.so"), 0755), 0);
	expect_load("good/dir.so", SONDE_E_NO_ACCESS, "not a regular file");
	rmdir(in_scratch("good/dir.so"));
}

static void what_belongs_to_someone_else_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("not root: cannot give a file away\n");
		skip();
	}
	put_flat("given", 0755, 0644);
	assert_int_equal(chown(in_scratch("given/flat.so"), 12345, 0), 0);
	expect_load("given/flat.so", SONDE_E_NO_ACCESS, "belongs to user 12345");
}

static void what_is_no_shared_object_is_refused(void **state)
{
	(void)state;
	mkdir(in_scratch("good"), 0755);
	copy_file("/proc/self/cmdline", in_scratch("good/text.so"), 0644);
	struct plugin *plugin = NULL;
	struct sonde_error err = { 0 };
	assert_int_equal(plugin_ref(in_scratch("good/text.so"), &plugin, NULL, &err),
			 SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(err.text, "text.so': ")); /* the rest is the system's own words */
	unlink(in_scratch("good/text.so"));
}

/* ---- the search path ---- */

struct listing {
	char text[8192];
};

static int add_line(void *user, const struct sonde_plugin_info *info)
{
	struct listing *listing = user;
	size_t used = strlen(listing->text);

	snprintf(listing->text + used, sizeof(listing->text) - used, "%s [%s] %s\n", info->path,
		 info->name, info->refused ? info->refused : "ok");
	return 0;
}

static void list_with(struct listing *listing, const char *path)
{
	listing->text[0] = '\0';
	setenv("SONDE_PLUGIN_PATH", path, 1);
	assert_int_equal(sonde_plugins(add_line, listing), 0);
}

static void expect_line(const struct listing *listing, const char *fmt, const char *a,
			const char *b)
{
	char want[1024];

	snprintf(want, sizeof(want), fmt, a, b);
	if (!strstr(listing->text, want))
		fail_msg("no line '%s' in:\n%s", want, listing->text);
}

static void the_first_of_a_name_wins_and_shadows_the_rest(void **state)
{
	(void)state;
	struct listing listing;
	char path[1024];

	put_flat("one", 0755, 0666);
	put_flat("two", 0755, 0644);
	put_flat("three", 0755, 0644);
	snprintf(path, sizeof(path), "%s/one:%s/two:%s/three", scratch, scratch, scratch);
	list_with(&listing, path);
	expect_line(&listing, "%s/one/flat.so [%s] mode 0666", scratch, "");
	expect_line(&listing, "%s/two/flat.so [flat] ok\n%s", scratch, "");
	expect_line(&listing, "%s/three/flat.so [flat] shadowed by '%s/two/flat.so'", scratch,
		    scratch);
}

static void the_refused_is_passed_over_for_a_later_good_one(void **state)
{
	(void)state;
	struct plugin *plugin = NULL;
	struct sonde_error err;
	char path[1024];

	put_flat("one", 0755, 0666);
	put_flat("two", 0755, 0644);
	snprintf(path, sizeof(path), "%s/one:%s/two", scratch, scratch);
	setenv("SONDE_PLUGIN_PATH", path, 1);
	assert_int_equal(plugin_find("flat", SONDE_PLUGIN_CONNECTOR, &plugin, &err), 0);
	assert_string_equal(plugin->path, in_scratch("two/flat.so"));
	plugin_unref(plugin);

	snprintf(path, sizeof(path), "%s/one", scratch);
	setenv("SONDE_PLUGIN_PATH", path, 1);
	assert_int_equal(plugin_find("flat", SONDE_PLUGIN_CONNECTOR, &plugin, &err),
			 SONDE_E_NO_ACCESS);
	assert_non_null(strstr(err.text, "one/flat.so': mode 0666"));
	snprintf(path, sizeof(path), "%s/two", scratch);
	setenv("SONDE_PLUGIN_PATH", path, 1);
	assert_int_equal(plugin_find("flat", SONDE_PLUGIN_LAYER, &plugin, &err), SONDE_E_BAD_ARG);
	assert_non_null(strstr(err.text, "is a connector, not a layer"));
	assert_int_equal(plugin_find("nosuch", SONDE_PLUGIN_CONNECTOR, &plugin, &err),
			 SONDE_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "no connector 'nosuch': there are flat"));
}

/* The current directory holds a fine plugin, and still none is found there. */
static void the_current_directory_is_never_searched(void **state)
{
	(void)state;
	static const char *const paths[] = { "", ":", ".", "good", "./good", "../", "::good:" };
	char before[4096];

	put_flat("good", 0755, 0644);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(scratch), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct listing listing;
		struct plugin *plugin;
		list_with(&listing, paths[i]);
		if (strstr(listing.text, "flat.so"))
			fail_msg("'%s': %s", paths[i], listing.text);
		if (paths[i][0])
			expect_line(&listing, "%s%s", "ignored", "");
		assert_true(plugin_find("flat", SONDE_PLUGIN_CONNECTOR, &plugin, NULL) < 0);
	}
	assert_int_equal(chdir(before), 0);
}

static void a_folder_that_others_may_write_is_listed_with_the_reason(void **state)
{
	(void)state;
	struct listing listing;

	put_flat("open", 0777, 0644);
	list_with(&listing, in_scratch("open"));
	expect_line(&listing, "%s/open [] mode 0777: others may write to it%s", scratch, "");
	list_with(&listing, in_scratch("absent"));
	expect_line(&listing, "%s/absent [] No such file or directory%s", scratch, "");
}

static void a_file_that_two_take_for_theirs_is_ambiguous(void **state)
{
	(void)state;
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err;
	const char *path = in_scratch("twins");
	FILE *file = fopen(path, "w");
	char name[300];

	assert_non_null(file);
	fputs("TWINS", file);
	fclose(file);
	setenv("SONDE_PLUGIN_PATH", folder_of("SONDE_ABI_FOLDER"), 1);
	assert_int_equal(sonde_loop_create(NULL, &loop, &err), 0);
	assert_int_equal(sonde_target_open(loop, path, NULL, &target, &err), SONDE_E_AMBIGUOUS);
	assert_non_null(strstr(err.text,
			       "both 'twin-a' and 'twin-b' take it for theirs: write twin-a:FILE"));
	snprintf(name, sizeof(name), "twin-b:%s", path);
	assert_int_equal(sonde_target_open(loop, name, NULL, &target, &err), 0);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", scratch);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_broken_rule_is_named_with_its_numbers),
		cmocka_unit_test(tables_of_another_size_are_copied_and_padded),
		cmocka_unit_test(a_plugin_is_loaded_once_and_counted),
		cmocka_unit_test(a_plugin_of_the_first_interface_still_works),
		cmocka_unit_test(a_layer_of_the_first_interface_passes_on_what_it_does_not_know),
		cmocka_unit_test(what_others_may_write_is_refused),
		cmocka_unit_test(what_belongs_to_someone_else_is_refused),
		cmocka_unit_test(what_is_no_shared_object_is_refused),
		cmocka_unit_test(the_first_of_a_name_wins_and_shadows_the_rest),
		cmocka_unit_test(the_refused_is_passed_over_for_a_later_good_one),
		cmocka_unit_test(the_current_directory_is_never_searched),
		cmocka_unit_test(a_folder_that_others_may_write_is_listed_with_the_reason),
		cmocka_unit_test(a_file_that_two_take_for_theirs_is_ambiguous),
	};
	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
