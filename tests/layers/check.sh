#!/bin/sh
# Checks the layers of the source tree: check.sh SRC_DIR
#
# The one table of layers is in SRC_DIR/README.md, a row for each layer:
#
#     | 0 bytes | `buf` `slice` | what it holds |
#
# The names are in the second column. `dict` owns dict.c, dict.h and dict_*.[ch]; `cli/` owns what is in that
# directory; the longest name that fits wins. The rules:
#
#   - every file belongs to exactly one layer, and every name in the table to a file
#   - a file includes only its own layer and those below
#   - layers 0 to 3 have no sockets, no threads and no clock
#   - only dict*.[ch] include <uthash.h>
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: check.sh SRC_DIR" >&2
    exit 2
fi
src=${1%/}

list() {
    for entry in "$1"/*; do
        if [ -d "$entry" ]; then
            list "$entry"
        else
            case $entry in
            *.[ch]) printf '%s\n' "${entry#"$src"/}" ;;
            esac
        fi
    done
}

# The directory goes through the environment, as awk -v would interpret backslashes in it.
list "$src" | SRC="$src" awk '
function wrong(where, what) {
    print where ": " what > "/dev/stderr"
    failures++
}

# One row of the table: its number, and the names in its second column.
function read_row(line,    cells, layer, names, name) {
    split(line, cells, "|")
    layer = cells[2] + 0
    names = cells[3]
    layers++
    while (match(names, /`[^`]+`/)) {
        name = substr(names, RSTART + 1, RLENGTH - 2)
        names = substr(names, RSTART + RLENGTH)
        sub(/\.[ch]$/, "", name)
        if (name in layer_of) {
            wrong(map, "`" name "` stands in the table twice, in layers " layer_of[name] " and " layer)
        } else {
            layer_of[name] = layer
        }
    }
}

# The name in the table that owns a file, or "".
function owner(file,    name, best) {
    sub(/\.[ch]$/, "", file)
    if (file in layer_of) {
        return file
    }
    best = ""
    for (name in layer_of) {
        if (index(file, name (name ~ /\/$/ ? "" : "_")) == 1 && length(name) > length(best)) {
            best = name
        }
    }
    # Nothing but a directory of the table speaks for files below a directory.
    return substr(file, length(best) + 1) ~ /\// && best !~ /\/$/ ? "" : best
}

# Where an include leads: a file of the tree, or "".
function resolve(from, header,    path) {
    path = from
    if (sub(/\/[^\/]*$/, "/", path)) {
        path = path header
        while (sub(/[^\/]+\/\.\.\//, "", path)) {
        }
        if (path in exists) {
            return path
        }
    }
    return header in exists ? header : ""
}

function readable(path,    line, status) {
    status = (getline line < path) >= 0
    close(path)
    return status
}

function check_include(where, file, layer, header, quoted,    target, base) {
    target = resolve(file, header)
    if (target != "") {
        if (owners[target] != "" && layer_of[owners[target]] > layer) {
            wrong(where, "layer " layer " includes " target " of layer " layer_of[owners[target]])
        }
        return
    }
    if (layer <= 3 && (header in edge_only || header ~ /^uv\//)) {
        wrong(where, "layer " layer " includes <" header ">; layers 0 to 3 have no sockets, threads or clock")
    }
    base = file
    sub(/.*\//, "", base)
    if (header == "uthash.h" && base !~ /^dict/) {
        wrong(where, "includes <uthash.h>, which is for dict*.[ch] alone")
    }
    if (quoted && !(header in edge_only) && header != "uthash.h" && !readable(src "/../include/" header)) {
        wrong(where, "includes \"" header "\", which is neither here nor in include/")
    }
}

function check_file(file,    path, layer, line, number, status, header, quoted) {
    path = src "/" file
    layer = layer_of[owners[file]]
    while ((status = (getline line < path)) > 0) {
        number++
        if (line !~ /^[ \t]*#[ \t]*include/) {
            continue
        }
        header = line
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
        if (header !~ /^("[^"]+"|<[^>]+>)/) {
            wrong(path ":" number, "an include that cannot be followed")
            continue
        }
        quoted = header ~ /^"/
        header = substr(header, 2)
        sub(/[">].*/, "", header)
        check_include(path ":" number, file, layer, header, quoted)
    }
    close(path)
    if (status < 0) {
        wrong(path, "cannot be read")
    }
}

BEGIN {
    src = ENVIRON["SRC"]
    map = src "/README.md"
    count = split("uv.h sys/socket.h sys/un.h netinet/in.h netinet/tcp.h arpa/inet.h netdb.h poll.h sys/epoll.h " \
        "sys/select.h pthread.h threads.h time.h sys/time.h", names, " ")
    for (i = 1; i <= count; i++) {
        edge_only[names[i]]
    }
    while ((status = (getline line < map)) > 0) {
        if (line ~ /^\|[ \t]*[0-9]+[ \t][^|]*\|/) {
            read_row(line)
        }
    }
    if (status < 0) {
        wrong(map, "cannot be read; it holds the table of layers")
    } else if (layers == 0) {
        wrong(map, "has no table of layers, with rows such as | 0 bytes | `buf` | ... |")
    }
}

{ exists[$0]; files[++file_count] = $0 }

END {
    if (layers > 0) {
        for (i = 1; i <= file_count; i++) {
            owners[files[i]] = owner(files[i])
            used[owners[files[i]]]
        }
        for (i = 1; i <= file_count; i++) {
            if (owners[files[i]] == "") {
                wrong(src "/" files[i], "belongs to no layer; name it in the table of " map)
            } else {
                check_file(files[i])
            }
        }
        for (name in layer_of) {
            if (!(name in used)) {
                wrong(map, "`" name "` in the table is no file")
            }
        }
        if (file_count == 0) {
            wrong(src, "has no source files")
        }
    }
    if (failures > 0) {
        print "violations of the layers: " failures > "/dev/stderr"
        exit 1
    }
    print file_count " files keep to " layers " layers"
}'
