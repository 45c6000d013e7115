#!/bin/sh
# House rules that a machine can check: include edges, sizes of files and functions, headers that stand alone,
# formatting. Prints each finding as file:line: what; exit 1 when there is any.
set -u
cd "$(dirname "$0")/../.." || exit 1
python3 tests/lint/lint.py || exit 1
bad=0
for h in $(git ls-files 'base/*.h' 'cache/*.h' 'stages/*.h' 'engine/*.h'); do
    cc -std=c11 -D_GNU_SOURCE -I. -fopenmp -fsyntax-only -Wall -Wextra -Wno-unused-function -Werror -x c \
        -include tests/lint/banned.h "$h" 2>/tmp/weft-lint.$$ || {
        grep -v 'pragma once' /tmp/weft-lint.$$ | head -n 3
        bad=1
    }
done
rm -f /tmp/weft-lint.$$
[ $bad = 0 ] || { echo "lint: a header does not compile alone"; exit 1; }
if command -v clang-format >/dev/null; then
    git ls-files 'base/*.[ch]' 'cache/*.[ch]' 'stages/*.[ch]' 'engine/*.[ch]' 'tests/*.[ch]' |
        xargs clang-format --dry-run -Werror 2>&1 | head -n 20 | grep . && { echo "lint: run make format"; exit 1; }
fi
echo "lint: clean"
