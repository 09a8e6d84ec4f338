/* SPDX-License-Identifier: MIT */
/* Between kallsyms.c (fetch, decode) and kallsyms_find.c (search by shape). */
#ifndef SONDE_LINUX_KALLSYMS_INTERNAL_H
#define SONDE_LINUX_KALLSYMS_INTERNAL_H

#include "linux/kallsyms.h"

#define KALLSYMS_TOKENS 256u
#define KALLSYMS_INDEX_SIZE (KALLSYMS_TOKENS * 2)
#define KALLSYMS_BLOCK 256u    /* symbols per marker                                       */
#define KALLSYMS_NAME_LEN 512u /* KSYM_NAME_LEN since v6.1, type and terminator included   */
#define KALLSYMS_ROW_MAX (2 + KALLSYMS_NAME_LEN)

/*
 * The row of names at off: *ret_count token numbers from *ret_first on. A length of 0x80 and above
 * is two bytes, low seven bits first (since v6.1, for names above 127 tokens; none was that long
 * before).
 *
 * Returns   the offset behind it; 0 when it is empty or runs past len.
 */
static inline size_t kallsyms_row(const uint8_t *names, size_t len, size_t off, size_t *ret_first,
				  size_t *ret_count)
{
	if (off >= len)
		return 0;
	size_t count = names[off++];
	if (count & 0x80) {
		if (off >= len)
			return 0;
		count = (count & 0x7f) | (size_t)names[off++] << 7;
	}
	if (!count || count > len - off)
		return 0;
	*ret_first = off;
	*ret_count = count;
	return off + count;
}

/* True for what can be the kernel's relative base. */
int kallsyms_base_plausible(uint64_t base, uint32_t word_size);

/*
 * Set the form of tables whose addresses and n are known: RELATIVE or PERCPU from a relative_base
 * that is known too, or the one asked for. Returns 1 when the addresses then rise from first
 * to last, which no wrong reading of a thousand entries does; 0 else.
 */
int kallsyms_settle_base(struct kallsyms_tables *tables);
int kallsyms_settle_form(struct kallsyms_tables *tables, uint32_t form);

/*
 * The index-th address under the tables' form. The caller has checked index against
 * addresses_len.
 */
uint64_t kallsyms_address(const struct kallsyms_tables *tables, uint32_t index);
/* Bytes of one entry of the address table. */
uint32_t kallsyms_entry_size(const struct kallsyms_tables *tables);

#endif
