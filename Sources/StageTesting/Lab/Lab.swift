// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

internal import CKernel

/// A place to try BPF on real packets and harm nobody: a network namespace, a mount namespace with a bpffs of its own,
/// and a folder; all gone when the closure ends, however it ends.
///
/// ```swift
/// try await Lab.run { lab in
///     try lab.addVeth("edge0", "client0")
///     let daemon = try lab.spawn([BuildProducts.path("sluiced"), "--bpffs", lab.bpffs])
///     ...
/// }
/// ```
///
/// Namespaces belong to threads. The closure runs on a thread made for it, never on Swift's pool, and is synchronous:
/// an `await` would move it elsewhere, and a `Task` started there could make a pool thread that keeps the namespaces
/// for good. What must be asynchronous goes through ``await(_:)``.
public final class Lab {
    /// A folder of the lab's own, below the temporary directory; removed with all that is in it.
    public let directory: String
    /// A fresh bpffs, seen only by the lab's thread and the processes it starts.
    public var bpffs: String { directory + "/bpf" }

    private let keeper: LabMailbox<Message>
    private var processes: [LabProcess] = []
    private var traffic: [any LabTraffic] = []
    private var held: [String: any AnyObject & Sendable] = [:]
    private var number = 0

    private enum Message: Sendable {
        /// Something to start from a thread that is in no namespace of the lab.
        case start(@Sendable () -> Void)
        case finished
    }

    /// Whether a lab can be had: it takes root, and `SLUICE_NO_LAB` in the environment forbids it.
    public static var isAvailable: Bool { geteuid() == 0 && getenv("SLUICE_NO_LAB") == nil }

    /// How many times longer than it says a test waits before it gives up: `SLUICE_TEST_PATIENCE` in the environment, 1
    /// without. For machines that are emulated, or otherwise slow.
    public static let patience = getenv("SLUICE_TEST_PATIENCE").flatMap { Int(String(cString: $0)) } ?? 1

    /// Runs `body` in a lab and hands back what it returns or throws. Labs do not see each other; several may run at
    /// once.
    ///
    /// - Throws: what `body` throws, or a ``LabError`` when the lab cannot be set up (not root, no bpffs).
    public static func run<Value: Sendable>(_ body: @escaping @Sendable (Lab) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            // Resumed from the outer thread: the pool may grow when a task is resumed, and by a thread that looks like
            // the one that resumes it.
            LabThread { continuation.resume(with: outcome(of: body)) }.detach()
        }
    }

    /// Like ``run(_:)`` for a program without an executor: blocks the calling thread.
    public static func runBlocking<Value: Sendable>(_ body: @escaping @Sendable (Lab) throws -> Value) throws -> Value {
        try outcome(of: body).get()
    }

    /// On a thread outside of the lab: sets up, runs the closure on the lab's thread, serves it, cleans up.
    private static func outcome<Value: Sendable>(
        of body: @escaping @Sendable (Lab) throws -> Value
    ) -> Result<Value, any Error> {
        var template = Array("/tmp/sluice-lab-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return .failure(LabError("make a lab's folder in /tmp", errno: errno)) }
        let directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        let mailbox = LabMailbox<Message>()
        let results = LabMailbox<Result<Value, any Error>>()
        let thread = LabThread {
            let lab = Lab(directory: directory, keeper: mailbox)
            results.put(
                Result {
                    defer { lab.close() }
                    try lab.open()
                    return try body(lab)
                })
            mailbox.put(.finished)
        }
        serving: while true {
            switch mailbox.take() {
            case .start(let work): work()
            case .finished: break serving
            }
        }
        thread.join()
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            return .failure(LabError("remove the lab's folder '\(directory)': \(error)"))
        }
        return results.take()
    }

    private init(directory: String, keeper: LabMailbox<Message>) {
        self.directory = directory
        self.keeper = keeper
    }

    private func open() throws {
        guard Lab.isAvailable else { throw LabError("a lab needs root: run the tests as root (make test does)") }
        try LabError.check(ck_lab_isolate(), "make the lab's namespaces")
        // Readable by others, so that a test can show what an unprivileged user may not do.
        guard chmod(directory, 0o755) == 0, mkdir(bpffs, 0o700) == 0 else {
            throw LabError("make '\(bpffs)'", errno: errno)
        }
        try LabError.check(ck_lab_mount("bpf", bpffs, "mode=0700"), "mount a bpffs on '\(bpffs)'")
        // `ip netns` keeps its names in a folder that all of the machine shares: cover it with one of our own.
        if mkdir("/run/netns", 0o755) != 0, errno != EEXIST { throw LabError("make '/run/netns'", errno: errno) }
        try LabError.check(ck_lab_mount("tmpfs", "/run/netns", "mode=0755"), "mount a tmpfs on '/run/netns'")
        try ip(["link set lo up"])
    }

    /// Ends what still runs. The namespaces go with the thread, and with them the interfaces and what is attached
    /// there.
    private func close() {
        // All are told before any is waited for: a receiver goes on while somebody still sends.
        for sender in traffic { sender.tellToStop() }
        for sender in traffic { sender.join() }
        for process in processes { process.kill() }
        held = [:]
        _ = ck_lab_unmount(bpffs)
    }

    /// Runs asynchronous work on Swift's pool, outside of the lab's namespaces, and blocks the lab's thread until it is
    /// done. A client of a Unix socket in ``directory`` works from there; an interface or a pin of the lab is not seen.
    public func await<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) throws -> Value {
        let results = LabMailbox<Result<Value, any Error>>()
        keeper.put(
            .start {
                Task.detached {
                    do { results.put(.success(try await work())) } catch { results.put(.failure(error)) }
                }
            })
        return try results.take().get()
    }

    /// For names within the lab's folder.
    func nextNumber() -> Int {
        number += 1
        return number
    }

    /// Keeps something alive until the lab ends.
    func hold(_ object: any AnyObject & Sendable, as name: String) { held[name] = object }
    func holds(_ name: String) -> Bool { held[name] != nil }

    func adopt(_ process: LabProcess) { processes.append(process) }
    func adopt(_ sender: any LabTraffic) { traffic.append(sender) }
}

/// Something with a thread of its own that must end before the lab does.
protocol LabTraffic {
    func tellToStop()
    /// Waits for the thread's end; returns at once when it has been waited for.
    func join()
}
