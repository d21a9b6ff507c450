#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks at every file that git knows or would add; prints what is wrong and ends with 1 if anything is.
# Usage: scripts/lint.sh [--fix], which formats what a formatter can.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [[ -f $file ]] && echo "$file"; done; }

mapfile -t swift < <(files '*.swift')
mapfile -t c < <(files '*.c' '*.h')
mapfile -t shell < <(files '*.sh' .ci)

if [[ ${1:-} == --fix ]]; then
    swift format --in-place --parallel "${swift[@]}"
    clang-format -i "${c[@]}"
    exit
fi

failed=0
step() {
    local name=$1
    shift
    if "$@"; then echo "lint: $name: clean"; else
        echo "lint: $name: FAILED"
        failed=1
    fi
}

step "swift format" swift format lint --strict --parallel "${swift[@]}"
step "clang-format" clang-format --dry-run -Werror "${c[@]}"
step "shellcheck" shellcheck "${shell[@]}"
step "imports" scripts/check-imports.sh
step "files" scripts/check-files.sh "${swift[@]}" "${c[@]}" "${shell[@]}"
exit "$failed"
