# SPDX-License-Identifier: MIT
# The front door: `make run` boots Debian on our machine, `make test` checks everything.
# Each installs what is missing.  The build itself is Meson's: see meson.build.

BUILD := build

.PHONY: all run test soak bench clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -k 0 --quiet

$(BUILD)/build.ninja:
	@tools/deps run
	@meson setup $(BUILD) >$(BUILD).setup.log 2>&1 || { cat $(BUILD).setup.log; exit 1; }
	@rm -f $(BUILD).setup.log

# Without a terminal the guest checks itself and powers off; exit 0 means all held.
run:
	@tools/deps run
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet softmmu-system-riscv64
	@tools/guest $(BUILD)/guest
	@tools/run-guest $(BUILD)

test:
	@tools/deps test
	@$(MAKE) --no-print-directory all
	@tools/guest $(BUILD)/guest
	@tools/oracle $(BUILD)/oracle
	@tools/test $(BUILD)

# What takes minutes or tens of rounds.
soak:
	@tools/deps test
	@$(MAKE) --no-print-directory all
	@tools/guest $(BUILD)/guest
	@tools/oracle $(BUILD)/oracle
	@tools/test --soak $(BUILD)

# QEMU="a b" names what to measure beside, ROUNDS how often, ONLY what: see bench/run.
bench:
	@tools/deps bench
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@[ -e $(BUILD)/bench/peer_unicorn ] || ninja -C $(BUILD) --quiet reconfigure >/dev/null
	@$(MAKE) --no-print-directory all
	@tools/guest $(BUILD)/guest
	@tools/guest-disk $(BUILD)/guest
	@tools/oracle $(BUILD)/oracle
	@bench/run $(BUILD) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only '$(ONLY)')

clean:
	rm -rf $(BUILD)
