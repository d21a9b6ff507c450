// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import SluiceAPI
internal import StageKit
internal import Yams

/// Reads a spec (YAML) strictly: an unknown key, a wrong type or a duplicate is an error with its line and what would
/// be right.
struct SpecParser {
    private let source: String

    /// The chains of a spec, in its order.
    /// - Parameter source: where it came from, for messages.
    static func parse(_ text: String, source: String) throws(APIErrorBody) -> [ChainSpec] {
        let parser = SpecParser(source: source)
        guard text.utf8.count <= 4 << 20 else { throw .invalidSpec("\(source): a spec has at most 4 MiB") }
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw .invalidSpec(parser.describe(error))
        }
        guard let root else { throw .invalidSpec("\(source): the spec is empty; expected a list under \"chains:\"") }
        let top = try parser.mapping(root, at: "", known: ["chains"], required: ["chains"])
        let list = try parser.sequence(top["chains"]!, at: "chains")
        var chains: [ChainSpec] = []
        for (index, node) in list.enumerated() {
            for (chain, place) in try parser.chains(node, at: "chains[\(index)]") {
                if chains.contains(where: { $0.hook == chain.hook }) {
                    throw parser.error(
                        node, place, "\"\(chain.hook)\" is already the hook of another chain; a hook has one chain")
                }
                chains.append(chain)
            }
        }
        guard !chains.isEmpty else { throw parser.error(root, "chains", "the list is empty; name at least one chain") }
        return chains
    }

    /// The chains that one entry asks for, a chain each hook, with where the hook is named.
    private func chains(_ node: Node, at path: String) throws(APIErrorBody) -> [(ChainSpec, place: String)] {
        let fields = try mapping(
            node, at: path,
            known: ["hook", "hooks", "place", "netns", "mode", "frags", "counters", "on-fault", "match", "stages"],
            required: ["stages"])
        var chains: [(ChainSpec, place: String)] = []
        for (hook, place) in try hooks(fields, of: node, at: path) {
            chains.append((try chain(of: hook, fields, at: path), place))
        }
        return chains
    }

    /// `hook: KIND:PLACE`, or `hooks: [KIND:PLACE, ...]`, or `hooks: [KIND, ...]` and `place: PLACE`.
    private func hooks(
        _ fields: [String: Node], of node: Node, at path: String
    ) throws(APIErrorBody) -> [(HookID, place: String)] {
        let netns: String? = if let node = fields["netns"] { try string(node, at: "\(path).netns") } else { nil }
        let place: String? = if let node = fields["place"] { try string(node, at: "\(path).place") } else { nil }
        func hook(_ node: Node, at path: String) throws(APIErrorBody) -> (HookID, place: String) {
            let text = try string(node, at: path)
            do {
                return (try HookID(parsing: place.map { "\(text):\($0)" } ?? text, netns: netns), path)
            } catch {
                throw self.error(node, path, error.message)
            }
        }
        switch (fields["hook"], fields["hooks"]) {
        case (let one?, nil):
            if let node = fields["place"] {
                throw error(node, "\(path).place", "is for \"hooks\"; write \"hook\" as KIND:PLACE")
            }
            return [try hook(one, at: "\(path).hook")]
        case (nil, let several?):
            let list = try sequence(several, at: "\(path).hooks")
            guard !list.isEmpty else {
                throw error(several, "\(path).hooks", "the list is empty; name a hook at least")
            }
            var hooks: [(HookID, place: String)] = []
            for (index, node) in list.enumerated() { hooks.append(try hook(node, at: "\(path).hooks[\(index)]")) }
            return hooks
        case (nil, nil):
            throw error(node, path, "the key \"hook\" is missing; or \"hooks\", for several with the same stages")
        case (.some, let several?):
            throw error(several, "\(path).hooks", "give \"hook\" or \"hooks\", not both")
        }
    }

    private func chain(of hook: HookID, _ fields: [String: Node], at path: String) throws(APIErrorBody) -> ChainSpec {
        var chain = ChainSpec(hook: hook, stages: [])
        let modes = AttachMode.choices(at: hook.kind)
        let isGroup = hook.kind.place == .group
        for (key, isKnown) in [("mode", !modes.isEmpty), ("frags", hook.kind == .xdp), ("match", isGroup)] {
            guard let node = fields[key], !isKnown else { continue }
            throw error(node, "\(path).\(key)", "a hook of kind \(hook.kind.rawValue) has no \(key); leave it out")
        }
        if let node = fields["mode"] { chain.mode = try choice(node, at: "\(path).mode", of: modes) }
        if let node = fields["frags"], node.scalar?.string != "auto" {
            chain.frags = try boolean(node, at: "\(path).frags", or: "auto")
        }
        if let node = fields["counters"] { chain.counters = try boolean(node, at: "\(path).counters") }
        if let node = fields["on-fault"] { chain.onFault = try choice(node, at: "\(path).on-fault") }
        if let node = fields["match"] { chain.match = try rules(node, at: "\(path).match") }
        let list = try sequence(fields["stages"]!, at: "\(path).stages")
        guard (1...ChainSpec.maxStages).contains(list.count) else {
            throw error(
                fields["stages"]!, "\(path).stages",
                "a chain has 1 to \(ChainSpec.maxStages) stages (the kernel's limit of tail calls), not \(list.count)")
        }
        for (index, node) in list.enumerated() {
            let stage = try self.stage(node, of: hook.kind, at: "\(path).stages[\(index)]")
            if chain.stages.contains(where: { $0.name == stage.name }) {
                throw error(
                    node, "\(path).stages[\(index)].name",
                    "\"\(stage.name)\" is already the name of another stage of this chain")
            }
            chain.stages.append(stage)
        }
        return chain
    }

    private func stage(_ node: Node, of kind: HookKind, at path: String) throws(APIErrorBody) -> StageSpec {
        // An object is adopted, a plugin makes a plan: which of the two it is says what other keys there are.
        let isObject = node.mapping?["object"] != nil
        let fields = try mapping(
            node, at: path,
            known: isObject
                ? ["name", "object", "proceed-on", "rodata", "maps"] : ["name", "plugin", "version", "config"],
            required: ["name"])
        let name = try string(fields["name"]!, at: "\(path).name")
        guard Self.isName(name) else {
            throw error(
                fields["name"]!, "\(path).name",
                "\"\(name)\": a stage's name has 1 to 32 letters, digits, hyphens or underscores")
        }
        if isObject { return StageSpec(name: name, source: .object(try object(fields, of: kind, at: path))) }
        guard let node = fields["plugin"] else {
            throw error(node, path, "name what the stage runs: \"plugin\", or \"object\" for an object to adopt")
        }
        let plugin = try string(node, at: "\(path).plugin")
        guard Self.isName(plugin) else {
            throw error(node, "\(path).plugin", "\"\(plugin)\" is not the name of a plugin")
        }
        let version: String? = if let node = fields["version"] { try string(node, at: "\(path).version") } else { nil }
        var config = JSON.object(.init())
        if let node = fields["config"] {
            var budget = 200_000
            config = try json(node, at: "\(path).config", budget: &budget)
            if config == .null { config = .object(.init()) }
        }
        return StageSpec(name: name, source: .plugin(.init(name: plugin, version: version, config: config)))
    }

    /// Letters, digits, hyphens and underscores: what stands in pins and paths.
    static func isName(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                let character = Character(UnicodeScalar(byte))
                return character.isASCII
                    && (character.isLetter || character.isNumber || character == "-" || character == "_")
            }
    }
}

