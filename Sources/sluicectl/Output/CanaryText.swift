// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension CanaryStatus {
    /// The canary in a chain's status: where it is, and both sides' verdicts.
    func text(live: Int?, _ style: Style) -> String {
        var text = "  \(style.yellow("canary:")) generation \(candidate) has \(Percent.text(share)) of the flows, "
        if shares.count > 1 { text += "step \(step) of \(shares.count), " }
        text += "\(Seconds.text(remaining)) until it is promoted\n"
        text += "  aborted if \(abortIf.joined(separator: ", "))\n"
        return text
            + CounterTable.render(
                [
                    ("live", live.map { "generation \($0)" } ?? "", stable),
                    ("canary", "generation \(candidate)", tried),
                ],
                title: "SIDE", first: "TRAFFIC", style)
            + CounterTable.render(stages.map { ($0.name, $0.title, $0.counters) }, title: "RUNS", style)
    }

    /// The same in one line, for who waits for its end.
    var line: String {
        func drops(_ counters: StageCounters) -> String {
            counters.share(of: "drop").map(Percent.rounded) ?? "-"
        }
        return
            "generation \(candidate) has \(Percent.text(share)) of the flows: \(grouped(tried.packets)) packets, drop "
            + "\(drops(tried)) against \(drops(stable)), \(Seconds.text(remaining)) left"
    }
}
