// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import Synchronization

/// What waits to be told to a plugin's process, in order. A plugin need not read, so that all of it is bounded: records
/// are thrown away and counted, and a process that leaves too much else unread has to go.
final class RunFeed: Sendable {
    /// One event's.
    static let batch = (records: 256, bytes: 64 << 10)
    /// All that wait.
    static let most = (events: 1024, records: 4096, bytes: 1 << 20)

    enum End: Sendable { case stop, overrun }

    /// Rings when there is something to ``take()`` again; finishes with the process.
    let bell: AsyncStream<Void>
    /// Why the process has to go.
    let ends: AsyncStream<End>

    private let ringer: AsyncStream<Void>.Continuation
    private let ender: AsyncStream<End>.Continuation
    private let state: Mutex<State>

    private struct State {
        var waiting: [RunEvent] = []
        /// Those of them that are no records.
        var events = 1
        /// The batch that records are added to, behind all that is waiting.
        var open: StageRecords?
        var openBytes = 0
        var records = 0
        var bytes = 0
        var lost: Int
        var isEnding = false

        mutating func close() {
            if let batch = open { waiting.append(.records(batch)) }
            (open, openBytes) = (nil, 0)
        }
    }

    /// - Parameter lost: Records that came while there was no process.
    init(generation: Int, lost: Int) {
        state = Mutex(State(waiting: [.notice(.live(generation: generation))], lost: lost))
        (bell, ringer) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (ends, ender) = AsyncStream.makeStream()
        ringer.yield()
    }

    func put(_ event: RunEvent) {
        let end: End? = state.withLock { state in
            guard !state.isEnding else { return nil }
            state.close()
            if event == .notice(.stop) {
                // What it has not read so far must not keep it from hearing of this.
                state.waiting.removeAll { if case .records = $0 { true } else { false } }
                state.isEnding = true
            }
            state.waiting.append(event)
            state.events += 1
            if state.isEnding { return .stop }
            guard state.events > Self.most.events else { return nil }
            state.isEnding = true
            return .overrun
        }
        ringer.yield()
        if let end { ender.yield(end) }
    }

    func put(_ record: UnsafeRawBufferPointer, from ring: String, of generation: Int) {
        let isNew: Bool = state.withLock { state in
            guard !state.isEnding, record.count <= Self.batch.bytes, state.records < Self.most.records,
                state.bytes + record.count <= Self.most.bytes
            else {
                state.lost += 1
                return false
            }
            if let open = state.open,
                open.generation != generation || open.records.count == Self.batch.records
                    || state.openBytes + record.count > Self.batch.bytes
            {
                state.close()
            }
            let isNew = state.open == nil
            if isNew { state.open = StageRecords(ring: ring, generation: generation, records: []) }
            state.open?.records.append(Bytes(Array(record)))
            state.openBytes += record.count
            state.bytes += record.count
            state.records += 1
            return isNew
        }
        if isNew { ringer.yield() }
    }

    /// The next one; nil when there is none now.
    func take() -> RunEvent? {
        state.withLock { state in
            if state.waiting.isEmpty { state.close() }
            guard let event = state.waiting.first else { return nil }
            state.waiting.removeFirst()
            guard case .records(var batch) = event else {
                state.events -= 1
                return event
            }
            state.records -= batch.records.count
            state.bytes -= batch.records.reduce(0) { $0 + $1.raw.count }
            swap(&batch.lost, &state.lost)
            return .records(batch)
        }
    }

    /// The process has gone.
    /// - Returns: How many records it was not told of.
    func finish() -> Int {
        ringer.finish()
        ender.finish()
        return state.withLock { $0.lost + $0.records }
    }
}
