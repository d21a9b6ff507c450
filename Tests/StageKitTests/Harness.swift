// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

@testable import StageKit

/// A plugin that shows each part of the runtime.
struct Limiter: StagePlugin {
    struct Configuration: Codable, Sendable {
        var limit: UInt32
        /// A descriptor to write to, as a plugin's `print` would.
        var noise: Int32?
    }

    static let description = StageDescription(
        name: "limiter", version: "1.2", summary: "limits", hooks: [.xdp], runs: true)

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        guard configuration.limit > 0 else { throw StageError("0: a limit is at least 1", at: "limit") }
        if let descriptor = configuration.noise { _ = Glibc.write(descriptor, "noise\n", 6) }
        return StagePlan(
            object: "limiter.bpf.o", program: "limiter", constants: ["limit": .unsigned(UInt64(configuration.limit))],
            verdicts: [.next, .drop], summary: ["\(context.hook) \(context.stage)"])
    }

    func migrate(_ request: MigrationRequest) throws -> Migration {
        request.fromVersion == "1.1" ? .drop : .refuse
    }

    func change(_ request: ChangeRequest) throws -> StageChange {
        let limit = try request.request.decode(Configuration.self).limit
        guard limit > 0 else { throw StageError("0: a limit is at least 1", at: "limit") }
        let before = request.maps["limits"]?.first?.value.hex ?? "none"
        let entry = MapEntry(key: Bytes([0]), value: Bytes([UInt8(limit)]))
        return StageChange(
            updates: [MapUpdate(map: "limits", entries: [entry])],
            summary: ["\(before) -> \(limit) at \(request.context.time)"])
    }

    /// The packets of each rule; the last time is one that never was.
    func inspect(_ request: InspectRequest) throws -> StageTable {
        let configuration = try request.configuration.decode(Configuration.self)
        let rows = zip(request.labels["rules"] ?? [], request.counters["rules"] ?? []).map { label, values -> [JSON] in
            [.string(label), .integer(Int64(values[0])), values[1] == .max ? nil : "once"]
        }
        return StageTable(
            columns: ["rule", "packets", "last"], rows: rows, notes: ["limit \(configuration.limit)"])
    }

    /// Answers each notice with an update and ends at `stop`; tells of records, answers how many there were, and asks for
    /// a change where a record is odd.
    func run(_ configuration: Configuration, in session: StageSession) async throws {
        let count = Count()
        async let _: Void = {
            for await batch in session.records {
                count.add(batch.records.count)
                session.log("\(batch.ring) of \(batch.generation): \(batch.records.map(\.hex)), lost \(batch.lost)")
                guard batch.records.contains(Bytes([0xdd])) else { continue }
                do {
                    let summary = try await session.change(["add": []], reason: "odd")
                    session.log("changed: \(summary)")
                } catch {
                    session.log("not changed: \(error)")
                }
            }
        }()
        async let _: Void = {
            for await question in session.questions {
                await question.answer {
                    guard question.question == ["top": "records"] else {
                        throw StageError("ask for records", at: "top")
                    }
                    return StageTable(
                        columns: ["what", "count"], rows: [["records", .integer(Int64(count.value))], ["rest", nil]])
                }
            }
        }()
        for await notice in session.notices {
            switch notice {
            case .live(let generation), .flipped(let generation), .rolledBack(let generation):
                do {
                    let entry = MapEntry(key: Bytes([UInt8(generation)]), value: Bytes([1]))
                    try await session.update(map: "limits", entries: [entry])
                    session.log("updated \(generation)")
                } catch let error as StageError {
                    session.log("refused: \(error)")
                }
            case .stop:
                return
            }
        }
    }
}

private final class Count: Sendable {
    private let state = Mutex(0)
    var value: Int { state.withLock { $0 } }
    func add(_ more: Int) { state.withLock { $0 += more } }
}

/// Runs ``Limiter`` on a thread of its own, with pipes for its streams.
final class Process: Sendable {
    private let input: Int32
    private let output: Int32
    private let error: Int32
    /// The plugin's standard output, as it sees it.
    let outputSeenInside: Int32
    private let status = Mutex<Int32?>(nil)
    private let reader: Mutex<LineReader>

    init(_ arguments: [String]) {
        func makePipe() -> (read: Int32, write: Int32) {
            var ends: [Int32] = [0, 0]
            precondition(pipe(&ends) == 0)
            return (ends[0], ends[1])
        }
        let (input, output, error) = (makePipe(), makePipe(), makePipe())
        self.input = input.write
        self.output = output.read
        self.error = error.read
        outputSeenInside = output.write
        reader = Mutex(LineReader(output.read))
        let streams = Streams(input: input.read, output: output.write, error: error.write)
        Thread { [self] in
            let status = PluginProgram<Limiter>().run(arguments, streams: streams)
            for descriptor in [streams.input, streams.output, streams.error] { close(descriptor) }
            self.status.withLock { $0 = status }
        }.start()
    }

    /// Sends lines, then the end of the input.
    func send(_ text: String, end: Bool = true) {
        let bytes = Array((text + "\n").utf8)
        _ = Glibc.write(input, bytes, bytes.count)
        if end { finish() }
    }

    func finish() { close(input) }

    /// The next line of output; nil at the end.
    func line() async -> String? {
        await blocking { self.nextLine() }
    }

    /// All that is left of output and errors, and the exit status.
    func result() async -> (output: String, error: String, status: Int32?) {
        await blocking {
            var rest: [String] = []
            while let line = self.nextLine() { rest.append(line) }
            var errors = LineReader(self.error)
            let error = String(decoding: (try? errors.rest()) ?? [], as: UTF8.self)
            while self.status.withLock({ $0 }) == nil { usleep(1000) }
            close(self.output)
            close(self.error)
            return (rest.joined(separator: "\n"), error, self.status.withLock { $0 })
        }
    }

    private func nextLine() -> String? {
        reader.withLock { reader in
            (try? reader.next()).flatMap { $0.map { String(decoding: $0, as: UTF8.self) } }
        }
    }
}

/// Runs what blocks outside of the concurrency pool, which the plugin under test needs.
private func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}

/// A POSIX thread, as what runs on it blocks.
private struct Thread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let body: Body

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = Body(body)
    }

    func start() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(body).toOpaque()
        let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
            Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
            return nil
        }
        precondition(pthread_create(&thread, nil, run, context) == 0)
        pthread_detach(thread)
    }
}
