// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Rates that are changed while the stage is live: `sluicectl rule add HOOK STAGE 'policy: dns, per-address: {...}'`.
public enum LiveRates {
    /// What `rule add` and `remove` ask for.
    private struct RateChange: Decodable {
        var add: [RateRule]
        /// By the policy's name.
        var remove: [String]

        private enum CodingKeys: CodingKey {
            case add, first, remove
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            add = try container.decodeIfPresent([RateRule].self, forKey: .add) ?? []
            remove = try container.decodeIfPresent([String].self, forKey: .remove) ?? []
            if try container.decodeIfPresent(Bool.self, forKey: .first) ?? false {
                throw StageError("a policy has one set of rates: there is nothing to be before", at: "first")
            }
            guard !(add.isEmpty && remove.isEmpty) else {
                throw StageError("expected rates to set, or names of policies to take them back from")
            }
        }
    }

    /// Rates of a policy.
    private struct RateRule: Decodable {
        var policy: String
        var limits: Limits
        var lifetime: TimeSpan?
        var end: Moment?

        private enum CodingKeys: String, CodingKey {
            case policy
            case perAddress = "per-address"
            case perPrefix = "per-prefix"
            case perSource = "per-source"
            case lifetime = "ttl"
            case end = "until"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            policy = try container.decode(String.self, forKey: .policy)
            limits = Limits(
                address: try container.decodeIfPresent(Rate.self, forKey: .perAddress),
                prefix: try container.decodeIfPresent(Rate.self, forKey: .perPrefix),
                source: try container.decodeIfPresent(Rate.self, forKey: .perSource))
            lifetime = try container.decodeIfPresent(TimeSpan.self, forKey: .lifetime)
            end = try container.decodeIfPresent(Moment.self, forKey: .end)
            guard limits != Limits() else {
                throw StageError("changes no rate; expected per-address, per-prefix or per-source")
            }
            guard lifetime == nil || end == nil else { throw StageError("expected either ttl or until", at: "until") }
        }
    }

    /// Sets rates, and takes them back.
    /// - Throws: ``StageError`` for a policy that the stage does not have, or a limit that the policy does not have.
    public static func change(_ request: ChangeRequest) throws -> StageChange {
        let change = try request.request.decode(RateChange.self)
        let context = request.context
        let names = request.labels["policies"] ?? []
        let configured = configured(request.maps)
        var overrides = Overrides(request.maps, in: context)
        var (written, summary): ([String], [String]) = ([], [])
        for (index, name) in change.remove.enumerated() {
            guard var over = overrides[name] else {
                throw StageError(
                    names.contains(name)
                        ? "the rates of policy \"\(name)\" are those of the configuration" : unknown(name, names),
                    at: "remove[\(index)]")
            }
            over.isActive = false
            overrides[name] = over
            written.append(name)
            summary.append("policy \(name): rates of the configuration")
        }
        for (index, rule) in change.add.enumerated() {
            do {
                guard let place = names.firstIndex(of: rule.policy) else {
                    throw StageError(unknown(rule.policy, names), at: "policy")
                }
                guard !written.contains(rule.policy) else {
                    throw StageError("policy \"\(rule.policy)\" is there twice", at: "policy")
                }
                try check(rule.limits, within: configured[place] ?? Limits(), of: rule.policy)
                let end = rule.end?.seconds ?? rule.lifetime.map { context.time + $0.seconds }
                guard end.map({ $0 > context.time }) ?? true else {
                    throw StageError("\(rule.end!) is over", at: "until")
                }
                overrides[rule.policy] = Override(rule.policy, rule.limits, end: end, added: context.time)
                written.append(rule.policy)
                summary.append(text(rule.limits, of: rule.policy, until: end))
            } catch let error as StageError {
                throw StageError(error.message, at: "add[\(index)]" + (error.path.isEmpty ? "" : ".\(error.path)"))
            }
        }
        guard overrides.all.count <= Overrides.most else {
            throw StageError(
                "the rates of \(Overrides.most) policies were changed live, which are all that can be; put them into the "
                    + "configuration")
        }
        // A rate is there before packets look for it, and is looked for until it is not.
        return StageChange(
            updates: [
                MapUpdate(map: LiveMaps.overrides, entries: written.map(overrides.entry)),
                MapUpdate(map: LiveMaps.overriding, entries: [overrides.overridingEntry]),
            ], summary: summary)
    }

    /// The limits of each policy as configured.
    static func configured(_ maps: [String: [MapEntry]]) -> [Int: Limits] {
        (maps[LiveMaps.policies] ?? []).reduce(into: [:]) { limits, entry in
            guard entry.key.raw.count == 4, entry.value.raw.count == Policy.size else { return }
            limits[Int(entry.key.number(as: UInt32.self))] = Limits(packed: entry.value, at: Policy.limitsOffset)
        }
    }

    private static func unknown(_ name: String, _ names: [String]) -> String {
        let shown = names.prefix(16).joined(separator: ", ")
        return "the stage has no policy \"\(name)\"; it has: \(shown)" + (names.count > 16 ? " and others" : "")
    }

    private static func check(_ limits: Limits, within configured: Limits, of policy: String) throws(StageError) {
        for (path, key) in [(\Limits.address, "per-address"), (\.prefix, "per-prefix"), (\.source, "per-source")]
        where limits[keyPath: path] != nil && configured[keyPath: path] == nil {
            throw StageError(
                "policy \"\(policy)\" has no such limit; only rates of those it has can be changed live", at: key)
        }
    }

    private static func text(_ limits: Limits, of policy: String, until end: Int64?) -> String {
        let parts = [("each address", limits.address), ("each prefix", limits.prefix), ("each source", limits.source)]
            .compactMap { name, rate in rate.map { "\(name) \($0.summary)" } }
        let lasting = end.map { " until \(Moment(seconds: $0))" } ?? ""
        return "policy \(policy): \(parts.joined(separator: "; "))\(lasting)"
    }
}
