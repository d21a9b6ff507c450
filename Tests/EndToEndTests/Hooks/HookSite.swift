// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

/// A machine in small with a place for a chain of one kind, on which nothing happens but what is called for: a wire of its
/// own, a cgroup of its own, or a group of sockets.
final class HookSite {
    let row: HookCase
    let site: Site
    let hook: String
    /// The cgroup's folder, where the place is one.
    let cgroup: String
    private(set) var directory: HookDirectory
    private var callers: [HookCaller] = []

    var lab: Lab { site.lab }

    /// Runs `body` in a lab, and leaves no cgroup behind, however it ends.
    static func run(_ row: HookCase, _ body: @escaping @Sendable (HookSite) throws -> Void) async throws {
        try await Lab.run { lab in
            let hooks = try HookSite(row, lab)
            defer { hooks.close() }
            try body(hooks)
        }
    }

    private init(_ row: HookCase, _ lab: Lab) throws {
        self.row = row
        site = try Site(lab, plugins: ["fixture-stage", "noop"])
        try lab.check(["cp", "-r", "\(site.plugins)/fixture-stage/1.0", "\(site.plugins)/fixture-stage/1.1"])
        let mount = try #require(Cgroups.mount(), "cgroup2 is mounted")
        let name = "/sluice-hooks-\(getpid()).slice"
        cgroup = mount + name
        switch row.kind.place {
        case .interface: hook = "\(row.kind.rawValue):hook0"
        case .cgroup: hook = "\(row.kind.rawValue):\(name)"
        case .group: hook = "\(row.kind.rawValue):hooks"
        }
        directory = HookDirectory(try HookID(parsing: hook), in: site.bpffs)
        try makePlace()
        try site.start()
    }

    private func close() {
        for caller in callers { caller.kill() }
        if row.kind.place == .cgroup { removeCgroup() }
    }

    /// Without addresses of IPv6, nothing but what is sent here is on the wire.
    func makePlace() throws {
        switch row.kind.place {
        case .interface:
            try lab.addVeth(
                VethEnd("hook0", addresses: ["10.8.0.1/24"]),
                VethEnd("hook1", netns: "client", addresses: ["10.8.0.2/24"]))
        case .cgroup:
            guard mkdir(cgroup, 0o755) == 0 || errno == EEXIST else {
                throw LabError("mkdir \(cgroup): errno \(errno)")
            }
        case .group: break
        }
    }

    /// As when a service is stopped, or an interface goes with its driver.
    func removePlace() throws {
        switch row.kind.place {
        case .interface: try lab.ip(["link del hook0"])
        case .cgroup:
            for caller in callers { caller.kill() }
            removeCgroup()
            try lab.until("the cgroup has gone") { !FileManager.default.fileExists(atPath: cgroup) }
        case .group: break
        }
    }

    /// A process that was killed is in it for a moment still.
    private func removeCgroup() {
        for folder in [inner, cgroup] {
            for _ in 0..<200 where rmdir(folder) != 0 && errno == EBUSY { usleep(10_000) }
        }
    }

    /// The cgroup of a unit, in the slice's.
    var inner: String { "\(cgroup)/sluice-x.service" }

    // MARK: - Its chain

    /// A chain that finds out whether a walk saw two generations.
    func walk(
        _ generation: Int, checks other: Int? = nil, verdict: Verdict = .next, version: String = "1.0",
        extra: String = "", hook: String? = nil
    ) -> String {
        """
        chains:
          - hook: \(hook ?? self.hook)
        \(row.mode.map { "    mode: \($0)\n" } ?? "")\(extra)    stages:
              - name: stamp
                plugin: fixture-stage
                version: "\(version)"
                config: {program: stamp, generation: \(generation)}
              - name: check
                plugin: fixture-stage
                version: "\(version)"
                config: {program: check, generation: \(other ?? generation), verdict: \(verdict.rawValue)}

        """
    }

    func status() throws -> ChainStatus { try site.status(hook) }
    func history() throws -> [GenerationRecord] { try site.history(hook) }

