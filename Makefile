# picoinit: build /init, pack it, boot it. `make help` lists what there is.

# What can be set, here or on the command line: make run MEM=512
VM        ?= qemu
KERNEL    ?=
ROOTFS    ?= demo
QEMU      ?= qemu-system-x86_64
ACCEL     ?= auto
MEM       ?= 256
CPUS      ?= 1
APPEND    ?=
QEMU_EXTRA ?=
TIMEOUT   ?= 120
WITHOUT   ?=
ONLY      ?=
BUSYBOX   ?=
DISK      ?=
PRESS     ?=
V         ?=
NO_INSTALL ?=
export NO_INSTALL

ifneq ($(V),1)
MAKEFLAGS += --no-print-directory
.SILENT:
endif
.DEFAULT_GOAL := help
# What is checked first is not built at the same time.
.NOTPARALLEL:

# Where cargo builds, whatever the environment says.
export CARGO_TARGET_DIR := target
TARGET = $(CARGO_TARGET_DIR)/x86_64-unknown-linux-gnu/release

# The duties that /init has. An init that lacks some is built beside the whole one.
DUTIES := console mounts reap signals spawn teardown
ifneq ($(strip $(WITHOUT) $(ONLY)),)
CARGO_TARGET_DIR := target/duties
FEATURES  = --no-default-features --features "$(if $(ONLY),$(ONLY),$(filter-out $(WITHOUT),$(DUTIES)))"
endif
INIT   ?= $(TARGET)/init
BUILD  := build

# A ROOTFS is a folder of initramfs/, or any other folder.
TREE     = $(firstword $(wildcard initramfs/$(ROOTFS)/. $(ROOTFS)/.))
ARCHIVE  = $(BUILD)/$(subst /,_,$(ROOTFS)).cpio
STAGE    = $(BUILD)/$(subst /,_,$(ROOTFS)).tree
LOG      = $(BUILD)/console.log
VERDICT  = $(BUILD)/verdict
# The package's BusyBox, unless one is named.
PACKAGED = $(if $(BUSYBOX),,$(BUILD)/busybox/bin/busybox)

# QEMU. `-M pc` and nothing that it does not need: a serial port for
# the console, a second one for the verdict. MACHINE is what all boots share.
MACHINE = $(QEMU) -accel $$accel -M pc -m $(MEM) -smp $(CPUS) -nodefaults -no-user-config -display none \
	-kernel "$$kernel"
# Both ports keep what was said in a file, too.
SERIAL  = -serial chardev:console -serial file:$(VERDICT)
CONSOLE = -chardev stdio,id=console,mux=$(1),signal=$(2),logfile=$(LOG)
# panic=-1: restart at once after a panic; -no-reboot: and QEMU ends when the machine restarts.
ONCE    = -no-reboot
# no_timer_check: on a busy host, an emulated timer may tick too late for the kernel, which then
# says that the BIOS is broken, even with `quiet`. Under KVM it leaves this check out by itself.
CMDLINE = console=ttyS0 panic=$(1) no_timer_check VERDICT=/dev/ttyS1 $(APPEND)

qemu-run   = $(MACHINE) -initrd $(ARCHIVE) -append $(call quote,$(call CMDLINE,-1)) \
	$(call CONSOLE,off,on) $(SERIAL) $(ONCE) $(QEMU_EXTRA)
qemu-shell = $(MACHINE) -initrd $(ARCHIVE) -append $(call quote,$(call CMDLINE,0)) \
	$(call CONSOLE,on,off) -mon chardev=console $(SERIAL) $(QEMU_EXTRA)
qemu-panic = $(MACHINE) -append $(call quote,$(call CMDLINE,-1)) \
	$(call CONSOLE,off,on) $(SERIAL) $(ONCE) $(QEMU_EXTRA)

# User-mode Linux, with the same: its consoles and serial ports are descriptors.
# lab/uml.sh says which. It would add root and console by itself, but in the
# end, where PID 1's words are. After a panic it ends in any case.
UML = lab/uml.sh $(LOG) $(VERDICT) $(call quote,$(APPEND)) "$$kernel" mem=$(MEM)M printk.time=1 \
	root=98:0 console=tty0 con=null ssl=null ssl0=fd:6,fd:5 VERDICT=/dev/ttyS0

