// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CKernel
internal import Foundation

/// Reads a ring buffer on a thread of its own, which sleeps in poll(2) while nothing comes.
final class RingReader: Sendable {
    private let ring: RingBuffer
    private let wake: OwnedFD
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter take: Gets each record in order, on the reader's thread.
    init(_ map: consuming BPFMap, _ take: @escaping @Sendable (UnsafeRawBufferPointer) -> Void) throws(BPFError) {
        let raw = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard raw >= 0 else { throw BPFError("make", "an event descriptor", errno: .current) }
        wake = OwnedFD(taking: raw)
        ring = try RingBuffer(reading: map)
        let thread = Thread { [self] in run(take) }
        thread.name = "sluice-ring"
        thread.start()
    }

    /// The kernel's id of the map.
    var mapID: UInt32 { ring.mapID }

    /// Ends the thread and waits for it, some milliseconds at most. What was in the ring has been taken then, and another
    /// may read it.
    func stop() {
        eventfd_write(wake.raw, 1)
        ended.wait()
    }

    private func run(_ take: (UnsafeRawBufferPointer) -> Void) {
        var isStopped = false
        while !isStopped {
            // Not for ever: a program may put records there and wake nobody.
            isStopped = wait(milliseconds: 200, for: [wake.raw, ring.fd])
            // What does not end now is read after the pause. An error of the ring's would be one of libbpf's.
            try? ring.consume(upTo: 1 << 16, take)
            // Where one record comes, more do: one waking for all of a moment's.
            if !isStopped { isStopped = wait(milliseconds: 50, for: [wake.raw]) }
        }
        try? ring.consume(upTo: 1 << 16, take)
        ended.signal()
    }

    /// Whether the first descriptor was ready: the end.
    private func wait(milliseconds: Int32, for descriptors: [Int32]) -> Bool {
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        return poll(&polled, nfds_t(polled.count), milliseconds) > 0 && polled[0].revents != 0
    }
}
