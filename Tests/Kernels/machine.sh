# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A Debian with the built tests in it, and one of Debian's kernels under it, in a virtual machine without KVM.
# Sourced; needs $work, a folder for all that comes of it.
# shellcheck disable=SC2154

# make_image BUILD KERNEL...: $work/image, the disk: Debian, what was built, and the kernels' modules.
make_image() {
    local build=$1 root=$work/root kernel files
    shift
    cp -a --reflink=auto "$(scripts/debian-root.sh)" "$root" || return
    mapfile -t files < <(find "$build" -maxdepth 1 \( -type f -executable -o -name '*.resources' \))
    # At the same paths as here, and so that the dynamic linker finds what it finds here.
    tar --create --directory / "${files[@]#/}" "${PWD#/}/docs" | tar --extract --directory "$root" || return
    ldd "$build"/sluicePackageTests.xctest "$build"/sluiced "$build"/sluicectl "$build"/noop | awk '$3 ~ /swift/ { print $3 }' \
        | sort -u | xargs cp --parents --target-directory "$root" || return
    mkdir -p "$root/lib/modules" || return
    for kernel in "$@"; do cp -a "$kernel"/lib/modules/* "$root/lib/modules/" || return; done
    install -m 0755 Tests/Kernels/init "$root/sluice-init" || return
    if chroot "$root" ldd "$build/sluicePackageTests.xctest" | grep 'not found'; then return 1; fi
    # With room for what the tests write; the file is sparse.
    mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$root" "$work/image" 4G || return
    rm -rf -- "$root"
}

# make_initramfs KERNEL FILE: what it takes to get at the disk.
make_initramfs() {
    local folder=$work/initramfs module number=100
    mkdir -p "$folder"/{bin,modules,proc,dev,root} && cp "$(command -v busybox)" "$folder/bin/busybox" || return
    for module in virtio_pci virtio_blk ext4; do
        # Built into some kernels, of which not all say so.
        modprobe --dirname "$1" --set-version "$(< "$1/release")" --show-depends "$module" 2> /dev/null
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
        case $module in
            *.xz) xz --decompress --stdout "$module" ;;
            *) cat "$module" ;;
        esac > "$folder/modules/$((number++)).ko"
    done
    cat > "$folder/init" << 'INIT'
#!/bin/busybox sh
busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do busybox insmod $module; done
for _ in $(busybox seq 300); do busybox mount -t ext4 /dev/vda /root 2> /dev/null && break || busybox sleep 0.1; done
exec busybox switch_root /root /sluice-init
INIT
    chmod +x "$folder/init"
    (cd "$folder" && find . | cpio --quiet --create --format newc) | gzip -1 > "$2"
    rm -rf -- "$folder"
}

# run_machine KERNEL NAME BUNDLE FILTER: runs the tests on it; $work/NAME.console and $work/NAME.events say how that went.
# SLUICE_FLIPS, SLUICE_HOOKS and SLUICE_SWEEP in the environment, how much some of the tests do, are so there too.
run_machine() {
    make_initramfs "$1" "$work/$2.initramfs" || return
    # One thread for both processors: of two, one may run code that the other has just patched, and a flip patches code.
    # cx16: QEMU 7.2 makes kernels that use it crash now and then; the tests cannot do without.
    local tests="SLUICE_TESTS=$3 \"SLUICE_FILTER=$4\" SLUICE_TEST_PATIENCE=$patience" machine extent
    for extent in SLUICE_FLIPS SLUICE_HOOKS SLUICE_SWEEP; do
        [[ ! -v $extent ]] || tests+=" \"$extent=${!extent}\""
    done
    for _ in 1 2 3; do
        timeout --kill-after 5 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 2 -m 3072 \
            -nodefaults -display none -no-reboot -kernel "$1/vmlinuz" -initrd "$work/$2.initramfs" \
            -drive "file=$work/image,if=virtio,format=raw,cache=unsafe,snapshot=on" \
            -serial "file:$work/$2.console" -serial "file:$work/$2.events" \
            -append "console=ttyS0 quiet panic=-1 oops=panic nowatchdog mitigations=off clearcpuid=cx16 $tests" &
        machine=$!
        if has_begun "$machine" "$work/$2.events"; then
            wait "$machine"
            return
        fi
        kill "$machine" 2> /dev/null
        wait "$machine"
        echo "test-kernels: $2 did not get to the tests" >&2
    done
    return 1
}

# Whether a machine gets to its tests, in ten minutes: now and then an emulated kernel stands still while it boots.
has_begun() {
    for _ in {1..600}; do
        [[ ! -s $2 ]] || return 0
        kill -0 "$1" 2> /dev/null || return 1
        sleep 1
    done
    return 1
}
