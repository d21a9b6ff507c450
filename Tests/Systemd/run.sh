#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sluice under systemd, for real: boots Debian in a container, installs the product there, and holds it to what it
# promises, a line a check. Ends with 1 if one fails. Root only; touches nothing of the machine's own.
# Usage: Tests/Systemd/run.sh [--build-dir DIR], which takes that build instead of what `make install` makes.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

if [[ $(id -u) -ne 0 ]]; then
    echo 'test-systemd: needs root, for a container' >&2
    exit 1
fi

install_product() {
    debian=$(scripts/debian-root.sh) && cp -a --reflink=auto "$debian" "$root" || return
    if [[ $build ]]; then
        scripts/install.sh --destdir "$root" --build-dir "$build" || return
        # A debug build wants the Swift runtime where the toolchain has it.
        ldd "$build/sluiced" "$build/sluicectl" "$build/noop" | awk '$3 ~ /swift/ { print $3 }' | sort -u \
            | xargs --no-run-if-empty cp --parents --target-directory "$root" || return
    else
        make --no-print-directory install DESTDIR="$root" || return
        build=$PWD/.build/release
    fi
    # What a package's scripts do.
    systemd-sysusers --root="$root" && systemctl --quiet --root="$root" enable sluiced.socket sluiced.service || return

    # Not of an edge server, or not of a container.
    systemctl --quiet --root="$root" mask console-getty.service systemd-firstboot.service apt-daily.timer \
        apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer || return
    # The address comes from systemd-networkd, so that there is a network to come up.
    printf '[Match]\nName=edge0\n[Network]\nAddress=10.9.0.1/24\nLinkLocalAddressing=no\n' \
        > "$root/etc/systemd/network/edge0.network"
    systemctl --quiet --root="$root" enable systemd-networkd.service || return
    # The unit as it is, but sooner idle and sooner taken for hung.
    local command
    command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/sluiced.service")
    mkdir -p "$root/etc/systemd/system/sluiced.service.d"
    printf '[Service]\nWatchdogSec=2\nExecStart=\nExecStart=%s --idle-exit 2\n' "$command" \
        > "$root/etc/systemd/system/sluiced.service.d/test.conf"
    # A plugin with work to do while its stage is live.
    install -D -m 0755 Tests/Systemd/knob "$root/usr/lib/sluice/plugins/knob/1.0/knob"
    install -m 0644 "$build/sluice_fixture-stage.resources/knob.bpf.o" "$root/usr/lib/sluice/plugins/knob/1.0/"
}

if [[ ! ${SLUICE_SYSTEMD_TEST:-} ]]; then
    build=''
    [[ ${1:-} != --build-dir ]] || build=$(realpath "$2")
    work=$(mktemp -d /tmp/sluice-systemd-XXXXXX) root=$work/root
    trap 'rm -rf -- "$work"' EXIT
    if ! install_product > "$work/install" 2>&1; then
        cat "$work/install" >&2
        exit 1
    fi
    # Namespaces of our own: whatever is mounted, made or started in them goes with them, however this ends.
    SLUICE_SYSTEMD_TEST=$work unshare --mount --net --pid --fork --kill-child --mount-proc "$0"
    exit
fi

work=$SLUICE_SYSTEMD_TEST root=$work/root
receivers=()
# shellcheck source=Tests/Systemd/container.sh
. Tests/Systemd/container.sh
# shellcheck source=Tests/Systemd/traffic.sh
. Tests/Systemd/traffic.sh
# shellcheck source=Tests/Systemd/checks.sh
. Tests/Systemd/checks.sh

failures=0 checks=0
# check DESCRIPTION COMMAND...: in a shell that ends at the first thing that goes wrong.
check() {
    local what=$1
    shift
    ((checks++))
    (set -eEx; "$@") > "$work/log" 2>&1
    local status=$?
    if ((status == 0)); then
        echo "ok      $what"
    else
        ((failures++))
        echo "FAILED  $what"
        sed 's/^/        | /' "$work/log"
        inside journalctl --quiet --boot --unit sluiced.service --lines 15 --no-pager | sed 's/^/        > /'
    fi
}

# Ends all when there is nothing to be tried.
need() {
    "$@" && return
    echo "test-systemd: failed: $*" >&2
    tail -n 20 "$work/console" >&2
    exit 1
}

need boot

check 'the first call starts the manager, through its socket' first_call_starts_it
check 'apply, native XDP' apply_native
need start_traffic
check 'it leaves when idle, and the traffic goes on' idle_exit
check 'killed, it is restarted' killed_is_restarted
check 'hung, it is restarted by the watchdog' hung_is_restarted
check 'systemctl restart leaves the data path alone' restart_changes_nothing
check 'systemctl stop leaves the data path alone' stop_changes_nothing
check 'upgrade and rollback' upgrade_and_rollback
check 'status, stats, history, events, plugins, version' see
check 'doctor finds nothing wrong' healthy
check 'gc' collects_garbage
check 'apply, generic XDP, and detach' apply_generic
check 'a chain in another network namespace is refused, and the remedy named' netns_is_refused
check 'with the drop-in, a chain in another network namespace' netns_with_drop_in
check 'a plugin with work to do while live, as a user of its own' plugin_that_runs
check 'only members of its groups may use it' strangers_are_refused
end_traffic
check 'each datagram of all this time came once, in order; none past the filter' nothing_lost
check 'no verb of sluicectl was left out' every_verb
check 'the hardening is in nobody'\''s way' no_complaints

live=$(generation)
rm -r "$root/usr/lib/sluice/plugins/volumetric-dos"
need reboot_container
need start_traffic
check 'a reboot: the chain is back, without its plugin' comes_back "$live"
check 'a reboot: it was back before the network came up' before_the_network
check 'a reboot: status says how long nothing was filtered' says_the_gap
end_traffic
check 'a reboot: each datagram came once, in order; none past the filter' nothing_lost

need power_off
echo "test-systemd: $checks checks, $failures failed ($SECONDS s)"
((failures == 0))
