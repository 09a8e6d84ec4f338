/* SPDX-License-Identifier: MIT */
/*
 * Structures of a target as structures of this host: a table says where each field lies on either
 * side. A list of 32-bit big-endian records is read in one trip; one of them touches a hole.
 */
#include <sonde/sonde.h>

#include <stdio.h>

enum { N = 4, AT = 0xf60, STRIDE = 64 };

struct task {
	int32_t nice;
	uint64_t stack; /* a pointer of 4 bytes there */
	char name[16];
};

static const struct sonde_field table[] = {
	SONDE_FIELD(struct task, nice, 2, 2, SONDE_FIELD_SIGNED, SONDE_BIG),
	SONDE_FIELD(struct task, stack, 8, 4, SONDE_FIELD_UNSIGNED, SONDE_BIG),
	SONDE_FIELD(struct task, name, 36, 12, SONDE_FIELD_TEXT, SONDE_BIG),
};
static const struct sonde_fields fields = { table, 3, sizeof(struct task) };

static int fill(struct sonde_space *memory)
{
	int r = 0;

	for (unsigned i = 0; i < N && r == 0; i++) {
		uint64_t at = AT + i * STRIDE;
		if ((r = sonde_space_put_u16be(memory, at + 2, (uint16_t)-i)) == 0 &&
		    (r = sonde_space_put_u32be(memory, at + 8, 0xc0de0000 + i)) == 0 && i < 2)
			r = sonde_space_put(memory, at + 36, i ? "init" : "idle", 5);
	}
	return r;
}

static int run(struct sonde_space *memory)
{
	struct task tasks[N];
	struct sonde_struct at[N];

	if (fill(memory) < 0)
		return 1;
	sonde_structs_array(at, N, AT, STRIDE, tasks, sizeof(tasks[0]));
	int n = sonde_structs_read(memory, &fields, at, N);
	for (int i = 0; i < N; i++) {
		printf("nice %d, stack 0x%llx, name '%s'", tasks[i].nice,
		       (unsigned long long)tasks[i].stack, tasks[i].name);
		if (at[i].err)
			printf(" (field %u: %s)", at[i].err_field, sonde_strerror(at[i].err));
		printf("\n");
	}
	printf("%d of %d are whole\n", n, N);
	/* The name of the third lies in the hole; its other fields came. */
	return n == N - 1 && at[2].missing == 4 && tasks[2].nice == -2 && tasks[3].nice == -3 ? 0
											      : 1;
}

int main(void)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:64k,hole=0x1008+8", &options, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = run(sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
