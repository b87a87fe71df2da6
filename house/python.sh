#!/bin/sh
# Prints the Python to use: the first of these names that is 3.11 or newer and can make environments.
# Shell, because a Python that is too old could not even read our scripts.
incomplete=
for name in python3 python3.14 python3.13 python3.12 python3.11; do
    path=$(command -v "$name" 2>/dev/null) || continue
    "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
    if "$path" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$path"
        exit 0
    fi
    [ -n "$incomplete" ] || incomplete=$("$path" -c 'import sys; print("python3.%d" % sys.version_info[1])')
done
if [ -n "$incomplete" ]; then
    echo "This Python cannot make environments: run 'apt-get install $incomplete-venv', then try again." >&2
elif command -v python3 >/dev/null 2>&1; then
    echo "Mailroom needs Python 3.11 or newer, and python3 here is $(python3 -V 2>&1)." >&2
else
    echo "Mailroom needs Python 3.11 or newer, and there is no python3 here." >&2
fi
exit 1
