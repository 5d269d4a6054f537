#!/bin/sh
# other-init.sh BUILD NAME TREE BUSYBOX : makes another init, out of Debian's package of it, the PID 1
# of the machine that TREE is packed for. /init becomes a script that mounts what such an init expects
# to find mounted, tells it which program to run, in the way that it wants to be told, and executes it.
# The program is what the kernel's command line names after `--`, else /etc/rc, as with picoinit.
set -eu

build=$1 name=$2 tree=$3 busybox=$4
here=$(dirname "$0")
case $name in
tini) package=tini path=usr/bin/tini run='exec /.init/tini -- "$@"' ;;
dumb-init) package=dumb-init path=usr/bin/dumb-init run='exec /.init/dumb-init -- "$@"' ;;
catatonit) package=catatonit path=usr/bin/catatonit run='exec /.init/catatonit -- "$@"' ;;
# It has one program for each line, and no arguments in quotes.
busybox) package='' run='echo "::once:$*" >/etc/inittab; exec /.init/init' ;;
# Its program is the second of three stages; a file permits it to stop the machine.
runit)
    package=runit path=sbin/runit
    run='mkdir -p /etc/runit; for stage in 1 3; do ln -sf /.init/true /etc/runit/$stage; done
echo "#!/bin/sh
exec $*" >/etc/runit/2
chmod 755 /etc/runit/2; : >/run/runit.stopit; chmod 100 /run/runit.stopit
exec /.init/runit'
    ;;
esac

mkdir -p "$tree/.init" "$tree/etc"
[ -e "$tree/bin/sh" ] || [ -L "$tree/bin/sh" ] || ln -s busybox "$tree/bin/sh"
"$here/busybox.sh" "$build/busybox" "$busybox" "$tree"
for applet in init true; do ln -sf /bin/busybox "$tree/.init/$applet"; done
if [ "$package" ]; then
    folder=$build/peers/$package
    [ -d "$folder" ] || "$here/package.sh" "$folder" "$package"
    file=$folder/$path
    [ -e "$file" ] || file=$folder/usr/$path
    cp "$file" "$tree/.init/$name"
    # Its loader and libraries, at the places where it looks for them.
    printf '%s\t-\n' "$file" >"$tree.needs"
    "$here/vmrun-needs.sh" list "$tree.needs" "$file" | grep -v "$(printf '\t')-\$" | while read -r host guest; do
        mkdir -p "$tree${guest%/*}"
        cp -L "$host" "$tree$guest"
    done
    rm -f "$tree.needs"
fi
cat >"$tree/init" <<end
#!/bin/sh
for mounted in proc:/proc sysfs:/sys devtmpfs:/dev tmpfs:/run; do
    /bin/busybox mkdir -p \${mounted#*:}
    /bin/busybox mount -t \${mounted%:*} \${mounted%:*} \${mounted#*:} 2>/dev/null
done
mkdir() { /bin/busybox mkdir "\$@"; }
ln() { /bin/busybox ln "\$@"; }
chmod() { /bin/busybox chmod "\$@"; }
# As with picoinit, words before the first path are the kernel's.
while [ \$# -gt 0 ]; do case \$1 in /*) break ;; *) shift ;; esac; done
[ \$# -gt 0 ] || set -- /etc/rc
$run
end
chmod 755 "$tree/init"
