#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The load balancer on real traffic: a client, a router that spreads by ECMP, and four edge servers, each in a network
# namespace, each with sluiced, a chain of volumetric-dos and l4lb, nginx and a DNS server behind a VIP. A line a check;
# ends with 1 if one fails. Root only; touches nothing of the machine's own. Usage: Tests/Testbed/run.sh [endure]
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

if [[ $(id -u) -ne 0 ]]; then
    echo 'testbed-lb: needs root, for network namespaces and BPF' >&2
    exit 1
fi

if [[ ! ${SLUICE_TESTBED:-} ]]; then
    work=$(mktemp -d /tmp/sluice-testbed-XXXXXX)
    # Plugins run as somebody else, and read their folder there.
    chmod 755 "$work"
    trap 'rm -rf -- "$work"' EXIT
    # Namespaces of our own: whatever is mounted, made or started in them goes with them, however this ends.
    SLUICE_TESTBED=$work unshare --mount --net --pid --fork --kill-child --mount-proc Tests/Testbed/run.sh "$@"
    exit
fi

work=$SLUICE_TESTBED
build=$PWD/.build/debug
failed=0

# check WHAT COMMAND...: runs it, and says whether it did.
check() {
    local what=$1 started=$SECONDS
    shift
    if "$@" > "$work/said" 2>&1; then
        echo "ok      $what ($((SECONDS - started)) s)"
    else
        echo "FAILED  $what"
        sed 's/^/          /' "$work/said" | tail -n 30
        failed=1
    fi
}

# shellcheck source=Tests/Testbed/topology.sh
. Tests/Testbed/topology.sh
# shellcheck source=Tests/Testbed/checks.sh
. Tests/Testbed/checks.sh
# shellcheck source=Tests/Testbed/endure.sh
. Tests/Testbed/endure.sh

if ! build_topology > "$work/topology" 2>&1; then
    cat "$work/topology" >&2
    exit 1
fi
echo "testbed-lb: $edges edges are up ($SECONDS s)"
[[ ${1:-} == endure ]] || all_checks
endure_checks
exit "$failed"