    /// What the comparing stage has found, over all generations that share its state.
    func marks() throws -> (consistent: UInt64, mixed: UInt64) {
        let live = try directory.generations().last ?? 1
        let manifest = try Manifest(pinnedAt: directory.generation(live).meta)
        let stage = manifest.stages.first { $0.name == "check" }
        let pin = directory.state(stage: "check", map: "marks", schema: stage?.state["marks"] ?? "")
        let row = try BPFMap.pinned(at: pin).counters(at: 0) ?? [0, 0]
        return (row[0], row[1])
    }

    /// How many fell through the root.
    func fallbacks() throws -> UInt64 { try BPFMap.pinned(at: directory.fallback).counters(at: 0)?[0] ?? 0 }

    /// The programs at the place, whoever attached them, by their ids.
    func programs() throws -> [UInt32] {
        switch row.kind.place {
        case .interface:
            guard let index = XDP.interfaceIndex("hook0") else { return [] }
            return row.kind == .xdp
                ? try XDPHook(directory: directory).programs(on: index).map(\.id)
                : try TCHook(directory: directory).programs(on: index).map(\.id)
        case .cgroup:
            guard FileManager.default.fileExists(atPath: cgroup) else { return [] }
            return try Cgroup.programs(of: directory.hook.program(frags: false), at: cgroup)
        case .group: return try BPFProgram.idIfPinned(at: directory.root)
        }
    }

    // MARK: - What it is asked about

    /// Starts a process that calls until it is told to stop, or `count` times.
    func start(
        count: Int? = nil, port: Int = 4242, flows: Int = 1, wait: Int = 2000, in folder: String? = nil,
        filter: String? = nil
    ) throws -> HookCaller {
        var arguments = [row.kind.rawValue, "--port", "\(port)", "--flows", "\(flows)", "--wait", "\(wait)"]
        if let count { arguments += ["--count", "\(count)"] }
        switch row.kind {
        case .xdp, .tcIngress: arguments += ["--to", "10.8.0.1", "--send-in", "/run/netns/client"]
        case .tcEgress: arguments += ["--to", "10.8.0.2", "--receive-in", "/run/netns/client"]
        case .socketFilter:
            let filter = filter ?? directory.root
            if Bpffs.exists(filter) { arguments += ["--filter", filter] }
        default: arguments += ["--cgroup", folder ?? cgroup]
        }
        let caller = try HookCaller(lab, arguments, number: callers.count)
        callers.append(caller)
        try lab.until("something is called") {
            guard caller.isRunning else {
                _ = try caller.wait()
                return true
            }
            return caller.offered > 0
        }
        return caller
    }

    /// Calls so often, one after the other.
    func call(
        _ count: Int = 20, port: Int = 4242, flows: Int = 1, wait: Int = 2000, in folder: String? = nil,
        filter: String? = nil
    ) throws -> CallTally {
        try start(count: count, port: port, flows: flows, wait: wait, in: folder, filter: filter).wait()
    }

    /// Whether what is called fares as without any program. All of it does, or nothing.
    func passes(port: Int = 4242, in folder: String? = nil) throws -> Bool {
        let tally = try call(3, port: port, wait: 50 * Lab.patience, in: folder)
        guard tally.isPerfect || tally[keyPath: row.denial] == tally.offered else { throw LabError("\(tally)") }
        return tally.isPerfect
    }
}

extension HookSite {
    /// As a reboot does it: pins, links and the place are gone, and there is another place of that name.
    func loseKernel() throws {
        try lab.check(["find", site.bpffs, "(", "-type", "f", "-o", "-type", "l", ")", "-delete"])
        try lab.check(["find", site.bpffs, "-mindepth", "1", "-type", "d", "-delete"])
        try removePlace()
        try makePlace()
    }
}

extension BPFProgram {
    static func idIfPinned(at path: String) throws -> [UInt32] {
        Bpffs.exists(path) ? [try BPFProgram.pinned(at: path).id] : []
    }
}
