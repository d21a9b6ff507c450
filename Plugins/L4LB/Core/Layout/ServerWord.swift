// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A server's word in `servers_live`: what changes while the stage is live.
///
///     tag << 32 | note << 24 | state << 16 | weight
///
/// The program looks at the state; the note, which it does not look at, has what an operator wants and what checks find
/// apart, so that neither overrules the other.
struct ServerWord: Equatable {
    typealias State = Server.State

    /// `L4LB_WEIGHT_ALL`: all of its entries.
    static let whole: UInt16 = 1 << 15

    var tag: UInt32
    /// What an operator wants.
    var wanted = State.active
    /// What checks find.
    var isUnhealthy = false
    /// The part of its entries that it takes, of ``whole``.
    var share = whole

    /// What the program goes by.
    var state: State { isUnhealthy ? .down : wanted }

    var takesNewFlows: Bool { (state == .active || state == .filling) && share > 0 }

    init(tag: UInt32, _ wanted: State = .active) {
        self.tag = tag
        self.wanted = wanted
    }

    /// Nil when the word is about another server, or nothing was said yet.
    init?(_ raw: UInt64, tag: UInt32) {
        let note = UInt8(truncatingIfNeeded: raw >> 24)
        guard raw >> 32 == tag else { return nil }
        self.tag = tag
        wanted = State.allCases[Int(note & 3)]
        isUnhealthy = note & 4 != 0
        share = min(UInt16(truncatingIfNeeded: raw), Self.whole)
    }

    var raw: UInt64 {
        let note = wanted.number | (isUnhealthy ? 4 : 0)
        return UInt64(tag) << 32 | note << 24 | state.number << 16 | UInt64(share)
    }

    /// Whether the server takes a flow of this entry, as far as its weight goes.
    func accepts(entry: Int, server: Int) -> Bool {
        Mix(0, UInt64(entry) << 16 | UInt64(server), 0).hash >> 49 < UInt64(share)
    }
}

extension Server {
    /// What tells its word from that of another server that had the number before; never 0.
    var tag: UInt32 { max(1, UInt32(truncatingIfNeeded: nameHash(name) >> 32)) }

    /// Its word until something else is said.
    var initial: ServerWord { ServerWord(tag: tag, state) }

    /// A `struct l4lb_server`.
    /// - Parameter counter: Its place in the counters.
    func packed(counter: Int) -> Bytes {
        var bytes = Bytes()
        bytes.append(bytes: address.mapped)
        bytes.append(tag)
        bytes.append(UInt32(counter))
        bytes.append(initial.raw)
        bytes.append(bytes: [address.isIPv4 ? 4 : 6, UInt8(weight)])
        bytes.append(bytes: mac?.bytes ?? [UInt8](repeating: 0, count: 6))
        return bytes
    }
}

extension Server.State {
    fileprivate var number: UInt64 { UInt64(Self.allCases.firstIndex(of: self)!) }
}
