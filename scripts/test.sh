#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs all tests, as they are built, in two processes at once: those of the whole, one at a time, as live traffic and
# deadlines do not go together with other tests; and beside them, with what processor time these leave, all others. Of those
# the report comes at the end.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

bundle=$(realpath .build/debug/sluicePackageTests.xctest)
log=.build/test-others.log
run=("$bundle" --testing-library swift-testing --no-parallel)

nice -n 19 "${run[@]}" --skip '^EndToEndTests\.' > "$log" 2>&1 &
others=$!
# shellcheck disable=SC2064 # That very process.
trap "kill $others 2> /dev/null" EXIT
trap 'exit 130' INT TERM

# Sequences of random changes go alone: a veth whose XDP program is taken off loses what it has queued, and on a busy
# machine it has.
"${run[@]}" --filter '^EndToEndTests\.' --skip '/SoakTests/'
whole=$?
wait "$others"
rest=$?
"${run[@]}" --filter '/SoakTests/'
soak=$?

echo
echo "The tests beside them ($log):"
grep -E '✘|recorded an issue|Test run with' "$log"
[[ $whole -eq 0 && $rest -eq 0 && $soak -eq 0 ]]
