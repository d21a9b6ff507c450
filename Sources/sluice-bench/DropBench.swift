// SPDX-License-Identifier: Apache-2.0

import StageTesting

/// Live frames that volumetric-dos drops, beside a program that only returns `XDP_DROP`. One core puts the frames on a
/// veth and drops them at its other end, so what sending costs is in both.
enum DropBench {
    private static let rounds = 7
    private static let pause = Duration.seconds(1)

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["volumetric-dos-1_1"])
        try site.start()
        try lab.addVeth(VethEnd("bare"), VethEnd("barepeer"))
        try lab.dropAll(on: "bare")
        var names = ["bare return XDP_DROP"]
        var interfaces = ["bare"]
        for rules in [100, 1_000, 10_000] {
            for hit in [DoSBench.Hit.first, .last] {
                let interface = "dos\(rules)\(hit)"
                try lab.addVeth(VethEnd(interface), VethEnd("\(interface)p"))
                try site.apply(DoSBench.spec(hook: "xdp:\(interface)", rules: rules, hit))
                names.append("\(rules) rules, the \(hit) hit")
                interfaces.append(interface)
            }
        }
        var rates = [Series](repeating: Series(), count: interfaces.count)
        for _ in 0..<rounds {
            for (index, interface) in interfaces.enumerated() {
                rates[index].add(try rate(lab, by: interface == "bare" ? "barepeer" : "\(interface)p"))
            }
        }
        return zip(names, rates).map { name, series in
            let share = (series.maximum / rates[0].maximum * 100).short
            return Figure(
                name, "Mpps", series, note: "at best \(series.maximum.short), \(share) % of the bare program's best")
        }
    }

    private static func rate(_ lab: Lab, by interface: String) throws -> Double {
        let flood = try LiveFrames(lab: lab, interface: interface, packet: ChainBench.packet)
        try lab.until("the flood flows") { flood.sent > 200_000 }
        let rate = try flood.rate(for: pause)
        try flood.stop()
        return rate
    }
}
