/* SPDX-License-Identifier: MIT */
/*
 * Sniffing: each connector's probe is shown the first 64 KiB and the size; the surest
 * wins. A file nobody knows is refused: taken for raw memory, a compressed dump would give
 * wrong answers without a word. The table below only makes that refusal a helpful one.
 */
#include "plug/sniff.h"

#include <stdio.h>
#include <string.h>

/* Formats of memory images and what they come wrapped in. Sources at the right. */
static const struct {
	uint16_t off, len;
	const char *magic, *name;
} known[] = {
	{ 0, 4,
	  "\x7f"
	  "ELF",
	  "an ELF file" },                               /* System V gABI, e_ident */
	{ 0, 8, "KDUMP   ", "a kdump-compressed dump" }, /* makedumpfile diskdump_mod.h */
	{ 0, 8, "DISKDUMP", "a diskdump" },              /* makedumpfile diskdump_mod.h */
	{ 0, 12, "makedumpfile",
	  "a flattened dump (makedumpfile -R turns it into a plain one)" }, /* makedumpfile.h */
	{ 0, 4, "EMiL", "a LiME image" },                      /* LiME doc/README, version 1 */
	{ 0, 4, "AVML", "an AVML image" },                     /* avml src/image.rs, version 2 */
	{ 0, 4, "QEVM", "a QEMU migration stream" },           /* qemu migration/savevm.h */
	{ 0, 16, "LibvirtQemudSave", "a libvirt save image" }, /* libvirt qemu_saveimage.h */
	{ 0, 16, "LibvirtQemudPart",
	  "an unfinished libvirt save image" },                /* libvirt qemu_saveimage.h */
	{ 0, 8, "PAGEDUMP", "a Windows crash dump (32 bit)" }, /* ReactOS, DUMP_HEADER */
	{ 0, 8, "PAGEDU64", "a Windows crash dump" },          /* ReactOS, DUMP_HEADER64 */
	{ 0, 4, "MDMP", "a Windows minidump" },                /* Microsoft MINIDUMP_HEADER */
	{ 0, 4, "hibr", "a Windows hibernation file" },        /* libhibr documentation */
	{ 0, 4, "HIBR", "a Windows hibernation file" },
	{ 0, 4, "wake", "a Windows hibernation file" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image" }, /* qemu docs/interop/qcow2.txt */
	{ 0, 4, "\xd0\xbe\xd2\xbe",
	  "a VMware state file (.vmss, .vmsn)" }, /* Volatility 2 vmware.py */
	{ 0, 4, "\xd1\xba\xd1\xba", "a VMware state file (.vmss, .vmsn)" },
	{ 0, 4, "\xd2\xbe\xd2\xbe", "a VMware state file (.vmss, .vmsn)" },
	{ 0, 4, "\xd3\xbe\xd3\xbe", "a VMware state file (.vmss, .vmsn)" },
	{ 4086, 10, "S1SUSPEND\0", "a Linux hibernation image" },  /* linux kernel/power/swap.c */
	{ 4086, 10, "SWAPSPACE2", "a Linux swap area" },           /* linux include/linux/swap.h */
	{ 0, 2, "\x1f\x8b", "gzip-compressed (unpack it first)" }, /* RFC 1952 */
	{ 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "xz-compressed (unpack it first)" }, /* xz-file-format.txt 2.1.1.1 */
	{ 0, 4, "\x28\xb5\x2f\xfd", "zstd-compressed (unpack it first)" }, /* RFC 8878 3.1.1 */
	{ 0, 3, "BZh", "bzip2-compressed (unpack it first)" }, /* bzip2 format specification */
	{ 0, 4, "\x04\x22\x4d\x18", "lz4-compressed (unpack it first)" }, /* lz4_Frame_format.md */
	{ 0, 4, "\x89LZO", "lzop-compressed (unpack it first)" },         /* lzop 1.04, lzop.c */
	{ 0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive (unpack it first)" }, /* 7zFormat.txt */
	{ 0, 4, "PK\3\4", "a zip archive (unpack it first)" },            /* APPNOTE.TXT 4.3.7 */
};

const char *sniff_known(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].off <= len && known[i].len <= len - known[i].off &&
		    memcmp(head + known[i].off, known[i].magic, known[i].len) == 0)
			return known[i].name;
	}
	return NULL;
}

