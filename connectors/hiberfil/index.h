/* SPDX-License-Identifier: MIT */
/* Among the files of this folder: how sets and runs get into the index. */
#ifndef HIBER_INDEX_H
#define HIBER_INDEX_H

#include "hiber_file.h"
#include "layouts.h"

/* Fill why. Returns code. */
int hiber_fail(struct hiber_file *file, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* len bytes at off, behind all that were read before. Returns 0; SONDE_E_TRUNCATED; another code, and why is filled. */
int hiber_get(struct hiber_file *file, uint64_t off, void *buf, size_t len);

/* A number of a word of the layout. */
uint64_t hiber_word(const struct hiber_file *file, const uint8_t *at);

/* Another set. Returns 0; SONDE_E_LIMIT, _NO_MEMORY: why is filled. */
int hiber_add_set(struct hiber_file *file, const struct hiber_set *set);
/* n pages from page on are in the last set, from its page first on. As hiber_add_set. */
int hiber_add_run(struct hiber_file *file, uint64_t page, uint32_t first, uint32_t n);

/* sets.c, tables.c: index all there are; errors as hiber_file_read, of the first one: what is broken behind it is counted. */
int hiber_read_sets(struct hiber_file *file, const uint8_t *header);
int hiber_read_tables(struct hiber_file *file, const uint8_t *header);

/* processor.c: the registers, where there are some that are sound. */
void hiber_read_processor(struct hiber_file *file);

#endif
