// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What `sluicectl lb drain` and the others ask for, and health checks.
private struct ServersChange: Decodable {
    struct Health: Decodable {
        var up: [String]
        var down: [String]
    }

    var drain: [String]
    var fill: [String]
    var up: [String]
    var down: [String]
    var weight: [String: Int]
    var health: Health

    private enum CodingKeys: CodingKey {
        case drain, fill, up, down, weight, health
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        drain = try container.decodeIfPresent([String].self, forKey: .drain) ?? []
        fill = try container.decodeIfPresent([String].self, forKey: .fill) ?? []
        up = try container.decodeIfPresent([String].self, forKey: .up) ?? []
        down = try container.decodeIfPresent([String].self, forKey: .down) ?? []
        weight = try container.decodeIfPresent([String: Int].self, forKey: .weight) ?? [:]
        health = try container.decodeIfPresent(Health.self, forKey: .health) ?? Health(up: [], down: [])
        let names = drain + fill + up + down + weight.keys + health.up + health.down
        guard !names.isEmpty else {
            throw StageError("expected servers to drain, fill, take up or down, or to weigh")
        }
        guard Set(names).count == names.count else { throw StageError("names a server twice") }
    }
}

/// Changes and shows a stage that is live.
public enum LiveStage {
    /// Changes the state or weight of servers, all of those that are named or none.
    /// - Throws: ``StageError`` for a server that there is not, or a change that makes no sense.
    public static func change(_ request: ChangeRequest) throws -> StageChange {
        let asked = try request.request.decode(ServersChange.self)
        var live = LiveServers(request.maps, names: request.labels["servers"] ?? [])
        var summary: [String] = []
        for (verb, names) in [("drain", asked.drain), ("fill", asked.fill), ("up", asked.up), ("down", asked.down)] {
            for (index, name) in names.enumerated() {
                summary.append(try live.change(name, verb, at: "\(verb)[\(index)]"))
            }
        }
        for (name, weight) in asked.weight.sorted(by: { $0.key < $1.key }) {
            summary.append(try live.weigh(name, weight, at: "weight.\(name)"))
        }
        guard live.changed.isEmpty || live.servers.contains(where: \.takesNewFlows) else {
            throw StageError("no server would be left that takes new connections")
        }
        for (isUp, names) in [(true, asked.health.up), (false, asked.health.down)] {
            for (index, name) in names.enumerated() {
                let path = "health.\(isUp ? "up" : "down")[\(index)]"
                if let line = try live.note(name, isUp: isUp, at: path) { summary.append(line) }
            }
        }
        return StageChange(
            updates: live.updates, summary: summary.isEmpty ? ["nothing to change: all of that holds already"] : summary
        )
    }
}

extension LiveServers {
    fileprivate mutating func change(_ name: String, _ verb: String, at path: String) throws(StageError) -> String {
        var word = try server(named: name, at: path).word
        let before = word
        func refuse(_ reason: String) -> StageError { StageError("server \"\(name)\" \(reason)", at: path) }
        let line: String
        switch verb {
        case "drain":
            guard before.wanted != .draining else { throw refuse("is draining already") }
            guard before.wanted != .down else {
                throw refuse("is down and has no connections to keep; `lb up` takes it up")
            }
            word.wanted = .draining
            line =
                "\(name) drains: new connections go to the next of each ranking, where gue is used it keeps those it has"
        case "fill":
            guard before.wanted != .filling else { throw refuse("is filling already") }
            word.wanted = .filling
            line =
                "\(name) fills: it takes new connections, where gue is used those of others stay with them; `lb up` ends it"
        case "up":
            guard before.wanted != .active || before.isUnhealthy else { throw refuse("is active already") }
            word.wanted = .active
            word.isUnhealthy = false
            line =
                "\(name) is active: it takes new connections, where gue is used those of others over TCP stay with them"
        default:
            guard before.wanted != .down else { throw refuse("is down already") }
            word.wanted = .down
            line = "\(name) is down: it gets no packets, its connections break"
        }
        set(name, word)
        return line + (word.isUnhealthy ? " (its checks find it down)" : "")
    }

    fileprivate mutating func weigh(_ name: String, _ weight: Int, at path: String) throws(StageError) -> String {
        let server = try server(named: name, at: path)
        guard (0...100).contains(weight) else { throw StageError("\(weight): expected 0 to 100", at: path) }
        guard weight <= server.weight else {
            throw StageError(
                "\(weight) is more than the \(server.weight) that the configuration gives it, by which entries are "
                    + "shared out; apply a configuration with another weight", at: path)
        }
        guard weight != server.liveWeight else { throw StageError("has this weight already", at: path) }
        let (old, new) = (server.liveWeight, weight)
        var word = server.word
        word.share = UInt16((weight * Int(ServerWord.whole) + server.weight / 2) / server.weight)
        // Its new entries are others' so far, and UDP has no SYN: they are to be asked first.
        if new > old, word.wanted == .active { word.wanted = .filling }
        set(name, word)
        let moved = "\(abs(new - old)) of \(server.weight) parts of its entries"
        return new < old
            ? "\(name) has weight \(new): new connections of \(moved) go to others, where gue is used it keeps those it has"
            : "\(name) has weight \(new): it takes new connections of \(moved) more, where gue is used others keep theirs"
                + (word.wanted == .filling ? "; it fills until `lb up`" : "")
    }

    /// Nil when it is known already.
    fileprivate mutating func note(_ name: String, isUp: Bool, at path: String) throws(StageError) -> String? {
        var word = try server(named: name, at: path).word
        guard word.isUnhealthy == isUp else { return nil }
        word.isUnhealthy = !isUp
        set(name, word)
        guard isUp else { return "\(name) is down by its checks: it gets no packets" }
        return "\(name) is up by its checks" + (word.wanted == .active ? "" : ", and stays \(word.wanted)")
    }
}