uml-run   = $(UML) initrd=$(ARCHIVE) con0=fd:4,fd:1 panic=-1 noreboot
uml-shell = $(UML) initrd=$(ARCHIVE) con0=fd:0,fd:1
uml-panic = $(UML) con0=fd:4,fd:1 panic=-1 noreboot

## run       boot the kernel with /init and the demo, or with ROOTFS=
run: no-extras archive
	$(find-$(VM)); $(patient); lab/boot.sh verdict $(TIMEOUT) $(LOG) $(VERDICT) $($(VM)-run)

## shell     the same, with BusyBox and a shell on the console
shell: ROOTFS := shell
shell: no-extras check tools $(PACKAGED) archive
	$(find-$(VM)); \
	$(how-to-leave-$(VM)); $(patient); lab/boot.sh end 0 $(LOG) $(VERDICT) $($(VM)-shell)

## panic     boot the kernel with nothing at all, and watch it panic
panic: no-extras check tools
	$(find-$(VM)); $(patient); lab/boot.sh panic $(TIMEOUT) $(LOG) $(VERDICT) $($(VM)-panic) || exit; \
	echo; \
	echo "picoinit: that is what a kernel does that finds no file system with a program to run as PID 1:"; \
	echo "picoinit: it has nothing left to do, and gives up. Now give it one: make run"

## try       boot anything, and only look: few lines of the kernel, no verdict asked for
# quiet: only the kernel's errors. printk.time=0: and without the time before each.
try: archive
	$(find-$(VM)); $(patient); PRESS=$(PRESS) lab/boot.sh any $(TIMEOUT) $(LOG) $(VERDICT) $($(VM)-try)

qemu-try = $(MACHINE) -initrd $(ARCHIVE) -append $(call quote,quiet printk.time=0 $(call CMDLINE,-1)) \
	$(call CONSOLE,off,on) $(SERIAL) $(ONCE) $(if $(DISK),$(DRIVE)) $(KEYS) $(QEMU_EXTRA)
uml-try  = $(UML) quiet printk.time=0 initrd=$(ARCHIVE) con0=fd:4,fd:1 panic=-1 noreboot

DRIVE = -drive file=$(call quote,$(DISK)),format=raw,if=virtio
# The keyboard is reached through QEMU's monitor, on a pipe that lab/boot.sh makes.
KEYS = $(if $(filter ctrl-alt-delete,$(PRESS)),-chardev pipe$(comma)id=keys$(comma)path=$(LOG).keys -mon chardev=keys)
comma := ,

## experiments the questions of lab/experiments, one a line
experiments: lab-tool
	$(TARGET)/picoinit-lab experiments

## experiment go through one of them: make experiment N=01
experiment: tools lab-tool $(PACKAGED)
	lab/tools.sh mke2fs debugfs readelf
	# What is downloaded or tried only once is none of the experiment.
	$(find-kernel); $(find-accel); $(TARGET)/picoinit-lab experiment $(call quote,$(N))

lab-tool:
	cargo build --release --package picoinit-lab $(QUIET)

## build     only build /init
build: check-duties
	cargo build --release $(FEATURES) $(QUIET)

## archive   only pack the initramfs: /init, and the files of ROOTFS
archive: check tools build
	$(has-shell) || test -z "$(PACKAGED)" || test -e $(PACKAGED) || $(MAKE) $(PACKAGED)
	test -z $(call quote,$(INIT)) || test -f $(call quote,$(INIT)) || { echo "picoinit: INIT="$(call quote,$(INIT))": there is no such file" >&2; exit 1; }
	rm -rf $(STAGE) && mkdir -p $(STAGE)/bin && cp -a $(TREE) $(STAGE)
	# Copied over a file of the tree, it would get that file's mode.
	test -z $(call quote,$(INIT)) || { rm -f $(STAGE)/init && cp $(call quote,$(INIT)) $(STAGE)/init; }
	test "$(ROOTFS)" != demo || cp $(TARGET)/demo $(STAGE)/bin/
	$(has-shell) || cp $(call quote,$(or $(BUSYBOX),$(PACKAGED))) $(STAGE)/bin/busybox
	test ! $(call quote,$(DISK)) || { $(find-kernel); lab/modules.sh "$$kernel" $(STAGE); }
	# The same bytes whoever packs it, where and when: names in order, one owner, one time.
	chmod -R u=rwX,go=rX $(STAGE) && find $(STAGE) -exec touch -hd @0 {} +
	cd $(STAGE) && find . -mindepth 1 -print0 | LC_ALL=C sort -z | \
	cpio --null --create --format=newc --owner=0:0 --reproducible --quiet > ../../$(ARCHIVE).part
	mv $(ARCHIVE).part $(ARCHIVE)

