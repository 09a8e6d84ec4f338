/* SPDX-License-Identifier: MIT */
/* What a crash dump says beyond its bytes, as notes. */
#ifndef CRASH_FACTS_H
#define CRASH_FACTS_H

#include "../common/note_lines.h"
#include "crash_file.h"

/* SONDE_NOTE_FACTS; each Returns 0, SONDE_E_NO_MEMORY. Owns *ret: note_lines_finish, also after an error. */
int crash_facts(const struct crash_file *crash, struct note_lines *ret);
/* SONDE_NOTE_PROCESS of a triage dump: the system, the registers of the thread that crashed, the drivers. */
int crash_process(struct crash_file *crash, struct note_lines *ret);

#endif
