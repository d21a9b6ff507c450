# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cgroups of our own for the container's: systemd-nspawn makes them below the one that it is started in, and leaves them.
# Sourced; needs $work, whose name they get.
# shellcheck disable=SC2154

# Those that systemd uses: the unified one, or beside it one by name.
hierarchies() {
    local folder
    for folder in /sys/fs/cgroup{,/unified,/systemd}; do
        [[ ! -e $folder/cgroup.procs ]] || echo "$folder"
    done
}

# Moves this shell, and so all that it starts.
enter_cgroups() {
    local folder
    for folder in $(hierarchies); do
        mkdir "$folder/${work##*/}" && echo 0 > "$folder/${work##*/}/cgroup.procs" || return
    done
}

# Moves this shell out, and removes them once nobody is left in there.
leave_cgroups() {
    local folder
    for folder in $(hierarchies); do
        [[ -d $folder/${work##*/} ]] || continue
        echo 0 > "$folder/cgroup.procs"
        for _ in {1..50}; do
            find "$folder/${work##*/}" -depth -type d -exec rmdir {} + 2> /dev/null && break
            sleep 0.1
        done
    done
}
