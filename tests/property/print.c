/* SPDX-License-Identifier: MIT */
/* A plan for a person to read. */
#include "world.h"

static const char *const kinds[NODE_KINDS] = { "file",   "memory", "transfer", "submit",
					       "paging", "remap",  "layer" };
static const char *const manners[MANNERS] = { "at once", "one a turn", "few, in any order",
					      "few, in any order, gives up what is cancelled",
					      "from a thread" };
static const char *const bads[BAD_KINDS] = { "fails", "last byte not told", "last byte told twice",
					     "last byte told outside", "fails with no code" };
static const char *const doors[DOORS] = {
	"callback",        "fragments", "blocking",         "task",      "batch",
	"batch in a task", "stream",    "stream in a task", "get or put"
};
static const char *const limits[] = { "", ", deadline past", ", deadline soon" };
static const char *const steps[STEP_KINDS] = { "submit", "cancel", "turn", "barrier",
					       "cut",    "borrow", "trim", "invalidate" };

static void print_node(const struct plan *plan, unsigned i, FILE *to)
{
	const struct plan_node *node = &plan->nodes[i];

	fprintf(to, "  node %u: %s", i, kinds[node->kind]);
	if (node->kind <= NODE_MEMORY)
		fprintf(to, ", layout %u", node->variant % LAYOUTS);
	else if (node->kind == NODE_TRANSFER)
		fprintf(to, ", layout %u", node->variant % 2);
	else if (node->kind == NODE_SUBMIT)
		fprintf(to, ", layout %u, %s", node->variant / MANNERS % 2,
			manners[node->variant % MANNERS]);
	else if (node->kind == NODE_PAGING)
		fprintf(to, " over %u, %u levels", node->below, 4 + node->variant % 2);
	else if (node->kind == NODE_LAYER)
		fprintf(to, " over %u: %s", node->below,
			layer_kinds[node->variant % n_layer_kinds].text);
	for (unsigned k = 0; k < node->n_stretches; k++) {
		const struct plan_stretch *s = &node->stretches[k];
		fprintf(to, "%s 0x%llx+0x%llx is 0x%llx of %u", k ? "," : ":",
			(unsigned long long)s->addr, (unsigned long long)s->len,
			(unsigned long long)s->at, s->node);
	}
	for (unsigned k = 0; k < node->n_bad; k++) {
		const struct plan_bad *bad = &node->bad[k];
		fprintf(to, "; 0x%llx+0x%llx %s", (unsigned long long)bad->addr,
			(unsigned long long)bad->len, bads[bad->kind]);
		if (bad->kind == BAD_ERROR)
			fprintf(to, " with %s", sonde_error_name(bad->err));
	}
	fprintf(to, "\n");
}

static void print_piece(const struct plan_request *r, unsigned i, FILE *to)
{
	const struct plan_piece *piece = &r->pieces[i];

	fprintf(to, " 0x%llx+%u", (unsigned long long)piece->addr, piece->len);
	if (door_is_batch(r->door))
		fprintf(to, " of %u", piece->node);
	if (piece->repeat != 1)
		fprintf(to, " (%u times, %d apart)", piece->repeat, piece->stride);
}

static void print_request(const struct plan *plan, unsigned i, FILE *to)
{
	const struct plan_request *r = &plan->requests[i];

	fprintf(to, "  request %u: %s node %u by %s%s", i, r->write ? "write" : "read", r->node,
		doors[r->door], limits[r->deadline]);
	if (r->yields)
		fprintf(to, ", yields %u times", r->yields);
	if (r->child)
		fprintf(to, ", child of the one before");
	if (r->stop_early)
		fprintf(to, ", stops with its first fragment");
	if (r->cancels != NOBODY)
		fprintf(to, ", cancels %u when done", r->cancels);
	if (r->submits != NOBODY)
		fprintf(to, ", submits %u when done", r->submits);
	fprintf(to, ":");
	for (unsigned k = 0; k < r->n_pieces; k++)
		print_piece(r, k, to);
	fprintf(to, "%s\n", r->n_pieces ? "" : " no piece");
}

static void print_step(const struct plan_step *step, FILE *to)
{
	fprintf(to, " %s", steps[step->kind]);
	if (step->kind != STEP_TURN && step->kind != STEP_BARRIER)
		fprintf(to, " %u", step->arg);
	if (step->kind == STEP_CUT || step->kind == STEP_BORROW)
		fprintf(to, " (0x%x)", step->value);
}

void plan_print(const struct plan *plan, FILE *to)
{
	fprintf(to, "  loop: %s%s\n", loop_kinds[plan->loop].name,
		plan->fresh ? "; nothing was used before" : "");
	for (unsigned i = 0; i < plan->n_nodes; i++)
		print_node(plan, i, to);
	for (unsigned i = 0; i < plan->n_requests; i++)
		print_request(plan, i, to);
	fprintf(to, "  steps:");
	for (unsigned i = 0; i < plan->n_steps; i++) {
		fprintf(to, "%s", i ? "," : "");
		print_step(&plan->steps[i], to);
	}
	fprintf(to, "\n");
}
