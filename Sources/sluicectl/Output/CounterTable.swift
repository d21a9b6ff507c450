// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

/// The stages of a chain with their packets, bytes and verdicts.
enum CounterTable {
    /// In this order; the first three always have a column, the others when they have something to say.
    private static let verdicts = ["next", "pass", "drop", "tx", "redirect", "aborted", "invalid", "fallthrough"]

    /// `about` is what stands beside a stage's name, under `title`; the column goes when it is empty everywhere.
    static func render(
        _ stages: [(name: String, about: String, counters: StageCounters?)], title: String, first: String = "STAGE",
        _ style: Style
    ) -> String {
        let hasAbout = stages.contains { !$0.about.isEmpty }
        let shown = verdicts.enumerated().filter { index, verdict in
            index < 3 || stages.contains { $0.counters?.verdicts[verdict]?.packets ?? 0 > 0 }
        }.map(\.element)
        var table = Table(
            columns: [.left(first)] + (hasAbout ? [.left(title)] : []) + [.right("PACKETS"), .right("BYTES")]
                + shown.map { .right($0.uppercased()) })
        table.rows = stages.map { stage in
            let name: [Table.Cell] = [.init(stage.name)] + (hasAbout ? [.init(stage.about)] : [])
            guard let counters = stage.counters else {
                return name + Array(repeating: "-", count: 2 + shown.count)
            }
            return name + [.number(counters.packets), .number(counters.bytes)]
                + shown.map { verdict in
                    let packets = counters.verdicts[verdict]?.packets ?? 0
                    let isFault = ["aborted", "invalid", "fallthrough"].contains(verdict) && packets > 0
                    return .init(grouped(packets), isFault ? style.red : { $0 })
                }
        }
        return table.render(style, indent: 2)
    }
}
