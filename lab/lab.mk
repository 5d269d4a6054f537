# What the Makefile leaves out: what is checked and looked for before anything is built,
# User-mode Linux, the experiments, and everything that measures or takes apart.

#: V 1: show every command
V          ?=
#: VM qemu, or uml: User-mode Linux, a kernel that is an ordinary program
VM         ?= qemu
#: BUSYBOX a static BusyBox, for trees with a shell; else the distribution's, downloaded
BUSYBOX    ?=
#: DISK for make try: a file that is the machine's disk, /dev/vda
DISK       ?=
#: PRESS for make try: ctrl-c or ctrl-alt-delete, pressed when a program asks for it
PRESS      ?=
#: SCREEN for make run-usb: what QEMU shows the screen with, such as gtk or none; else a window, or VNC
SCREEN     ?=
include lab/images.mk
#: COMPARE an init of yours, for make sizes to put beside the others
COMPARE    ?=
#: BOOTS how often make sizes boots each init
BOOTS      ?= 5
#: RECORD 1: tables are written where git tracks them, in lab/; else to build/tables
RECORD     ?=
#: NO_INSTALL 1: never install a package, only say which is missing
NO_INSTALL ?=
export NO_INSTALL

ifneq ($(V),1)
MAKEFLAGS += --no-print-directory
.SILENT:
endif
# What is checked first is not built at the same time.
.NOTPARALLEL:

# Where cargo builds, whatever the environment says. An init that lacks duties is built beside
# the whole one.
export CARGO_TARGET_DIR := target
DUTIES := console mounts reap signals spawn teardown
ifneq ($(strip $(WITHOUT) $(ONLY)),)
CARGO_TARGET_DIR := target/duties
TARGET   = target/duties/$(call cpu,1)/release
FEATURES = --target-dir target/duties --no-default-features \
	--features "$(if $(ONLY),$(ONLY),$(filter-out $(WITHOUT),$(DUTIES)))"
endif
# Without spawn, no program is started: there is nothing to wait for as long as usual.
ifeq ($(origin TIMEOUT)$(filter spawn,$(or $(ONLY),$(filter-out $(WITHOUT),$(DUTIES)))),file)
TIMEOUT = 20
endif
# Cargo says what it does where a person watches, and where it has all of /init to build.
export CARGO_TERM_QUIET ?= $(shell test '$(V)' != 1 && test ! -t 2 && test -e $(TARGET)/init && echo true || echo false)

# A word for the shell, whatever is in it.
quote = '$(subst ','\'',$(1))'

# The machines: Rust's name for the CPU; the console, the port for reports and its device; QEMU's words.
x86_64  := x86_64-unknown-linux-gnu    ttyS0   ttyS1 isa-serial -M pc
i686    := i686-unknown-linux-gnu      ttyS0   ttyS1 isa-serial -M pc
aarch64 := aarch64-unknown-linux-gnu   ttyAMA0 ttyS0 pci-serial -M virt -cpu cortex-a57
riscv64 := riscv64gc-unknown-linux-gnu ttyS0   ttyS1 pci-serial -M virt
cpu     = $(word $(1),$($(CPU)))
machine = $(wordlist 5,$(words $($(CPU))),$($(CPU)))
# Words that spare an emulated machine work. cryptomgr.notests: nothing here needs the ciphers.
# i8042.noaux: there is no mouse. no_timer_check: on a busy host, the timer may tick too late, and the
# kernel then says that the BIOS is broken, even with `quiet`. nolapic_timer: one processor can use the
# HPET, which need not be measured; several need a timer each. noreplace-smp: code that was patched, QEMU
# would translate once more. Linux 7.3 does not know this word, and would pass it to /init.
HASTE   = cryptomgr.notests $(if $(filter x86_64qemu i686qemu,$(CPU)$(VM)),$(PC-HASTE))
PC-HASTE = i8042.noaux no_timer_check $(if $(filter tcg1,$(accel)$(CPUS)),nolapic_timer) $(noreplace)
noreplace = $(eval noreplace := $(shell LC_ALL=C grep -aom 1 noreplace-smp $(call quote,$(image))))$(noreplace)
export CPU

# A C compiler knows one CPU; the linker that comes with Rust knows them all.
CROSS   = $(if $(filter-out $(HOST),$(CPU)),--config 'target."cfg(unix)".rustflags="-Clinker=rust-lld -Clinker-flavor=ld.lld"' $(PATCHED))

