// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension ChangeReport {
    /// What was done, a paragraph a chain; with `verbose` how long each step took.
    func text(_ style: Style, verbose: Bool) -> String {
        if chains.isEmpty { return "nothing to change\n" }
        return chains.map { $0.text(style, verbose: verbose) }.joined()
    }
}

extension ChainChange {
    func text(_ style: Style, verbose: Bool) -> String {
        var text = "\(style.bold(hook)): \(headline)\n"
        text += lines.map { "  \(style.diff($0))\n" }.joined()
        return verbose ? text + timings.text(style) : text
    }

    private var headline: String {
        if let canary, let to, from == to { return "generation \(to) is live, generation \(canary) is being tried" }
        return switch (from, to) {
        case (let from?, let to?) where from == to: "generation \(to), unchanged"
        case (let from?, let to?): "generation \(from) -> \(to)"
        case (nil, let to?): "generation \(to) is live"
        case (let from?, nil): "detached, generation \(from) was live"
        case (nil, nil): "nothing is live"
        }
    }
}

extension [Timing] {
    /// How long each step took; nothing when none was taken.
    func text(_ style: Style) -> String {
        guard !isEmpty else { return "" }
        var table = Table(columns: [.left("STEP"), .right("MS")])
        table.rows = map { [.init($0.step), .init(hundredths($0.milliseconds))] }
        table.rows.append(["total", .init(hundredths(map(\.milliseconds).reduce(0, +)))])
        return table.render(style, indent: 2)
    }

    private func hundredths(_ value: Double) -> String {
        let hundredths = UInt64((Swift.max(value, 0) * 100).rounded())
        let rest = hundredths % 100
        return "\(grouped(hundredths / 100)).\(rest < 10 ? "0" : "")\(rest)"
    }
}

extension PlanReport {
    func text(_ style: Style) -> String {
        if !changed { return chains.flatMap(\.notes).map { "note: \($0)\n" }.joined() + "no changes\n" }
        return chains.map { chain in
            let word =
                switch chain.action {
                case .none: "no changes"
                case .create: "would be created"
                case .update: "would be updated"
                }
            return "\(style.bold(chain.hook)): \(word)\n" + chain.lines.map { "  \(style.diff($0))\n" }.joined()
                + chain.notes.map { "  \(style.yellow("note:")) \($0)\n" }.joined()
        }.joined()
    }
}
