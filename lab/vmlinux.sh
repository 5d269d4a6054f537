#!/bin/sh
# vmlinux.sh KERNEL DIRECTORY : prints what QEMU is to boot. A kernel for x86 decompresses itself
# in the machine first, which takes an emulated processor half a second and more. So that is done
# here, once, and the result kept in DIRECTORY. QEMU can start it if it says where
# (Documentation/arch/x86/pvh.rst). Where that does not work, KERNEL is booted as it is.
set -u

kernel=$1 directory=$2

# A number of so many bytes at this offset.
number() { # FILE OFFSET BYTES
    od -An -tu"$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# Offsets and names: Documentation/arch/x86/boot.rst.
payload() {
    setup_sects=$(number "$kernel" 497 1) payload_offset=$(number "$kernel" 584 4) payload_length=$(number "$kernel" 588 4)
    tail -c +$(((setup_sects + 1) * 512 + payload_offset + 1)) "$kernel" | head -c "$payload_length"
}

# The format shows in the first bytes. A decompressor may fail at the last four, the length of the
# result, which the kernel adds to formats that do not end with it.
decompress() {
    case $(payload | od -An -tx1 -N 4 | tr -d ' ') in
    1f8b*) payload | gzip -dc ;;
    fd377a58) payload | xz -dc ;;
    28b52ffd) payload | zstd -dc ;;
    02214c18) payload | lz4 -dc ;;
    425a68*) payload | bzip2 -dc ;;
    5d0000*) payload | xz --format=lzma -dc ;;
    894c5a4f) payload | lzop -dc ;;
    esac
}

# Whether all of it is there, and it is an ELF file with a note by Xen of type 18: where to start.
is_bootable() { # FILE
    [ "$(stat -c %s "$1")" = "$(payload | tail -c 4 | od -An -tu4 | tr -d ' ')" ] || return
    [ "$(number "$1" 0 4)" = 1179403647 ] || return
    header=$(number "$1" 32 8) size=$(number "$1" 54 2) left=$(number "$1" 56 2)
    while [ "$left" -gt 0 ]; do
        if [ "$(number "$1" "$header" 4)" = 4 ]; then
            tail -c +$(($(number "$1" $((header + 8)) 8) + 1)) "$1" | head -c "$(number "$1" $((header + 32)) 8)" |
                od -An -v -tx1 | tr -d ' \n' | grep -q '04000000080000001200000058656e00'
            return
        fi
        header=$((header + size)) left=$((left - 1))
    done
    return 1
}

folder=$directory/$(stat -Lc %s-%.9Y "$kernel") # another kernel of this name has others
vmlinux=$folder/${kernel##*/}
if ! [ -e "$vmlinux" ]; then
    part=$directory/part.$$
    trap 'rm -f "$part"' EXIT
    trap 'exit 1' INT TERM
    {
        mkdir -p "$directory"
        decompress >"$part"
        is_bootable "$part" && mkdir -p "$folder" && mv "$part" "$vmlinux"
        # Tens of megabytes each: the four that were wanted last are kept.
        ls -dt "$directory"/[0-9]*/ | tail -n +5 | xargs -r rm -rf
        [ -e "$vmlinux" ]
    } 2>/dev/null || {
        echo "$kernel"
        exit
    }
fi
# Others may need the room at this moment.
touch -c "$folder" 2>/dev/null
echo "$vmlinux"
