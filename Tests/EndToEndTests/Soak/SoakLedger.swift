// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import StageTesting

/// Keeps account of the programs and maps that were ever seen to be the site's, which tells them from those of others on
/// the machine: they were pinned there, or used by what was. A link needs no account of its own, as it holds a program.
struct SoakLedger {
    private var programs: Set<UInt32> = []
    private var maps: Set<UInt32> = []

    /// Notes what is pinned now.
    mutating func note(_ site: Site) throws {
        guard let pins = FileManager.default.enumerator(atPath: site.bpffs) else { return }
        for case let name as String in pins {
            // A folder, or gone meanwhile.
            guard let fd = try? Pin.open("\(site.bpffs)/\(name)") else { continue }
            let kind = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(fd.raw)")
            if kind.hasSuffix("bpf-prog") {
                let program = try BPFProgram(taking: fd)
                programs.insert(program.id)
                maps.formUnion(try program.mapIDs())
            } else if kind.hasSuffix("bpf-map") {
                maps.insert(try BPFMap(taking: fd).id)
            }
        }
    }

    /// Waits until all of it has gone from the kernel, which frees it some time after its last user has.
    mutating func expectNothingLeft(_ lab: Lab) throws {
        let (programs, maps) = (programs, maps)
        func left() -> [String] {
            var left: [String] = []
            for id in programs {
                if let program = BPFProgram.withID(id) { left.append("program \(id) \(program.name)") }
            }
            for id in maps { if let map = BPFMap.withID(id) { left.append("map \(id) \(map.name)") } }
            return left
        }
        do {
            try lab.until("all is freed") { left().isEmpty }
        } catch {
            throw LabError("left in the kernel: \(left().sorted())")
        }
        self = SoakLedger()
    }
}

/// A process's open descriptors, by what they are.
struct SoakDescriptors {
    private let counts: [String: Int]

    init(of pid: Int32) throws {
        let folder = "/proc/\(pid)/fd"
        var counts: [String: Int] = [:]
        for number in try FileManager.default.contentsOfDirectory(atPath: folder) {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)"),
                let kind = Self.kind(of: target)
            else { continue }
            counts[kind, default: 0] += 1
        }
        self.counts = counts
    }

    /// One kind for all `socket:[4711]`. The database's pool opens its files as it needs them, and the output goes to other
    /// files after a restart.
    private static func kind(of target: String) -> String? {
        guard !target.contains("/sluice.db"), !target.hasSuffix(".out"), !target.hasSuffix(".err") else { return nil }
        // The process is another one after a restart.
        if target.hasPrefix("/proc/") { return String(target[target.lastIndex(of: "/")!...]) }
        return target.hasPrefix("anon_inode:") ? target : String(target.prefix { $0 != "[" })
    }

    /// What is open beyond what was, and all that is of BPF: the daemon works by pins.
    func beyond(_ baseline: SoakDescriptors) -> [String] {
        counts.filter { $0.value > baseline.counts[$0.key] ?? 0 || $0.key.hasPrefix("anon_inode:bpf") }
            .map { "\($0.value) of \($0.key), before \(baseline.counts[$0.key] ?? 0)" }.sorted()
    }
}
