# The commands people need. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help deps build run check test test-long bench format clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

deps:  ## install the Debian packages that the build needs
	@tools/install-deps.sh

build: deps  ## build/release/shoal, the program
	@cmake --preset release --log-level=WARNING >/dev/null
	@ninja -C build/release shoal

run: build  ## make a volume in a scratch place, mount it, put files into it and show them
	@tools/run-demo.sh

check:  ## quick: debug build, unit tests, house rules (for every edit)
	@tools/install-deps.sh --tests
	@tools/test.py build-dev unit house

test:  ## everything that CI runs (an hour at most on 2 cores)
	@tools/install-deps.sh --tests
	@tools/test.py

test-long:  ## what does not fit into an hour
	@tools/install-deps.sh --tests --bench
	@$(MAKE) --no-print-directory build
	@tools/test.py --long

bench: build  ## measure Shoal against JuiceFS and ext4
	@tools/install-deps.sh --bench
	@bench/run.sh

format:  ## format the C++ sources
	@tools/format.sh

clean:  ## remove everything built
	rm -rf build
