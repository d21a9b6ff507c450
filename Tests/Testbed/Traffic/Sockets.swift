// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import StageKit

/// What cannot be done, and errno's word for it.
struct TrafficError: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, errno code: Int32) { description = "\(what): \(String(cString: strerror(code)))" }
}

/// An address and a port, as in `198.51.100.10:80` and `[2001:db8:1::10]:80`.
struct Endpoint: ExpressibleByArgument, CustomStringConvertible {
    let address: IPAddress
    let port: UInt16

    init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...])
        else { return nil }
        var host = argument[..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)) else { return nil }
        self.init(address: address, port: port)
    }

    var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

    /// As the calls want it.
    func withSocketAddress<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        func with<A>(_ value: A) -> T {
            withUnsafeBytes(of: value) { raw in
                body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
            }
        }
        if address.isIPv4 {
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &value.sin_addr) { $0.copyBytes(from: address.bytes) }
            return with(value)
        }
        var value = sockaddr_in6()
        value.sin6_family = sa_family_t(AF_INET6)
        value.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &value.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return with(value)
    }
}

/// A socket whose calls do not block.
func openSocket(_ family: Int32, _ type: __socket_type, protocol number: Int32 = 0) throws -> Int32 {
    let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(family, Int32(type.rawValue) | flags, number)
    guard descriptor >= 0 else { throw TrafficError("open a socket", errno: errno) }
    return descriptor
}

func setOption(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws {
    var value = value
    guard setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
        throw TrafficError("set option \(name) of a socket", errno: errno)
    }
}

/// Milliseconds of a clock that only goes forward.
func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Waits for any of the descriptors, or so many milliseconds.
func wait(for polls: inout [pollfd], at most: Int) {
    _ = polls.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t($0.count), Int32(most)) }
}
