// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Synchronization

/// The one thread a manager works on: bpf(2), SQLite and flock block, and network namespaces belong to threads, so none
/// of it may happen on the cooperative pool.
final class ManagerThread: SerialExecutor {
    private let queue = Mutex<[UnownedJob]>([])
    private let ready = DispatchSemaphore(value: 0)

    init() {
        let thread = Thread { [self] in
            while true {
                ready.wait()
                let job = queue.withLock { $0.removeFirst() }
                job.runSynchronously(on: asUnownedSerialExecutor())
            }
        }
        thread.name = "sluice-manager"
        thread.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.withLock { $0.append(job) }
        ready.signal()
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }
}