# A tree whose /bin/sh is a link to a BusyBox that it does not have gets it.
has-shell = test ! -L $(TREE)/bin/sh -o -e $(TREE)/bin/sh

## test      everything that is tested: functions, PID 1 of a namespace, boots
test: test-tools build $(BUILD)/busybox/bin/busybox
	# The lab is a package of its own; TESTFLAGS may name what only the init's has.
	$(if $(TESTFLAGS),,cargo test --package picoinit-lab $(QUIET))
	$(find-kernel); $(find-accel); \
	KERNEL="$$(realpath "$$kernel")" ACCEL=$$accel cargo test --no-fail-fast $(TESTFLAGS)

## bench     picoinit and its peers as PID 1, side by side; writes lab/bench/RESULTS.md
PEERS := $(addprefix $(BUILD)/peers/,tini dumb-init catatonit busybox-static runit)
bench: bench-tools build $(PEERS)
	cargo build --release --package picoinit-lab $(QUIET)
	$(TARGET)/picoinit-lab bench --init $(INIT) --packages $(BUILD)/peers --scratch $(BUILD)/bench \
	--output lab/bench

## sizes     the same job in many languages: bytes, memory, times; writes lab/sizes/RESULTS.md
# With an init of yours beside them, or one that lacks a duty, the table goes to build/sizes.
COMPARE ?=
# How often each is booted.
BOOTS ?= 5
SIZES = $(BUILD)/sizes
sizes: sizes-tools build
	cargo build --release --package picoinit-lab $(QUIET)
	$(find-kernel); $(find-accel); \
	PATH="$$PATH:$(CURDIR)/$(BUILD)/zig/ziglang" $(TARGET)/picoinit-lab sizes --init $(INIT) --twins lab/sizes \
	--packages $(BUILD)/peers --program $(TARGET)/demo --scratch $(SIZES) --rounds $(BOOTS) \
	$(if $(COMPARE),--output $(SIZES) --compare $(call quote,$(COMPARE)),--output $(if $(FEATURES),$(SIZES),lab/sizes)) -- $(MACHINE)

## ladder    what each flag and each decision saves, from a std program to /init; writes lab/sizes/LADDER.md
ladder: tools build
	cargo build --release --package picoinit-lab $(QUIET)
	$(TARGET)/picoinit-lab ladder --init $(INIT) --twins lab/sizes --scratch $(BUILD)/ladder --output lab/sizes

## costs     what each duty costs, and what rustix costs; writes lab/sizes/COSTS.md
costs: tools build symbols
	$(TARGET)/picoinit-lab costs $(TAKEN_APART) --scratch $(BUILD)/costs --output lab/sizes $(DUTIES)

