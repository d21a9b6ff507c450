#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs all tests, as they are built, in three processes at once: the tests of the whole, which mostly wait, one after the
# other in two of them; and with the processor time that these leave, all others. Says at the end how the latter two went.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

bundle=$(realpath .build/debug/sluicePackageTests.xctest)
run=("$bundle" --testing-library swift-testing --no-parallel)
logs=(.build/test-hooks.log .build/test-others.log)
# Half of the tests of the whole, by the time they take.
hooks='/(Hook[A-Za-z]*|Crash)Tests/'

"${run[@]}" --filter "^EndToEndTests\..*$hooks" > "${logs[0]}" 2>&1 &
beside=($!)
nice -n 19 "${run[@]}" --skip '^EndToEndTests\.' > "${logs[1]}" 2>&1 &
beside+=($!)
trap 'kill "${beside[@]}" 2> /dev/null' EXIT
trap 'exit 130' INT TERM

"${run[@]}" --filter '^EndToEndTests\.' --skip "$hooks|/SoakTests/"
failures=$?
for k in 0 1; do
    wait "${beside[k]}" || failures=1
done
# Alone: a veth whose XDP program is taken off loses what it has queued, and on a busy machine it has.
"${run[@]}" --filter '/SoakTests/' || failures=1

for log in "${logs[@]}"; do
    printf '\n%s:\n' "$log"
    grep -E '✘|Test run with' "$log"
done
exit "$((failures != 0))"
