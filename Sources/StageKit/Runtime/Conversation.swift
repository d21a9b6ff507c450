// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The plugin's side of the protocol: reads requests, a line each, until the input ends.
struct Conversation<Plugin: StagePlugin> {
    private let writer: LineWriter
    private var reader: LineReader
    private var running: Running?

    /// A `run` under way, on the concurrency pool, while this thread goes on reading.
    private struct Running {
        let session: StageSession
        let task: Task<Void, Never>
        let ended: Semaphore
    }

    init(input: Int32, output: Int32) {
        reader = LineReader(input)
        writer = LineWriter(output)
    }

    /// Returns at the end of the input, after a `run` that was under way has ended.
    mutating func serve() throws(StageError) {
        defer { finishRun() }
        while let line = try reader.next() { handle(line) }
    }

    private mutating func handle(_ line: [UInt8]) {
        guard !line.isEmpty else { return }
        let json: JSON
        do {
            json = try JSON(parsing: line)
        } catch {
            return reply(StageReply(id: 0, error: error))
        }
        let id = if case .integer(let id)? = json["id"] { Int(id) } else { 0 }
        guard json["sluice"] == .integer(Int64(StageProtocol.version)) else {
            let version = json["sluice"].map { "\($0)" } ?? "none"
            let message = "protocol version \(version) is not supported; this plugin speaks \(StageProtocol.version)"
            return reply(StageReply(id: id, error: StageError(message)))
        }
        do {
            if json["event"] != nil {
                let event = try StrictDecoding.decode(RunEvent.self, from: json, ignoringUnknownKeys: true)
                running?.session.receive(event)
            } else {
                // A manager may say more than this version knows; only the configuration is strict.
                let request = try StrictDecoding.decode(StageRequest.self, from: json, ignoringUnknownKeys: true)
                try answer(request)
            }
        } catch {
            reply(StageReply(id: id, error: StageError(any: error)))
        }
    }

    private mutating func answer(_ request: StageRequest) throws {
        switch request.method {
        case .describe:
            reply(StageReply(id: request.id, result: try JSON(encoding: Plugin.description)))
        case .plan:
            let (configuration, context) = try Self.parameters(request)
            let plan = try Plugin().plan(configuration, in: context)
            reply(StageReply(id: request.id, result: try JSON(encoding: plan)))
        case .migrate:
            let question: MigrationRequest = try Self.question(request)
            reply(StageReply(id: request.id, result: try JSON(encoding: MigrationReply(Plugin().migrate(question)))))
        case .change:
            reply(StageReply(id: request.id, result: try JSON(encoding: Plugin().change(Self.question(request)))))
        case .inspect:
            reply(StageReply(id: request.id, result: try JSON(encoding: Plugin().inspect(Self.question(request)))))
        case .run:
            guard running == nil else { throw StageError("a run is under way already") }
            let (configuration, context) = try Self.parameters(request)
            startRun(configuration, context, id: request.id)
        }
    }

    private static func parameters(_ request: StageRequest) throws -> (Plugin.Configuration, PlanContext) {
        let parameters: PlanParameters = try question(request)
        return (try parameters.configuration.decode(Plugin.Configuration.self), parameters.context)
    }

    private static func question<Question: Decodable>(_ request: StageRequest) throws -> Question {
        try StrictDecoding.decode(Question.self, from: request.params ?? [:], ignoringUnknownKeys: true)
    }

    private mutating func startRun(_ configuration: Plugin.Configuration, _ context: PlanContext, id: Int) {
        let writer = writer
        let session = StageSession(context: context) { message in
            guard let json = try? JSON(encoding: message) else { return }
            writer.write(json.serialized())
        }
        let ended = Semaphore()
        let task = Task {
            let answer: StageReply
            do {
                try await Plugin().run(configuration, in: session)
                answer = StageReply(id: id, result: [:])
            } catch {
                answer = StageReply(id: id, error: StageError(any: error))
            }
            Self.write(answer, to: writer)
            ended.signal()
        }
        running = Running(session: session, task: task, ended: ended)
    }

    private mutating func finishRun() {
        guard let running else { return }
        running.session.finish()
        running.task.cancel()
        running.ended.wait()
        self.running = nil
    }

    private func reply(_ reply: StageReply) {
        Self.write(reply, to: writer)
    }

    private static func write(_ reply: StageReply, to writer: LineWriter) {
        let json = (try? JSON(encoding: reply)) ?? [:]
        writer.write(json.serialized())
    }
}

extension StageError {
    /// Any error as one that can be sent.
    init(any error: any Error) {
        self = error as? StageError ?? StageError("\(error)")
    }
}

/// Lets the thread that reads wait for a task that runs elsewhere.
private final class Semaphore: Sendable {
    nonisolated(unsafe) private let handle = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        handle.initialize(to: sem_t())
        sem_init(handle, 0, 0)
    }

    deinit {
        sem_destroy(handle)
        handle.deallocate()
    }

    func signal() { sem_post(handle) }

    func wait() {
        while sem_wait(handle) != 0 && errno == EINTR {}
    }
}
