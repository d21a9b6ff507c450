#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each source file says its licence in its first two lines and has at most 500 lines.
# Usage: scripts/check-files.sh FILE...
set -euo pipefail

failed=0
complain() {
    echo "$1: $2" >&2
    failed=1
}

for file in "$@"; do
    case $file in
        bpf/*) licence='GPL-2.0-only OR BSD-2-Clause' ;;
        *) licence='Apache-2.0' ;;
    esac
    # A file may be named after the list was made and be gone; the manifest's first line belongs to SwiftPM.
    head -n 3 "$file" | grep -q "SPDX-License-Identifier: $licence" || complain "$file" "no 'SPDX-License-Identifier: $licence' at its head"
    lines=$(wc -l < "$file")
    ((lines <= 500)) || complain "$file" "$lines lines; 500 is the most, split it by topic"
done
exit "$failed"
