# A part of vmrun: what tests take for granted that cargo, or rustdoc, runs. It tells the tests of
# a package by this variable, CARGO_MANIFEST_DIR: the package's folder, where they are started.

cwd=$PWD
pass '\(CARGO\|RUST\|NEXTEST\)[A-Z0-9_a-z]*'
[ ! "${LD_LIBRARY_PATH-}" ] || pass LD_LIBRARY_PATH
# Without a runner, rustdoc says itself how its program starts each test in a process of its own.
pass "RUSTDOC_DOCTEST_BIN_PATH=$program"

# What the tests may read.
size=$(cd "$CARGO_MANIFEST_DIR" && du -sm --exclude=./target --exclude=./.git . | cut -f 1)
if [ "$size" -lt 100 ]; then
    pack "$CARGO_MANIFEST_DIR" "$CARGO_MANIFEST_DIR"
else
    echo "vmrun: $CARGO_MANIFEST_DIR has $size MB, so it is not packed. What the tests read of it takes --add" >&2
fi
# Programs of the package that they start: the paths are in the test.
for other in "${program%/deps/*}"/*; do
    if [ -f "$other" ] && [ -x "$other" ] && grep -qaF "$other" "$program"; then pack "$other" "$other"; fi
done
