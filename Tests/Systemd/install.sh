# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Makes the root of the container: Debian, the product as it is installed, and what the checks need besides.
# Sourced; needs $root, the folder to be, and $build, a build's folder or nothing.
# shellcheck disable=SC2154

install_product() {
    local debian
    debian=$(scripts/debian-root.sh) && cp -a --reflink=auto "$debian" "$root" || return
    if [[ $build ]]; then
        scripts/install.sh --destdir "$root" --build-dir "$build" || return
        # A debug build wants the Swift runtime where the toolchain has it.
        ldd "$build"/{sluiced,sluicectl,noop,fixture-stage} | awk '$3 ~ /swift/ { print $3 }' | sort -u \
            | xargs --no-run-if-empty cp --parents --target-directory "$root" || return
    else
        make --no-print-directory install DESTDIR="$root" || return
        build=$PWD/.build/release
    fi
    # What a package's scripts do.
    systemd-sysusers --root="$root" && systemctl --quiet --root="$root" enable sluiced.{socket,service,timer} sluiced-join.socket || return

    # Not of an edge server, or not of a container.
    systemctl --quiet --root="$root" mask console-getty.service systemd-firstboot.service apt-daily.timer \
        apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer || return
    # The address comes from systemd-networkd, so that there is a network to come up.
    printf '[Match]\nName=edge0\n[Network]\nAddress=10.9.0.1/24\nLinkLocalAddressing=no\n' \
        > "$root/etc/systemd/network/edge0.network"
    systemctl --quiet --root="$root" enable systemd-networkd.service || return
    # The unit as it is, but sooner idle.
    local command
    command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/sluiced.service")
    mkdir -p "$root/etc/systemd/system/sluiced.service.d"
    printf '[Service]\nExecStart=\nExecStart=%s --idle-exit 2\n' "$command" \
        > "$root/etc/systemd/system/sluiced.service.d/test.conf"
    install_stages
}

install_stages() {
    local plugins=$root/usr/lib/sluice/plugins fixture=$build/sluice_fixture-stage.resources version
    # A plugin with work to do while its stage is live.
    install -D -m 0755 Tests/Systemd/knob "$plugins/knob/1.0/knob" || return
    install -m 0644 "$fixture/knob.bpf.o" "$plugins/knob/1.0/" || return
    # One whose state has another layout in its second version, and is merged.
    for version in 1.0 2.0; do
        install -D -m 0755 "$build/fixture-stage" "$plugins/fixture-stage/$version/fixture-stage" || return
        install -m 0644 "$fixture"/tally*.bpf.o "$plugins/fixture-stage/$version/" || return
    done
    # An object that nobody wrote for Sluice, of xdp-tools.
    install -D -m 0644 --target-directory "$root/usr/lib/bpf" /usr/lib/*/bpf/xdpfilt_alw_all.o
}
