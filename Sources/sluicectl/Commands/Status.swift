// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the chains, or one chain with its stages, packets and verdicts.")

    @Argument(help: .init("A chain's hook, as in xdp:eth0 (default: all chains).", valueName: "hook"))
    var hook: String?

    @Flag(help: "Programs of others on interfaces and cgroups, too, and by whom they are held.")
    var all = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard !all || hook == nil else { throw ValidationError("--all is of all interfaces: it takes no hook") }
    }

    func run() async throws {
        try await global.perform { client, printer in
            if all {
                let overview = Overview(chains: try await client.chains(), others: try await client.programs())
                try printer.show(overview) { overview.text($0) }
            } else if let hook {
                let chain = try await client.chain(hook)
                try printer.show(chain) { Self.text(chain, $0) }
            } else {
                let chains = try await client.chains()
                try printer.show(chains) { Self.text(chains, $0) }
            }
        }
    }

    static func text(_ chains: [ChainStatus], _ style: Style) -> String {
        if chains.isEmpty { return "no chains; sluicectl apply -f FILE makes one\n" }
        var table = Table(columns: [
            .left("HOOK"), .left("STATE"), .right("GEN"), .left("MODE"), .right("PACKETS"), .right("DROPPED"),
            .left("STAGES"), .left("SINCE"),
        ])
        table.rows = chains.map { chain in
            let counters = chain.stages.compactMap(\.counters)
            let dropped = counters.compactMap { $0.verdicts["drop"]?.packets }.reduce(0, +)
            return [
                .init(chain.hook), .init(chain.state.rawValue, paint(chain.state, style)),
                .init(chain.live.map(String.init) ?? "-"), .init(chain.mode ?? "-"),
                counters.first.map { .number($0.packets) } ?? "-", counters.isEmpty ? "-" : .number(dropped),
                .init(chain.stages.map { "\($0.name) \($0.version ?? $0.title)" }.joined(separator: ", ")),
                .init(chain.since ?? "-"),
            ]
        }
        let notes = chains.flatMap { chain in
            (chain.notes + (chain.canary.map { ["canary: \($0.line)"] } ?? [])).map {
                "\(style.yellow("note:")) \(chain.hook): \($0)\n"
            }
        }
        return table.render(style) + notes.joined()
    }

    static func text(_ chain: ChainStatus, _ style: Style) -> String {
        var facts = [paint(chain.state, style)(chain.state.rawValue)]
        if let live = chain.live { facts.append("generation \(live)") }
        if let mode = chain.mode { facts.append("\(mode) mode") }
        facts.append("on fault: \(chain.onFault)")
        if let sockets = chain.sockets { facts.append("\(grouped(UInt64(sockets))) socket\(sockets == 1 ? "" : "s")") }
        if let since = chain.since { facts.append("since \(since)") }
        var text = "\(style.bold(chain.hook)): \(facts.joined(separator: ", "))\n"
        if !chain.stages.isEmpty {
            text += CounterTable.render(
                chain.stages.map { ($0.name, $0.title, $0.counters) }, title: "RUNS", style)
        }
        if let canary = chain.canary { text += canary.text(live: chain.live, style) }
        if chain.rootFallbacks > 0 {
            text +=
                "  \(style.red("\(grouped(chain.rootFallbacks)) packets found no live generation")): "
                + "they were given the verdict \"\(chain.onFault)\"\n"
        }
        let notes = chain.notes + (chain.gap.map { ["\($0)"] } ?? [])
        return text + notes.map { "  \(style.yellow("note:")) \($0)\n" }.joined()
    }

    private static func paint(_ state: ChainState, _ style: Style) -> (String) -> String {
        switch state {
        case .live: style.green
        case .waiting: style.yellow
        case .missing: style.red
        case .detached: style.dim
        }
    }
}
