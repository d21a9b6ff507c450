// SPDX-License-Identifier: Apache-2.0

import BPF
import StageTesting

/// What the volumetric-dos stage costs by the number of rules, of mixed fields, and by which of them is hit.
enum DoSBench {
    enum Hit: String, CaseIterable {
        case none, first, last
    }

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["volumetric-dos-1_1"])
        try site.start()
        let bare = try ChainBench.bareReturn()
        var figures: [Figure] = []
        for rules in [0, 10, 100, 1_000, 10_000] {
            for hit in rules == 0 ? [.none] : Hit.allCases {
                let floor = try ChainBench.measure(bare)
                try site.apply(spec(hook: "xdp:edge0", rules: rules, hit))
                let series = try ChainBench.measure(BPFProgram.pinned(at: "\(site.hookFolder)/root"))
                figures.append(
                    Figure(
                        "\(rules) rules, \(hit == .none ? "none" : "the \(hit)") hit", "ns", series,
                        note: "\((series.minimum - floor.minimum).short) ns above the floor of \(floor.minimum.short)"))
            }
        }
        return try figures + xdpFilter(bare)
    }

    /// The objects that Debian's xdp-tools installs, with 1,000 entries in each of their maps: exact keys, one look-up
    /// each, so it does not matter which is hit.
    private static func xdpFilter(_ bare: borrowing BPFProgram) throws -> [Figure] {
        var figures: [Figure] = []
        for name in ["alw_all", "dny_all", "alw_ip", "alw_udp"].map({ "xdpfilt_\($0)" }) {
            let object = try BPFObject(contentsOf: "/usr/lib/x86_64-linux-gnu/bpf/\(name).o")
            try object.load(program: name, as: .xdp)
            for map in object.maps where map.name.hasPrefix("filter_") {
                let loaded = try object.loadedMap(map.name)
                for number in 0..<UInt64(1000) {
                    let key = (0..<loaded.keySize).map { UInt8(truncatingIfNeeded: (1000 + number) >> UInt64(8 * $0)) }
                    try loaded.update(key: key, value: [UInt8](repeating: 0xff, count: loaded.valueSize))
                }
            }
            let floor = try ChainBench.measure(bare)
            let program = try object.program(name)
            let verdict = try program.testRun(packet: ChainBench.packet).returnValue
            let series = try ChainBench.measure(program)
            figures.append(
                Figure(
                    "\(name), 1,000 entries, none hit", "ns", series,
                    note: "verdict \(verdict); \((series.minimum - floor.minimum).short) ns above the floor"))
        }
        return figures
    }

    static func spec(hook: String, rules count: Int, _ hit: Hit) -> String {
        var lines = [
            "chains:", "  - hook: \(hook)", "    stages:", "      - name: dos", "        plugin: volumetric-dos",
            "        config:", "          rules:\(count == 0 ? " []" : "")",
        ]
        lines += (0..<count).map { number in
            let isHit = hit == .first && number == 0 || hit == .last && number == count - 1
            return "            - {\(isHit ? "source: 10.9.0.0/24, protocol: udp, source-port: 40000" : rule(number))}"
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Rules that ask for different fields in turn, none of them met by the packet.
    private static func rule(_ number: Int) -> String {
        let (high, low) = (number / 250, number % 250)
        return switch number % 8 {
        case 0: "source: 100.\(high).\(low).0/24, protocol: udp, source-port: \(1000 + number)"
        case 1: "destination: 101.\(high).\(low).7, protocol: tcp, destination-port: \(number % 50 * 100)-"
        case 2: "source: \"2001:db8:\(String(number, radix: 16))::/48\", protocol: udp"
        case 3: "source-port: [\(number % 100), 123], length: \(400 + number % 500)-"
        case 4: "destination: 102.\(high).\(low).0/24, tcp-flags: \"syn,!ack\", packet-ttl: -\(number % 64)"
        case 5: "source: 103.\(high).0.0/16, protocol: icmp, icmp-type: \(number % 20), length: \(number % 300)-"
        case 6: "source: 104.\(high).\(low).0/24, vlan: \(number % 4000), dscp: \(number % 64)"
        default: "source: 105.\(high).\(low).0/24, destination: 10.9.0.0/16"
        }
    }
}
