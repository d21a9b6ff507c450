// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Map: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List a stage's maps, show what is in them, change it by hand.",
        discussion: """
            Keys and values are JSON, by the types that the object says they have: struct members by name, enums by \
            their names, numbers as what they mean. Where bytes are an IP address ("__be32", "__u8[4]", "__u8[16]") its \
            text may be given. What is no JSON is taken for text: --key 10.0.0.1.
            """,
        subcommands: [MapList.self, MapShow.self, MapUpdate.self, MapDelete.self])
}

/// `HOOK STAGE`, and in which generation.
struct StageOfChain: ParsableArguments {
    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Argument(help: .init("The stage's name.", valueName: "stage"))
    var stage: String

    @Option(help: .init("A generation that is kept (default: the live one).", valueName: "n"))
    var generation: Int?
}

struct MapList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List a stage's maps; with -v the whole of their types.")

    @OptionGroup var place: StageOfChain
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let maps = try await client.maps(place.hook, stage: place.stage, generation: place.generation)
            try printer.show(maps) { Self.text(maps, $0, verbose: printer.verbose) }
        }
    }

    static func text(_ maps: StageMaps, _ style: Style, verbose: Bool) -> String {
        var table = Table(columns: [
            .left("MAP"), .left("TYPE"), .right("ENTRIES"), .right("MAX"), .left("ROLE"), .left("KEY"), .left("VALUE"),
        ])
        table.rows = maps.maps.map { map in
            [
                .init(map.name), .init(map.type),
                .init(map.entries.map { grouped(UInt64($0)) + (map.more ? "+" : "") } ?? "-"),
                .number(UInt64(map.maxEntries)), .init(map.role.rawValue + (map.frozen ? ", frozen" : "")),
                .init(type(map.keyType, verbose)), .init(type(map.valueType, verbose)),
            ]
        }
        return maps.maps.isEmpty ? "the stage has no maps\n" : table.render(style)
    }

    /// A type's name, without what is in it unless asked for.
    private static func type(_ text: String?, _ verbose: Bool) -> String {
        guard let text else { return "-" }
        return verbose ? text : text.firstRange(of: " {").map { String(text[..<$0.lowerBound]) } ?? text
    }
}

struct MapShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Show what is in a map.",
        discussion: "Programs go on changing the map meanwhile: an entry may be missed, or come twice.")

    @OptionGroup var place: StageOfChain

    @Argument(help: .init("The map's name in C.", valueName: "map"))
    var map: String

    @Option(help: .init("At most so many entries.", valueName: "n"))
    var limit = 1000

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit takes 1 to 100000") }
    }

    func run() async throws {
        try await global.perform { client, printer in
            let dump = try await client.map(
                place.hook, stage: place.stage, map: map, generation: place.generation, limit: limit)
            try printer.show(dump) { Self.text(dump, $0) }
        }
    }

    static func text(_ dump: MapDump, _ style: Style) -> String {
        let types = [dump.map.keyType, dump.map.valueType].map { $0 ?? "-" }.joined(separator: " -> ")
        var text = style.dim("\(dump.map.type), generation \(dump.generation): \(types)") + "\n"
        var table = Table(columns: [.left("KEY"), .left("VALUE")])
        if dump.entries.contains(where: { $0.cpus != nil }) { table.columns.append(.left("CPUS")) }
        table.rows = dump.entries.map { entry in
            let cells = [Table.Cell(json(entry.key)), .init(entry.value.map(json) ?? "-")]
            guard table.columns.count == 3 else { return cells }
            return cells + [.init(entry.cpus.map { $0.map(json).joined(separator: " ") } ?? "-")]
        }
        text += dump.entries.isEmpty ? "no entries\n" : table.render(style)
        if dump.map.more {
            text += style.yellow("there are more than these \(grouped(UInt64(dump.entries.count))); see --limit") + "\n"
        }
        return text
    }

    private static func json(_ value: JSONValue) -> String {
        (try? Printer.json(value, pretty: false)).map { String($0.dropLast()) } ?? "?"
    }
}
