// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Sends UDP datagrams numbered 0, 1, 2 ... (64 bits, big-endian, first in the payload) at a steady rate.
public final class SequenceSender {
    private let thread: TrafficThread
    private let counter = AtomicCounter()

    /// Starts to send.
    ///
    /// - Parameters:
    ///   - netns: the sender's namespace; nil for the lab's own.
    ///   - source: the address to send from; nil for the interface's first.
    ///   - rate: datagrams a second.
    ///   - count: how many to send; nil until told to stop.
    ///   - size: of the payload, in bytes; at least 8.
    public init(
        lab: Lab, netns: String? = nil, from source: String? = nil, to address: String, port: UInt16, rate: Int = 1000,
        count: UInt64? = nil, size: Int = 64
    ) throws {
        let counter = counter
        thread = try TrafficThread(lab: lab, netns: netns, sends: true) { control in
            let socket = try DatagramSocket(local: source, peer: address, peerPort: port)
            var payload = [UInt8](repeating: 0, count: max(size, 8))
            control.start()
            let pace = Pace(rate: rate)
            var sent: UInt64 = 0
            while !control.isStopping, sent < count ?? .max {
                for _ in 0..<pace.allowance(sent: sent, most: (count ?? .max) - sent) {
                    withUnsafeBytes(of: sent.bigEndian) { payload.replaceSubrange(0..<8, with: $0) }
                    // A number is spent only when the kernel took it, so that what is missing was lost on the way.
                    guard try socket.send(payload) else { continue }
                    sent += 1
                    counter.value = sent
                }
            }
        }
    }

    /// Datagrams sent so far.
    public var sent: UInt64 { counter.value }

    /// Ends it, and returns how many were sent.
    @discardableResult
    public func stop() throws -> UInt64 {
        try thread.finish(early: true)
        return sent
    }

    /// Waits until `count` are sent, and returns how many were.
    @discardableResult
    public func wait() throws -> UInt64 {
        try thread.finish(early: false)
        return sent
    }
}

/// Receives the datagrams of a ``SequenceSender`` and keeps account of every number.
public final class SequenceReceiver {
    private let thread: TrafficThread
    private let ledger = SharedLedger()
    private let counter = AtomicCounter()
    private let arrivals = AtomicCounter()

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - netns: the receiver's namespace; nil for the lab's own.
    ///   - address: to listen on; `0.0.0.0` or `::` for any.
    public init(lab: Lab, netns: String? = nil, on address: String = "0.0.0.0", port: UInt16) throws {
        let (ledger, counter, arrivals) = (ledger, counter, arrivals)
        thread = try TrafficThread(lab: lab, netns: netns, sends: false) { control in
            let socket = try DatagramSocket(local: address, localPort: port)
            var buffer = [UInt8](repeating: 0, count: 2048)
            control.start()
            // When told to stop it still takes what is on its way: until nothing came for as long as a receive waits.
            while true {
                guard let count = try socket.receive(into: &buffer) else {
                    if control.isStopping { break }
                    continue
                }
                counter.value = ledger.note(buffer.prefix(count))
                arrivals.value += 1
            }
        }
    }

    /// How many datagrams have arrived so far, whatever was in them.
    public var arrived: UInt64 { arrivals.value }

    /// How many different numbers have arrived so far.
    public var received: UInt64 { counter.value }

    /// Ends it when nothing more arrives, and says what became of the numbers below `sent`.
    public func report(sent: UInt64) throws -> SequenceReport {
        try thread.finish(early: true)
        return ledger.report(sent: sent)
    }
}

/// A number that one thread writes and others read.
final class AtomicCounter: Sendable {
    private let storage = Atomic<UInt64>(0)

    var value: UInt64 {
        get { storage.load(ordering: .acquiring) }
        set { storage.store(newValue, ordering: .releasing) }
    }
}

private final class SharedLedger: Sendable {
    private let ledger = Mutex(SequenceLedger())

    /// Notes a datagram; returns how many different numbers there are now.
    func note(_ datagram: ArraySlice<UInt8>) -> UInt64 {
        ledger.withLock { ledger in
            if datagram.count < 8 {
                ledger.foreign += 1
            } else {
                ledger.note(datagram.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
            }
            return ledger.received
        }
    }

    func report(sent: UInt64) -> SequenceReport { ledger.withLock { $0.report(sent: sent) } }
}
