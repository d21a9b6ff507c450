// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import Synchronization

/// A thread of our own: what a pool thread must never be, since namespaces belong to threads and are inherited by those
/// that a thread starts.
public struct LabThread: Sendable {
    private let thread: pthread_t

    /// Starts a thread; it has the namespaces of the caller. Join it, or it is never freed.
    public init(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        precondition(status == 0, "pthread_create: \(String(cString: strerror(status)))")
        self.thread = thread
    }

    /// Waits for its end. Call it once.
    public func join() {
        pthread_join(thread, nil)
    }

    /// For a thread that nobody waits for.
    func detach() {
        pthread_detach(thread)
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

/// Hands values from one thread to another, in order; `take` blocks.
final class LabMailbox<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    private let count = DispatchSemaphore(value: 0)

    func put(_ value: Value) {
        values.withLock { $0.append(value) }
        count.signal()
    }

    func take() -> Value {
        count.wait()
        return values.withLock { $0.removeFirst() }
    }
}
