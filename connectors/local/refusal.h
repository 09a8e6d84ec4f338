/* SPDX-License-Identifier: MIT */
/* Why this machine's kernel cannot be read, in a line that says what would help. */
#ifndef LOCAL_REFUSAL_H
#define LOCAL_REFUSAL_H

#include <stddef.h>
#include <stdint.h>

enum own_way { OWN_KCORE, OWN_CRASH, OWN_MEM, OWN_WAYS };

/* What a refusal follows from. */
struct refusal {
	enum own_way way;
	int os_code;   /* errno of opening the file, or of reading RAM through it (devmem); 0 */
	int is_read;   /* ... of reading                                                      */
	int is_hidden; /* the file is another one: a container has put it there               */
	uint64_t caps; /* CapEff of /proc/self/status                                         */
	int is_mapped; /* in a user name space of its own: no capability counts for the kernel */
	char lockdown[32]; /* "none", "integrity", "confidentiality"; "" not known                */
};

/* What can be known of this process and its kernel, on top of way and os_code. */
void refusal_look(struct refusal *refusal);

/* "[none] integrity confidentiality": the word in brackets, "" where there is none. */
void refusal_parse_lockdown(const char *text, char *ret, size_t cap);

/* One line without the name of the file. Returns the code that goes with it, enum sonde_err. */
int refusal_explain(const struct refusal *refusal, char *buf, size_t cap);

#endif
