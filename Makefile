# picoinit: build /init, pack it into an initramfs, and boot a kernel with it.
#
#   make run           boots, and shows what PID 1 does
#   make help          lists what else there is, and what can be set
#   make -n run V=1    prints the commands, for you to type without make
#
# Here is the way from the source to a running machine. lab/lab.mk has the rest: User-mode Linux,
# the experiments, the measurements, and what is checked before anything is built.

# What can be set on the command line: make run MEM=512
#: ROOTFS what to pack beside /init: a folder of initramfs/, or any other folder
ROOTFS     ?= demo
#: INIT the program that is packed as /init, or tini, dumb-init, catatonit, busybox, runit; else this picoinit. INIT= packs none
INIT       ?= $(TARGET)/init
#: WITHOUT duties that /init is to lack, of: console mounts reap signals spawn teardown
WITHOUT    ?=
#: ONLY the only duties that /init is to have
ONLY       ?=
#: CPU the machine's processor: x86_64, i686, aarch64 or riscv64; else the same as here
CPU        ?= $(HOST)
#: KERNEL the kernel, or own: see make kernel; else the newest in /boot that can be read, else the distribution's, downloaded
KERNEL     ?=
#: APPEND words to add to the kernel's command line
APPEND     ?=
#: MEM the machine's memory in megabytes
MEM        ?= 256
#: CPUS how many processors it has
CPUS       ?= 1
#: QEMU the emulator
QEMU       ?= qemu-system-$(CPU:i686=x86_64)
#: QEMU_EXTRA arguments to add to the emulator's
QEMU_EXTRA ?=
#: ACCEL auto, kvm or tcg (emulation); auto tries whether KVM works
ACCEL      ?= auto
#: TIMEOUT seconds after which a boot counts as hung
TIMEOUT    ?= 120

HOST   := $(shell uname -m)
TARGET  = target/$(call cpu,1)/release
BUILD  := build$(if $(filter-out $(HOST),$(CPU)),/$(CPU))
# The files of this boot: those of two boots at a time are kept apart by make's PID.
BOOT   := $(BUILD)/boot.$(shell echo $$PPID)
TREE    = $(firstword $(wildcard initramfs/$(ROOTFS)/. $(ROOTFS)/.))
ARCHIVE = $(BUILD)/$(subst /,_,$(ROOTFS)).cpio

.DEFAULT_GOAL := help

## run       boot a kernel with /init and the demo, or with ROOTFS=
run: check pack
	lab/boot.sh verdict $(TIMEOUT) $(BOOT) $(MACHINE)

## shell     boot a kernel with /init and BusyBox, and get a shell on its console
shell: ROOTFS  := shell
shell: CONSOLE  = mux=on,signal=off -mon chardev=console
shell: RESTART  =
shell: WORDS    = panic=0 $(terminal-size)
shell: check terminal pack
	lab/boot.sh shell 0 $(BOOT) $(MACHINE)

## panic     boot a kernel with nothing at all, and watch it panic
panic: INITRD =
panic: check
	mkdir -p $(BOOT)
	lab/boot.sh panic $(TIMEOUT) $(BOOT) $(MACHINE)

# A machine without anything that it does not need: no graphics, no disk, no network.
HARDWARE = $(QEMU) -accel $(accel) $(machine) -m $(MEM) -smp $(CPUS) -nodefaults -no-user-config -display none $(LOAD)
LOAD     = -kernel $(call quote,$(image))

# Two serial ports: one is the console, which is for people, and kept in a file, too. A program
# reports its status on the other, because the kernel writes to the console at any moment.
MACHINE  = $(HARDWARE) $(INITRD) $(COMMAND) \
	-chardev stdio,id=console,logfile=$(BOOT)/console.log,$(CONSOLE) \
	-chardev file,id=report,path=$(BOOT)/verdict \
	-serial chardev:console -device $(call cpu,4),chardev=report $(RESTART) $(QEMU_EXTRA)
INITRD   = -initrd $(BOOT)/initramfs.cpio
COMMAND  = -append $(call quote,$(CMDLINE))
CONSOLE  = mux=off,signal=on
# QEMU exits when the machine restarts, which it does as soon as the kernel has panicked (panic=-1).
RESTART  = -no-reboot
WORDS    = panic=-1
CMDLINE  = console=$(call cpu,2) $(WORDS) $(HASTE) VERDICT=/dev/$(call cpu,3) $(APPEND)

## build     only build /init
build:
	cargo build --release --bin init --bin demo --target $(call cpu,1) $(CROSS) $(FEATURES)

## archive   only pack the initramfs, into build/: /init, and the files of ROOTFS
archive: check pack
	rm -rf $(BOOT)

pack: build
	mkdir -p $(BOOT)/tree/bin
	cp -a $(TREE) $(BOOT)/tree
	$(if $(INIT),$(or $(other-init),cp --remove-destination $(call quote,$(INIT)) $(BOOT)/tree/init))
	$(if $(filter demo floppy usb,$(ROOTFS)),cp $(TARGET)/demo $(BOOT)/tree/bin)
	# A tree whose /bin/sh is a link to a BusyBox that it does not have gets it.
	$(add-busybox)
	$(add-modules)
	# The same bytes on every machine, at any time: names in order, one owner, one date.
	chmod -R u=rwX,go=rX $(BOOT)/tree && find $(BOOT)/tree -exec touch -hd @0 {} +
	(cd $(BOOT)/tree && find . -mindepth 1 -print0 | LC_ALL=C sort -z | \
	cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) > $(BOOT)/initramfs.cpio
	ln -f $(BOOT)/initramfs.cpio $(ARCHIVE)

## test      everything that is tested: functions, PID 1 of a namespace, boots; with CPU=, its boots
test: test-tools build $(BUILD)/busybox/bin/busybox
	# The lab is a package of its own; TESTFLAGS may name what only the init's has.
	$(if $(TESTFLAGS),,cargo test --package picoinit-lab)
	KERNEL=$(call quote,$(realpath $(kernel))) ACCEL=$(accel) cargo test --no-fail-fast $(TESTFLAGS)

## clean     remove what was built and downloaded
clean:
	rm -rf $(BUILD) target

include lab/lab.mk
.PHONY: run shell panic build archive pack test clean
