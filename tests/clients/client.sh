#!/bin/sh
# Runs a program that may not be here, in which case its test is skipped: client.sh PROGRAM ARGUMENT...
if ! command -v "$1" >/dev/null; then
    echo "$1 is not installed"
    exit 77
fi
exec "$@"
