// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// The reader of a ring buffer map (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8). How far it has read stands in the map: who reads
/// it next goes on from there. There may be one at a time.
public struct RingBuffer: ~Copyable, @unchecked Sendable {
    /// What libbpf calls for each record.
    private final class Sink {
        var take: ((UnsafeRawBufferPointer) -> Void)?
        var count = 0
        var limit = 0
    }

    private let map: BPFMap
    private let raw: OpaquePointer
    private let sink = Sink()

    /// Maps a ring into memory (`ring_buffer__new`). Needs a descriptor that may write, no capability.
    public init(reading map: consuming BPFMap) throws(BPFError) {
        let name = map.name
        guard map.type == .ringBuffer else {
            throw BPFError("read", "map \"\(name)\"", cause: "it is of type \(map.type), not a ring buffer")
        }
        // The map's descriptor stays in libbpf's epoll set, and the sink lives as long as this does.
        let opened = ring_buffer__new(
            map.fd.raw,
            { context, bytes, size in
                let sink = Unmanaged<Sink>.fromOpaque(context!).takeUnretainedValue()
                sink.take?(UnsafeRawBufferPointer(start: bytes, count: size))
                sink.count += 1
                return sink.count < sink.limit ? 0 : -ECANCELED
            }, Unmanaged.passUnretained(sink).toOpaque(), nil)
        guard let opened else { throw BPFError("read", "ring buffer \"\(name)\"", errno: .current) }
        raw = opened
        self.map = map
    }

    deinit {
        ring_buffer__free(raw)
    }

    /// Readable when there is something in the ring, unless the program said to wake nobody (`BPF_RB_NO_WAKEUP`).
    public var fd: Int32 { ring_buffer__epoll_fd(raw) }

    /// The kernel's id of the map.
    public var mapID: UInt32 { map.id }

    /// Takes what is in the ring (`ring_buffer__consume`), at most `limit` records, as programs may be faster than this.
    /// - Parameter take: Gets each record, in the order in which they were reserved; the bytes are the ring's.
    public func consume(upTo limit: Int, _ take: (UnsafeRawBufferPointer) -> Void) throws(BPFError) {
        let result = withoutActuallyEscaping(take) { take in
            (sink.take, sink.count, sink.limit) = (take, 0, limit)
            defer { sink.take = nil }
            return ring_buffer__consume(raw)
        }
        guard result >= 0 || result == -ECANCELED else {
            throw BPFError("read", "ring buffer \"\(map.name)\"", errno: Errno(rawValue: -result))
        }
    }
}
