// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceSockets
internal import Synchronization

/// Looks for sockets of standing rules, four times a second while there are rules: the kernel tells nobody of a socket that
/// is bound. On a thread of its own, as it enters network namespaces and reads /proc.
///
/// It keeps nothing in mind of what it has brought: who is in a group the kernel says, each time.
final class SocketWatch: Sendable {
    static let pause = Duration.milliseconds(250)
    /// How often one is tried again that could not be brought in: another service's may stay there for good.
    static let patience = Duration.seconds(3)

    struct Group: Hashable, Sendable {
        var hook: HookID
        var path: String
        var rules: [SocketRule]
    }

    /// Brings sockets into a group; says of each that could not be brought why, by its place.
    typealias Join = @Sendable (HookID, [Descriptor]) async -> [Int: String]
    /// Told whenever it differs which sockets are missed, with why.
    typealias Miss = @Sendable ([HookID: [String]]) async -> Void

    private struct State {
        var groups: [Group] = []
        var isStopped = false
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)

    init(join: @escaping Join, miss: @escaping Miss) {
        let thread = Thread { [self] in run(join, miss) }
        thread.name = "sluice-sockets"
        thread.start()
    }

    func watch(_ groups: [Group]) {
        let isNew = state.withLock { state in
            defer { state.groups = groups }
            return state.groups != groups
        }
        if isNew { wake.signal() }
    }

    /// Ends the thread, soon.
    func stop() {
        state.withLock { $0.isStopped = true }
        wake.signal()
    }

    /// One that was looked at and not brought in: when it is looked at again, and what is told of it.
    private struct Missed {
        var until: ContinuousClock.Instant
        var why: String?
        var title: String
    }

    private func run(_ join: @escaping Join, _ miss: @escaping Miss) {
        var missed: [Group: [UInt64: Missed]] = [:]
        var told: [HookID: [String]] = [:]
        while true {
            let (groups, isStopped) = state.withLock { ($0.groups, $0.isStopped) }
            if isStopped { return }
            missed = missed.filter { groups.contains($0.key) }
            for group in groups { missed[group] = look(at: group, missed[group] ?? [:], join) }
            var now: [HookID: [String]] = [:]
            for (group, sockets) in missed {
                let lines = sockets.values.compactMap { missed in missed.why.map { "\(missed.title): \($0)" } }
                if !lines.isEmpty { now[group.hook] = lines.sorted() }
            }
            if now != told {
                told = now
                let all = now
                finish { await miss(all) }
            }
            if groups.isEmpty { wake.wait() } else { _ = wake.wait(timeout: .now() + .milliseconds(250)) }
        }
    }

    /// Brings in what is there and not in the group.
    /// - Returns: Those that are still not in it.
    private func look(at group: Group, _ before: [UInt64: Missed], _ join: @escaping Join) -> [UInt64: Missed] {
        var after: [UInt64: Missed] = [:]
        do {
            let members = try GroupMembers(directory: HookDirectory(group.hook, path: group.path)).list()
            let known = Set(members.filter { !$0.isAccepted && $0.entry != 0 }.map(\.cookie))
            for rule in group.rules {
                let new = try SocketSearch.sockets(of: rule).filter { !known.contains($0.cookie) }
                let due = new.filter { (before[$0.cookie]?.until ?? .now) <= .now }
                for found in new where before[found.cookie].map({ $0.until > .now }) == true {
                    after[found.cookie] = before[found.cookie]
                }
                guard !due.isEmpty else { continue }
                let outcome = SocketSearch.take(due, of: rule)
                // Whatever is not in the group behind this is not looked at again at once.
                for found in due where after[found.cookie]?.why == nil {
                    after[found.cookie] = Missed(until: .now + Self.patience, why: nil, title: found.title)
                }
                for (found, why) in outcome.missed { after[found.cookie]?.why = why }
                let sockets = outcome.taken.map(\.socket)
                guard !sockets.isEmpty else { continue }
                let failures = finish { await join(group.hook, sockets) }
                for (index, taken) in outcome.taken.enumerated() {
                    if let why = failures[index] {
                        after[taken.found.cookie]?.why = why
                    } else {
                        after[taken.found.cookie] = nil
                    }
                }
            }
        } catch {
            after[0] = Missed(until: .now, why: "\(error)", title: "the rules of \(group.hook)")
        }
        return after
    }

    /// Waits, on this thread, for something asynchronous.
    private func finish<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) -> Value {
        let result = Mutex<Value?>(nil)
        let done = DispatchSemaphore(value: 0)
        let box = Box(result: consume result)
        Task {
            let value = await work()
            box.result.withLock { $0 = value }
            done.signal()
        }
        done.wait()
        return box.result.withLock { $0! }
    }

    private final class Box<Value: Sendable>: Sendable {
        let result: Mutex<Value?>
        init(result: consuming Mutex<Value?>) { self.result = result }
    }
}
