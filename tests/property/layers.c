/* SPDX-License-Identifier: MIT */
/* Opening layer plugins with a host table whose clock counts turns, and a model of overlays. */
#include "layers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plug/host.h"
#include "plug/load.h"
#include "plug/name.h"
#include "space/backed.h"
#include "run.h"
#include "space/space.h"

const struct layer_kind layer_kinds[] = {
	{ "delay,ms=0", EFFECT_NONE, 0, 0, 0 },
	{ "delay,ms=1", EFFECT_NONE, 0, 0, 0 },
	{ "delay,ms=3", EFFECT_NONE, 0, 0, 0 },
	{ "overlay,mb=1", EFFECT_OVERLAY, 0, 0, 0 },
	{ "overlay,mb=1,holes=yes", EFFECT_HOLES, 0, 0, 0 },
	{ "cache,mb=1,ms=0", EFFECT_KEEPS, 0, 0, 0 },
	{ "cache,mb=1,ms=2", EFFECT_KEEPS, 0, 0, 0 },
	{ "fault,error=NOT_SAVED,at=0x10f00+0x180", EFFECT_FAILS, 0x10f00, 0x180,
	  SONDE_E_NOT_SAVED },
	{ "fault,errno=ENODEV,delay_us=1000,at=0x12fff+3", EFFECT_FAILS, 0x12fff, 3, SONDE_E_GONE },
	{ "fault,short=1g,every=2", EFFECT_NONE, 0, 0, 0 },
	{ "fault,error=IO,after=1t", EFFECT_NONE, 0, 0, 0 },
	{ "fault,error=CORRUPT,every=5", EFFECT_MAY, 0, 0, SONDE_E_CORRUPT },
	{ "fault,error=NO_ACCESS,short=7,random=4", EFFECT_MAY, 0, 0, SONDE_E_NO_ACCESS },
	{ "fault,drop=yes,at=0x11000+16", EFFECT_DROPS, 0x11000, 16, 0 },
	{ "remap,map=0+0x8000000000000000@0;0x8000000000000000+0x8000000000000000@"
	  "0x8000000000000000",
	  EFFECT_NONE, 0, 0, 0 },
	{ "throttle,batches=400,burst_ms=1", EFFECT_NONE, 0, 0, 0 },
	{ "throttle,bytes=1m,burst_ms=1", EFFECT_NONE, 0, 0, 0 },
	/* The last LAYERS_COSTLY make files. */
	{ "trace,detail=piece,file=", EFFECT_NONE, 0, 0, 0 },
	{ "record,file=", EFFECT_NONE, 0, 0, 0 },
};
enum { N_KINDS = sizeof(layer_kinds) / sizeof(layer_kinds[0]) };
const unsigned n_layer_kinds = N_KINDS;

static struct plugin *plugins[N_KINDS];
static struct sonde_host host;
static struct kept *spare;

/* ---- time ----------------------------------------------------------------------------------- */

enum { TIMERS_MAX = 64, TURNS_MAX = 8 };

/* A timer of a layer, and the one of the loop that carries it from turn to turn. */
struct turns {
	struct sonde_timer real;
	struct sonde_timer *asked; /* NULL: nobody's */
	uint64_t left;
};
static struct turns timers[TIMERS_MAX];
static uint64_t now_ns;

static void pass(struct sonde_timer *real);

static void start_real(struct sonde_loop *loop, struct turns *turns)
{
	turns->real = (struct sonde_timer){ .at_ns = 1, .fire = pass, .user = loop };
	sonde_timer_start(loop, &turns->real);
}

static void pass(struct sonde_timer *real)
{
	struct turns *turns = (struct turns *)(void *)real;
	struct sonde_timer *asked = turns->asked;

	if (turns->left-- > 0) {
		start_real(real->user, turns);
		return;
	}
	now_ns = asked->at_ns > now_ns ? asked->at_ns : now_ns;
	turns->asked = NULL;
	asked->fire(asked);
}

