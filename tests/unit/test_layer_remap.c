/* SPDX-License-Identifier: MIT */
/* remap by name: what its map= says, and what it refuses. How the bytes move: test_remap.c. */
#include "layer_plugin.h"

static void pieces_of_memory_in_another_order(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	uint8_t bytes[4];

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 65536, SONDE_WAY_EXTENTS);
	layer_plugin_open(&layer, fake.space, "remap,map=0x1000+4K@0x30;0+0x10@4k;0x20+1@1", 0);
	assert_int_equal(sonde_space_get(layer.space, 0x1ffe, bytes, 2), 0);
	assert_int_equal(bytes[1], fake_byte(0x102f));
	assert_int_equal(sonde_space_get(layer.space, 15, bytes, 1), 0);
	assert_int_equal(bytes[0], fake_byte(0x100f));
	assert_int_equal(sonde_space_get(layer.space, 16, bytes, 1), SONDE_E_NOT_MAPPED);
	assert_int_equal(layer_stat(&layer, "stretches"), 3);
	assert_int_equal(layer_stat(&layer, "bytes"), 0x1011);
	assert_ptr_equal(sonde_space_borrow(layer.space, 0x1000, 16), fake.bytes + 0x30);
	layer_plugin_close(&layer);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "remap", "of which pieces?" },
		{ "remap,map=", "of which pieces?" },
		{ "remap,map=1", "'1' is not ADDR+LEN@BELOW" },
		{ "remap,map=1+2", "'1+2' is not" },
		{ "remap,map=1+2@", "'1+2@' is not" },
		{ "remap,map=1+2@3x", "'1+2@3x' is not" },
		{ "remap,map=1+2@3;;", "';' is not" },
		{ "remap,map=0x+2@3", "'0x+2@3' is not" },
		{ "remap,map=0+20000000000000000000@3", "is not" },
		{ "remap,map=0+16777216T@3", "is not" },
		{ "remap,map=1+0@3", "no bytes" },
		{ "remap,map=2+0xffffffffffffffff@0", "no bytes, or more" },
		{ "remap,map=0+2@0xffffffffffffffff", "no bytes, or more" },
		{ "remap,map=8+9@0;0+9@0", "0x0+0x9 and 0x8+0x9 overlap" },
	};
	struct fake fake = { 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		layer_plugin_refuses(fake.space, bad[i].text, SONDE_E_BAD_ARG, bad[i].words);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_memory_in_another_order),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
