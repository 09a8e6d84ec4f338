/* SPDX-License-Identifier: MIT */
/* What every part of the guest needs: files, memory, the kernel log, time. */
#ifndef GUEST_BASE_H
#define GUEST_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Given for kernels with other pages; HUGE_PAGE is what one table of pages maps. */
#ifndef PAGE
#define PAGE 4096u
#define HUGE_PAGE (2u << 20)
#endif
#define SCRATCH_MAX (1u << 20)

extern int kmsg_fd;   /* /dev/kmsg, -1 */
extern char *scratch; /* [SCRATCH_MAX] */

__attribute__((format(printf, 1, 2))) void klog(const char *fmt, ...);
bool write_all(int fd, const void *data, size_t len);
bool write_file(const char *path, const char *text);
/* Read a whole file into @buf, NUL-terminated; -1 when it cannot be opened. */
ssize_t read_file(const char *path, char *buf, size_t size);
bool copy_file(const char *from, const char *to, mode_t mode);
void *map_anon(size_t len, int flags);
void nap_ms(long ms);
uint64_t now_ms(void);

#endif
