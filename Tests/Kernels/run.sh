#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests that need the kernel, on other kernels than this machine's: Debian's, each in a virtual machine, without KVM.
# Prints a table; ends with 1 if a test failed, or was skipped on a kernel that is new enough for it.
# Takes the tests as they are built. Root only, on Debian. Usage: Tests/Kernels/run.sh [--all | --filter REGEX] [SERIES...]
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

# How many times longer than elsewhere a test waits for anything, and how long a kernel's run may take, in seconds.
patience=${SLUICE_TEST_PATIENCE:-10} limit=${SLUICE_KERNEL_LIMIT:-3600}
# What the kernel has a part in. What is the manager's own affair is the same on all, and emulated takes hours: --all.
filter='^(BPFTests|StageTests|L4LBTests|CgroupPolicyTests|TCEgressTests)\.|^CoreTests\.WeaveTests/|[./](LabTests|FlipTests|SplitTests|StateTests|HookFlipTests|HookNeighbourTests|EgressTests)/'
filter+='|^VolumetricDoSTests\.(AgainstReference|ManyRules|Purpose|LiveRule|Limit|KeyedLimit|LimitRate|RuleLimit)Tests/'
filter+='|^UDPRateLimitTests\.(AgainstReference|Limit|Packet|Rate|LiveRate)Tests/|/UDPRateLimitTests/(datagrams|whatIsOver|ofATrain)'
case ${1:-} in
    --all) filter='.' && shift ;;
    --filter) filter=$2 && shift 2 ;;
esac
[[ $# -gt 0 ]] || set -- 6.1 6.12 newest

if [[ $(id -u) -ne 0 ]]; then
    echo 'test-kernels: needs root, for a Debian to boot' >&2
    exit 1
fi
build=$(realpath .build/debug)
work=$(mktemp -d /tmp/sluice-kernels-XXXXXX)
# A machine has a process group of its own, which a Ctrl-C does not reach.
trap 'jobs -p | xargs -r kill; rm -rf -- "$work"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=Tests/Kernels/machine.sh
. Tests/Kernels/machine.sh

kernels=()
for series in "$@"; do
    kernel=$(scripts/debian-kernel.sh "$series" 2> "$work/log") || { cat "$work/log" >&2 && exit 1; }
    kernels+=("$kernel")
done
if ! make_image "$build" "${kernels[@]}" > "$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi

summaries=()
for kernel in "${kernels[@]}"; do
    version=${kernel##*/}
    echo "test-kernels: $version ..." >&2
    run_machine "$kernel" "$version" "$build/sluicePackageTests.xctest" "$filter"
    status=$?
    complaints=$(tr -d '\r' < "$work/$version.console" | sed -n 's/^kernel: //p' | sort -u)
    jq -nR --arg version "$version" --arg release "$(< "$kernel/release")" --arg kernel "$complaints" \
        -f Tests/Kernels/summary.jq "$work/$version.events" > "$work/$version.json" || exit
    summaries+=("$work/$version.json")
    if [[ $(jq .good "$work/$version.json") != true ]]; then
        echo "test-kernels: $version (qemu: $status), the end of its console:" >&2
        tail -n 40 "$work/$version.console" >&2
    fi
done
jq -rs -f Tests/Kernels/table.jq "${summaries[@]}"
jq -es 'all(.[]; .good)' "${summaries[@]}" > /dev/null