static int timer_start(struct sonde_loop *loop, struct sonde_timer *timer)
{
	struct turns *free_one = NULL;

	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		if (timers[i].asked == timer)
			return SONDE_E_BAD_ARG;
		if (!timers[i].asked && !free_one)
			free_one = &timers[i];
	}
	if (!free_one)
		return SONDE_E_NO_MEMORY;
	uint64_t ns = timer->at_ns > now_ns ? timer->at_ns - now_ns : 0;
	free_one->left = ns / 1000000 < TURNS_MAX ? ns / 1000000 : TURNS_MAX;
	free_one->asked = timer;
	start_real(loop, free_one);
	return 0;
}

static int timer_stop(struct sonde_loop *loop, struct sonde_timer *timer)
{
	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		if (timers[i].asked == timer) {
			timers[i].asked = NULL;
			return sonde_timer_stop(loop, &timers[i].real);
		}
	}
	return 0;
}

static uint64_t clock_now(void)
{
	return now_ns;
}

void layers_begin_case(void)
{
	now_ns = 1000000000;
}

unsigned layers_timers(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TIMERS_MAX; i++)
		n += timers[i].asked != NULL;
	return n;
}

bool plan_lies(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->n_nodes; i++) {
		const struct plan_node *node = &plan->nodes[i];
		const struct layer_kind *layer = layer_kind_of(node);
		if (layer && layer->effect == EFFECT_DROPS)
			return true;
		for (unsigned k = 0; k < node->n_bad && node->kind > NODE_MEMORY; k++) {
			if (node->bad[k].kind != BAD_ERROR && node->bad[k].kind != BAD_NO_CODE)
				return true;
		}
	}
	return false;
}

/* ---- opening -------------------------------------------------------------------------------- */

bool layers_load(const char **ret_why)
{
	static struct sonde_error err;
	char word[NAME_WORD_MAX + 1];

	host_init(&host);
	host.now_ns = clock_now;
	host.timer_start = timer_start;
	host.timer_stop = timer_stop;
	for (unsigned i = 0; i < N_KINDS; i++) {
		size_t len = strcspn(layer_kinds[i].text, ",");
		memcpy(word, layer_kinds[i].text, len);
		word[len] = 0;
		if (plugin_find(word, SONDE_PLUGIN_LAYER, &plugins[i], &err) < 0) {
			*ret_why = err.text;
			return false;
		}
	}
	return true;
}

void layers_unload(void)
{
	for (unsigned i = 0; i < N_KINDS; i++) {
		plugin_unref(plugins[i]);
		plugins[i] = NULL;
	}
	while (spare) {
		struct kept *next = spare->next;
		free(spare);
		spare = next;
	}
}

static struct kept *kept_new(void)
{
	struct kept *kept = spare;

	if (!kept)
		kept = calloc(1, sizeof(*kept));
	else
		spare = kept->next;
	if (!kept)
		abort();
	return kept;
}

static void kept_free(struct kept *kept)
{
	memset(kept->how, KEPT_NOT, kept->n_pages * PAGE);
	memset(kept->claimed, CLAIM_NONE, kept->n_pages * PAGE);
	kept->n_pages = 0;
	kept->next = spare;
	spare = kept;
}

