# Two commands do all: make demo, make check. Meson does the building; this file knows the order.
# HACKING.md has the single steps.

BUILD ?= build
MESON_TEST = meson test --print-errorlogs --timeout-multiplier 4

.PHONY: all demo check check-gcc check-asan check-tsan check-fuzz check-format check-cross bench bench-docs \
	packages-build packages-demo packages-check packages-bench clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

demo: packages-demo all
	tools/dev/demo $(BUILD)

check: packages-check
	$(MAKE) check-format
	$(MAKE) check-gcc
	$(MAKE) check-asan
	$(MAKE) check-tsan
	$(MAKE) check-fuzz
	$(MAKE) check-cross
	@tools/dev/summary $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-aarch64

packages-build packages-demo packages-check packages-bench:
	@tools/dev/install-packages $(@:packages-%=%)

$(BUILD)/build.ninja: | packages-build
	meson setup $(BUILD)

# Everything, live guests included.
check-gcc:
	[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	ninja -C $(BUILD)
	$(MESON_TEST) -C $(BUILD)

# All but the same table again in sandboxes, and what is about guests.
check-asan:
	[ -f $(BUILD)-asan/build.ninja ] || CC=clang meson setup $(BUILD)-asan \
		-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized
	ninja -C $(BUILD)-asan
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(MESON_TEST) -C $(BUILD)-asan --no-suite confined --no-suite once

check-tsan:
	[ -f $(BUILD)-tsan/build.ninja ] || meson setup $(BUILD)-tsan \
		-Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized
	ninja -C $(BUILD)-tsan
	TSAN_OPTIONS=halt_on_error=1 $(MESON_TEST) -C $(BUILD)-tsan --suite unit --suite conformance --suite property \
		--no-suite confined --no-suite threadless --no-suite stub # the threads of gdb: have unit tests

# FUZZ_SECONDS of each target, from the corpus in the tree.
FUZZ_SECONDS ?= 3
check-fuzz:
	[ -f $(BUILD)-fuzz/build.ninja ] || CC=clang meson setup $(BUILD)-fuzz -Dfuzz=true \
		-Db_lundef=false
	ninja -C $(BUILD)-fuzz $$(ninja -C $(BUILD)-fuzz -t targets all | sed -n 's/^\(tests\/fuzz\/fuzz_[a-z_]*\):.*/\1/p')
	tools/dev/fuzz $(BUILD)-fuzz $(FUZZ_SECONDS)

# The core and its tasks on aarch64, under user emulation.
check-cross:
	[ -f $(BUILD)-aarch64/build.ninja ] || meson setup $(BUILD)-aarch64 \
		--cross-file tests/cross/aarch64.ini
	ninja -C $(BUILD)-aarch64
	$(MESON_TEST) -C $(BUILD)-aarch64 --suite cross --suite fuzz

# Numbers go with the machine: docs/performance.md says how to read them, tools/bench/bench.py what
# BENCH_JSON, BENCH_SVG, BENCH_CASES, BENCH_QUICK, BENCH_FILE and BENCH_SIZE do.
bench: packages-bench
	[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	grep -q HAVE_LIBUV $(BUILD)/build.ninja || meson setup --reconfigure $(BUILD)
	$(MAKE) all
	@tools/bench/bench.py $(BUILD)

# The tables and the chart of docs/performance.md, from what BENCH_JSON holds.
bench-docs:
	tools/bench/docs.py $(BENCH_JSON) docs/performance.md docs/performance.svg

check-format:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-aarch64
