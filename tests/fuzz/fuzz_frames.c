/* SPDX-License-Identifier: MIT */
/* What page frames are used for: the input is the kernel's memory, which begins with mem_section. */
#include "kernel_memory.h"
#include "../synth/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define N_FRAMES 1300u

static void read_all(struct sonde_frames *frames, uint32_t at_once)
{
	uint8_t uses[N_FRAMES];

	for (uint32_t at = 0; at < N_FRAMES; at += at_once) {
		uint32_t n = N_FRAMES - at < at_once ? N_FRAMES - at : at_once;
		if (frames->read(frames, at, uses + at, n) < 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_memory memory = { bytes, len };
	struct linux_os *lx = calloc(1, sizeof(*lx));
	struct sonde_frames *frames;

	if (!lx)
		abort();
	fuzz_kernel_make(lx, &memory);
	frames_describe(lx, FRAMES_INFO);
	if (linux_frames(&lx->os, &frames, NULL) == 0) {
		read_all(frames, N_FRAMES);
		read_all(frames, 7);
		frames->close(frames);
	}
	fuzz_kernel_finish(lx);
	free(lx);
	return 0;
}