// MARK: - Nodes

extension SpecParser {
    func error(_ node: Node, _ path: String, _ message: String) -> APIErrorBody {
        let line = node.mark.map { ":\($0.line)" } ?? ""
        return .invalidSpec("\(source)\(line): \(path.isEmpty ? "" : "\(path): ")\(message)")
    }

    func mapping(
        _ node: Node, at path: String, known: [String], required: [String]
    ) throws(APIErrorBody) -> [String: Node] {
        guard let mapping = node.mapping else {
            throw error(node, path, "expected keys (\(known.joined(separator: ", ")))")
        }
        var fields: [String: Node] = [:]
        for (key, value) in mapping {
            guard let name = key.scalar?.string, known.contains(name) else {
                let shown = key.scalar?.string ?? "?"
                throw error(key, path, "unknown key \"\(shown)\"; known: \(known.joined(separator: ", "))")
            }
            fields[name] = value
        }
        for name in required where fields[name] == nil {
            throw error(node, path, "the key \"\(name)\" is missing")
        }
        return fields
    }

    func sequence(_ node: Node, at path: String) throws(APIErrorBody) -> [Node] {
        guard let sequence = node.sequence else { throw error(node, path, "expected a list") }
        return Array(sequence)
    }

    /// A scalar as it is written: `version: 1.10` is "1.10", though YAML says it is a number.
    func string(_ node: Node, at path: String) throws(APIErrorBody) -> String {
        guard let scalar = node.scalar, !scalar.string.isEmpty else { throw error(node, path, "expected a string") }
        return scalar.string
    }

