// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit
internal import Yams

extension SpecParser {
    /// The keys of a stage that adopts an object.
    func object(_ fields: [String: Node], of kind: HookKind, at path: String) throws(APIErrorBody) -> ObjectSource {
        let place = fields["object"]!
        let text = try string(place, at: "\(path).object")
        var source: ObjectSource
        do {
            source = try ObjectSource(parsing: text)
        } catch {
            throw self.error(place, "\(path).object", error.message)
        }
        if let node = fields["proceed-on"] {
            source.proceedOn = []
            for (index, item) in try sequence(node, at: "\(path).proceed-on").enumerated() {
                let verdict: Verdict = try choice(item, at: "\(path).proceed-on[\(index)]", of: kind.verdicts)
                if !source.proceedOn.contains(verdict) { source.proceedOn.append(verdict) }
            }
        }
        if let node = fields["rodata"] {
            for (name, value) in try members(node, at: "\(path).rodata", of: "constants") {
                var budget = 200_000
                source.rodata[name] = try json(value, at: "\(path).rodata.\(name)", budget: &budget)
            }
        }
        if let node = fields["maps"] {
            for (name, value) in try members(node, at: "\(path).maps", of: "maps") {
                source.maps[name] = try settings(value, at: "\(path).maps.\(name)")
            }
        }
        return source
    }

    private func settings(_ node: Node, at path: String) throws(APIErrorBody) -> ObjectSource.MapSettings {
        let fields = try mapping(node, at: path, known: ["max-entries", "state"], required: [])
        var settings = ObjectSource.MapSettings()
        if let node = fields["max-entries"] {
            guard let count = node.int, (1...(1 << 26)).contains(count) else {
                throw error(node, "\(path).max-entries", "expected a number from 1 to 67,108,864")
            }
            settings.maxEntries = UInt32(count)
        }
        if let node = fields["state"] { settings.state = try boolean(node, at: "\(path).state") }
        return settings
    }

    /// A mapping whose keys are C names of the object.
    private func members(_ node: Node, at path: String, of what: String) throws(APIErrorBody) -> [(String, Node)] {
        guard let mapping = node.mapping else { throw error(node, path, "expected \(what) by name") }
        var result: [(String, Node)] = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string, PluginName.isIdentifier(name) else {
                throw error(key, path, "\"\(key.scalar?.string ?? "?")\" is not a C name")
            }
            result.append((name, value))
        }
        return result
    }
}

extension ObjectSource {
    /// Parses `PATH` or `PATH#PROGRAM`.
    init(parsing text: String) throws(APIErrorBody) {
        // A path may hold the sign too; a C name does not.
        let parts = text.split(separator: "#", omittingEmptySubsequences: false).map(String.init)
        let program = parts.count > 1 ? parts.last : nil
        let path = parts.count > 1 ? parts.dropLast().joined(separator: "#") : text
        if let program, !PluginName.isIdentifier(program) {
            throw .invalidSpec("\"\(program)\" is not the C name of a program")
        }
        guard path.hasPrefix("/"), !path.hasSuffix("/"), !path.utf8.contains(0) else {
            throw .invalidSpec("\"\(text)\": expected an absolute path, and behind a # the program's name")
        }
        self.init(path: path, program: program)
    }
}
