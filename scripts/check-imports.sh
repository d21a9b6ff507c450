#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may import whom: each folder below may import what stands beside it, and the system's own modules; nothing else.
# A new dependency is a new word here, so that a review sees it. Usage: scripts/check-imports.sh
set -euo pipefail
cd "$(dirname "$0")/.."

system=(Foundation FoundationEssentials Glibc Musl Dispatch Synchronization)

# folder | the project's own modules | other packages' modules
rules='
Sources/BPF                  | CLibBPF CKernel
Sources/StageKit             |
Sources/SluiceSockets        | CKernel
Sources/SluiceObjects        | BPF
Sources/StageTesting         | BPF CKernel StageKit
Sources/SluiceAPI            | | NIOCore NIOHTTP1 NIOPosix NIOConcurrencyHelpers NIOFoundationCompat
Sources/SluiceCore           | BPF CDigest CKernel SluiceAPI SluiceObjects SluiceSockets StageKit | GRDB Logging Subprocess SystemPackage Yams
Sources/sluiced              | CKernel CSystemd SluiceAPI SluiceCore SluiceSockets | ArgumentParser HTTPTypes Hummingbird HummingbirdCore Logging NIOCore NIOHTTP1 NIOPosix ServiceLifecycle UnixSignals
Sources/sluicectl            | SluiceAPI SluiceSockets | ArgumentParser Yams
Sources/sluice-bench         | BPF CKernel SluiceAPI SluiceCore SluiceObjects StageKit StageTesting UDPRateLimit
Sources/sluice-demo          | SluiceAPI StageKit StageTesting
Plugins/PacketSamples        | StageKit
Plugins/L4LB/Core            | PacketSamples StageKit | NIOCore NIOHTTP1 NIOPosix NIOSSL
Plugins/L4LB                 | L4LB StageKit
Plugins/CgroupPolicy/Core    | StageKit
Plugins/CgroupPolicy         | CgroupPolicy StageKit
Plugins/BPFCompile           | | PackagePlugin
Plugins/Noop                 | StageKit
Plugins/UDPRateLimit/Core    | StageKit
Plugins/UDPRateLimit         | StageKit UDPRateLimit
Plugins/VolumetricDoS/Core   | PacketSamples StageKit
Plugins/TCEgress/Core        | PacketSamples StageKit
Plugins/TCEgress             | StageKit TCEgress
Plugins/VolumetricDoS        | StageKit VolumetricDoS
Tests/Fixtures               | StageKit
Tests/Fixtures/HookCaller    | BPF CKernel StageKit | ArgumentParser
'

# The most particular folder of the table that holds $1: its allowed modules, or nothing.
allowed_in() {
    local file=$1 folder modules best='' found=''
    while IFS='|' read -r folder modules; do
        folder=${folder// /}
        if [[ -n $folder && $file == "$folder"/* && ${#folder} -gt ${#best} ]]; then
            best=$folder found="${modules//|/ }"
        fi
    done <<< "$rules"
    [[ -n $best ]] && echo " ${system[*]} $found "
}

failed=0
complain() {
    echo "$1" >&2
    failed=1
}

while read -r file; do
    [[ -f $file ]] || continue
    case $file in
        Tests/Fixtures/*) ;;
        # Tests may import what their target names in Package.swift.
        Tests/* | Package.swift) continue ;;
    esac
    if ! allowed=$(allowed_in "$file"); then
        complain "$file: its folder has no rule in scripts/check-imports.sh"
        continue
    fi
    # `import X`, `public import struct X.Y`, `@testable import X`: the module is the first word after the kind.
    while read -r module; do
        [[ $allowed == *" $module "* ]] || complain "$file: may not import $module"
    done < <(sed -nE 's/^[[:space:]]*(@[A-Za-z_()]+ +)*((public|package|internal|fileprivate|private) +)?import +((struct|class|enum|protocol|typealias|func|let|var|actor) +)?([A-Za-z0-9_]+).*/\6/p' "$file")
done < <(git ls-files --cached --others --exclude-standard -- '*.swift')

# libbpf's headers: only the module that wraps it, and the programs themselves.
while IFS=: read -r file _; do
    case $file in
        bpf/* | Sources/CLibBPF/*) ;;
        *) complain "$file: may not include libbpf's headers; only CLibBPF and bpf/ do" ;;
    esac
done < <(git grep --untracked -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<bpf/' -- '*.c' '*.h' '*.swift' || true)

exit "$failed"
