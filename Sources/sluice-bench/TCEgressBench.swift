// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import StageTesting

/// What the tc-egress stage costs, by what is asked of it: a chain of it alone through its root by test run, beside one of
/// a stage that does nothing.
enum TCEgressBench {
    private static let hook = "tc-egress:edge0"
    /// UDP from 10.9.0.2 port 40000 to 10.9.0.1 port 53.
    private static let packet = ChainBench.packet

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["noop", "tc-egress-1_0"])
        try site.start()
        // A test run's packets are of this process's own cgroup, which none of these is above.
        let mount = try lab.check(["findmnt", "-n", "-o", "TARGET", "-t", "cgroup2"]).prefix { $0 != "\n" }
        let cgroups = (0..<8).map { "/sluice-bench-\(getpid())-\($0)" }
        for cgroup in cgroups { mkdir("\(mount)\(cgroup)", 0o755) }
        defer { for cgroup in cgroups { rmdir("\(mount)\(cgroup)") } }
        var figures: [Figure] = []
        for (name, config) in cases + byCgroup(cgroups) {
            try site.apply(spec("{name: s, plugin: noop}"))
            let floor = try measure(site)
            try site.apply(spec("{name: s, plugin: tc-egress, config: {\(config)}}"))
            let series = try measure(site)
            figures.append(
                Figure(
                    name, "ns", series,
                    note: "\((series.minimum - floor.minimum).short) ns above a stage that does nothing, "
                        + "\(floor.minimum.short)"))
        }
        return figures
    }

    private static func spec(_ stage: String) -> String {
        "chains:\n  - hook: \(hook)\n    stages:\n      - \(stage)\n"
    }

    private static func measure(_ site: LabSite) throws -> Series {
        try ChainBench.measure(BPFProgram.pinned(at: "\(site.bpffs)/\(hook)/root"), packet: packet)
    }

    private static let hit = "protocol: udp, destination-port: 53"
    /// So many classes that ask for different things, none of them met.
    private static func classes(_ count: Int, then last: String) -> String {
        let others = (0..<count).map { number in
            switch number % 4 {
            case 0: "{name: c\(number), protocol: tcp, destination-port: \(1000 + number)}"
            case 1: "{name: c\(number), destination: 100.\(number).0.0/16}"
            case 2: "{name: c\(number), mark: \(number)}"
            default: "{name: c\(number), protocol: udp, source-port: \(number)-\(number + 10)}"
            }
        }
        return "classes: [\((others + [last]).joined(separator: ", "))]"
    }

    /// So many prefixes, the packet's own network first.
    private static func prefixes(_ count: Int, hit: Bool) -> String {
        let others = (1..<count).map { "\(20 + $0 % 60).\($0 / 250).\($0 % 250).0/24" }
        return (["\(hit ? "10.9.0.0" : "99.0.0.0")/24"] + others).joined(separator: ", ")
    }

    private static func byCgroup(_ cgroups: [String]) -> [(String, String)] {
        [1, 8].map { count in
            let classes = cgroups.prefix(count).enumerated().map { "{name: c\($0), cgroup: \($1)}" }
            return ("accounting, \(count) classes by cgroup, none met", "classes: [\(classes.joined(separator: ", "))]")
        }
    }

    private static let cases: [(String, String)] = [
        ("nothing asked: reasons and one row counted", ""),
        ("accounting, one class by port", "classes: [{name: dns, \(hit)}]"),
        ("accounting, the last of 8 classes of all kinds", classes(7, then: "{name: dns, \(hit)}")),
        ("accounting, the last of 190 classes of all kinds", classes(189, then: "{name: dns, \(hit)}")),
        (
            "accounting, a class of 10,000 prefixes, hit",
            "classes: [{name: nets, destination: [\(prefixes(10_000, hit: true))]}]"
        ),
        ("policing, within the rate", "classes: [{name: dns, \(hit), police: {rate: 400Gbit}}]"),
        ("policing, all above the rate", "classes: [{name: dns, \(hit), police: {rate: 8kbit, burst: 1}}]"),
        ("policing, the last of 8 classes", classes(7, then: "{name: dns, \(hit), police: {rate: 400Gbit}}")),
        ("pacing", "classes: [{name: dns, \(hit), pace: 400Gbit}]"),
        ("source guard, one prefix", "source-guard: [10.9.0.0/24]"),
        ("source guard, 10,000 prefixes", "source-guard: [\(prefixes(10_000, hit: true))]"),
        ("10,000 blocked prefixes, none hit", "block: [{prefix: [\(prefixes(10_000, hit: false))], reason: bad}]"),
        ("10,000 blocked prefixes, hit", "block: [{prefix: [\(prefixes(10_000, hit: true))], reason: bad}]"),
        ("sampling, 100 a second", "classes: [{name: dns, \(hit), sample: 100/s}]"),
        (
            "guard, 10,000 blocked, control, 8 classes, policing",
            "source-guard: [10.9.0.0/24], control: [bgp, ssh, ntp], block: [{prefix: [\(prefixes(10_000, hit: false))], "
                + "reason: bad}], \(classes(7, then: "{name: dns, \(hit), police: {rate: 400Gbit}}"))"
        ),
    ]
}
