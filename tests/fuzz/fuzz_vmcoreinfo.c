/* SPDX-License-Identifier: MIT */
/* vmcoreinfo: any bytes as a page or note, then every question. */
#include "linux/vmcoreinfo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What is told can be asked for, though another line may have the name first. */
static int ask_again(void *user, const char *name, uint64_t value)
{
	uint64_t again;

	vmcoreinfo_symbol(user, name, &again);
	return value == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct vmcoreinfo info;
	struct sonde_error err;
	uint64_t value;
	int64_t number;
	char text[64];

	if (len >= VMCOREINFO_MAGIC)
		vmcoreinfo_looks_like(bytes);
	if (vmcoreinfo_parse(bytes, len, &info, &err) < 0)
		return 0;
	if (!info.len || info.text[info.len - 1] != '\n')
		abort();
	vmcoreinfo_symbol(&info, "swapper_pg_dir", &value);
	vmcoreinfo_each_symbol(&info, ask_again, &info);
	vmcoreinfo_offset(&info, "list_head.next", &value);
	vmcoreinfo_size(&info, "page", &value);
	vmcoreinfo_length(&info, "zone.free_area", &value);
	vmcoreinfo_number(&info, "phys_base", &number);
	vmcoreinfo_hex(&info, "KERNELOFFSET", &value);
	if (vmcoreinfo_text(&info, "OSRELEASE", text, sizeof(text)) && strlen(text) >= sizeof(text))
		abort();
	return 0;
}
