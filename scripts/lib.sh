# Shared by the scripts beside it: which packages are needed, and how a build directory comes about.
# shellcheck shell=sh disable=SC2034 # the lists are for who reads this file

self=$(readlink -f "$0")
root=$(dirname "$(dirname "$self")")

# What a build needs. libc6-dev is named because gcc only recommends it.
build_packages='
gcc              the compiler
libc6-dev        the headers of the C library
meson            the build system; brings Python, which scripts/summary uses
ninja-build      runs what meson plans
pkg-config       finds the libraries below
libuv1-dev       event loop and TCP
uthash-dev       hash tables
libxxhash-dev    the keyed hash of keys
libaio-dev       lets the kernel write the log
libedit-dev      line editing in txkv-cli
'

# What the tests need on top.
test_packages='
libcriterion-dev the unit test framework
netcat-openbsd   a client that knows nothing of txkv
strace           makes system calls fail, and counts them
redis-tools      redis-cli and redis-benchmark, clients that are not ours
libhiredis-dev   a client for C
python3-redis    and for Python
'

# For the clients of Node.js, unless there is an npm already, whatever it came with.
npm_packages='
nodejs           runs them
npm              gets them (tests/clients/node/package.json)
'

# What the sanitizers and the fuzzers need on top.
clang_packages='
clang              the other compiler
libclang-rt-14-dev its sanitizers and libFuzzer
llvm               gives the addresses in their reports names
'

say() {
    echo "$*" >&2
}

die() {
    say "${0##*/}: $*"
    exit 1
}

missing_packages() {
    echo "$1" | while read -r package _; do
        if [ -n "$package" ]; then
            case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
            ?i*) ;;
            *) printf '%s ' "$package" ;;
            esac
        fi
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -z "${CI-}" ] && (: </dev/tty) 2>/dev/null; then
        sudo "$@"
    else
        sudo -n "$@" # nobody is there to type a password
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=3 "$@" </dev/null >&2
}

# need_packages LIST...: installs what is missing of them; nothing is asked of the package manager otherwise.
need_packages() {
    if ! command -v dpkg-query >/dev/null; then
        say "this is no Debian: the names of what is needed are in scripts/lib.sh, and must have been installed"
        return
    fi
    missing=$(missing_packages "$*")
    if [ -z "$missing" ]; then
        return
    fi
    by_hand="apt-get update && apt-get install --no-install-recommends $missing"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "neither root nor sudo, to install what is missing. As root: $by_hand"
    fi
    say "installing: $missing"
    # The lists may be old enough to name packages that the mirror has replaced; without any, nothing installs.
    apt_get update || say "the package lists could not be fetched; trying with those that are here"
    # shellcheck disable=SC2086 # a list of names
    apt_get install -y --no-install-recommends $missing || die "could not install what is missing. As root: $by_hand"
}

# need_npm_packages DIR: the clients for Node.js into a build directory. Where the registry cannot be reached, their tests are
# skipped; those use no network themselves.
need_npm_packages() {
    from=$root/tests/clients/node
    to=$1/tests/clients/node
    if cmp -s "$from/package-lock.json" "$to/node_modules/installed"; then
        return
    fi
    say "installing the packages of $from/package.json in $to"
    mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$to"
    if (cd "$to" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --prefer-offline \
        --loglevel=error --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=20000) </dev/null >&2; then
        cp "$from/package-lock.json" "$to/node_modules/installed"
    else
        rm -rf "$to/node_modules"
        say "npm's packages could not be fetched: the tests of the clients for Node.js will be skipped"
    fi
}

# Whether a directory is a build of this checkout that meson can still read.
is_sound() {
    ninja -C "$1" -t query build.ninja >/dev/null 2>&1 && python3 - "$1" "$root" <<'PYTHON' && meson configure "$1" >/dev/null 2>&1
import json, os, sys
try:
    with open(sys.argv[1] + '/meson-info/meson-info.json', encoding='utf-8') as file:
        paths = json.load(file)['directories']
except (OSError, ValueError, KeyError):
    sys.exit(1)
same = [os.path.realpath(p) for p in (paths['source'], paths['build'])] == \
       [os.path.realpath(p) for p in (sys.argv[2], sys.argv[1])]
sys.exit(not same)
PYTHON
}

# What configure last made of a directory; "" for one made by hand.
configured() {
    cat "$1/meson-private/txkv-configured" 2>/dev/null || true
}

# configure DIR MESON_ARGUMENT...: makes DIR a build of this checkout with these options, whatever was there before.
configure() {
    dir=$1
    shift
    compiler="compiler ${CC:-default}:"
    if is_sound "$dir"; then
        case $(configured "$dir") in
        "$compiler $*") return ;;
        # Options can be changed in place, a compiler cannot.
        "$compiler "* | "") set_up "$dir" --reconfigure "$@" && return ;;
        esac
    fi
    clear_build "$dir"
    mkdir -p "$dir" 2>/dev/null || true
    need_writable "$dir"
    set_up "$dir" "" "$@" || die "could not configure $dir"
}

need_writable() {
    if [ ! -d "$1" ] || [ ! -w "$1" ]; then
        die "user $(id -u) may not write to $1; --build-dir names another place"
    fi
}

set_up() {
    dir=$1
    how=$2
    shift 2
    options="$compiler $*"
    say "configuring $dir"
    if [ -n "$how" ]; then # meson 1.0 says that it takes options such as b_pgo with --reconfigure, too, and does not
        meson configure "$dir" "$@" >&2 || return
        set --
    fi
    meson setup ${how:+"$how"} "$@" "$dir" "$root" >&2 || return
    echo "$options" >"$dir/meson-private/txkv-configured"
}

# clear_build DIR [WHY]: removes a build directory that is of no use; anything else is not ours to remove.
clear_build() {
    if [ -d "$1/meson-private" ] || [ -d "$1/meson-info" ] || [ -d "$1/meson-logs" ]; then
        say "removing $1: ${2:-not a build of this checkout with these options}"
        rm -rf "$1" || die "could not remove $1; --build-dir names another place"
    elif [ -d "$1" ] && [ -n "$(ls -A "$1")" ]; then
        die "$1 holds something else than a build"
    fi
}

# compile DIR TARGET...: without a target, all of it.
compile() {
    dir=$1
    shift
    need_writable "$dir"
    ninja -C "$dir" "$@" >&2 || die "could not build $dir"
}
