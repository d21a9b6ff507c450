// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct RuleAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add rules to a live stage: all of them or, if one cannot be, none.",
        discussion: """
            A rule is written as under `config:` of the stage, on one line:
            sluicectl rule add xdp:eth0 dos 'source: 203.0.113.0/24, action: drop' --ttl 10m
            """)

    @OptionGroup var place: LiveStage

    @Argument(help: .init("A rule, YAML; the braces around it may be left out.", valueName: "rule"))
    var rules: [String] = []

    @Option(
        name: .shortAndLong, help: .init("Many rules, a YAML list; - for stdin.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @Option(help: .init("How long a rule lasts that does not say so itself, as in 10m.", valueName: "time"))
    var ttl: String?

    @Flag(help: "Before the rules that are there, not behind them.")
    var first = false

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard !rules.isEmpty || file != nil else { throw ValidationError("give a rule, or -f") }
    }

    func run() async throws {
        try await place.change(global, note) {
            var request: [String: JSONValue] = ["add": .array(try all())]
            if first { request["first"] = true }
            return .object(request)
        }
    }

    /// The rules given, then those of the file, each with its end.
    private func all() throws(APIErrorBody) -> [JSONValue] {
        var all: [JSONValue] = []
        for rule in rules {
            let isWhole = rule.drop { $0.isWhitespace }.hasPrefix("{")
            all.append(try JSONValue(yaml: isWhole ? rule : "{\(rule)}", source: "the rule \"\(rule)\""))
        }
        if let file {
            guard case .array(let more) = try JSONValue(yaml: readText(file), source: file) else {
                throw APIErrorBody(code: "invalid-request", message: "\(file): expected a YAML list of rules")
            }
            all += more
        }
        guard let ttl else { return all }
        return all.map { rule in
            guard case .object(var members) = rule, members["ttl"] == nil, members["until"] == nil else { return rule }
            members["ttl"] = .string(ttl)
            return .object(members)
        }
    }
}
