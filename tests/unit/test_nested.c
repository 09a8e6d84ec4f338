/* SPDX-License-Identifier: MIT */
/*
 * A guest inside a host's memory: EPT tables of text in the host, x86-64 tables of text in the guest, its pages
 * scattered over the host's. Guest-virtual becomes guest-physical becomes host-physical by spaces over spaces: by the
 * public call, and by the layer that a target's name has.
 */
#include <unistd.h>

#include "fake.h"
#include "synth/page_tables.h"

#include <sonde/target.h>

#define HOST (UINT64_C(4) << 20)
#define EPT_AT UINT64_C(0x200000)
#define GUEST (UINT64_C(1) << 20)
#define GUEST_TABLES UINT64_C(0x80000)
#define LOST UINT64_C(0x30000)   /* a page of the guest that the host does not map    */
#define SECRET UINT64_C(0x31000) /* ... whose entry may be written, but not read      */

static const char guest_text[] = "1000             4k 5000 rw\n"
				 "2000             4k 30000     # the host has taken it\n"
				 "3000             4k 6000\n"
				 "4000             4k 31000     # misconfigured\n"
				 "5000             raw 0 7000   # swapped by the guest\n"
				 "200000           2m 0         # more than the guest's memory\n"
				 "400000           raw 1 30007  # a table that the host has taken\n"
				 "ffff800000001000 4k 7000\n";

/* Scattered, each page once. */
static uint64_t host_of(uint64_t gpa)
{
	return (gpa >> 12) * 0x5000 % (GUEST + 0x1000) & ~UINT64_C(0xfff);
}

struct nested {
	struct sonde_loop *loop;
	struct fake host;
	uint64_t eptp, cr3;
	struct sonde_space *guest, *process;
};

static void build_ept(struct nested *n, const uint8_t *guest)
{
	struct page_tables ept;

	tables_build(&ept, n->host.bytes, HOST, EPT_AT, 4, "");
	for (uint64_t gpa = 0; gpa < GUEST; gpa += 4096) {
		uint64_t hpa = host_of(gpa);
		memcpy(n->host.bytes + hpa, guest + gpa, 4096);
		*tables_entry(&ept, gpa, 0) = gpa == LOST     ? 0
					      : gpa == SECRET ? hpa | 0x32
							      : hpa | 0x37;
	}
	n->eptp = ept.root | 3 << 3 | 6;
}

static void nested_build(struct nested *n)
{
	struct page_tables tables;
	uint8_t *guest = malloc(GUEST);

	assert_non_null(guest);
	n->loop = loop_new(SONDE_ENGINE_SYNC, 0);
	fake_open(&n->host, n->loop, HOST, SONDE_WAY_TRANSFER);
	/* Every 8 bytes of the guest name their guest-physical address. */
	for (uint64_t at = 0; at < GUEST; at += 8)
		memcpy(guest + at, &at, 8);
	tables_build(&tables, guest, GUEST, GUEST_TABLES, 4, guest_text);
	n->cr3 = tables.root;
	build_ept(n, guest);
	free(guest);
}

static void nested_open(struct nested *n)
{
	*n = (struct nested){ 0 };
	nested_build(n);
	struct sonde_tables ept = { .format = "ept4", .root = n->eptp };
	struct sonde_tables own = { .format = "x86-64-4", .root = n->cr3 };
	assert_int_equal(sonde_space_tables(n->host.space, &ept, &n->guest), 0);
	assert_int_equal(sonde_space_tables(n->guest, &own, &n->process), 0);
}

static void nested_close(struct nested *n)
{
	sonde_space_close(n->process);
	sonde_space_close(n->guest);
	fake_close(&n->host);
	sonde_loop_destroy(n->loop);
}

static const struct {
	const char *name;
	uint64_t va;
	int32_t err;
	uint64_t gpa;
} lookups[] = {
	{ "a page", 0x1008, 0, 0x5008 },
	{ "one that the host has taken", 0x2008, SONDE_E_NOT_MAPPED, 0 },
	{ "the page behind it", 0x3010, 0, 0x6010 },
	{ "one that is misconfigured", 0x4008, SONDE_E_NOT_MAPPED, 0 },
	{ "one that the guest has swapped", 0x5008, SONDE_E_PAGED_OUT, 0 },
	{ "inside a large page", 0x200000 + 0x12340, 0, 0x12340 },
	{ "inside a large page, taken", 0x200000 + LOST, SONDE_E_NOT_MAPPED, 0 },
	{ "beyond the guest's memory", 0x300000, SONDE_E_NOT_MAPPED, 0 },
	{ "through a table that was taken", 0x400000, SONDE_E_NOT_MAPPED, 0 },
	{ "the kernel's half", 0xffff800000001ff8, 0, 0x7ff8 },
};
#define N_LOOKUPS (sizeof(lookups) / sizeof(lookups[0]))

/* All in one batch: what the host denies fails alone. */
static void check_lookups(struct sonde_space *process)
{
	struct sonde_xfer x[N_LOOKUPS];
	uint64_t got[N_LOOKUPS];

	for (size_t i = 0; i < N_LOOKUPS; i++)
		x[i] = (struct sonde_xfer){ .addr = lookups[i].va, .buf = &got[i], .len = 8 };
	assert_int_equal(sonde_space_read(process, x, N_LOOKUPS), 4);
	for (size_t i = 0; i < N_LOOKUPS; i++) {
		if (x[i].err != lookups[i].err || got[i] != lookups[i].gpa)
			fail_msg("%s: got %d, %#llx", lookups[i].name, x[i].err,
				 (unsigned long long)got[i]);
	}
}

