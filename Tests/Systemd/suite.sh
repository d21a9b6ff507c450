# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# The checks, in order. Sourced by run.sh, with the container booted.

# shellcheck source=Tests/Systemd/traffic.sh
. Tests/Systemd/traffic.sh
# shellcheck source=Tests/Systemd/checks.sh
. Tests/Systemd/checks.sh
# shellcheck source=Tests/Systemd/hardening.sh
. Tests/Systemd/hardening.sh
# shellcheck source=Tests/Systemd/policy.sh
. Tests/Systemd/policy.sh
# shellcheck source=Tests/Systemd/sockets.sh
. Tests/Systemd/sockets.sh

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

check 'the first call starts the manager, through its socket' first_call_starts_it
check 'apply, native XDP' apply_native
need start_traffic
check 'it leaves when idle, and the traffic goes on' idle_exit
check 'killed, it is restarted' killed_is_restarted
check 'hung, it is restarted by the watchdog' hung_is_restarted
check 'the timer starts it, and it mends what somebody has removed' timer_starts_it
check 'the udev rule starts it for an interface of a chain, and for no other' rule_wants_it
check 'systemctl restart leaves the data path alone' restart_changes_nothing
check 'systemctl stop leaves the data path alone' stop_changes_nothing
check 'upgrade and rollback' upgrade_and_rollback
check 'a canary, aborted and promoted' tries_canaries
check 'rule add, list and remove' changes_rules
check 'status, stats, history, events, plugins, version' see
check 'doctor finds nothing wrong' healthy
check 'doctor --repair mends what was damaged' repairs
check 'gc' collects_garbage
check 'probe finds all that it finds where nothing confines it' probes
check 'an object of others becomes a stage' adopts
check 'an upgrade merges state of another layout' merges_state
check 'map list, dump, update and delete' changes_maps
check 'apply, generic XDP, and detach' apply_generic
check 'lb servers, services, explain, drain, fill, weight, down and up' changes_servers
check 'a policy on a unit, beside the filter that systemd has there' policy_beside_systemd
check 'socket add, list and remove, from ExecStartPost and for a socket unit' brings_sockets
check 'a standing rule needs a right that the unit withholds, and says which' rule_is_refused
check 'with the drop-in, a standing rule' rule_with_drop_in
check 'a chain waits for its interface, and is attached when that comes' waits_for_its_interface
check 'the program of another is named, neither replaced nor adopted, and the remedy told' foreign_is_refused
check 'a chain in another network namespace is refused, and the remedy named' netns_is_refused
check 'with the drop-in, a chain in another network namespace' netns_with_drop_in
check 'with the drop-in, the program of another is replaced, adopted, and put back' foreign_with_drop_in
check 'a plugin with work to do while live, as a user of its own' plugin_that_runs
check 'only members of its groups may use it' strangers_are_refused
end_traffic
check 'each datagram of all this time came once, in order; none past the filter' nothing_lost
check 'no verb of sluicectl was left out' every_verb
check 'the hardening is in nobody'\''s way' no_complaints

live=$(generation)
rm -r "$root/usr/lib/sluice/plugins/"{volumetric-dos,fixture-stage} "$root/usr/lib/bpf"
need reboot_container
need start_traffic
check 'a reboot: the chain is back, without its plugins and objects' comes_back "$live"
check 'a reboot: it was back before the network came up' before_the_network
check 'a reboot: status says how long nothing was filtered' says_the_gap
end_traffic
check 'a reboot: each datagram came once, in order; none past the filter' nothing_lost

need power_off
echo "test-systemd: $checks checks, $failures failed ($SECONDS s)"
((failures == 0))
