/* SPDX-License-Identifier: MIT */
/* Every array of contenders, each ended by one without a name; contenders.c looks through them. */
#ifndef BENCH_CONTENDERS_H
#define BENCH_CONTENDERS_H

#include "bench.h"

extern const struct contender contenders_ours[];    /* ours.c       */
extern const struct contender contenders_ram[];     /* ours_ram.c   */
extern const struct contender contenders_image[];   /* ours_image.c */
extern const struct contender contenders_layer[];   /* ours_layer.c */
extern const struct contender contenders_task[];    /* ours_task.c  */
extern const struct contender contenders_calls[];   /* ours_calls.c */
extern const struct contender contenders_scan[];    /* ours_scan.c  */
extern const struct contender contenders_process[]; /* ours_process.c */
extern const struct contender contenders_open[];    /* ours_open.c  */
extern const struct contender contenders_kdump[];   /* kdump.c      */
extern const struct contender contenders_nbd[];     /* nbd.c        */
extern const struct contender contenders_memchr[];  /* ref_memchr.c */
extern const struct contender contenders_pread[];   /* ref_pread.c  */
extern const struct contender contenders_mmap[];    /* ref_mmap.c   */
extern const struct contender contenders_uring[];   /* ref_uring.c  */
extern const struct contender contenders_echo[];    /* echo.c       */
extern const struct contender contenders_memcpy[];  /* ref_memcpy.c */
extern const struct contender contenders_switch[];  /* ref_switch.c */
extern const struct contender contenders_fio[];     /* peer_fio.c   */
extern const struct contender contenders_libuv[];   /* peer_libuv.c */

#endif
