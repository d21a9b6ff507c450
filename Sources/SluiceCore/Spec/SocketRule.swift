// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import SluiceSockets
internal import StageKit
internal import Yams

/// A standing rule of a group: which sockets are brought into it whenever they appear.
struct SocketRule: Codable, Sendable, Hashable, CustomStringConvertible {
    /// Where they are bound, as ``LocalPattern`` writes it.
    var local: String
    /// The cgroup of a process that holds them, by its path or by its unit; nil for any.
    var cgroup: String?
    /// The file of their network namespace; nil for the manager's own.
    var netns: String?

    static let most = 16

    var description: String {
        local + (cgroup.map { " of \($0)" } ?? "") + (netns.map { " in network namespace \($0)" } ?? "")
    }
}

extension SpecParser {
    /// `match:` of a group, a list of rules.
    func rules(_ node: Node, at path: String) throws(APIErrorBody) -> [SocketRule] {
        let list = try sequence(node, at: path)
        guard (1...SocketRule.most).contains(list.count) else {
            throw error(node, path, "expected 1 to \(SocketRule.most) rules, not \(list.count)")
        }
        var rules: [SocketRule] = []
        for (index, node) in list.enumerated() { rules.append(try rule(node, at: "\(path)[\(index)]")) }
        return rules
    }

    private func rule(_ node: Node, at path: String) throws(APIErrorBody) -> SocketRule {
        let fields = try mapping(node, at: path, known: ["local", "cgroup", "unit", "netns"], required: ["local"])
        var rule: SocketRule
        do {
            rule = SocketRule(
                local: try LocalPattern(parsing: string(fields["local"]!, at: "\(path).local")).description)
        } catch let failure as APIErrorBody {
            throw failure
        } catch {
            throw self.error(fields["local"]!, "\(path).local", "\(error)")
        }
        guard fields["cgroup"] == nil || fields["unit"] == nil else {
            throw error(fields["unit"]!, "\(path).unit", "a rule names a cgroup or a unit, not both")
        }
        for key in ["cgroup", "unit"] {
            guard let node = fields[key] else { continue }
            let place = try string(node, at: "\(path).\(key)")
            guard place.hasPrefix("/") == (key == "cgroup") else {
                throw error(
                    node, "\(path).\(key)",
                    key == "cgroup"
                        ? "\"\(place)\": expected a path below the mount of cgroup2, such as /edge.slice/dns"
                        : "\"\(place)\": expected a unit's name, such as dns.service")
            }
            do {
                // The hooks of cgroups name theirs in the same way.
                rule.cgroup = try HookID(kind: .cgroupConnect4, place: place).place
            } catch {
                throw self.error(node, "\(path).\(key)", error.message)
            }
        }
        if let node = fields["netns"] {
            let name = try string(node, at: "\(path).netns")
            let netns = name.contains("/") ? name : HookID.netnsFolder + name
            guard netns.hasPrefix("/") else {
                throw error(node, "\(path).netns", "\"\(name)\": expected a name in \(HookID.netnsFolder) or a path")
            }
            rule.netns = netns
        }
        return rule
    }
}
