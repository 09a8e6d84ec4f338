/* SPDX-License-Identifier: MIT */
/*
 * A space is sparse: where is there anything? And where memory is mapped, a page can be
 * looked at in place, without a copy.
 *
 *	06-regions [TARGET]
 */
#include <sonde/sonde.h>

#include <stdio.h>

struct total {
	uint64_t bytes;
	int n;
};

/* Any result but 0 would stop the visit and be handed back. */
static int visit(void *user, const struct sonde_region *region)
{
	struct total *total = user;

	printf("0x%016llx %10llu KiB %c%c%c %s\n", (unsigned long long)region->addr,
	       (unsigned long long)region->len / 1024,
	       region->flags & SONDE_REGION_READ ? 'r' : '-',
	       region->flags & SONDE_REGION_WRITE ? 'w' : '-',
	       region->flags & SONDE_REGION_EXEC ? 'x' : '-', region->name);
	total->bytes += region->len;
	total->n++;
	return 0;
}

static int look(struct sonde_space *memory)
{
	struct total total = { 0 };

	int r = sonde_space_regions(memory, visit, &total);
	if (r < 0) {
		fprintf(stderr, "regions: %s\n", sonde_strerror(r));
		return 1;
	}
	printf("%d regions, %llu KiB\n", total.n, (unsigned long long)total.bytes / 1024);
	const unsigned char *page = sonde_space_borrow(memory, 0x1000, 16);
	if (page)
		printf("borrowed: the byte at 0x1000 is %02x\n", page[0]);
	else
		printf("nothing to borrow at 0x1000: read it instead\n");
	return total.n > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	const char *name = argc > 1 ? argv[1] : "ram:64k,hole=0x2000+0x1000";
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, name, NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = look(sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
