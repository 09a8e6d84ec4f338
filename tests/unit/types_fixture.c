/* SPDX-License-Identifier: MIT */
/* Uses each type of types_fixture.h, so that the compiler describes it. */
#include "synth/types_fixture.h"

struct fixture_thing *fixture_of(struct fixture_thing *thing, fixture_node_t node, int which);
enum fixture_big fixture_big_one(void);
static int fixture_local_data = 5;
int fixture_global_data;

struct fixture_thing *fixture_of(struct fixture_thing *thing, fixture_node_t node, int which)
{
	thing->flags += (unsigned long)node.key;
	fixture_global_data += fixture_local_data++;
	return which == FIXTURE_ALONE ? thing : 0;
}

enum fixture_big fixture_big_one(void)
{
	return FIXTURE_HUGE;
}
