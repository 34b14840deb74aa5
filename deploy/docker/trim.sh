#!/bin/sh
# Deletes from the environment FOLDER what a server never loads: tests and headers of libraries, Arrow's
# Flight, and what builds and installs.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
for folder in "$packages"/numba/tests "$packages"/pyarrow/tests "$packages"/pyarrow/include \
    "$packages"/pyarrow/src "$packages"/llvmlite/tests; do
    rm -rf "$folder"
done
find "$packages" -type d -path "*/numpy/*" -name tests -prune -exec rm -rf {} +
rm -f "$packages"/pyarrow/libarrow_flight.so* "$packages"/pyarrow/_flight.* \
    "$packages"/pyarrow/libarrow_python_flight.so*
find "$packages" -name '*.pyx' -delete
"$1/bin/python" -m pip uninstall --quiet --yes setuptools pip
