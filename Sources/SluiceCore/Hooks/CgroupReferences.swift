// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import Logging
internal import SluiceAPI
internal import StageKit

// Cgroups that stages' programs compare with, see ``CgroupReference``.

extension Cgroups {
    /// The bytes of a value.
    static let referenceSize = 16

    /// What a program compares with: the number, and how far below the root that is; zeros while there is no such cgroup.
    static func reference(to place: String) -> [UInt8] {
        guard let mount = mount(), let folder = folder(of: place), let id = id(of: folder) else {
            return [UInt8](repeating: 0, count: referenceSize)
        }
        let level = folder.dropFirst(mount.count).split(separator: "/").count
        return BPF.bytes(of: id) + BPF.bytes(of: UInt32(level)) + BPF.bytes(of: UInt32(0))
    }
}

extension Manager {
    /// Sets the numbers of cgroups that have come, gone or been made anew, in all generations that a packet may get to.
    func refreshCgroups(of hook: HookID) throws {
        let directory = directory(hook)
        for (number, places) in try watched(of: hook) {
            for (index, stage, reference) in places.cgroups {
                let path = directory.generation(number).map(index + 1, reference.map)
                guard Bpffs.exists(path) else { continue }
                let map = try BPFMap.pinned(at: path)
                let value = Cgroups.reference(to: reference.cgroup)
                guard try map.lookup(key: reference.key.raw) != value else { continue }
                try map.update(key: reference.key.raw, value: value)
                logger.info(
                    "cgroup \(reference.cgroup) \(value.allSatisfy { $0 == 0 } ? "has gone" : "is there")",
                    metadata: ["hook": "\(hook)", "stage": "\(stage)"])
            }
        }
    }

    /// The cgroups that stages of a hook compare with.
    func referencedCgroups(of hook: HookID) throws -> Set<String> {
        Set(try watched(of: hook).values.flatMap { $0.cgroups.map(\.reference.cgroup) })
    }

    /// What the stages of a chain want of their place and do not have.
    func unmetNeeds(of hook: HookID, _ chain: ResolvedChain) -> [String] {
        chain.stages.flatMap { stage in
            stage.plan.needs.compactMap { unmet($0, of: stage, at: hook) }
                + stage.plan.cgroups.filter { Cgroups.folder(of: $0.cgroup) == nil }.map {
                    "stage \"\(stage.name)\" looks for packets of cgroup \($0.cgroup), which is not there (yet)"
                }
        }
    }

    private func unmet(_ need: StageNeed, of stage: ResolvedStage, at hook: HookID) -> String? {
        switch need {
        case .fq:
            // What cannot be seen is not complained about.
            let seen = try? inNetworkNamespace(hook.netns) { () throws(BPFError) in
                try XDP.interfaceIndex(hook.interface).map { index throws(BPFError) in try Interfaces.qdiscs(of: index)
                }
            }
            guard let qdiscs = seen ?? nil, !qdiscs.holdDepartures else { return nil }
            let root = qdiscs.first { $0.isRoot }?.kind ?? "none"
            return "stage \"\(stage.name)\" paces packets by their departure times, which the qdisc fq keeps, and "
                + "\(hook.interface) has \(root): packets leave at once (tc qdisc replace dev \(hook.interface) root fq)"
        }
    }
}

extension [Interfaces.Qdisc] {
    /// Whether all that leaves goes through fq: at the root, or in each queue of one that has a queue each for the
    /// device's own.
    fileprivate var holdDepartures: Bool {
        guard let root = first(where: \.isRoot) else { return false }
        if root.kind == "fq" { return true }
        let children = filter { !$0.isRoot && $0.parent >> 16 == root.handle >> 16 }
        return root.kind.hasPrefix("mq") && !children.isEmpty && children.allSatisfy { $0.kind == "fq" }
    }
}
