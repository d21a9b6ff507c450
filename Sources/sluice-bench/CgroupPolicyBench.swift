// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import Glibc
import StageTesting

/// What a call costs under a policy: connect(2) of a UDP socket, which sends nothing, over and over to one address. A socket
/// belongs to the cgroup that it was made in, so that one thread measures all of them in turn. The call itself takes much
/// longer than a policy, so it is the kernel that takes the time of the root, with all that it calls.
enum CgroupPolicyBench {
    private static let (calls, samples) = (2_000, 101)
    private static let hook = "cgroup-connect4"

    private enum Case: String, CaseIterable {
        case noop = "root and noop: the hook's floor"
        case ten = "10 prefixes, allowed by one"
        case tenThousand = "10,000 prefixes, allowed by one"
        case port = "10,000 prefixes, by the last of 8 port rules"
        case rewritten = "10,000 prefixes, rewritten"
        case denied = "10,000 prefixes, denied"
    }

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["cgroup-policy-1_0", "noop"])
        let cgroups = try BenchCgroups()
        try site.start()
        let bare = try cgroups.socket(in: cgroups.make("bare"))
        let places = try Case.allCases.enumerated().map { index, one in
            let name = try cgroups.make("\(index)")
            try site.apply(spec(one, "\(hook):\(name)"))
            let folder = "\(hook):\(name)".replacing("/", with: "%2F")
            return try Place(cgroups.socket(in: name), root: BPFProgram.pinned(at: "\(site.bpffs)/\(folder)/root"))
        }
        let statistics = try RunStatistics()
        var series = [Series](repeating: Series(), count: places.count)
        var calls = Series()
        for _ in 0..<samples {
            calls.add(try bare.connect(self.calls, 53, fails: false))
            for (index, one) in Case.allCases.enumerated() {
                let before = try statistics.read(places[index].root)
                _ = try places[index].socket.connect(
                    self.calls, one == .rewritten ? 5353 : 53, fails: one == .denied)
                let after = try statistics.read(places[index].root)
                series[index].add(Double(after.nanoseconds - before.nanoseconds) / Double(after.runs - before.runs))
            }
        }
        let figures = zip(Case.allCases, series).enumerated().map { index, one in
            let above = one.1 - series[0]
            return Figure(
                one.0.rawValue, "ns", one.1,
                note: index == 0 ? "" : "above the floor \(above.minimum.short), median \(above.median.short); goal 200"
            )
        }
        return [Figure("connect(2) itself, no program", "ns", calls)] + figures
    }

    /// One cgroup's.
    private final class Place {
        let socket: BenchSocket
        let root: BPFProgram
        init(_ socket: BenchSocket, root: consuming BPFProgram) {
            self.socket = socket
            self.root = root
        }
    }

    private static func spec(_ one: Case, _ hook: String) -> String {
        let stage: String
        switch one {
        case .noop: stage = "{name: a, plugin: noop}"
        default:
            var random = SeededGenerator(seed: 1)
            // Around the address that is asked for, so that it lies deep in the tree, and some in one another.
            let prefixes = (1..<(one == .ten ? 10 : 10_000)).map { _ in
                let length = Int.random(in: 12...32, using: &random)
                let mask = UInt32.max << UInt32(32 - length)
                let address = UInt32.random(in: 0x7f00_0000...0x7fff_ffff, using: &random) & mask
                return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)/\(length)"
            }
            var rules = (1...7).map { "{to: 127.0.0.0/8, port: \($0), protocol: udp, action: deny}" }
            if one != .port { rules = [] }
            rules.append("{to: [\(([target] + prefixes).joined(separator: ", "))], port: 53-5353, action: allow}")
            if one == .denied { rules = ["{to: \(target), action: deny}"] + rules }
            let rewrite = one == .rewritten ? "[{from: '\(target):5353', to: '127.0.0.2:53'}]" : "[]"
            stage = """
                {name: a, plugin: cgroup-policy, config: {mode: enforce, rewrite: \(rewrite),
                  connect: {default: deny, rules: [\(rules.joined(separator: ", "))]}}}
                """
        }
        return "chains:\n  - hook: \(hook)\n    stages:\n      - \(stage.replacing("\n", with: "\n        "))\n"
    }

    private static let target = "127.0.0.1"
}

/// Cgroups of this process's own; they go with this.
final class BenchCgroups {
    private let mount: String
    private let home: String
    private var names: [String] = []

    init() throws {
        let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n")
        guard let line = mounts.first(where: { $0.contains(" - cgroup2 ") }) else {
            throw LabError("cgroup2 is not mounted")
        }
        let mount = String(line.split(separator: " ")[4])
        let own = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8).split(separator: "\n")
        guard let path = own.first(where: { $0.hasPrefix("0::") })?.dropFirst(3) else {
            throw LabError("this process is in no cgroup of version 2")
        }
        (self.mount, home) = (mount, mount + path)
    }

    deinit {
        for name in names { rmdir(mount + name) }
    }

    /// - Returns: Its path below the mount.
    func make(_ suffix: String) throws -> String {
        let name = "/sluice-bench-\(getpid())-\(suffix)"
        guard mkdir(mount + name, 0o755) == 0 else { throw LabError("mkdir \(mount + name): errno \(errno)") }
        names.append(name)
        return name
    }

    /// A UDP socket of a process of that cgroup: this one, for a moment.
    func socket(in name: String) throws -> BenchSocket {
        try enter(mount + name)
        defer { try? enter(home) }
        return try BenchSocket()
    }

    private func enter(_ folder: String) throws {
        let file = open("\(folder)/cgroup.procs", O_WRONLY | O_CLOEXEC)
        defer { close(file) }
        guard file >= 0, write(file, "0", 1) == 1 else { throw LabError("enter \(folder): errno \(errno)") }
    }
}

final class BenchSocket {
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LabError("socket: errno \(errno)") }
    }

    deinit { close(descriptor) }

    /// Nanoseconds a call.
    func connect(_ count: Int, _ port: UInt16, fails: Bool) throws -> Double {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let clock = ContinuousClock()
        let start = clock.now
        let wrong = withUnsafeBytes(of: &address) { raw in
            let pointer = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return (0..<count).count { _ in
                (Glibc.connect(descriptor, pointer, socklen_t(raw.count)) == 0) == fails
            }
        }
        guard wrong == 0 else { throw LabError("\(wrong) of \(count) calls fared otherwise than they must") }
        return (clock.now - start) / .nanoseconds(1) / Double(count)
    }
}
