# Two commands do all: make demo, make check. Meson does the building; this file knows the order.
# HACKING.md has the single steps.

BUILD ?= build
MESON_TEST = meson test --print-errorlogs --timeout-multiplier 4

# $(call set_up,FOLDER,OPTIONS,COMPILER): FOLDER is one of meson's. What meson did not find it never looks
# for again by itself: after packages came, demo's folder would be without check's tests.
comma = ,
set_up = if [ ! -f $1/build.ninja ]; then $(if $3,CC=$3) meson setup $1 $2; \
	elif [ /var/lib/dpkg/status -nt $1/build.ninja ]; then meson setup --reconfigure $1; fi

.PHONY: all demo check check-gcc check-asan check-tsan check-fuzz check-format check-cross bench bench-docs \
	packages-build packages-demo packages-check packages-bench clean

all: packages-build
	@$(call set_up,$(BUILD))
	ninja -C $(BUILD)

demo: packages-demo
	$(MAKE) all
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

# Everything, live guests included.
check-gcc:
	@$(call set_up,$(BUILD))
	ninja -C $(BUILD)
	$(MESON_TEST) -C $(BUILD)

# All but the same table again in sandboxes, and what is about guests.
check-asan:
	@$(call set_up,$(BUILD)-asan,-Db_sanitize=address$(comma)undefined -Db_lundef=false -Dbuildtype=debugoptimized,clang)
	ninja -C $(BUILD)-asan
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(MESON_TEST) -C $(BUILD)-asan --no-suite confined --no-suite once

check-tsan:
	@$(call set_up,$(BUILD)-tsan,-Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized)
	ninja -C $(BUILD)-tsan
	TSAN_OPTIONS=halt_on_error=1 $(MESON_TEST) -C $(BUILD)-tsan --suite unit --suite conformance --suite property \
		--no-suite confined --no-suite threadless --no-suite stub # the threads of gdb: have unit tests

# FUZZ_SECONDS of each target, from the corpus in the tree.
FUZZ_SECONDS ?= 3
check-fuzz:
	@$(call set_up,$(BUILD)-fuzz,-Dfuzz=true -Db_lundef=false,clang)
	ninja -C $(BUILD)-fuzz $$(ninja -C $(BUILD)-fuzz -t targets all | sed -n 's/^\(tests\/fuzz\/fuzz_[a-z_]*\):.*/\1/p')
	tools/dev/fuzz $(BUILD)-fuzz $(FUZZ_SECONDS)

# The core and its tasks on aarch64, under user emulation.
check-cross:
	@$(call set_up,$(BUILD)-aarch64,--cross-file tests/cross/aarch64.ini)
	ninja -C $(BUILD)-aarch64
	$(MESON_TEST) -C $(BUILD)-aarch64 --suite cross --suite fuzz

# Numbers go with the machine: docs/performance.md says how to read them, tools/bench/bench.py what
# BENCH_JSON, BENCH_SVG, BENCH_CASES, BENCH_QUICK, BENCH_FILE and BENCH_SIZE do.
bench: packages-bench
	$(MAKE) all
	@tools/bench/bench.py $(BUILD)

# The tables and the chart of docs/performance.md, from what BENCH_JSON holds.
bench-docs:
	tools/bench/docs.py $(BENCH_JSON) docs/performance.md docs/performance.svg

check-format:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-aarch64