# Each is looked for once, when it is needed.
kernel     = $(eval kernel := $(call find,lab/kernel.sh $(BUILD)/kernel $(call quote,$(KERNEL))))$(kernel)
image      = $(eval image := $(if $(filter x86_64,$(CPU)),$(call find,lab/vmlinux.sh $(call quote,$(kernel)) $(BUILD)/vmlinux),$(kernel)))$(image)
accel      = $(eval accel := $(call find,lab/accel.sh $(if $(filter-out x86_64 i686,$(HOST) $(CPU)),tcg,$(ACCEL)) $(BUILD)/accel $(QEMU) $(call quote,$(image))))$(accel)
uml-kernel = $(eval uml-kernel := $(call find,lab/uml-kernel.sh $(BUILD)/uml $(call quote,$(KERNEL))))$(uml-kernel)
find       = $(or $(shell CPU=$(CPU) OFF=$(call quote,$(OFF)) $(1)),$(error the line above says what is missing))

# Bad input is refused before anything is built.
VARIABLES := $(shell sed -n 's/^\#: \([A-Z_]*\) .*/\1/p' $(MAKEFILE_LIST))
settings   = $(foreach name,$(1),$(call quote,$(name)=$($(name))))
check-duties:
	lab/check.sh $(call settings,CPU NATIVE DUTIES WITHOUT ONLY)
	$(if $(CROSS),lab/tools.sh cargo rust-$(call cpu,1))
build: check-duties
# One CPU needs a rustix with one line changed, which is built in the place of the other.
ifeq ($(CPU),i686)
PATCHED = --config 'paths=["$(BUILD)/rustix"]'
build: $(BUILD)/rustix
$(BUILD)/rustix: Cargo.lock
	lab/rustix-i686.sh $@
endif
check: check-duties
	lab/check.sh $(call settings,$(filter-out WITHOUT ONLY,$(VARIABLES)) NO_EXTRAS PC_ONLY)
	lab/tools.sh cargo linker cpio $(if $(CROSS),debian-keys) $(if $(filter uml,$(VM)),setarch setsid,$(QEMU))
# Only make try has a disk and presses keys.
run shell panic usb run-usb: NO_EXTRAS = 1
# What is measured or taken apart is this machine's own code.
torture kernels experiment inits bench bench-boot sizes ladder costs trace disasm readme: NATIVE = 1

terminal:
	test -t 0 || { echo "picoinit: make shell needs a terminal. To run a program without one, name a folder with an etc/rc: make run ROOTFS=folder" >&2; exit 1; }
# LINES and COLUMNS, for the machine: a serial port does not know how large the terminal is.
terminal-size = $(shell stty size 2>/dev/null | sed 's/\(.*\) \(.*\)/LINES=\1 COLUMNS=\2/')

PACKAGED := $(BUILD)/busybox/bin/busybox
$(PACKAGED):
	lab/busybox.sh $(BUILD)/busybox ''
add-busybox = lab/busybox.sh $(BUILD)/busybox $(call quote,$(BUSYBOX)) $(BOOT)/tree
add-modules = $(if $(DISK),lab/modules.sh $(call quote,$(kernel)) $(BOOT)/tree)

## usb       write build/usb.img, which boots a PC from a USB stick: the demo, then a shell
## run-usb   boot it in QEMU, with the firmware, the screen and the keyboard of a PC
usb run-usb: ROOTFS := usb
usb run-usb: PC_ONLY = 1
usb run-usb: image = $(if $(KERNEL),$(KERNEL),$(usb-kernel))
usb-kernel = $(eval usb-kernel := $(call find,lab/usb.sh $(BUILD)/usb kernel))$(usb-kernel)
usb run-usb: add-modules = lab/modules.sh $(call quote,$(image)) $(BOOT)/tree \
	xhci_pci ehci_pci ohci_pci uhci_hcd usbhid hid_generic >$(BOOT)/loaded
# PID 1 has the last of the consoles.
usb: check usb-tools pack
	lab/usb.sh $(BUILD)/usb image $(call quote,$(image)) $(BOOT)/initramfs.cpio \
	$(call quote,console=ttyS0$(comma)115200 console=tty0 cryptomgr.notests $(APPEND))
	rm -rf $(BOOT)
usb-tools: check
	lab/tools.sh debian-keys mformat objcopy
firmware: check
	lab/tools.sh ovmf
