# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# How long it takes from the manager's start to the attached root when the machine boots, and where the time goes: the
# median and the least of five boots. Sourced by run.sh, with the container booted.

boots=5

# note STEP MILLISECONDS
note() { printf '%s\t%s\n' "$1" "$2" >> "$work/steps"; }

# What systemd noted of a unit, or without one of itself, in ms since the kernel's start.
moment() { inside systemctl show --property "$1Monotonic" --value ${2:+"$2"} | awk '{ printf "%.3f\n", $1 / 1000 }'; }

# The steps that a line of the manager's log tells, as "look 0.1" lines. steps PATTERN
steps() {
    inside journalctl --quiet --boot --unit sluiced.service --output cat --grep "$1" \
        | sed "s/.*$1: //; s/ ms//g; s/, /\n/g"
}

# A time as seconds since 1970. realtime TIME
realtime() { date --date "$1" +%s.%N; }

reckon() { awk "BEGIN { printf \"%.3f\", $1 }"; }

measure() {
    local started attached total before start name value
    started=$(realtime "$(inside systemctl show --timestamp=us --property ExecMainStartTimestamp --value sluiced.service)")
    attached=$(realtime "$(ctl status xdp:edge0 --output json | jq -er '.gap | select(.since == "boot").until')") || return
    total=$(reckon "($attached - $started) * 1000")
    # What comes before the manager's first step has no line in its log.
    before=$total
    while read -r name value; do
        note "$name" "$value"
        case $name in
            locks | database | catalog | leftovers | look | root | load | flip | attach)
                before=$(reckon "$before - $value") ;;
        esac
    done < <(steps recovered && steps 'xdp:edge0 mended')
    start=$(moment ExecMainStartTimestamp sluiced.service)
    note 'first process' "$(reckon "$start - $(moment UserspaceTimestamp)")"
    note main "$before"
    note total "$total"
    note ready "$(reckon "$(moment ActiveEnterTimestamp sluiced.service) - $start")"
}

# What systemd itself takes between the start and the exec: the unit, with nothing in place of the daemon.
measure_sandbox() {
    sed -E 's|^Type=.*|Type=oneshot\nRemainAfterExit=yes|; s|^ExecStart=.*|ExecStart=/bin/true|; /^(Restart|WatchdogSec|StateDirectory)/d' \
        "$root/usr/lib/systemd/system/sluiced.service" > "$root/etc/systemd/system/sandbox.service"
    inside systemctl daemon-reload || return
    for ((boot = 1; boot <= boots; boot++)); do
        inside systemctl start sandbox.service || return
        note sandbox "$(reckon "$(moment ExecMainExitTimestamp sandbox.service) \
            - $(moment ExecMainStartTimestamp sandbox.service)")"
        inside systemctl stop sandbox.service
    done
}

# row STEP DESCRIPTION: the median and the least.
row() {
    awk -F '\t' -v step="$1" '$1 == step { print $2 }' "$work/steps" | sort -n | awk -v what="$2" '
        { value[NR] = $1 }
        END { if (NR) printf "%-64s %7.1f (%.1f)\n", what, value[int((NR + 1) / 2)], value[1] }'
}

# The unit as it is installed.
rm "$root/etc/systemd/system/sluiced.service.d/test.conf"
: > "$work/steps"
need ctl apply -f - <<< "$(chain xdp:edge0 1.1 && printf '      - {name: noop, plugin: noop}\n')"
for ((boot = 1; boot <= boots; boot++)); do
    need reboot_container
    need measure
done
need measure_sandbox
need power_off

echo "A chain of two stages, $boots boots of the container, median (least), ms"
row 'first process' "systemd's start to the manager's start"
row total 'the manager'\''s start to the attached root'
row main '  systemd'\''s sandbox, exec, dynamic linking, command line'
row sandbox '    the sandbox, measured alone, after the boot'
row locks '  the locks on both folders'
row database '  opening the database'
row catalog '  the folders of artifacts and plugins'
row leftovers '  looking for what a crash left half done'
row look '  holding the chain against the kernel'
row root '  loading and pinning the root'
row load '  loading the stages: libbpf, verifier, maps, pins'
row flip '  the flip'
row attach '  attaching the root'
row ready 'the manager'\''s start to READY, for which the network waits'
row record '  of that: the records, synced to the disk'
row artifacts '  of that: removing artifacts that nobody needs'
row plugins '  of that: ending what plugins left, starting those that run'
