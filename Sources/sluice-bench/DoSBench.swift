// SPDX-License-Identifier: Apache-2.0

import BPF
import StageTesting

/// What the volumetric-dos stage costs, by the number of rules that a packet is held against in vain.
enum DoSBench {
    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["volumetric-dos-1_1"])
        try site.start()
        let bare = try ChainBench.bareReturn()
        var figures: [Figure] = []
        for rules in [0, 10, 100] {
            let floor = try ChainBench.measure(bare)
            try site.apply(spec(rules: rules))
            let series = try ChainBench.measure(BPFProgram.pinned(at: "\(site.hookFolder)/root"))
            figures.append(
                Figure(
                    "\(rules) rules, none hit", "ns", series,
                    note: "\((series.minimum - floor.minimum).short) ns above the floor of \(floor.minimum.short)"))
        }
        return figures
    }

    private static func spec(rules count: Int) -> String {
        var lines = [
            "chains:", "  - hook: xdp:edge0", "    stages:", "      - name: dos", "        plugin: volumetric-dos",
            "        config:", "          rules:\(count == 0 ? " []" : "")",
        ]
        lines += (0..<count).map {
            "            - {source: 203.0.\($0).0/24, protocol: udp, source-port: \(1000 + $0), length: \"100-\"}"
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
