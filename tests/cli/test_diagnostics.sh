#!/bin/sh
# Wrong experiment files and the exact messages they get: tests/cli/diagnostics/*.txt, form and update in diagnostics.py.
set -u
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/diagnostics.py" "$here/diagnostics"
