// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif
internal import Synchronization

/// The three streams of a plugin, as descriptors that stay the caller's.
struct Streams: Sendable {
    let input: Int32
    let output: Int32
    let error: Int32

    /// Standard input, output and error.
    static let standard = Streams(input: STDIN_FILENO, output: STDOUT_FILENO, error: STDERR_FILENO)
}

/// Reads lines from a descriptor, blocking.
struct LineReader {
    /// No message is longer; guards the plugin's memory.
    static let longest = 64 << 20

    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// Up to where `buffer` was searched for a line feed.
    private var searched = 0

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// The next line without its line feed; nil at the end.
    mutating func next() throws(StageError) -> [UInt8]? {
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0a) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                searched = 0
                return line
            }
            searched = buffer.count
            guard buffer.count <= Self.longest else { throw StageError("a line is longer than \(Self.longest) bytes") }
            guard try fill() else {
                defer { buffer = [] }
                searched = 0
                return buffer.isEmpty ? nil : buffer
            }
        }
    }

    /// Everything up to the end.
    mutating func rest() throws(StageError) -> [UInt8] {
        while try fill() {
            guard buffer.count <= Self.longest else { throw StageError("more than \(Self.longest) bytes of input") }
        }
        return buffer
    }

    /// Reads once; false at the end.
    private mutating func fill() throws(StageError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw StageError("cannot read the input: \(String(cString: strerror(errno)))") }
            buffer.append(contentsOf: chunk[..<count])
            return count > 0
        }
    }
}

/// Writes lines to a descriptor, one at a time, blocking.
final class LineWriter: Sendable {
    private let descriptor: Int32
    private let lock = Mutex(())

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Writes `line` and a line feed. What cannot be written is dropped: the reader is gone, and the end of the input
    /// will say so.
    func write(_ line: [UInt8]) {
        lock.withLock { _ in
            let bytes = line + [0x0a]
            var done = 0
            while done < bytes.count {
                let count = bytes[done...].withUnsafeBytes { send(descriptor, $0) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                done += count
            }
        }
    }

    func write(_ line: String) {
        write(Array(line.utf8))
    }

    private func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
            Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}
