/* SPDX-License-Identifier: MIT */
/*
 * A step into another target, as a name writes it behind a bar: BELOW|process:PID, BELOW|qemu:NAME, BELOW|vm:ROOT. What lies in a
 * process is for an OS layer to say: those, which stand above this folder, supply chain_open.
 */
#ifndef SONDE_PLUG_CHAIN_H
#define SONDE_PLUG_CHAIN_H

#include <sonde/target.h>

struct sonde_os;

#define LIVE_FORGET_NS UINT64_C(100000000) /* as the OS layers do: a tenth of a second */

struct chain_link {
	struct sonde_os *os;
	struct sonde_space *process; /* what the process has mapped                 */
	struct sonde_space *memory;  /* what the target is: the process, or a guest */
	uint32_t flags;              /* enum sonde_target_flag                      */
	uint32_t arch;               /* enum sonde_arch                             */
	char detail[256];
};

/*
 * Open what word:first names in the system that below shows.
 *
 * Returns   0; SONDE_E_BAD_ARG (no such word), SONDE_E_NOT_FOUND, _AMBIGUOUS, _NOT_MAPPED (a process without memory),
 *           _UNSUPPORTED (a machine whose memory is not known here), what sonde_os_attach returned.
 * Owns      *ret: chain_close, before below is closed.
 */
int chain_open(struct sonde_target *below, const char *word, const char *first,
	       struct chain_link *ret, struct sonde_error *err);
void chain_close(struct chain_link *link); /* a zeroed one is allowed */

#endif
