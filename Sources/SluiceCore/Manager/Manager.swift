// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import Logging
public import SluiceAPI
internal import StageKit
internal import Synchronization

/// A check-up that has been asked for and has not begun: since when.
private final class PendingCheck: Sendable {
    private let since = Mutex<ContinuousClock.Instant?>(nil)

    /// Asks for one. False when one is pending: that will see what has happened now, too.
    func ask(_ now: ContinuousClock.Instant) -> Bool {
        since.withLock { since in
            defer { since = since ?? now }
            return since == nil
        }
    }

    func begin() -> ContinuousClock.Instant? {
        since.withLock { $0.take() }
    }
}

/// The manager: the one writer of all chains. Changes go through it one at a time, on its own thread.
public actor Manager: ManagerService {
    nonisolated let thread = ManagerThread()
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    let configuration: ManagerConfiguration
    let logger: Logger
    let store: Store
    var artifacts: Artifacts
    let plugins: PluginCatalog
    /// Keeps a second manager off the same bpffs folder and the same database.
    private let locks: Locks
    /// How long it took to get here, for the log.
    let opening: Change
    /// The `run` work of live stages.
    var runs: [RunKey: LiveRun] = [:]
    /// Whether the chains are being recovered for the first time in this boot of the machine.
    var isNewBoot = false
    /// Why wanted chains are not where they belong.
    var standing: [HookID: Standing] = [:]
    /// The canaries under way, and the task that looks at them.
    var canaries: [HookID: WatchedCanary] = [:]
    var canaryClock: Task<Void, Never>?
    /// Tells of interfaces, network namespaces and cgroups that come and go.
    private var watch: PlaceWatch?
    /// Brings in the sockets of standing rules; nil until there are some.
    private var socketWatch: SocketWatch?
    /// What the watches need of each generation, see ``watched(of:)``.
    var watched: [HookID: [Int: WatchedPlaces]] = [:]
    /// The sockets of standing rules that could not be brought in, and why.
    var missed: [HookID: [String]] = [:]
    /// Whether some chain needs the watch: udev and the timer wake the daemon for those in its own namespace only.
    private var needsWatch = false
    /// When what the check-up under way is for has happened.
    var heard: ContinuousClock.Instant?
    private let pending = PendingCheck()
    private var changing = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var watchers: [Int: AsyncStream<Event>.Continuation] = [:]
    private var nextWatcher = 0

    /// `flock` on both folders, held as long as the manager lives.
    private final class Locks: Sendable {
        let bpffs: DirectoryLock
        let state: DirectoryLock
        init(bpffs: String, state: String) throws(BPFError) {
            self.bpffs = try DirectoryLock(bpffs)
            self.state = try DirectoryLock(state)
        }
    }

    /// Opens the database and takes the locks; touches no chain, see ``start()``.
    /// - Throws: `APIErrorBody` when a folder is no bpffs, or another manager has it.
    public init(configuration: ManagerConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        var course = Change("recover", by: "sluiced", message: "")
        do {
            let parent = (configuration.bpffs as NSString).deletingLastPathComponent
            guard Bpffs.contains(parent) else {
                throw APIErrorBody.conflict(
                    "\(parent) is not in a bpffs; mount one (mount -t bpf bpf /sys/fs/bpf), or name another with --bpffs"
                )
            }
            try Bpffs.makeFolder(configuration.bpffs)
            try FileManager.default.createDirectory(
                atPath: configuration.state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            locks = try Locks(bpffs: configuration.bpffs, state: configuration.state)
            course.lap("locks")
            store = try Store(path: "\(configuration.state)/sluice.db")
            course.lap("database")
            artifacts = try Artifacts(folder: "\(configuration.state)/artifacts")
            plugins = PluginCatalog(configuration)
            course.lap("catalog")
            opening = course
        } catch let error as BPFError where error.errno == .wouldBlock {
            throw APIErrorBody.conflict(
                "\(error.object) is in use by another sluiced; stop it, or give this one its own --bpffs and --state")
        } catch {
            throw APIErrorBody(error, during: "start")
        }
    }

    func directory(_ hook: HookID) -> HookDirectory { HookDirectory(hook, in: configuration.bpffs) }

    /// Runs a change when no other runs; those that wait go in the order they came.
    func exclusively<T>(_ body: () async throws -> T) async throws -> T {
        if changing {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            changing = true
        }
        defer {
            watchPlaces()
            // The turn is handed on, not given up: who comes between would overtake.
            if waiting.isEmpty { changing = false } else { waiting.removeFirst().resume() }
        }
        return try await body()
    }

    public func isBusy() -> Bool { changing || !runs.isEmpty || !canaries.isEmpty || needsWatch }

    /// Watches the network namespaces and the cgroups of all wanted chains, from now on.
    func watchPlaces() {
        do {
            let wanted = try knownHooks().filter { try store.isWanted($0.description) == true }
            let cgroups =
                try wanted.filter { $0.kind.place == .cgroup }.map(\.place)
                + wanted.flatMap { try referencedCgroups(of: $0) }
            let groups = try groupsWithRules(wanted)
            // Nothing else wakes the daemon for a cgroup, or a socket.
            needsWatch =
                !cgroups.isEmpty || !groups.isEmpty
                || wanted.contains { $0.netns != nil || standing[$0]?.action == "wait" }
            if socketWatch == nil, !groups.isEmpty { socketWatch = makeSocketWatch() }
            socketWatch?.watch(groups)
            if watch == nil {
                let pending = pending
                watch = try PlaceWatch { [weak self] heard in
                    guard pending.ask(heard) else { return }
                    Task { [weak self] in await self?.checkUp(heard: pending.begin()) }
                }
            }
            watch?.watch(
                Set(wanted.filter { $0.kind.place == .interface }.map(\.netns)),
                cgroups: Set(cgroups.flatMap(Cgroups.ancestors)))
        } catch {
            logger.error("cannot watch interfaces and cgroups", metadata: ["error": "\(error)"])
        }
    }

    /// Ends the watch.
    func stopWatching() {
        watch?.stop()
        socketWatch?.stop()
        (watch, socketWatch) = (nil, nil)
    }
}

// MARK: - Events

extension Manager {
    /// Adds to the audit trail, the log and the live stream.
    func record(_ action: String, _ hook: String?, outcome: String, by author: String, _ message: String) {
        do {
            publish(try store.record(action, hook, outcome: outcome, author: author, message))
        } catch {
            logger.error("cannot write to the audit trail", metadata: ["error": "\(error)", "message": "\(message)"])
        }
        log(action, hook, outcome: outcome, by: author, message)
    }

    /// Tells the log and the live stream of what is in the audit trail already.
    func tell(_ event: Event) {
        publish(event)
        log(event.action, event.hook, outcome: event.outcome, by: event.author, event.message)
    }

    private func log(_ action: String, _ hook: String?, outcome: String, by author: String, _ message: String) {
        let metadata: Logger.Metadata = ["action": "\(action)", "hook": "\(hook ?? "-")", "author": "\(author)"]
        logger.log(level: outcome == "failed" ? .error : .notice, "\(message)", metadata: metadata)
    }

    /// Tells those who watch how far a change is; kept nowhere.
    func progress(_ action: String, _ hook: String, by author: String, _ message: String) {
        guard !watchers.isEmpty else { return }
        publish(
            Event(
                id: 0, time: Store.timestamp(), action: action, hook: hook, outcome: "progress", author: author,
                message: message))
    }

    private func publish(_ event: Event) {
        for watcher in watchers.values { watcher.yield(event) }
    }

    public func events(since: Int64, limit: Int) throws -> [Event] {
        try failing("events") { try store.events(since: since, limit: max(0, min(limit, 10_000))) }
    }

    public func liveEvents() -> AsyncStream<Event> {
        let id = nextWatcher
        nextWatcher += 1
        // A watcher that does not read must not make the manager's memory grow.
        let (stream, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(1024))
        continuation.onTermination = { [weak self] _ in
            Task { await self?.forgetWatcher(id) }
        }
        watchers[id] = continuation
        return stream
    }

    private func forgetWatcher(_ id: Int) { watchers[id] = nil }

    /// Turns whatever fails into an `APIErrorBody` that says during what.
    nonisolated func failing<T>(_ what: String, _ body: () throws -> T) throws(APIErrorBody) -> T {
        do { return try body() } catch { throw APIErrorBody(error, during: what) }
    }
}
