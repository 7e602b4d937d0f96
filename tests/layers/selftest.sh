#!/bin/sh
# Feeds check.sh (the one argument) a sound tree and one broken tree for each rule.
# shellcheck disable=SC2016 # the backticks are Markdown
set -eu

check=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cases=0
failures=0

# A sound tree; each case breaks it in one place.
plant() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/src/cli" "$work/tree/include"
    cd "$work/tree/src"
    cat >README.md <<'TABLE'
| layer | files | holds |
|---|---|---|
| 0 bytes | `buf` `hash` | bytes |
| 1 data | `dict` (`dict_entry`), `proto` | data |
| 3 session | `tick` | the tick |
| 4 edge | `conn` | sockets, \| and `nothing_else` |
| 5 programs | `main` `cli/` | options |
TABLE
    echo '#include <stddef.h>' >buf.h
    printf '%s\n' '#include "buf.h"' '#include <string.h>' >buf.c
    touch hash.c ../include/public.h
    printf '%s\n' '#include "buf.h"' >dict.h
    printf '%s\n' '  #  include <uthash.h> /* "conn.h" */' '#include "dict.h"' >dict.c
    printf '%s\n' '#include "dict.h"' '#include <uthash.h>' >dict_entry.h
    printf '%s\n' '#include "buf.h"' >proto_text.c
    printf '%s\n' '#include "dict_entry.h"' >tick.h
    printf '%s\n' '#include <uv.h>' '#include <time.h>' '#include "tick.h"' >conn.h
    printf '%s\n' '#include "conn.h"' >main.c
    printf '%s\n' '#include "public.h"' '#include "../conn.h"' >cli/args.h
    printf '%s\n' '#include "args.h"' '#include "dict.h"' >cli/main.c
}

run() {
    "$check" "$work/tree/src" >"$work/out" 2>&1
}

fail() {
    failures=$((failures + 1))
    echo "FAILED: $1; the checker said:"
    cat "$work/out"
}

sound() {
    cases=$((cases + 1))
    run || fail "$1"
}

# broken NAME MESSAGE: the checker must fail, with one violation and this message.
broken() {
    cases=$((cases + 1))
    if run; then
        fail "$1 passes"
    else
        case $(cat "$work/out") in
        *"$2"*"violations of the layers: 1") ;;
        *) fail "$1 is not reported as '$2' alone" ;;
        esac
    fi
}

plant
sound 'a sound tree'

plant
rm README.md
broken 'a tree without a table' 'README.md: cannot be read'

plant
echo 'No table.' >README.md
broken 'a README.md without a table' 'has no table of layers'

plant
rm -rf cli ./*.c ./*.h
echo '| 0 bytes | | |' >README.md
broken 'a tree without files' 'has no source files'

plant
touch stray.c
broken 'a file of no layer' 'stray.c: belongs to no layer'

plant
mkdir other
touch other/dict_x.c
broken 'a directory of no layer' 'other/dict_x.c: belongs to no layer'

plant
echo '| 2 store | `buf` | twice |' >>README.md
broken 'a name in two layers' '`buf` stands in the table twice'

plant
echo '| 2 store | `gone` | no file |' >>README.md
broken 'a name without a file' '`gone` in the table is no file'

plant
echo '#include "dict.h"' >>buf.c
broken 'an include of the layer above' 'buf.c:3: layer 0 includes dict.h of layer 1'

plant
echo '#include <conn.h>' >>hash.c
broken 'an include of a higher layer in angle brackets' 'hash.c:1: layer 0 includes conn.h of layer 4'

plant
echo '#include "cli/args.h"' >>tick.h
broken 'an include of a directory above' 'tick.h:2: layer 3 includes cli/args.h of layer 5'

for header in uv.h uv/errno.h sys/socket.h pthread.h time.h; do
    for file in hash.c dict_entry.h tick.h; do
        plant
        echo "#include <$header>" >>"$file"
        broken "$header in $file" "includes <$header>; layers 0 to 3"
    done
done

plant
echo '#include "uv.h"' >>hash.c
broken 'uv.h in quotes' 'includes <uv.h>; layers 0 to 3'

for file in hash.c tick.h conn.h cli/main.c; do
    plant
    echo '#include <uthash.h>' >>"$file"
    broken "uthash.h in $file" 'includes <uthash.h>, which is for dict'
done

plant
echo '#include "nowhere.h"' >>hash.c
broken 'an include that leads nowhere' 'which is neither here nor in include/'

plant
echo '#include HEADER' >>hash.c
broken 'an include by macro' 'an include that cannot be followed'

echo "$cases cases, $failures failed"
[ "$failures" -eq 0 ]
