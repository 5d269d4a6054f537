# A kernel of one's own, and what it is on: a floppy.

#: OFF for KERNEL=own: options that the kernel is to lack, such as BINFMT_SCRIPT
OFF        ?=
#: IMAGES for make images-test: own, floppy, or both
IMAGES     ?= own floppy
export OFF

## kernel    build a kernel with only what all of this needs; then: make run KERNEL=own
kernel: KERNEL = own
kernel: check
	ls -l $(kernel)

## kernel-options  what is said without each of the kernel's options; builds more than ten kernels
kernel-options: check
	lab/kernel/options.sh $(call tables,KERNEL-OPTIONS.md)
	$(call record-hint,KERNEL-OPTIONS.md)

# The kernels without an option that pages boot.
own-kernels = $(foreach off,$(sort $(shell grep -oh 'OFF=[A-Z0-9_]*' $(1))),$(off) lab/kernel/own.sh build >/dev/null &&) :
# The test of a page has a time limit, which building them would not keep.
own-kernels: check
	$(call own-kernels,lab/experiments/*.md)

## images-test  the tests of what has a kernel of its own, which takes minutes to build
images-test: check
	lab/tools.sh mcopy syslinux
	$(if $(filter own,$(IMAGES)),own=$$(lab/kernel/own.sh build) && KERNEL=$$(realpath "$$own") ACCEL=$(ACCEL) cargo test --no-fail-fast --test boot)
	$(if $(filter own,$(IMAGES)),$(MAKE) own-kernels && ACCEL=$(ACCEL) cargo test --test experiments -- 41)
	$(if $(filter floppy,$(IMAGES)),$(MAKE) floppy)
	CI=1 cargo test --no-fail-fast --test images -- $(IMAGES)
	lab/images.sh tested $(IMAGES)
images-test: export CARGO_TERM_QUIET = false

## floppy    write build/floppy.img, 1.44 MB: a kernel, /init and a shell, for a PC's floppy drive
floppy: check
	lab/tools.sh mcopy syslinux
	busybox=$$(lab/floppy/busybox.sh build/linux-source build/floppy/busybox) && \
	$(MAKE) archive CPU=i686 ROOTFS=floppy BUSYBOX="$$busybox"
	lab/floppy/image.sh build/linux-source build/i686/floppy.cpio build/floppy.img build/floppy

# What was saved on it stays, until it is made anew.
build/floppy.img:
	$(MAKE) floppy

## run-floppy    boot it in QEMU from the floppy drive, and show what PID 1 does
## shell-floppy  the same, and get its shell
run-floppy shell-floppy: private KERNEL = build/floppy/boot/vmlinuz-6.1-floppy
run-floppy shell-floppy: LOAD    = -vga std -drive if=floppy,format=raw,file=build/floppy.img -boot a
run-floppy shell-floppy: INITRD  =
run-floppy shell-floppy: COMMAND =
run-floppy: check build/floppy.img
	mkdir -p $(BOOT)
	PRESS=story lab/boot.sh verdict $(TIMEOUT) $(BOOT) $(MACHINE)
shell-floppy: CONSOLE = mux=on,signal=off -mon chardev=console
shell-floppy: RESTART =
shell-floppy: check terminal build/floppy.img
	mkdir -p $(BOOT)
	lab/boot.sh shell 0 $(BOOT) $(MACHINE)

.PHONY: kernel own-kernels kernel-options images-test floppy run-floppy shell-floppy