## sizes-deps  the compilers and packages that sizes can use; without one, its row says so
ZIG := 0.17.1
SHELF := $(PEERS) $(BUILD)/peers/systemd
sizes-deps:
	for tool in gcc g++ clang musl-gcc go; do lab/tools.sh $$tool || echo "picoinit: going on without $$tool" >&2; done
	test -e $(BUILD)/zig/ziglang/zig || python3 -m pip install --quiet --no-compile --target $(BUILD)/zig ziglang==$(ZIG) || \
	echo "picoinit: going on without zig $(ZIG)" >&2
	for package in $(SHELF); do test -e $$package || lab/package.sh $$package $${package##*/} || echo "picoinit: going on without $${package##*/}" >&2; done

sizes-tools: tools
	lab/tools.sh gzip strace

.PHONY: sizes sizes-deps sizes-tools ladder costs

## kernels   the boot tests on each kernel that Debian has; writes lab/KERNELS.md
kernels: test-tools build $(BUILD)/busybox/bin/busybox
	lab/kernels.sh $(BUILD)/kernels lab/KERNELS.md

## torture   the tests of faults, load and hostile input, whole: test takes a sample
torture: test-tools build $(BUILD)/busybox/bin/busybox
	$(find-kernel); $(find-accel); \
	KERNEL="$$(realpath "$$kernel")" ACCEL=$$accel TORTURE=1 \
	cargo test --no-fail-fast --test faults --test hostile --test load $(TESTFLAGS) -- --nocapture

## trace     every system call of PID 1 up to power off, with its line of the source and its duty
trace: symbols
	$(LAB) trace $(TAKEN_APART) $(STAGE_FOR_TRACE)

## disasm    the whole of /init as assembly beside its source, and what each byte is for
disasm: symbols
	$(LAB) disasm $(TAKEN_APART)

## readme    measure what the duties cost, and write it into README.md
readme: symbols
	$(LAB) duties $(TAKEN_APART) $(STAGE_FOR_TRACE) --readme README.md

# The code of the release, with symbols and line numbers beside it.
LAB             = $(TARGET)/picoinit-lab
TAKEN_APART     = --init $(TARGET)/init --symbols $(dir $(TARGET))symbols/init
STAGE_FOR_TRACE = --program $(TARGET)/demo --scratch $(BUILD)/trace
symbols: bench-tools build
	cargo build --profile symbols --bin init $(FEATURES) $(QUIET)
	cargo build --release --package picoinit-lab $(QUIET)

## lint      formatting, and clippy with warnings as errors
lint:
	cargo fmt --check
	cargo clippy --release --workspace --all-targets $(QUIET) -- -D warnings
	cargo clippy --release --features container $(QUIET) -- -D warnings

## clean     remove what was built and downloaded
clean:
	rm -rf $(BUILD)
	cargo clean $(QUIET)

## help      this list
help:
	echo "picoinit: a complete PID 1 that a person can read in one sitting."
	echo; echo "Targets:"
	sed -n 's/^## //p' Makefile | while read -r target about; do printf '  make %-11s  %s\n' "$$target" "$$about"; done
	echo; echo "Variables, and their values now (set them like this: make run MEM=512):"
	$(foreach v,$(VARIABLES),printf '  %-10s  %-20s  %s\n' '$(v)' $(call quote,$($(v))) $(call quote,$(about-$(v)));)

VARIABLES := VM KERNEL INIT ROOTFS BUSYBOX WITHOUT ONLY QEMU ACCEL MEM CPUS APPEND QEMU_EXTRA TIMEOUT DISK PRESS COMPARE NO_INSTALL V
about-VM         := qemu, or uml: User-mode Linux, a kernel that is an ordinary program
about-KERNEL     := the kernel; else the newest in /boot that can be read, else the distribution's, downloaded
about-INIT       := the program that is packed as /init; else this picoinit. Nothing at all: INIT=
about-ROOTFS     := what to pack beside /init: a folder of initramfs/, or any folder
about-BUSYBOX    := a static BusyBox, for trees with a shell; else the distribution's, downloaded
about-WITHOUT    := duties that /init is to lack, of: $(DUTIES)
about-ONLY       := the only duties that it is to have
about-QEMU       := the emulator
about-ACCEL      := auto, kvm or tcg (emulation); auto tries whether KVM works
about-MEM        := the machine's memory in MB
about-CPUS       := how many processors it has
about-APPEND     := words to add to the kernel's command line
about-QEMU_EXTRA := arguments to add to QEMU's
about-TIMEOUT    := seconds after which a boot counts as hung
about-DISK       := for make try: a file that is the machine's disk, /dev/vda
about-PRESS      := for make try: ctrl-c or ctrl-alt-delete, pressed when a program says "press now"
about-COMPARE    := an init of yours, for sizes to put beside the others
about-NO_INSTALL := 1: never install a package, only say which is missing
about-V          := 1: show every command

how-to-leave-qemu = echo "picoinit: to leave QEMU at any time: hold Ctrl, press A, release both, press X."
# lab/uml.sh says it: it knows its PID.
how-to-leave-uml  = :

ifneq ($(V),1)
QUIET := --quiet
endif

# A word for the shell, whatever is in it.
quote = '$(subst ','\'',$(1))'

number = $(shell printf '%s' $(call quote,$(1)) | grep -xE '[0-9]+')
positive = $(shell printf '%s' $(call quote,$(1)) | grep -xE '[1-9][0-9]*')

# Bad input is refused before anything is built.
UNKNOWN = $(filter-out $(DUTIES),$(WITHOUT) $(ONLY))
check-duties:
	test ! $(call quote,$(UNKNOWN)) || { echo "picoinit: no such duty: "$(call quote,$(UNKNOWN))". There are: $(DUTIES)" >&2; exit 1; }
	test ! $(call quote,$(and $(WITHOUT),$(ONLY))) || { echo "picoinit: WITHOUT says what to leave out, ONLY what to leave in: give one of them" >&2; exit 1; }

