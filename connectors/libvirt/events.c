/* SPDX-License-Identifier: MIT */
/*
 * libvirt's loop is one of the process (virEventRegisterImpl): a program that embeds us may have
 * registered its own, which then also serves us. Otherwise its default one is registered and run
 * here. Events come on the loop's thread; what they leave behind is read under a lock.
 */
#include "events.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the loop ------------------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	unsigned users;
	int ours; /* the loop is the one registered here */
	int timer;
	pthread_t thread;
	atomic_int stop;
	int (*run)(void);
} loop = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void nothing(int timer, void *user)
{
	(void)timer;
	(void)user;
}

static void *run_loop(void *user)
{
	(void)user;
	while (!atomic_load(&loop.stop) && loop.run() == 0)
		;
	return NULL;
}

/* A timer can be had only where a loop is registered: the program's, if it is not ours. */
static int register_loop(const struct api *api)
{
	int probe = loop.ours ? -1 : api->virEventAddTimeout(-1, nothing, NULL, NULL);

	if (probe >= 0)
		api->virEventRemoveTimeout(probe);
	else if (!loop.ours && api->virEventRegisterDefaultImpl() < 0)
		return -1;
	else
		loop.ours = 1;
	return 0;
}

/* Signals stay with the threads of the program. */
static int start_thread(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	int r = pthread_create(&loop.thread, NULL, run_loop, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == 0 ? 0 : -1;
}

static int start_loop(const struct api *api)
{
	if (register_loop(api) < 0)
		return -1;
	if (!loop.ours)
		return 0;
	atomic_store(&loop.stop, 0);
	loop.run = api->virEventRunDefaultImpl;
	loop.timer = api->virEventAddTimeout(-1, nothing, NULL, NULL);
	if (loop.timer >= 0 && start_thread() == 0)
		return 0;
	api->virEventRemoveTimeout(loop.timer);
	return -1;
}

static void stop_loop(const struct api *api)
{
	if (!loop.ours)
		return;
	atomic_store(&loop.stop, 1);
	api->virEventUpdateTimeout(loop.timer, 0); /* wakes it */
	pthread_join(loop.thread, NULL);
	api->virEventRemoveTimeout(loop.timer);
}

int events_begin(const struct sonde_host *host, const struct api *api, struct sonde_error *err)
{
	pthread_mutex_lock(&loop.lock);
	int r = loop.users == 0 ? start_loop(api) : 0;
	loop.users += r == 0;
	pthread_mutex_unlock(&loop.lock);
	return r == 0 ? 0
		      : host->error_set(err, SONDE_E_NO_MEMORY,
					"libvirt: no thread for its events can be started");
}

void events_end(const struct api *api)
{
	pthread_mutex_lock(&loop.lock);
	if (--loop.users == 0)
		stop_loop(api);
	pthread_mutex_unlock(&loop.lock);
}

/* ---- a domain's life ------------------------------------------------------------------------ */

enum { ON_LIFECYCLE, ON_REBOOT, N_CALLBACKS };

struct life {
	atomic_int refs; /* its owner's, and one a callback: libvirt says when that is done with */
	atomic_uint breaks;
	int ids[N_CALLBACKS]; /* below 0: not registered */
	pthread_mutex_t lock;
	char words[128]; /* under lock */
};

/* By enum virDomainEventStoppedDetailType; the reasons of VIR_DOMAIN_SHUTOFF are one more each. */
static const char *const stopped[] = {
	[VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN] = "was shut off (its system shut down)",
	[VIR_DOMAIN_EVENT_STOPPED_DESTROYED] = "was shut off (destroyed)",
	[VIR_DOMAIN_EVENT_STOPPED_CRASHED] = "was shut off (it or its QEMU crashed)",
	[VIR_DOMAIN_EVENT_STOPPED_MIGRATED] = "was migrated to another host",
	[VIR_DOMAIN_EVENT_STOPPED_SAVED] = "was shut off (saved to a file)",
	[VIR_DOMAIN_EVENT_STOPPED_FAILED] = "was shut off (it or its QEMU crashed)",
	[VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT] = "was shut off (by a snapshot)",
};
_Static_assert(VIR_DOMAIN_SHUTOFF_SHUTDOWN == VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN + 1, "reasons");
_Static_assert(VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT == VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT + 1,
	       "reasons");

static const char *words_of_stop(int detail)
{
	return detail >= 0 && detail < (int)(sizeof(stopped) / sizeof(stopped[0])) ? stopped[detail]
										   : "was shut off";
}

const char *life_words_of_state(int state, int reason)
{
	if (state == VIR_DOMAIN_CRASHED)
		return "has crashed";
	return state == VIR_DOMAIN_SHUTOFF ? words_of_stop(reason - 1) : "";
}

static void unref(void *user)
{
	struct life *life = user;

	if (atomic_fetch_sub(&life->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&life->lock);
	free(life);
}

static void say(struct life *life, const char *words)
{
	pthread_mutex_lock(&life->lock);
	snprintf(life->words, sizeof(life->words), "%s", words);
	pthread_mutex_unlock(&life->lock);
}

/* Behind what was said before. */
static void add(struct life *life, const char *words)
{
	pthread_mutex_lock(&life->lock);
	size_t used = strlen(life->words);
	if (!strstr(life->words, words))
		snprintf(life->words + used, sizeof(life->words) - used, "%s", words);
	pthread_mutex_unlock(&life->lock);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *user)
{
	struct life *life = user;

	(void)conn;
	(void)dom;
	if (event == VIR_DOMAIN_EVENT_STOPPED) {
		say(life, words_of_stop(detail));
		atomic_fetch_add(&life->breaks, 1);
	} else if (event == VIR_DOMAIN_EVENT_STARTED) {
		add(life, " and started again");
	}
	return 0;
}

static void on_reboot(virConnectPtr conn, virDomainPtr dom, void *user)
{
	struct life *life = user;

	(void)conn;
	(void)dom;
	say(life, "was rebooted");
	atomic_fetch_add(&life->breaks, 1);
}

static int watch(struct hypervisor *hv, virDomainPtr dom, int event,
		 virConnectDomainEventGenericCallback call, struct life *life)
{
	atomic_fetch_add(&life->refs, 1);
	int id = hv->api.virConnectDomainEventRegisterAny(hv->conn, dom, event, call, life, unref);
	if (id < 0)
		unref(life);
	return id;
}

struct life *life_watch(struct hypervisor *hv, virDomainPtr dom)
{
	struct life *life = calloc(1, sizeof(*life));

	if (!life)
		return NULL;
	atomic_init(&life->refs, 1);
	pthread_mutex_init(&life->lock, NULL);
	life->ids[ON_LIFECYCLE] = watch(hv, dom, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
					VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), life);
	life->ids[ON_REBOOT] = watch(hv, dom, VIR_DOMAIN_EVENT_ID_REBOOT,
				     VIR_DOMAIN_EVENT_CALLBACK(on_reboot), life);
	return life;
}

void life_forget(struct life *life, struct hypervisor *hv)
{
	if (!life)
		return;
	for (int i = 0; i < N_CALLBACKS; i++) {
		if (life->ids[i] >= 0)
			hv->api.virConnectDomainEventDeregisterAny(hv->conn, life->ids[i]);
	}
	unref(life);
}

unsigned life_breaks(const struct life *life)
{
	return atomic_load(&life->breaks);
}

void life_words(struct life *life, char *buf, size_t cap)
{
	pthread_mutex_lock(&life->lock);
	snprintf(buf, cap, "%s", life->words);
	pthread_mutex_unlock(&life->lock);
}
