// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

internal import CKernel

/// A thread of a lab that sends or receives until it is done or told to stop.
final class TrafficThread: LabTraffic {
    /// What the thread's own code sees of it.
    final class Control: Sendable {
        private let stopping = Atomic(false)
        fileprivate let ready = LabMailbox<Result<Void, any Error>>()
        fileprivate let outcome = LabMailbox<Result<Void, any Error>>()
        private let isReady = Atomic(false)

        /// Whether it is time to end.
        var isStopping: Bool { stopping.load(ordering: .acquiring) }

        /// Says that all is set up: what follows is traffic.
        func start() {
            isReady.store(true, ordering: .releasing)
            ready.put(.success(()))
        }

        fileprivate func stop() { stopping.store(true, ordering: .releasing) }

        fileprivate func end(_ result: Result<Void, any Error>) {
            if !isReady.load(ordering: .acquiring) { ready.put(result) }
            outcome.put(result)
        }
    }

    private let control = Control()
    private var thread: LabThread?
    private var failure: (any Error)?

    /// Starts the thread in a namespace of the lab and returns when `body` has called `start`.
    ///
    /// - Parameter sends: all that send share one processor. It then empties the veth's queue of 256 packets as it
    /// fills
    ///   it; of two, one can fill it while the other is busy, and packets are lost before any program sees them.
    /// - Throws: what `body` threw before that.
    init(lab: Lab, netns: String?, sends: Bool, _ body: @escaping @Sendable (Control) throws -> Void) throws {
        let control = control
        thread = LabThread {
            control.end(
                Result {
                    if let netns {
                        try LabError.check(ck_lab_enter("/run/netns/\(netns)"), "enter namespace '\(netns)'")
                    }
                    if sends { try LabError.check(ck_lab_pin(), "pin a sender to a processor") }
                    try body(control)
                })
        }
        do {
            try control.ready.take().get()
        } catch {
            thread?.join()
            thread = nil
            throw error
        }
        lab.adopt(self)
    }

    func tellToStop() { control.stop() }

    func join() { try? wait() }

    /// Tells it to stop, if `early`, and waits until it has ended.
    ///
    /// - Throws: what its code threw.
    func finish(early: Bool) throws {
        if early { control.stop() }
        try wait()
    }

    private func wait() throws {
        if let thread {
            thread.join()
            self.thread = nil
            if case .failure(let error) = control.outcome.take() { failure = error }
        }
        if let failure { throw failure }
    }
}

/// Spreads sending over time: `rate` a second, made up for after a pause.
struct Pace {
    private let start = ContinuousClock.now
    private let rate: Double?

    /// - Parameter rate: a second; nil for as fast as it goes.
    init(rate: Int?) { self.rate = rate.map(Double.init) }

    /// How many may be sent now, of which `sent` are out; sleeps a little when none.
    func allowance(sent: UInt64, most: UInt64) -> UInt64 {
        guard let rate else { return most }
        let due = UInt64((ContinuousClock.now - start) / .seconds(1) * rate) + 1
        if due <= sent { usleep(200) }
        return due > sent ? min(due - sent, most) : 0
    }
}
