#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts a release build in place, or takes away what it put there.
# Usage: scripts/install.sh [--destdir DIR] [--prefix DIR] [--build-dir DIR] [--uninstall]
set -euo pipefail

destdir='' prefix=/usr build='' uninstall=''
while (($#)); do
    case $1 in
        --destdir) destdir=$2 && shift 2 ;;
        --prefix) prefix=$2 && shift 2 ;;
        --build-dir) build=$(realpath "$2") && shift 2 ;;
        --uninstall) uninstall=yes && shift ;;
        *) echo "install: unknown option \"$1\"; known: --destdir --prefix --build-dir --uninstall" >&2 && exit 64 ;;
    esac
done
cd "$(dirname "$0")/.."
build=${build:-$PWD/.build/release}
# What was installed, a path a line, so that just that is taken away again.
list=$destdir$prefix/lib/sluice/installed

reload() {
    [[ -z $destdir && -d /run/systemd/system ]] || return 0
    systemctl daemon-reload
}

if [[ $uninstall ]]; then
    [[ -f $list ]] || { echo "install: nothing was installed below $destdir$prefix" >&2 && exit 1; }
    while read -r path; do
        rm -f -- "$destdir$path"
        rmdir --parents --ignore-fail-on-non-empty -- "$(dirname "$destdir$path")"
    done < "$list"
    rm -f -- "$list"
    rmdir --parents --ignore-fail-on-non-empty -- "$(dirname "$list")" 2> /dev/null || true
    reload
    echo 'install: removed; chains, records (/var/lib/sluice) and configuration (/etc/sluice) stay'
    exit
fi

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# put MODE FILE PATH: FILE becomes PATH below DESTDIR.
put() {
    install -D -m "$1" -- "$2" "$destdir$3"
    echo "$3" >> "$work/installed"
}

# program FILE PATH: an executable without its symbols, a third of the size.
program() {
    if command -v strip > /dev/null; then strip -o "$work/program" -- "$1"; else cp -- "$1" "$work/program"; fi
    put 0755 "$work/program" "$2"
}

for name in sluiced sluicectl; do
    [[ -x $build/$name ]] || { echo "install: no $build/$name; run \`make release\` first" >&2 && exit 1; }
    program "$build/$name" "$prefix/bin/$name"
done
if runtime=$(ldd "$build/sluiced" | grep -o '/.*libswiftCore\.so'); then
    echo "install: this build needs the Swift runtime in $(dirname "$runtime"); --static-swift-stdlib makes one that does not" >&2
fi

# A plugin says itself what it is called, and its objects are in the resources beside it.
plugins=$prefix/lib/sluice/plugins
for resources in "$build"/sluice_*.resources; do
    target=${resources##*/sluice_} target=${target%.resources}
    # Of the tests and of the bench: not part of the product.
    [[ $target != fixture-stage && $target != sluice-bench && -x $build/$target ]] || continue
    description=$("$build/$target" describe)
    field() { sed -n "s/^  \"$1\": \"\([^\"]*\)\",\{0,1\}$/\1/p" <<< "$description"; }
    name=$(field name) version=$(field version)
    [[ $name && $version ]] || { echo "install: $target describe gives no name and version" >&2 && exit 1; }
    program "$build/$target" "$plugins/$name/$version/$name"
    for object in "$resources"/*.bpf.o; do
        put 0644 "$object" "$plugins/$name/$version/${object##*/}"
    done
done

for unit in units/sluiced.service units/sluiced.socket units/sluiced-join.socket units/sluiced.timer; do
    sed "s|/usr/bin/sluiced|$prefix/bin/sluiced|; s|/usr/lib/sluice/|$prefix/lib/sluice/|" "$unit" > "$work/unit"
    put 0644 "$work/unit" "$prefix/lib/systemd/system/${unit##*/}"
done
put 0644 units/sluice.rules "$prefix/lib/udev/rules.d/90-sluice.rules"
put 0644 units/sluice.sysusers.conf "$prefix/lib/sysusers.d/sluice.conf"
put 0644 units/sluice.tmpfiles.conf "$prefix/lib/tmpfiles.d/sluice.conf"

doc=$prefix/share/doc/sluice
for file in netns sockets; do put 0644 "units/sluiced.service.d/$file.conf.example" "$doc/$file.conf.example"; done
put 0644 LICENSE "$doc/LICENSE"
for file in docs/*.md; do put 0644 "$file" "$doc/${file##*/}"; done
for file in examples/*.yaml; do put 0644 "$file" "$doc/examples/${file##*/}"; done

completion() { "$build/sluicectl" --generate-completion-script "$1" > "$work/completion" && put 0644 "$work/completion" "$2"; }
completion bash "$prefix/share/bash-completion/completions/sluicectl"
completion zsh "$prefix/share/zsh/vendor-completions/_sluicectl"
completion fish "$prefix/share/fish/vendor_completions.d/sluicectl.fish"

# ArgumentParser's tool for manuals is built for its package plugin; asking that for help is the way to have it built
# without the plugin, which would build all of the package once more.
manual=$(swift build --show-bin-path)/generate-manual-tool
[[ -x $manual ]] || swift package generate-manual --help > /dev/null
date=$(git log -1 --format=%cs 2> /dev/null || date +%F)
page() {
    "$manual" "$build/$1" --section "$2" --date "$date" --output-directory "$work"
    put 0644 "$work/$1.$2" "$prefix/share/man/man$2/$1.$2"
}
page sluicectl 1
page sluiced 8

install -D -m 0644 "$work/installed" "$list"
if [[ -z $destdir ]]; then
    systemd-sysusers "$prefix/lib/sysusers.d/sluice.conf"
    systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/sluice.conf"
    reload
    echo 'install: done; start with: systemctl enable --now sluiced.socket sluiced-join.socket sluiced.service sluiced.timer'
fi
