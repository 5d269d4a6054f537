#!/bin/sh
# vmrun-needs.sh path PROGRAM : prints the path of PROGRAM.
# vmrun-needs.sh list FILES PROGRAM : prints the list FILES, of what vmrun packs, PROGRAM among it; and
# with it what the programs in it need: interpreters, loaders, libraries.
set -eu

fail() {
    echo "vmrun: $*" >&2
    exit 201
}

# It may have the name of one of the shell's own commands, which `command -v` would find.
path_of() { # PROGRAM BY
    case $1 in
    */*) [ ! -f "$1" ] || { realpath -s "$1" && return; } ;;
    *)
        found=$(
            IFS=:
            for folder in $PATH /usr/sbin /sbin; do [ -f "$folder/$1" ] && [ -x "$folder/$1" ] && realpath -s "$folder/$1" && break; done
        ) || :
        [ ! "$found" ] || { echo "$found" && return; }
        ;;
    esac
    fail "${2-}$1: there is no such program"
}

is_added() { # GUEST
    while IFS=$tab read -r host guest; do
        guest=${guest%/}
        case $1 in "$guest" | "$guest"/*)
            host=$host${1#"$guest"}
            # A link may lead somewhere in the guest only.
            { [ ! -e "$host" ] && [ ! -L "$host" ]; } || return 0
            ;;
        esac
    done <"$files"
    return 1
}

needs_of() { # FILE
    [ -f "$1" ] && [ -x "$1" ] || return 0
    case $(head -c 4 "$1" | tr -d '\0') in
    '#!'*)
        # Its interpreter; and what `env` looks for.
        for word in $(head -n 1 "$1" | cut -c 3-); do
            case $word in -*) continue ;; esac
            word=$(path_of "$word" "$1 wants ") || exit
            printf '%s\t%s\n' "$word" "$word"
            needs_of "$word"
            [ "${word##*/}" = env ] || break
        done
        ;;
    ?ELF)
        # ldd fails for a static program, and for one that needs another loader than the C library's here.
        said=$(ldd "$1" 2>/dev/null) || {
            loader=$(LC_ALL=C readelf -l "$1" 2>/dev/null | sed -n 's/.*program interpreter: \(.*\)\]/\1/p') || :
            # What is added may be data.
            if ! [ "$loader" ] || [ "$1" != "$program" ] || is_added "$loader"; then return 0; fi
            [ -e "$loader" ] || fail "$1 needs $loader and the libraries of its CPU. Add them; those of Debian's libc6-arm64-cross, for example, by --add /usr/aarch64-linux-gnu/lib:/lib"
            printf '%s\t%s\n' "$loader" "$loader"
            return 0
        }
        case $said in *' => not found'*)
            missing=$(echo "$said" | sed -n 's/ => not found.*//p' | tr -s '\t\n' ' ')
            fail "$1 needs a library that is not here:$missing(LD_LIBRARY_PATH may name its folder)"
            ;;
        esac
        echo "$said" | sed -n 's/^[^/]*\(\/.*\) (0x.*/\1\t\1/p'
        ;;
    esac
}

case $1 in
path) path_of "$2" ;;
list)
    files=$2 program=$3 tab=$(printf '\t')
    cat "$files"
    cut -f 1 "$files" | while read -r file; do needs_of "$file"; done
    ;;
esac
