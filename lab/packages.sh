# For tools.sh: which packages have a command, by package manager. Where no line names one,
# the package is called like the command.

# The packages that have a command, for a package manager.
packages() { # MANAGER COMMAND
    case $1:$2 in
    apt-get:linker | apt-get:static-linker) echo gcc libc6-dev ;;
    dnf:linker | zypper:linker) echo gcc glibc-devel ;;
    dnf:static-linker) echo gcc glibc-static ;;
    zypper:static-linker) echo gcc glibc-devel-static ;;
    apk:linker | apk:static-linker) echo gcc musl-dev ;;
    *:linker | *:static-linker) echo gcc ;;
    apk:pip) echo py3-pip ;;
    pacman:pip) echo python-pip ;;
    *:pip) echo python3-pip ;;
    apt-get:qemu-system-x86_64) echo qemu-system-x86 ;;
    dnf:qemu-system-x86_64) echo qemu-system-x86-core ;;
    pacman:qemu-system-x86_64) echo qemu-system-x86 ;;
    zypper:qemu-system-x86_64) echo qemu-x86 ;;
    apt-get:qemu-system-aarch64) echo qemu-system-arm ;;
    dnf:qemu-system-aarch64) echo qemu-system-aarch64-core ;;
    zypper:qemu-system-aarch64) echo qemu-arm ;;
    apt-get:qemu-system-riscv64) echo qemu-system-misc opensbi ;;
    dnf:qemu-system-riscv64) echo qemu-system-riscv-core ;;
    zypper:qemu-system-riscv64) echo qemu-extra ;;
    apt-get:xz) echo xz-utils ;;
    *:mcopy) echo mtools ;;
    apt-get:libelf) echo libelf-dev ;;
    dnf:libelf) echo elfutils-libelf-devel ;;
    zypper:libelf) echo libelf-devel ;;
    apk:libelf) echo elfutils-dev ;;
    *:debian-keys) echo debian-archive-keyring ;;
    *:mke2fs | *:e2fsck | *:debugfs) echo e2fsprogs ;;
    *:unshare | *:setpriv | *:setarch | *:setsid) echo util-linux ;;
    *:mformat) echo mtools ;;
    dnf:ovmf | pacman:ovmf) echo edk2-ovmf ;;
    zypper:ovmf) echo qemu-ovmf-x86_64 ;;
    apt-get:qemu-window) echo qemu-system-gui ;;
    *:qemu-window) echo qemu-ui-gtk ;;
    *:objdump | *:objcopy | *:readelf) echo binutils ;;
    *:bwrap) echo bubblewrap ;;
    *:musl-gcc) echo musl-tools ;;
    apt-get:go) echo golang-go ;;
    dnf:go) echo golang ;;
    dnf:g++ | zypper:g++) echo gcc-c++ ;;
    pacman:g++) echo gcc ;;
    *) echo "$2" ;;
    esac
}