run-usb: firmware usb
	lab/boot.sh shell 0 $(BOOT) $(QEMU) -accel $(accel) -M q35 -m $(MEM) -smp $(CPUS) -nodefaults -no-user-config \
	-vga std -display $(or $(SCREEN),$(call find,lab/screen.sh $(QEMU))) \
	-drive if=pflash,format=raw,readonly=on,file="$$(lab/ovmf.sh)" \
	-device qemu-xhci -device usb-kbd,id=keyboard \
	-drive if=none,id=stick,format=raw,file=$(BUILD)/usb.img -device usb-storage,drive=stick \
	-chardev stdio,id=console,signal=on,logfile=$(BOOT)/console.log -serial chardev:console $(QEMU_EXTRA)

# User-mode Linux in the place of QEMU. Its consoles and serial ports are descriptors; lab/uml.sh
# says which. Without root= and console=, it would add its own at the
# end, among PID 1's words. After a panic it exits in any case.
ifeq ($(VM),uml)
MACHINE = lab/uml.sh $(BOOT) $(call quote,$(APPEND)) $(call quote,$(uml-kernel)) mem=$(MEM)M printk.time=1 \
	root=98:0 console=tty0 con=null con0=$(CONSOLE),fd:1 ssl=null ssl0=fd:6,fd:5 VERDICT=/dev/ttyS0 \
	$(INITRD) $(RESTART) $(WORDS)
INITRD  = initrd=$(BOOT)/initramfs.cpio
RESTART = noreboot
CONSOLE = fd:4
shell: CONSOLE = fd:7
endif

## try       boot anything, and only look: few lines of the kernel, no verdict asked for
# quiet: only the kernel's errors. printk.time=0: without the time before each.
try: WORDS = quiet printk.time=0 panic=-1
# The keyboard is reached through QEMU's monitor, on a pipe that lab/boot.sh makes.
try: RESTART += $(if $(DISK),-drive file=$(call quote,$(DISK))$(comma)format=raw$(comma)if=virtio) \
	$(if $(filter ctrl-alt-delete,$(PRESS)),-chardev pipe$(comma)id=keys$(comma)path=$(BOOT)/keys -mon chardev=keys)
comma := ,
try: check pack
	PRESS=$(PRESS) lab/boot.sh any $(TIMEOUT) $(BOOT) $(MACHINE)

# For lab/vmrun: builds what it takes, and prints the kernel, words for its command line, where the
# programs for the guest and for the host are, the names of the ports; and the machine, a word a line.
machine: check build
	cargo build --release --bin courier --target $(call cpu,1) $(CROSS)
	cargo build --release --package vmrun-host --target $(host) --target-dir target
	printf '%s\n' $(call quote,$(if $(filter uml,$(VM)),$(uml-kernel),$(kernel))) '$(HASTE)' \
	'$(TARGET) target/$(host)/release $(wordlist 2,4,$($(CPU)))' $(if $(filter qemu,$(VM)),$(HARDWARE))
host = $(firstword $($(HOST)))

