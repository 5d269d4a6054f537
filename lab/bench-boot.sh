#!/bin/sh
# bench-boot.sh TABLE BOOTS KERNEL IMAGE UML OWN FLOPPY INITRAMFS HASTE QEMU... : writes into TABLE how
# long it takes from the start of a machine to the first line of the demo and to power off, and how
# large the kernel's file is. KERNEL is booted as it is, and IMAGE as `make run` boots it; UML is
# User-mode Linux, OWN the kernel of `make kernel`, if there is one. They take turns, BOOTS times.
# FLOPPY is the image of `make floppy`, if there is one. HASTE is words for the kernel's command line
# that save time.
set -eu

table=$1 boots=$2 kernel=$3 image=$4 uml=$5 own=$6 floppy=$7 initramfs=$8 haste=$9
shift 9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
: >"$work/times"

# Boots once, and writes down both times in milliseconds.
boot() { # NAME COMMAND...
    name=$1
    shift
    begin=$(date +%s%N)
    first=$("$@" </dev/null 2>&1 | { grep -am 1 -q 'demo: I am the program' && date +%s%N; cat >/dev/null; })
    end=$(date +%s%N)
    [ "$first" ] || {
        echo "picoinit: $name: the demo did not start. Try: make run" >&2
        exit 1
    }
    echo "$name	$(((first - begin) / 1000000))	$(((end - begin) / 1000000))" >>"$work/times"
}

qemu() { # NAME KERNEL WORDS COMMAND...
    name=$1 booted=$2 words=$3
    shift 3
    boot "$name" "$@" -kernel "$booted" -initrd "$initramfs" -serial stdio -no-reboot \
        -append "console=ttyS0 panic=-1 $words"
}

# The third of five, the fourth of seven; and the least and the greatest.
median() { # NAME COLUMN
    awk -F '\t' -v name="$1" -v column="$2" '$1 == name { print $column }' "$work/times" | sort -n |
        awk '{ time[NR] = $1 } END { printf "%.2f (%.2f to %.2f)", time[int((NR + 1) / 2)] / 1000, time[1] / 1000, time[NR] / 1000 }'
}

size() { # FILE
    stat -Lc %s "$1" | sed ':again; s/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/; t again'
}

as_is="QEMU, the kernel decompresses itself"
hasty="QEMU, with \`$haste\`"
decompressed="the same, the kernel decompressed before: make run"
own_kernel="the same, the kernel of \`make kernel\`: make run KERNEL=own"
[ ! "$own" ] || own_image=$("${0%/*}/vmlinux.sh" "$own" "$work/own")
user_mode="User-mode Linux: make run VM=uml"
round=0
while [ $round -lt "$boots" ]; do
    round=$((round + 1))
    echo "picoinit: round $round of $boots" >&2
    qemu "$as_is" "$kernel" no_timer_check "$@"
    qemu "$hasty" "$kernel" "$haste" "$@"
    [ "$image" = "$kernel" ] || qemu "$decompressed" "$image" "$haste" "$@"
    [ ! "$own" ] || qemu "$own_kernel" "$own_image" "$haste" "$@"
    # Without a panic, it exits by itself.
    [ ! "$uml" ] || HOME=$work boot "$user_mode" setarch -R "$uml" "uml_dir=$work/" mem=256M \
        "initrd=$initramfs" root=98:0 console=tty0 con=null con0=null,fd:1 panic=-1 noreboot
done

{
    echo "# Boot times"
    echo
    echo "What \`make bench-boot\` measured on $(date +%F): seconds from the start of the machine, the median of $boots boots, and the least and the greatest."
    echo "The machines took turns on $(nproc) processors ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), under $("$1" --version | sed 's/^QEMU emulator version \([^ ]*\).*/QEMU \1/; q') ($3). The kernel is ${kernel##*/}."
    echo
    echo "| machine | the kernel's file, bytes | first line of the demo | power off |"
    echo "|---|---:|---:|---:|"
    while IFS='	' read -r name file; do
        ! grep -q "^$name	" "$work/times" || echo "| $name | $(size "$file") | $(median "$name" 2) | $(median "$name" 3) |"
    done <<END
$as_is	$kernel
$hasty	$kernel
$decompressed	$kernel
$own_kernel	$own
$user_mode	$uml
END
    if [ "$floppy" ]; then
        echo
        echo "The floppy's kernel, with /init, the demo and BusyBox in it, has $(size "$floppy/boot/vmlinuz-6.1-floppy") bytes; $(mdir -i "$floppy.img" :: | sed -n 's/^ *\([0-9 ]*[0-9]\) bytes free/\1/p' | tr ' ' ,) bytes of the floppy are free."
    fi
} >"$work/table"
mkdir -p "$(dirname "$table")"
mv "$work/table" "$table"
cat "$table"
