// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import Yams

extension JSONValue {
    /// One YAML document, by the rules of a spec's `config:`.
    init(yaml text: String, source: String) throws(APIErrorBody) {
        func failure(_ why: String) -> APIErrorBody {
            APIErrorBody(code: "invalid-request", message: "\(source): not valid YAML: \(why)")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw failure("\(error)".split(separator: "\n").joined(separator: " "))
        }
        guard let node else { throw failure("it is empty") }
        do {
            self = try JSONValue(node)
        } catch {
            throw failure(error.message)
        }
    }

    private struct Misfit: Error {
        var message: String
    }

    private init(_ node: Node) throws(Misfit) {
        switch node {
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            for (key, value) in mapping {
                guard let name = key.scalar?.string else { throw Misfit(message: "a key must be a string") }
                members[name] = try JSONValue(value)
            }
            self = .object(members)
        case .sequence(let sequence):
            var list: [JSONValue] = []
            for value in sequence { list.append(try JSONValue(value)) }
            self = .array(list)
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else {
                self = .string(scalar.string)
                return
            }
            if node.null != nil {
                self = .null
            } else if let value = node.bool {
                self = .boolean(value)
            } else if let value = Int64(scalar.string) {
                self = .integer(value)
            } else if let value = UInt64(scalar.string) {
                self = .unsigned(value)
            } else if !scalar.string.contains(":"), let value = node.int {
                self = .integer(Int64(value))
            } else if !scalar.string.contains(":"), let value = node.float, value.isFinite {
                // YAML 1.1 reads 1:2:3 as a number of base 60; here it is an address.
                self = .number(value)
            } else {
                self = .string(scalar.string)
            }
        case .alias: throw Misfit(message: "the alias has no anchor")
        }
    }
}
