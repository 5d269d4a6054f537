#!/bin/sh
# run.sh PROGRAM [ARGUMENT...] : what cargo starts programs with (.cargo/config.toml).
# /init is booted; everything else, such as a test, is simply run.
case $1 in
*/release/init | */debug/init) exec make -C "$(dirname "$0")/.." run INIT="$1" ;;
esac
exec "$@"
