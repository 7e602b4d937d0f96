#!/bin/sh
# Counts the instructions of the core's operations under callgrind: instructions.sh [--update] PROGRAM BUILD KEPT
#
# PROGRAM is txkv-instructions, BUILD says how it was built, KEPT is the file of the numbers kept:
#
#     build: gcc 12 release x86_64
#     decode 123
#
# Prints a table. Exits 1 where a number has changed by more than a tenth, 77 where nothing was compared: without
# valgrind, or when the numbers kept are those of another build. With --update the file gets the new numbers instead.
set -eu

tolerance=10 # percent

update=
if [ "${1-}" = --update ]; then
    update=yes
    shift
fi
if [ $# -ne 3 ]; then
    echo "usage: instructions.sh [--update] PROGRAM BUILD KEPT" >&2
    exit 2
fi
program=$1
build=$2
kept=$3

case $build in
*sanitized*)
    echo "not counted: valgrind and sanitizers exclude each other"
    exit 77
    ;;
esac
if ! command -v valgrind >/dev/null; then
    echo "not counted: valgrind is not installed"
    exit 77
fi

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
trap 'exit 143' INT TERM

# count NAME: instructions of one operation.
count() {
    if ! times=$(valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file="$temporary/out" \
        "$program" "$1" 2>"$temporary/errors"); then
        cat "$temporary/errors" >&2
        return 1
    fi
    awk -v times="$times" '
        /^(summary|totals):/ { total = $2 }
        END { if (total == 0) exit 1; printf "%.0f\n", total / times }' "$temporary/out"
}

echo "build: $build" >"$temporary/new"
names=$("$program")
for name in $names; do
    number=$(count "$name") || {
        echo "instructions.sh: $name could not be counted" >&2
        exit 1
    }
    echo "$name $number" >>"$temporary/new"
done

if [ -n "$update" ]; then
    touch "$kept"
    cp "$kept" "$temporary/old"
    cat "$temporary/new" >"$kept"
    kept=$temporary/old
fi

status=0
awk -v tolerance="$tolerance" -v build="build: $build" '
FILENAME == ARGV[1] { if ($1 != "build:") old[$1] = $2; else compared = $0 == build; next }
$1 == "build:" { printf "%-12s %10s %10s %8s\n", "operation", "kept", "now", "change"; next }
!($1 in old) { printf "%-12s %10s %10d %8s  not among the numbers kept\n", $1, "-", $2, "-"; wrong++; next }
{
    change = 100 * ($2 - old[$1]) / old[$1]
    remark = ""
    if (compared && (change > tolerance || change < -tolerance)) {
        remark = change > 0 ? "  slower" : "  faster: keep the new number"
        wrong++
    }
    printf "%-12s %10d %10d %+7.1f%%%s\n", $1, old[$1], $2, change, remark
    delete old[$1]
}
END {
    for (name in old) { printf "%-12s %10d %10s %8s  no longer counted\n", name, old[name], "-", "-"; wrong++ }
    exit wrong > 0
}' "$kept" "$temporary/new" || status=1

if [ -n "$update" ]; then
    exit 0
fi
if [ "$(head -n 1 "$kept")" != "build: $build" ]; then
    echo "not compared: this is the build \"$build\", the numbers kept are of \"$(sed -n 's/^build: //p' "$kept")\""
    exit 77
fi
if [ "$status" -ne 0 ]; then
    echo "beyond $tolerance% of the numbers kept. Where that is meant: meson compile -C BUILD_DIR update-instructions"
fi
exit "$status"
