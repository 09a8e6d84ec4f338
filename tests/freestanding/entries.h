/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables with pages of 4 KiB and addresses of 48 bits, which on both architectures have four
 * tables of 512 entries below each other, and leaves of 4 KiB, 2 MiB and 1 GiB.
 *
 * Source: Intel SDM 3A 4.5; Arm ARM (DDI 0487) D8.3, with MAIR_EL1 as aarch64/boot.S sets it.
 */
#ifndef TESTS_FREESTANDING_ENTRIES_H
#define TESTS_FREESTANDING_ENTRIES_H

#include <stdint.h>

#if defined(__x86_64__)

#define TABLES_FORMAT "x86-64-4"
#define ENTRY_TABLE UINT64_C(3)          /* present, writable                  */
#define ENTRY_PAGE UINT64_C(3)           /* ... at the last level              */
#define ENTRY_LARGE UINT64_C(0x83)       /* ... 2 MiB and 1 GiB: with PS       */
#define ENTRY_ABSENT UINT64_C(2)         /* all but present                    */
#define ENTRY_MALFORMED UINT64_C(0x2083) /* 2 MiB with one of the bits 13 to 20 */
#define ENTRY_SELF UINT64_C(3)           /* both a table and a page            */

#elif defined(__aarch64__)

#define TABLES_FORMAT "arm64-4k-48"
#define ENTRY_NORMAL UINT64_C(0x704) /* AF, inner shareable, attribute 1   */
#define ENTRY_TABLE UINT64_C(3)
#define ENTRY_PAGE (ENTRY_NORMAL | 3)
#define ENTRY_LARGE (ENTRY_NORMAL | 1)
#define ENTRY_ABSENT (ENTRY_NORMAL | 2)    /* all but valid                      */
#define ENTRY_MALFORMED (ENTRY_NORMAL | 1) /* a block at the last level          */
#define ENTRY_SELF (ENTRY_NORMAL | 3)

#endif

#define KIB4 UINT64_C(0x1000)
#define MIB2 UINT64_C(0x200000)
#define GIB1 UINT64_C(0x40000000)

#endif