int sniff_read(struct sonde_image *image, struct sniff_head *ret, struct sonde_error *err)
{
	int64_t n = image_read_at(image, 0, ret->bytes, sizeof(ret->bytes));

	if (n < 0) {
		image_failure(image, err);
		sonde_error_prefix(err, "target: cannot be read");
		return (int)n;
	}
	ret->len = (size_t)n;
	ret->file_size = image->size ? image->size : ret->len; /* files of /proc tell none */
	if (ret->len == 0)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT, "target: '%.300s': is empty",
				       image->shown);
	return 0;
}

struct contest {
	const struct sniff_head *head;
	struct plugin *best, *equal; /* equal: as sure as best; both counted */
	int sure;
};

static int ask(void *user, struct plugin *plugin)
{
	struct contest *contest = user;
	struct plugin *counted;

	if (!plugin->connector.probe)
		return 0;
	int sure = plugin->connector.probe(contest->head->bytes, contest->head->len,
					   contest->head->file_size);
	if (sure <= 0 || sure < contest->sure || plugin_ref(plugin->path, &counted, NULL, NULL) < 0)
		return 0;
	if (sure == contest->sure) {
		plugin_unref(contest->equal);
		contest->equal = counted;
		return 0;
	}
	plugin_unref(contest->best);
	plugin_unref(contest->equal);
	contest->best = counted;
	contest->equal = NULL;
	contest->sure = sure;
	return 0;
}

/* The memory of a guest of VMware has no magic, but a name. */
static int is_vmem(const char *path)
{
	size_t len = strlen(path);

	return len > 5 && strcmp(path + len - 5, ".vmem") == 0;
}

static int refuse_unknown(const char *path, const struct sniff_head *head, struct sonde_error *err)
{
	const char *name = sniff_known(head->bytes, head->len);
	char bytes[3 * 8 + 1] = "", asked[160];

	plugin_names(SONDE_PLUGIN_CONNECTOR, asked, sizeof(asked));
	if (name)
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"target: '%.150s': is %s, which no connector here reads (%s): say "
			"flat:%.50s to take it as raw memory all the same",
			path, name, asked, path);
	if (is_vmem(path))
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "target: '%.150s': has the name of the memory of a guest of "
				       "VMware: say vmware:%.150s to read it as that",
				       path, path);
	for (size_t i = 0; i < head->len && i < 8; i++)
		snprintf(bytes + 3 * i, 4, " %02x", head->bytes[i]);
	return sonde_error_set(
		err, SONDE_E_BAD_FORMAT,
		"target: '%.150s': unknown format (first bytes%s): say flat:%.50s to "
		"read it as raw memory (connectors asked: %s)",
		path, bytes, path, asked);
}

int sniff_connector(const char *path, const struct sniff_head *head, struct plugin **ret,
		    struct sonde_error *err)
{
	struct contest contest = { .head = head };
	int r = plugin_each(SONDE_PLUGIN_CONNECTOR, ask, &contest);

	if (r < 0)
		sonde_error_set(err, r, NULL);
	else if (!contest.best)
		r = refuse_unknown(path, head, err);
	else if (contest.equal)
		r = sonde_error_set(
			err, SONDE_E_AMBIGUOUS,
			"target: '%.200s': both '%s' and '%s' take it for theirs: write "
			"%s:FILE or %s:FILE",
			path, contest.best->desc.name, contest.equal->desc.name,
			contest.best->desc.name, contest.equal->desc.name);
	plugin_unref(contest.equal);
	if (r == 0)
		*ret = contest.best;
	else
		plugin_unref(contest.best);
	return r;
}
