/* SPDX-License-Identifier: MIT */
/* Copying: every small length and those around the large one's border, wherever the bytes begin. */
#include "base/copy.h"

#include <stdbool.h>

#include "fake.h"

enum { ROOM = 3 * COPY_LARGE, MARGIN = 64 };

static void check_copy(struct copier *copier, uint32_t len, uint32_t from_at, uint32_t to_at)
{
	static char from[ROOM], to[ROOM];

	for (uint32_t i = 0; i < ROOM; i++)
		from[i] = (char)(i * 31 + len);
	memset(to, 0x5a, sizeof(to));
	copy_bytes(copier, to + MARGIN + to_at, from + from_at, len);
	for (uint32_t i = 0; i < len + 2 * MARGIN; i++) {
		bool is_in = i - MARGIN - to_at < len;
		assert_true(to[i] == (is_in ? from[from_at + i - MARGIN - to_at] : 0x5a));
	}
}

static void every_length_is_copied_and_nothing_beside_it(void **state)
{
	static struct copier copier;

	(void)state;
	for (uint32_t len = 0; len < 300; len++) {
		for (uint32_t at = 0; at < 16; at++)
			check_copy(&copier, len, at, (at * 7) % 16);
	}
	/* Often enough that the loop for large ones is chosen on the way, more than once. */
	for (uint32_t round = 0; round < 9 * COPY_TRIALS; round++) {
		for (uint32_t len = COPY_LARGE - 2; len < COPY_LARGE + 40; len++)
			check_copy(&copier, len, round % 16, len % 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_is_copied_and_nothing_beside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