## experiments  the questions of lab/experiments, one a line
experiments:
	sed -n 's/^# \([0-9]*\)\. /\1  /p' lab/experiments/*.md

## experiment   go through one of them: make experiment N=1
PAGE = $(wildcard $(foreach number,$(N) 0$(N),lab/experiments/$(number)-*.md))
experiment: check page lab-tool
	# What is downloaded or tried only once is none of the experiment.
	lab/tools.sh $(sort $(shell grep -ohwE 'mke2fs|e2fsck|debugfs|readelf' $(PAGE)) $(if $(call in-page,cc -static),static-linker))
	$(if $(call in-page,ROOTFS=),lab/busybox.sh $(BUILD)/busybox $(call quote,$(BUSYBOX)))
	$(call own-kernels,$(PAGE))
	$(if $(call in-page,VM=uml),lab/uml-kernel.sh $(BUILD)/uml '' >/dev/null)
	$(foreach peer,$(filter $(PEERS),$(patsubst INIT=%,$(BUILD)/peers/%,$(shell grep -oh 'INIT=[a-z-]*' $(PAGE) | sort -u))),$(MAKE) $(peer) >/dev/null &&) :
	: $(kernel) $(accel)
	CARGO_TERM_QUIET=true $(LAB) experiment $(call quote,$(N)) \
	$(if $(filter $(TARGET)/init,$(INIT)),,--init $(call quote,$(INIT)))

in-page = $(shell grep -e '^\$$.* $(1)' $(PAGE))
page:
	test $(call quote,$(N)) || { echo 'picoinit: which experiment? `make experiments` lists them; then: make experiment N=1' >&2; exit 1; }
	test $(words $(PAGE)) = 1 || { echo "picoinit: N="$(call quote,$(N))': there is no such experiment; `make experiments` lists them' >&2; exit 1; }

## experiments-test  all of them, as a test: make test runs a third
experiments-test: TESTFLAGS = --test experiments -- --include-ignored
experiments-test: own-kernels test

## quotes       check what the pages quote of the kernel's source, and list it
QUOTING = $(shell grep -rl --include='*.md' 'SPDX-License-Identifier\|torvalds/linux' lab)
quotes: lab-tool
	archive=$$(lab/kernel-source.sh $(BUILD)/linux-source) && \
	$(LAB) quotes --source $(BUILD)/linux-source/quoted --archive "$$archive" $(QUOTING)

LAB = target/x86_64-unknown-linux-gnu/release/picoinit-lab
lab-host:
	test $(HOST) = x86_64 || { echo "picoinit: HOST=$(HOST): the lab's tool and the tests know x86_64 only. What this machine can do: make run, shell, panic, try, and lab/vmrun" >&2; exit 1; }
lab-tool: lab-host
	test -e $(LAB) || echo "picoinit: building the lab's tool; this takes a minute or two, once" >&2
	cargo build --release --package picoinit-lab --target-dir target

# Of another CPU, the boots are tested.
ifneq ($(CPU),$(HOST))
test: TESTFLAGS = --test cpus
endif
test-tools: lab-host check
	lab/tools.sh $(if $(CROSS),,mke2fs e2fsck objdump strace unshare setpriv bwrap runc podman mformat ovmf)
bench-tools: lab-host
	lab/tools.sh cargo linker gzip strace
PEERS := $(addprefix $(BUILD)/peers/,tini dumb-init catatonit busybox-static runit)
$(PEERS):
	lab/package.sh $@ $(notdir $@)

# Where a table goes.
tables = $(if $(filter 1,$(RECORD)),lab,$(BUILD)/tables)/$(1)
record-hint = test '$(filter 1,$(RECORD))' || echo "picoinit: the table is in $(call tables,$(1)); with RECORD=1, it replaces the one in lab/$(1)"

# Which of them INIT= may name: make try INIT=tini.
OTHERS := tini dumb-init catatonit busybox runit
other-init = $(if $(filter $(OTHERS),$(INIT)),lab/other-init.sh $(BUILD) $(INIT) $(BOOT)/tree $(call quote,$(BUSYBOX)))

## inits     what picoinit and its peers do as PID 1, in words
inits: check-duties build lab-tool $(PEERS)
	$(LAB) inits --init $(TARGET)/init --packages $(BUILD)/peers --output $(call tables,INITS.md)
	$(call record-hint,INITS.md)

## bench     picoinit and its peers as PID 1, side by side
bench: bench-tools build lab-tool $(PEERS)
	$(LAB) bench --init $(INIT) --packages $(BUILD)/peers --scratch $(BUILD)/bench --output $(call tables,bench)
	$(call record-hint,bench)

## bench-boot  how long a machine takes to boot, as make run boots it and otherwise
bench-boot: BOOTS = 7
bench-boot: check pack
	lab/tools.sh setarch
	lab/bench-boot.sh $(call tables,BOOT.md) $(BOOTS) $(call quote,$(kernel)) $(call quote,$(image)) \
	$(call quote,$(if $(KERNEL),,$(uml-kernel))) '$(wildcard build/own/boot/*)' \
	'$(basename $(wildcard build/floppy.img))' $(ARCHIVE) '$(HASTE)' $(HARDWARE)
	$(call record-hint,BOOT.md)
	rm -rf $(BOOT)

PORTS = $(if $(COMPARE)$(FEATURES),,$(filter-out $(HOST),x86_64 i686 aarch64 riscv64))
## sizes     the same job in many languages: bytes, memory, times
# An init that lacks duties, or one of yours beside it, is nothing to record.
sizes: check build lab-tool
	lab/tools.sh gzip strace
	$(foreach port,$(PORTS),$(MAKE) build CPU=$(port) || $(call going-on,CPU=$(port));)
	PATH="$$PATH:$(CURDIR)/$(BUILD)/zig/ziglang" $(LAB) sizes --init $(INIT) --twins lab/sizes \
	--packages $(BUILD)/peers --program $(TARGET)/demo --scratch $(BUILD)/sizes --rounds $(BOOTS) \
	$(if $(COMPARE)$(FEATURES),--output $(BUILD)/tables/sizes $(if $(COMPARE),--compare $(call quote,$(COMPARE))),--output $(call tables,sizes)) \
	$(foreach port,$(PORTS),--port $(port)=target/$(word 1,$($(port)))/release/init) -- $(HARDWARE)
	$(if $(COMPARE)$(FEATURES),,$(call record-hint,sizes))

## ladder    what each flag and each decision saves, from a std program to /init
ladder: bench-tools build lab-tool
	$(LAB) ladder --init $(INIT) --twins lab/sizes --scratch $(BUILD)/ladder --output $(call tables,sizes)
	$(call record-hint,sizes)

## costs     what each duty costs, and what rustix costs
costs: symbols
	$(LAB) costs $(TAKEN_APART) --scratch $(BUILD)/costs --output $(call tables,sizes) $(DUTIES)
	$(call record-hint,sizes)

## sizes-deps  the compilers and packages that sizes can use; without one, its row says so
ZIG := 0.17.1
SHELF := $(PEERS) $(BUILD)/peers/systemd
going-on = echo "picoinit: going on without $(1)" >&2
sizes-deps:
	for tool in gcc g++ clang musl-gcc go; do lab/tools.sh $$tool || $(call going-on,$$tool); done
	test -e $(BUILD)/zig/ziglang/zig || { lab/tools.sh pip && \
	python3 -m pip install --quiet --no-compile --target $(BUILD)/zig ziglang==$(ZIG); } || $(call going-on,zig $(ZIG))
	for package in $(SHELF); do test -e $$package || lab/package.sh $$package $${package##*/} || $(call going-on,$${package##*/}); done

## kernels   the boot tests on each kernel that Debian has
kernels: test-tools build $(PACKAGED)
	mkdir -p $(call tables,)
	lab/kernels.sh $(BUILD)/kernels $(call tables,KERNELS.md)
	$(call record-hint,KERNELS.md)

## torture   the tests of faults, load and hostile input, whole: test takes a sample
torture: test-tools build $(PACKAGED)
	KERNEL=$(call quote,$(realpath $(kernel))) ACCEL=$(accel) TORTURE=1 \
	cargo test --no-fail-fast --test faults --test hostile --test load $(TESTFLAGS) -- --nocapture
# With --quiet, cargo would tell the tests to be quiet, too.
test experiments-test torture kernels: export CARGO_TERM_QUIET = false

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
TAKEN_APART     = --init $(TARGET)/init --symbols $(dir $(TARGET))symbols/init
STAGE_FOR_TRACE = --program $(TARGET)/demo --scratch $(BUILD)/trace
symbols: bench-tools build lab-tool
	cargo build --profile symbols --bin init $(FEATURES)

## book      all that is written here as a website, in build/book
MDBOOK := 0.5.4
.PHONY: book mdbook
book: mdbook lab-tool
	$(LAB) book stage build/book-src
	MDBOOK_LOG=warn build/mdbook/bin/mdbook build build/book-src
	$(LAB) book check build/book
	echo "picoinit: the book begins at build/book/index.html"
mdbook:
	lab/tools.sh cargo linker
	lab/mdbook.sh build/mdbook $(MDBOOK)

## lint      formatting, and clippy with warnings as errors
lint:
	cargo fmt --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release --features container -- -D warnings

## help      this list
help:
	echo "picoinit: a complete PID 1 that a person can read in one sitting."
	echo; echo "Targets:"
	sed -n 's/^## //p' $(MAKEFILE_LIST) | while read -r target about; do printf '  make %-16s  %s\n' "$$target" "$$about"; done
	echo; echo "Variables, and their values now (set them like this: make run MEM=512):"
	$(foreach name,$(VARIABLES),printf '  %-10s  %-20s  %s\n' $(name) $(call quote,$($(name))) "$$(sed -n 's/^#: $(name) //p' $(MAKEFILE_LIST))";)

.PHONY: check-duties check terminal usb usb-tools firmware run-usb try machine experiments experiment experiments-test page quotes lab-host lab-tool test-tools bench-tools inits bench bench-boot \
	sizes ladder costs sizes-deps kernels torture trace disasm readme symbols lint help