    func boolean(_ node: Node, at path: String, or other: String? = nil) throws(APIErrorBody) -> Bool {
        guard let value = node.bool else {
            throw error(node, path, "expected true\(other.map { ", \($0)" } ?? "") or false")
        }
        return value
    }

    func choice<T: RawRepresentable<String> & CaseIterable>(
        _ node: Node, at path: String, of values: [T] = Array(T.allCases)
    ) throws(APIErrorBody) -> T {
        guard let text = node.scalar?.string, let value = values.first(where: { $0.rawValue == text }) else {
            let known = values.map(\.rawValue).joined(separator: ", ")
            throw error(node, path, "\"\(node.scalar?.string ?? "?")\" is none of: \(known)")
        }
        return value
    }

    /// A plugin's configuration as JSON, by YAML 1.2's core rules. The budget keeps aliases from exploding.
    func json(_ node: Node, at path: String, budget: inout Int) throws(APIErrorBody) -> JSON {
        budget -= 1
        guard budget > 0 else { throw error(node, path, "the configuration is too large (more than 200,000 values)") }
        switch node {
        case .mapping(let mapping):
            var object = JSON.Object()
            for (key, value) in mapping {
                guard let name = key.scalar?.string else { throw error(key, path, "a key must be a string") }
                object[name] = try json(value, at: "\(path).\(name)", budget: &budget)
            }
            return .object(object)
        case .sequence(let sequence):
            var list: [JSON] = []
            for (index, value) in sequence.enumerated() {
                list.append(try json(value, at: "\(path)[\(index)]", budget: &budget))
            }
            return .array(list)
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
            if node.null != nil { return .null }
            if let value = node.bool { return .boolean(value) }
            if let value = Int64(scalar.string) { return .integer(value) }
            if let value = UInt64(scalar.string) { return .unsigned(value) }
            // YAML 1.1 reads 1:2:3 as a number of base 60; here it is an address.
            if !scalar.string.contains(":") {
                if let value = node.int { return .integer(Int64(value)) }
                if let value = node.float, value.isFinite { return .number(value) }
            }
            return .string(scalar.string)
        case .alias:
            throw error(node, path, "the alias has no anchor")
        }
    }

    private func describe(_ error: any Error) -> String {
        let (place, problem): (String, String) =
            switch error {
            case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
                YamlError.composer(_, let problem, let mark, _):
                (":\(mark.line)", problem)
            case YamlError.duplicatedKeysInMapping(let keys, let context):
                (":\(context.mark.line)", "the key \(keys.map { "\"\($0)\"" }.joined(separator: ", ")) is there twice")
            default: ("", "\(error)".replacingOccurrences(of: "\n", with: " "))
            }
        return "\(source)\(place): not valid YAML: \(problem)"
    }
}
