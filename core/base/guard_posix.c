/* SPDX-License-Identifier: MIT */
/* Guards against SIGBUS: one process-wide handler, one stack of guards a thread. */
#include "base/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* initial-exec: the handler may be the first to touch it, and must not allocate. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct guard *current;
static _Thread_local __attribute__((tls_model("initial-exec"))) int giving_back;
static struct sigaction previous;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void give_back(int signo, siginfo_t *info, void *context)
{
	/* The earlier handler may hand it back to us, when it was installed over ours. */
	if (giving_back) {
		signal(signo, SIG_DFL);
		return;
	}
	giving_back++;
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(signo, info, context);
	} else if (previous.sa_handler == SIG_IGN && info->si_code <= 0) {
		/* ignored, as it was before us */
	} else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		/* A fault happens again and meets the default action; a sent signal must be repeated. */
		signal(signo, SIG_DFL);
		if (info->si_code <= 0)
			raise(signo);
	} else {
		previous.sa_handler(signo);
	}
	giving_back--;
}

static void on_bus_error(int signo, siginfo_t *info, void *context)
{
	struct guard *guard = current;

	/* si_code > 0: the kernel saw a fault; a SIGBUS sent by kill() is not ours. */
	if (!guard || info->si_code <= 0) {
		give_back(signo, info, context);
		return;
	}
	siglongjmp(guard->env, 1);
}

/* Called with every space that needs it: somebody may have put a handler of his own over ours. */
int guard_install(void)
{
	/* NODEFER: siglongjmp does not restore the mask, and the next fault must come through. */
	struct sigaction action = { .sa_sigaction = on_bus_error,
				    .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
	struct sigaction now;
	int r = 0;

	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&lock);
	if (sigaction(SIGBUS, NULL, &now))
		r = errno;
	else if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_bus_error) {
		previous = now;
		r = sigaction(SIGBUS, &action, NULL) ? errno : 0;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void guard_push(struct guard *guard)
{
	guard->outer = current;
	current = guard;
}

void guard_leave(struct guard *guard)
{
	current = guard->outer;
}
