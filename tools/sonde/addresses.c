/* SPDX-License-Identifier: MIT */
/* Operands that are addresses; see addresses.h. One that is none, or that fails, hides none of the others. */
#include "addresses.h"

#include "session.h"

#include <stdio.h>
#include <string.h>

#define LINE_LEN_MAX 512

struct each {
	address_fn *fn;
	void *user;
	int code;
	bool some; /* was answered */
};

static void one(struct ctx *ctx, struct each *each, const char *text)
{
	uint64_t addr;
	int code = session_address(ctx, text, &addr);

	if (code == 0)
		code = each->fn(ctx, addr, each->user);
	if (code == 0)
		each->some = true;
	else
		each->code = code;
}

/* A word a line; what is behind it, and lines without one, are passed over. */
static void lines(struct ctx *ctx, struct each *each)
{
	char line[LINE_LEN_MAX];

	while (fgets(line, sizeof(line), stdin)) {
		char *word = line + strspn(line, " \t\r\n");
		word[strcspn(word, " \t\r\n")] = '\0';
		if (*word)
			one(ctx, each, word);
	}
}

int addresses_each(struct ctx *ctx, address_fn *fn, void *user)
{
	struct each each = { .fn = fn, .user = user };

	for (int i = 1; i < ctx->n_args; i++) {
		if (strcmp(ctx->args[i], "-") == 0)
			lines(ctx, &each);
		else
			one(ctx, &each, ctx->args[i]);
	}
	return each.code == EXIT_FAILED && each.some ? EXIT_PARTIAL : each.code;
}
