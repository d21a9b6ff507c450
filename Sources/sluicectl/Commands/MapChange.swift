// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import SluiceAPI

/// Which map is changed, and how.
struct ChangedMap: ParsableArguments {
    @OptionGroup var place: StageOfChain

    @Argument(help: .init("The map's name in C.", valueName: "map"))
    var map: String

    @Flag(help: "Change a plugin's state too, which only its program writes otherwise.")
    var force = false

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions
}

struct MapUpdate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Set entries of a map.",
        discussion: """
            All entries are checked before the first is set; each is set at once and whole. What `map dump -o json` \
            printed can be given back with -f.
            """)

    @OptionGroup var target: ChangedMap

    @Option(help: .init("The key.", valueName: "json"))
    var key: String?

    @Option(help: .init("The value; for a per-CPU map every CPU's.", valueName: "json"))
    var value: String?

    @Option(
        name: .shortAndLong,
        help: .init("Many entries, a JSON list of {\"key\": ..., \"value\": ...}; - for stdin.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var file: String?

    func validate() throws {
        guard (key != nil) == (value != nil), (key != nil) != (file != nil) else {
            throw ValidationError("give --key and --value, or -f")
        }
    }

    func run() async throws {
        try await target.global.perform { client, printer in
            let request = MapUpdateRequest(
                entries: try entries(), generation: target.place.generation, force: target.force,
                message: target.note.message)
            let change = try await client.updateMap(
                target.place.hook, stage: target.place.stage, map: target.map, request)
            try printer.show(change) { change.text($0, "set") }
        }
    }

    private func entries() throws -> [TypedEntry] {
        guard let file else {
            return [TypedEntry(key: JSONValue(typed: key!), value: JSONValue(typed: value!))]
        }
        struct Dump: Decodable { var entries: [TypedEntry] }
        let data = Data(try readText(file).utf8)
        if let dump = try? JSONDecoder().decode(Dump.self, from: data) { return dump.entries }
        do {
            return try JSONDecoder().decode([TypedEntry].self, from: data)
        } catch {
            throw APIErrorBody(
                code: "invalid-request",
                message:
                    "read \"\(file)\": not a JSON list of {\"key\": ..., \"value\": ...}, nor what map dump printed",
                detail: "\(error)")
        }
    }
}

struct MapDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Remove entries of a map.")

    @OptionGroup var target: ChangedMap

    @Option(help: .init("A key; may be given more than once.", valueName: "json"))
    var key: [String]

    func run() async throws {
        try await target.global.perform { client, printer in
            let request = MapDeleteRequest(
                keys: key.map { JSONValue(typed: $0) }, generation: target.place.generation, force: target.force,
                message: target.note.message)
            let change = try await client.deleteFromMap(
                target.place.hook, stage: target.place.stage, map: target.map, request)
            try printer.show(change) { change.text($0, "removed") }
        }
    }
}

extension JSONValue {
    /// What somebody typed: JSON, or else text.
    init(typed text: String) {
        self = (try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))) ?? .string(text)
    }
}

extension MapChange {
    func text(_ style: Style, _ verb: String) -> String {
        let count = entries == 1 ? "1 entry" : "\(grouped(UInt64(entries))) entries"
        return "\(style.bold("\(hook) \(stage) \(map)")): \(count) \(verb), generation \(generation)\n"
            + notes.map { "  \(style.yellow("note:")) \($0)\n" }.joined()
    }
}
