// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The maps that servers are in.
enum LiveMaps {
    static let servers = "servers"
    static let words = "servers_live"
    static let names = [servers, words]
}

/// The servers of a live stage, as its maps have them.
struct LiveServers {
    struct LiveServer {
        let name: String
        let number: Int
        /// Configured.
        let weight: Int
        var word: ServerWord

        var takesNewFlows: Bool { word.takesNewFlows && weight > 0 }

        /// What the operator gave it, 0 to the configured one.
        var liveWeight: Int { (Int(word.share) * weight + Int(ServerWord.whole) / 2) / Int(ServerWord.whole) }
    }

    /// In the order of the configuration.
    private(set) var servers: [LiveServer]
    private var places: [String: Int] = [:]
    private(set) var changed: Set<Int> = []

    /// - Parameter names: By their places in the counters.
    init(_ maps: [String: [MapEntry]], names: [String]) {
        let words = (maps[LiveMaps.words] ?? []).reduce(into: [Int: UInt64]()) { words, entry in
            guard entry.key.raw.count == 4, entry.value.raw.count == 8 else { return }
            words[Int(entry.key.number(as: UInt32.self))] = entry.value.number(as: UInt64.self)
        }
        var found: [(counter: Int, server: LiveServer)] = []
        for entry in maps[LiveMaps.servers] ?? [] where entry.key.raw.count == 4 && entry.value.raw.count == 40 {
            let (value, number) = (entry.value, Int(entry.key.number(as: UInt32.self)))
            let counter = Int(value.number(at: 20, as: UInt32.self))
            // No server has this number.
            guard value.raw[32] != 0, counter < names.count else { continue }
            let tag = value.number(at: 16, as: UInt32.self)
            let word =
                words[number].flatMap { ServerWord($0, tag: tag) } ?? ServerWord(value.number(at: 24), tag: tag)
                ?? ServerWord(tag: tag)
            found.append(
                (counter, LiveServer(name: names[counter], number: number, weight: Int(value.raw[33]), word: word)))
        }
        servers = found.sorted { $0.counter < $1.counter }.map(\.server)
        for (place, server) in servers.enumerated() { places[server.name] = place }
    }

    subscript(name: String) -> LiveServer? { places[name].map { servers[$0] } }

    /// - Throws: ``StageError`` when there is no such server.
    func server(named name: String, at path: String) throws(StageError) -> LiveServer {
        guard let server = self[name] else {
            throw StageError("the stage has no server \"\(name)\"; `lb servers` shows those it has", at: path)
        }
        return server
    }

    mutating func set(_ name: String, _ word: ServerWord) {
        guard let place = places[name], servers[place].word != word else { return }
        servers[place].word = word
        changed.insert(place)
    }

    /// The words that are others now.
    var updates: [MapUpdate] {
        guard !changed.isEmpty else { return [] }
        let entries = changed.sorted().map { place in
            MapEntry(
                key: Bytes(number: UInt32(servers[place].number)), value: Bytes(number: servers[place].word.raw))
        }
        return [MapUpdate(map: LiveMaps.words, entries: entries)]
    }
}
