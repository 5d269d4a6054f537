#!/bin/sh
# ovmf.sh : prints the path of UEFI, the firmware of PCs, for QEMU, as distributions have it.
for file in /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd /usr/share/edk2/ovmf/OVMF_CODE.fd \
    /usr/share/edk2/x64/OVMF_CODE.4m.fd /usr/share/qemu/ovmf-x86_64-code.bin /usr/share/qemu/edk2-x86_64-code.fd; do
    [ ! -r $file ] || { echo $file && exit 0; }
done
exit 1
