/* SPDX-License-Identifier: MIT */
/* Sets of registers by their length, which is all that tells them apart. */
#include "../../connectors/common/regset.h"

#include <sonde/error.h>
#include <sonde/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Word i of a set is i + 1: which word a register is shows in its value. */
static int name(size_t n_words, uint32_t word, struct sonde_register *ret, size_t cap)
{
	uint8_t set[REGSET_BYTES_MAX] = { 0 };

	for (size_t i = 0; i < n_words; i++)
		sonde_store(set + i * word, word, SONDE_LITTLE, i + 1);
	return regset_name(set, n_words * word, ret, cap);
}

static void every_architecture_has_its_names_each_word_once(void **state)
{
	(void)state;
	static const struct {
		size_t n_words;
		uint32_t word;
		struct sonde_register some[3];
	} sets[] = {
		{ 27, 8, { { "r15", 1 }, { "rip", 17 }, { "rsp", 20 } } },
		{ 17, 4, { { "ebx", 1 }, { "eip", 13 }, { "esp", 16 } } },
		{ 34, 8, { { "x0", 1 }, { "pc", 33 }, { "sp", 32 } } },
		{ 32, 8, { { "pc", 1 }, { "sp", 3 }, { "t6", 32 } } },
		{ 18, 4, { { "r0", 1 }, { "pc", 16 }, { "sp", 14 } } },
	};

	for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++) {
		struct sonde_register all[SONDE_REGISTERS_MAX];
		int n = name(sets[k].n_words, sets[k].word, all, SONDE_REGISTERS_MAX), met = 0;
		uint64_t words = 0;
		assert_int_equal(n, sets[k].n_words);
		for (int i = 0; i < n; i++) {
			words |= UINT64_C(1) << (all[i].value - 1);
			for (int s = 0; s < 3; s++)
				met += strcmp(all[i].name, sets[k].some[s].name) == 0 &&
				       all[i].value == sets[k].some[s].value;
		}
		assert_int_equal(met, 3);
		assert_int_equal(words, (UINT64_C(1) << n) - 1);
	}
}

static void no_more_are_written_than_there_is_room_for(void **state)
{
	(void)state;
	struct sonde_register two[3] = { { "untouched", 0 },
					 { "untouched", 0 },
					 { "untouched", 0 } };

	assert_int_equal(name(27, 8, two, 2), 27);
	assert_string_equal(two[1].name, "rbx");
	assert_string_equal(two[2].name, "untouched");
}

static void another_length_is_of_no_known_architecture(void **state)
{
	(void)state;
	struct sonde_register all[SONDE_REGISTERS_MAX];

	assert_int_equal(name(0, 8, all, SONDE_REGISTERS_MAX), SONDE_E_UNSUPPORTED);
	assert_int_equal(name(26, 8, all, SONDE_REGISTERS_MAX), SONDE_E_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_architecture_has_its_names_each_word_once),
		cmocka_unit_test(no_more_are_written_than_there_is_room_for),
		cmocka_unit_test(another_length_is_of_no_known_architecture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