static void a_guest_inside_a_host(void **state)
{
	struct nested n;

	(void)state;
	nested_open(&n);
	for (int round = 0; round < 3; round++) /* the third from the store of translations */
		check_lookups(n.process);
	nested_close(&n);
}

/* A walk of 4 levels over tables of 4 levels: (4 + 1) * (4 + 1) trips, however many pieces there are. */
static void trips_do_not_grow_with_the_pieces(void **state)
{
	struct nested n;

	(void)state;
	nested_open(&n);
	n.host.calls = 0;
	check_lookups(n.process);
	assert_in_range(n.host.calls, 5, 25);
	nested_close(&n);
}

static int add_ram(void *user, const struct sonde_region *region)
{
	if (region->flags & SONDE_REGION_RAM)
		*(uint64_t *)user += region->len;
	return 0;
}

static void the_guests_memory_is_what_the_host_maps(void **state)
{
	uint64_t bytes = 0;
	struct nested n;

	(void)state;
	nested_open(&n);
	assert_int_equal(sonde_space_regions(n.guest, add_ram, &bytes), 0);
	assert_int_equal(bytes, GUEST - 2 * 4096);
	assert_int_equal(sonde_space_regions(n.process, add_ram, &bytes), 0);
	assert_int_equal(bytes, GUEST - 2 * 4096); /* what is virtual is none */
	nested_close(&n);
}

static void a_format_has_to_be_known(void **state)
{
	struct sonde_tables tables = { .format = "ept6" };
	struct sonde_space *space;
	struct nested n;

	(void)state;
	nested_open(&n);
	assert_int_equal(sonde_space_tables(n.host.space, &tables, &space), SONDE_E_BAD_ARG);
	tables.format = NULL;
	assert_int_equal(sonde_space_tables(n.host.space, &tables, &space), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_tables(n.host.space, NULL, &space), SONDE_E_BAD_ARG);
	nested_close(&n);
}

/* ---- as a layer ------------------------------------------------------------------------------------------ */

static const char *write_host(const struct nested *n)
{
	static char path[] = "/tmp/sonde-nested-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, n->host.bytes, HOST) == (ssize_t)HOST);
	close(fd);
	return path;
}

static void layers_of_a_target_do_the_same(void **state)
{
	struct sonde_error err = { 0 };
	struct sonde_target *target;
	struct sonde_target_info info;
	struct sonde_space *clone;
	struct sonde_cpu cpu;
	char name[200], note[8];
	uint64_t bytes = 0;
	struct nested n;

	(void)state;
	nested_open(&n);
	const char *path = write_host(&n);
	snprintf(name, sizeof(name),
		 "flat:%s|paging,format=ept4,root=0x%llx|paging,format=x86-64-4,root=0x%llx", path,
		 (unsigned long long)n.eptp, (unsigned long long)n.cr3);
	if (sonde_target_open(n.loop, name, NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	check_lookups(sonde_target_memory(target));
	if (sonde_space_clone(sonde_target_memory(target), n.loop, &clone, &err) < 0)
		fail_msg("%s", err.text);
	check_lookups(clone);
	sonde_space_close(clone);
	assert_int_equal(sonde_target_cpu(target, 0, &cpu), SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_target_note(target, "VMCOREINFO", note, sizeof(note)),
			 SONDE_E_NOT_FOUND);
	sonde_target_info(target, &info);
	assert_int_equal(info.n_cpus, 0);
	assert_true(info.flags & SONDE_TARGET_PHYSICAL);
	assert_int_equal(sonde_space_regions(sonde_target_memory(target), add_ram, &bytes), 0);
	assert_int_equal(bytes, 0);
	sonde_target_close(target);
	*strrchr(name, '|') = '\0';
	assert_int_equal(sonde_target_open(n.loop, name, NULL, &target, &err), 0);
	assert_int_equal(sonde_space_regions(sonde_target_memory(target), add_ram, &bytes), 0);
	assert_int_equal(bytes, GUEST - 2 * 4096);
	sonde_target_close(target);
	unlink(path);
	nested_close(&n);
}

static void a_layer_says_what_it_lacks(void **state)
{
	static const struct {
		const char *name, *words;
	} bad[] = {
		{ "ram:64k|paging", "which tables?" },
		{ "ram:64k|paging,format=ept4", "which tables?" },
		{ "ram:64k|paging,format=ept4,root=x", "root" },
		{ "ram:64k|paging,format=ept6,root=0", "no page-table format 'ept6'" },
	};
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sonde_error err = { 0 };
		struct sonde_target *target;
		assert_int_equal(sonde_target_open(loop, bad[i].name, NULL, &target, &err),
				 SONDE_E_BAD_ARG);
		if (!strstr(err.text, bad[i].words))
			fail_msg("%s: %s", bad[i].name, err.text);
	}
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_inside_a_host),
		cmocka_unit_test(trips_do_not_grow_with_the_pieces),
		cmocka_unit_test(the_guests_memory_is_what_the_host_maps),
		cmocka_unit_test(a_format_has_to_be_known),
		cmocka_unit_test(layers_of_a_target_do_the_same),
		cmocka_unit_test(a_layer_says_what_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