void layer_open(struct layer *layer, unsigned kind, struct sonde_space *below)
{
	const char *at = layer_kinds[kind].text;
	struct target_name name;
	struct sonde_error err = { 0 };
	char text[256], path[64] = "";

	*layer = (struct layer){ 0 };
	if (at[strlen(at) - 1] == '=')
		snprintf(path, sizeof(path), "%s/sonde-property-%d",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(text, sizeof(text), "x:|%s%s", at, path);
	if (name_parse(&layer->arena, text, &name, &err) < 0 ||
	    args_bind(&layer->arena, &plugins[kind]->desc, &name.parts[1], 1, &layer->args, &err) <
		    0 ||
	    space_from_layer(below->loop, &plugins[kind]->layer, &host, &layer->args, below,
			     &layer->space, &err) < 0)
		fail_now("'%s' cannot be opened: %s", text, err.text);
	if (path[0])
		unlink(path);
	if (layer_kinds[kind].effect == EFFECT_OVERLAY || layer_kinds[kind].effect == EFFECT_HOLES)
		layer->kept = kept_new();
}

void layer_close(struct layer *layer)
{
	sonde_space_close(layer->space);
	arena_finish(&layer->arena);
	if (layer->kept)
		kept_free(layer->kept);
	*layer = (struct layer){ 0 };
}

/* ---- what an overlay should hold ------------------------------------------------------------- */

static int find_page(const struct kept *kept, uint64_t addr)
{
	for (unsigned i = 0; i < kept->n_pages; i++) {
		if (kept->pages[i] == addr / PAGE)
			return (int)i;
	}
	return -1;
}

static uint32_t to_page_end(uint64_t addr, uint32_t max)
{
	uint64_t left = PAGE - addr % PAGE;

	return left < max ? (uint32_t)left : max;
}

enum kept_how kept_at(const struct kept *kept, uint64_t addr, uint32_t max, uint32_t *ret_len,
		      const uint8_t **ret_bytes)
{
	int page = find_page(kept, addr);

	*ret_len = to_page_end(addr, max);
	if (page < 0)
		return KEPT_NOT;
	uint64_t off = (uint64_t)page * PAGE + addr % PAGE;
	uint8_t how = kept->how[off];
	uint32_t len = 1;
	while (len < *ret_len && kept->how[off + len] == how)
		len++;
	*ret_len = len;
	*ret_bytes = kept->bytes + off;
	return how;
}

bool kept_claim(struct kept *kept, uint64_t addr, uint32_t len)
{
	for (uint32_t off = 0, n; off < len; off += n) {
		int page = find_page(kept, addr + off);
		n = to_page_end(addr + off, len - off);
		if (page < 0 && kept->n_pages == KEPT_PAGES)
			return false;
		if (page < 0) {
			page = (int)kept->n_pages++;
			kept->pages[page] = (addr + off) / PAGE;
		}
		uint8_t *claimed = kept->claimed + (uint64_t)page * PAGE + (addr + off) % PAGE;
		if (memchr(claimed, CLAIM_WRITE, n) || memchr(claimed, CLAIM_TABLE, n))
			return false;
		memset(claimed, CLAIM_WRITE, n);
	}
	return true;
}

bool kept_mark_table(struct kept *kept, uint64_t addr, uint32_t len)
{
	bool fine = true;

	for (uint32_t off = 0, n; off < len; off += n) {
		int page = find_page(kept, addr + off);
		n = to_page_end(addr + off, len - off);
		if (page < 0)
			continue;
		uint8_t *claimed = kept->claimed + (uint64_t)page * PAGE + (addr + off) % PAGE;
		if (memchr(claimed, CLAIM_WRITE, n))
			fine = false;
		else
			memset(claimed, CLAIM_TABLE, n);
	}
	return fine;
}

void kept_settle(struct kept *kept)
{
	for (uint64_t i = 0; i < kept->n_pages * PAGE; i++)
		kept->claimed[i] &= CLAIM_TABLE;
}

void kept_write(struct kept *kept, uint64_t addr, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t off = 0, n; off < len; off += n) {
		int page = find_page(kept, addr + off);
		if (page < 0)
			abort(); /* nobody claimed it */
		uint64_t at = (uint64_t)page * PAGE + (addr + off) % PAGE;
		n = to_page_end(addr + off, len - off);
		memset(kept->how + at, bytes ? KEPT_SURE : KEPT_UNSURE, n);
		if (bytes)
			memcpy(kept->bytes + at, bytes + off, n);
	}
}
