#!/bin/sh
# The shared library exports what include/txkv.h declares, and nothing else. Usage: exports.sh libtxkv.so txkv.h
set -eu
exported=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort)
declared=$(grep -o '^TXKV_API [^(]*(' "$2" | grep -o 'txkv_[a-z_]*(' | tr -d '(' | sort)
if [ "$exported" != "$declared" ]; then
    echo "exported:" $exported
    echo "declared:" $declared
    exit 1
fi