# Only make try makes something of these.
no-extras:
	test ! $(call quote,$(DISK)) || { echo "picoinit: DISK="$(call quote,$(DISK))": only make try has a disk" >&2; exit 1; }
	test ! $(call quote,$(PRESS)) || { echo "picoinit: PRESS="$(call quote,$(PRESS))": only make try presses keys" >&2; exit 1; }

check: check-duties
	test "$(filter qemu uml,$(VM))" || { echo "picoinit: VM=$(VM): it is one of qemu, uml" >&2; exit 1; }
	test "$(call positive,$(MEM))" || { echo "picoinit: MEM=$(MEM): it is a number of megabytes, such as 256" >&2; exit 1; }
	test "$(call positive,$(CPUS))" || { echo "picoinit: CPUS=$(CPUS): it is a number of processors, such as 2" >&2; exit 1; }
	test "$(call number,$(TIMEOUT))" || { echo "picoinit: TIMEOUT=$(TIMEOUT): it is a number of seconds, such as 120" >&2; exit 1; }
	test "$(TREE)" || { echo "picoinit: ROOTFS=$(ROOTFS): there is no folder initramfs/$(ROOTFS) and no folder $(ROOTFS) (nor can there be spaces in its name)" >&2; exit 1; }
	test "$(VM)" != uml || test "$(CPUS)" = 1 || { echo "picoinit: CPUS=$(CPUS): with VM=uml, there is one processor" >&2; exit 1; }
	test ! $(call quote,$(KERNEL)) || $(kernel-$(VM)) >/dev/null
	test ! $(call quote,$(BUSYBOX)) || lab/busybox.sh $(call quote,$(BUSYBOX))
	test "$(filter auto tcg,$(ACCEL))" || lab/accel.sh "$(ACCEL)" - - - >/dev/null
	test ! $(call quote,$(DISK)) || test -f $(call quote,$(DISK)) || { echo "picoinit: DISK="$(call quote,$(DISK))": there is no such file" >&2; exit 1; }
	test "$(VM)" != uml || test ! $(call quote,$(DISK)$(PRESS)) || { echo "picoinit: DISK and PRESS are for VM=qemu" >&2; exit 1; }
	test "$(if $(PRESS),$(filter ctrl-c ctrl-alt-delete,$(PRESS)),none)" || { echo "picoinit: PRESS=$(PRESS): it is ctrl-c or ctrl-alt-delete" >&2; exit 1; }
	mkdir -p $(BUILD)

tools: check
	command -v cargo >/dev/null || { echo "picoinit: missing: cargo. Install Rust 1.93 or newer, from https://rustup.rs" >&2; exit 1; }
	lab/tools.sh cc cpio $(tools-$(VM))

test-tools: tools
	lab/tools.sh mke2fs e2fsck objdump strace unshare setpriv bwrap runc podman

bench-tools:
	lab/tools.sh cargo cc gzip

$(PEERS):
	lab/package.sh $@ $(notdir $@)

tools-qemu  = $(QEMU)
tools-uml   = setarch setsid
kernel-qemu = lab/kernel.sh $(BUILD)/kernel $(call quote,$(KERNEL))
kernel-uml  = lab/uml-kernel.sh $(BUILD)/uml $(call quote,$(KERNEL))
# Ctrl-C is for boot.sh: make is not to end before that has cleaned up.
patient     = trap : INT
find-qemu   = $(find-kernel); $(find-accel)
find-uml    = kernel=$$($(kernel-uml)) || exit
find-kernel = kernel=$$($(kernel-qemu)) || exit
find-accel  = accel=$$(lab/accel.sh "$(ACCEL)" $(BUILD)/accel $(QEMU) "$$kernel") || exit

$(BUILD)/busybox/bin/busybox:
	lab/package.sh $(BUILD)/busybox busybox-static || \
	{ echo "picoinit: no static BusyBox to be had. Name one with: make shell BUSYBOX=/path/to/busybox" >&2; exit 1; }
	test -e $@ || { mkdir -p $(BUILD)/busybox/bin && ln $(BUILD)/busybox/usr/bin/busybox $@; }

.PHONY: run shell panic try experiments experiment lab-tool build archive test bench kernels torture trace disasm readme \
	symbols lint clean help no-extras check check-duties tools test-tools bench-tools
