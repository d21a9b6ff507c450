# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
# A policy on a unit that systemd filters too. Sourced after container.sh.

# A service that sends what it is told to: a line "ADDRESS PORT" of /run/try is a datagram to there, and /run/try.result
# what came of it.
make_tried() {
    cat > "$root/usr/lib/try" << 'SCRIPT'
#!/bin/bash
[[ -p /run/try ]] || mkfifo /run/try
while :; do
    read -r address port < /run/try || continue
    if (exec 3<> "/dev/udp/$address/$port" && echo x >&3) 2> /run/try.errors; then echo sent; else cat /run/try.errors; fi \
        > /run/try.new
    mv /run/try.new /run/try.result
done
SCRIPT
    chmod +x "$root/usr/lib/try"
    printf '[Service]\nExecStart=/usr/lib/try\nIPAddressDeny=10.9.0.3\n' > "$root/etc/systemd/system/try.service"
    inside systemctl daemon-reload
    inside systemctl start try.service
    until_true 'the service' inside test -p /run/try
}

# tries ADDRESS PORT: what the service says of a datagram to there.
tries() {
    inside rm -f /run/try.result
    inside timeout 10 sh -c "echo $1 $2 > /run/try"
    until_true 'the result' inside test -f /run/try.result
    inside cat /run/try.result
}
sends() { [[ $(tries "$1" "$2") == sent ]]; }
is_denied() { tries "$1" "$2" | grep 'Operation not permitted'; }

# policy MODE: nothing to a port of the client, and no packets to another address.
policy() {
    ctl apply -f - << SPEC
chains:
  - hooks: [cgroup-connect4, cgroup-skb-egress]
    place: try.service
    stages:
      - name: policy
        plugin: cgroup-policy
        config:
          mode: $1
          connect: {default: allow, rules: [{name: no-seven, to: 10.9.0.2, port: 7777, action: deny}]}
          egress: {default: allow, rules: [{name: no-four, to: 10.9.0.4, action: deny}]}
SPEC
}

reported() { ctl events | grep -F "$1" | grep '"try"'; }

both_filter() {
    sends 10.9.0.2 7778 && is_denied 10.9.0.2 7777 && is_denied 10.9.0.3 7778 && is_denied 10.9.0.4 7778
}
is_policed() { is_denied 10.9.0.2 7777; }

policy_beside_systemd() {
    make_tried
    sends 10.9.0.2 7777
    is_denied 10.9.0.3 7778
    policy audit
    sends 10.9.0.2 7777
    sends 10.9.0.4 7778
    is_denied 10.9.0.3 7778
    until_true 'the report' reported 'audit: would have denied connect to 10.9.0.2:7777 (udp) by rule "no-seven"'
    policy enforce
    both_filter
    until_true 'the report' reported '  denied connect to 10.9.0.2:7777 (udp) by rule "no-seven"'
    ctl policy explain cgroup-connect4:try.service policy udp 10.9.0.2:7777 | grep 'denied by rule "no-seven"'
    # systemd puts another program in its own's place.
    inside systemctl set-property --runtime try.service IPAddressDeny='10.9.0.3 10.9.0.5'
    both_filter
    is_denied 10.9.0.5 7778
    # Another cgroup, of the same unit.
    inside systemctl restart try.service
    until_true 'the policy on the new cgroup' is_policed
    both_filter
    ctl detach cgroup-connect4:try.service
    ctl detach cgroup-skb-egress:try.service
    sends 10.9.0.2 7777
    sends 10.9.0.4 7778
    is_denied 10.9.0.3 7778
    inside systemctl stop try.service
}
