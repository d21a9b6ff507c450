// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

/// The chains, and the programs that are on interfaces and cgroups besides.
struct Overview: Codable {
    var chains: [ChainStatus]
    var programs: [AttachedProgram]
    var notes: [String]

    init(chains: [ChainStatus], others report: ProgramReport) {
        self.chains = chains
        programs = report.programs
        notes = report.notes
    }

    func text(_ style: Style) -> String {
        let notes = notes.map { "\(style.yellow("note:")) \($0)\n" }.joined()
        if programs.isEmpty { return Status.text(chains, style) + "\nno programs on interfaces and cgroups\n" + notes }
        var table = Table(columns: [
            .left("PLACE"), .left("HOOK"), .left("PROGRAM"), .right("ID"), .right("LINK"), .left("OF"),
            .left("PINNED"),
        ])
        table.rows = programs.map { program -> [Table.Cell] in
            [
                .init(program.place), .init("\(program.hook) \(program.position.rawValue)"), .init(program.name ?? "-"),
                .init("\(program.id)"), .init(program.link.map(String.init) ?? "-"),
                .init(program.chain ?? "others", program.chain == nil ? style.yellow : { $0 }),
                .init(program.pins.isEmpty ? "-" : program.pins.joined(separator: ", ")),
            ]
        }
        return Status.text(chains, style) + "\n" + table.render(style) + notes
    }
}

extension AttachedProgram {
    /// `eth0`, `eth0@edge`, `/edge.slice`: as a hook names it.
    fileprivate var place: String {
        guard let interface else { return cgroup ?? "-" }
        guard let netns else { return interface }
        let folder = "/run/netns/"
        return "\(interface)@\(netns.hasPrefix(folder) ? String(netns.dropFirst(folder.count)) : netns)"
    }
}
