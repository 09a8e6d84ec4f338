/* SPDX-License-Identifier: MIT */
/* Guests found by their control blocks: each once, however many processors it has; and pages that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/error.h>
#include <stdlib.h>

#include "common/vmcb.h"
#include "../synth/array_space.h"
#include "../synth/vmcb.h"

#define RAM (UINT64_C(1) << 20)
#define ROOT UINT64_C(0x40000)

struct machine {
	struct sonde_loop *loop;
	struct array_space ram;
	struct sonde_space *space;
};

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->ram = (struct array_space){ .len = RAM,
				       .bytes = calloc(1, RAM),
				       .flags = SONDE_REGION_RAM };
	assert_non_null(m->ram.bytes);
	assert_int_equal(sonde_loop_create(NULL, &m->loop, NULL), 0);
	assert_int_equal(array_space_open(&m->ram, m->loop, &m->space), 0);
	for (uint64_t root = ROOT; root < ROOT + 0x2000; root += 0x1000)
		m->ram.bytes[root + 8 * 511] = 0x7;
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	sonde_space_close(m->space);
	sonde_loop_destroy(m->loop);
	free(m->ram.bytes);
	free(m);
	return 0;
}

static void guests_are_told_apart_by_their_tables(void **state)
{
	struct machine *m = *state;
	struct vmcb_guest guests[VMCB_GUESTS_MAX];

	vmcb_build(m->ram.bytes + 0x3000, ROOT);
	vmcb_build(m->ram.bytes + 0x7000, ROOT + 0x1000);
	vmcb_build(m->ram.bytes + 0x9000, ROOT);
	vmcb_build(m->ram.bytes + RAM - 4096, RAM - 4096); /* a table to itself */
	assert_int_equal(vmcb_find(m->space, guests), 3);
	assert_int_equal(guests[0].root, ROOT);
	assert_int_equal(guests[0].n_cpus, 2);
	assert_int_equal(guests[1].root, ROOT + 0x1000);
	assert_int_equal(guests[1].n_cpus, 1);
	assert_int_equal(guests[2].root, RAM - 4096);
}

static void one_is_chosen_by_its_tables_or_alone(void **state)
{
	struct machine *m = *state;
	struct vmcb_guest guest;
	struct sonde_error err = { 0 };

	assert_int_equal(vmcb_choose(m->space, "", &guest, &err), SONDE_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "no control block (VMCB)"));
	vmcb_build(m->ram.bytes + 0x3000, ROOT);
	assert_int_equal(vmcb_choose(m->space, "", &guest, &err), 0);
	assert_int_equal(guest.root, ROOT);
	vmcb_build(m->ram.bytes + 0x4000, ROOT + 0x1000);
	assert_int_equal(vmcb_choose(m->space, "", &guest, &err), SONDE_E_AMBIGUOUS);
	assert_non_null(strstr(err.text, "there are 2 guests"));
	assert_non_null(strstr(err.text, "0x40000 0x41000"));
	assert_int_equal(vmcb_choose(m->space, "0x41000", &guest, &err), 0);
	assert_int_equal(guest.root, ROOT + 0x1000);
	assert_int_equal(vmcb_choose(m->space, "0x41000|", &guest, &err), SONDE_E_NOT_FOUND);
	assert_int_equal(vmcb_choose(m->space, "guest", &guest, &err), SONDE_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "'guest'; those that are here: 0x40000 0x41000"));
}

/* What VMRUN would refuse, and what nobody could follow. */
static const struct {
	const char *what;
	uint32_t at;
	uint64_t value;
} lies[] = {
	{ "VMRUN is not intercepted", 0x010, 0xfe },
	{ "the host's ASID", 0x058, 0 },
	{ "no nested paging", 0x090, 0 },
	{ "bits of it that have no meaning", 0x090, 0x101 },
	{ "no tables", 0x0b0, 0 },
	{ "tables in the middle of a page", 0x0b0, ROOT + 8 },
	{ "tables beyond all addresses", 0x0b0, UINT64_C(1) << 52 },
	{ "tables where no memory is", 0x0b0, RAM },
	{ "tables that are empty: it has ended", 0x0b0, ROOT + 0x2000 },
	{ "no SVM", 0x4d0, 0xd01 },
	{ "EFER with reserved bits", 0x4d0, UINT64_C(1) << 40 | 0x1d01 },
	{ "CR4 with its upper half", 0x548, UINT64_C(1) << 32 },
	{ "CR0 with its upper half", 0x558, UINT64_C(1) << 63 },
	{ "DR7 with its upper half", 0x560, UINT64_C(1) << 32 },
	{ "DR6 with its upper half", 0x568, UINT64_C(1) << 32 },
};

static void what_no_processor_would_run_is_none(void **state)
{
	struct machine *m = *state;
	struct vmcb_guest guests[VMCB_GUESTS_MAX];

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		vmcb_build(m->ram.bytes + 0x3000, ROOT);
		vmcb_put(m->ram.bytes + 0x3000, lies[i].at, lies[i].value);
		int n = vmcb_find(m->space, guests);
		if (n != 0)
			fail_msg("%s: %d guests", lies[i].what, n);
	}
	vmcb_build(m->ram.bytes + 0x3000, ROOT);
	assert_int_equal(vmcb_find(m->space, guests), 1);
}

static void a_block_begins_with_its_page(void **state)
{
	struct machine *m = *state;
	struct vmcb_guest guests[VMCB_GUESTS_MAX];

	vmcb_build(m->ram.bytes + 0x3800, ROOT);
	assert_int_equal(vmcb_find(m->space, guests), 0);
}

static void there_are_no_more_than_there_is_room_for(void **state)
{
	struct machine *m = *state;
	struct vmcb_guest guests[VMCB_GUESTS_MAX];

	for (uint64_t at = 0; at < RAM; at += 4096)
		vmcb_build(m->ram.bytes + at, at ? at : ROOT);
	assert_int_equal(vmcb_find(m->space, guests), VMCB_GUESTS_MAX);
	assert_int_equal(guests[VMCB_GUESTS_MAX - 1].n_cpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_MACHINE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		WITH_MACHINE(guests_are_told_apart_by_their_tables),
		WITH_MACHINE(one_is_chosen_by_its_tables_or_alone),
		WITH_MACHINE(what_no_processor_would_run_is_none),
		WITH_MACHINE(a_block_begins_with_its_page),
		WITH_MACHINE(there_are_no_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
