// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import StageKit

/// SYNs of strangers who never answer, so many a second, for so long. Needs CAP_NET_RAW, and a way for the answers to
/// get lost.
struct Flood: ParsableCommand {
    @Option(help: "Where to, as in 198.51.100.10:7007.") var to: Endpoint
    @Option(help: "The first of 65,536 addresses, of which 8,192 send.", transform: address) var from: IPAddress
    @Option(help: "SYNs a second.") var rate: Int
    @Option(help: "For how long.") var seconds: Int

    func run() throws {
        let strangers = (0..<8192).map(packet)
        // The header is ours, in both families.
        let raw = try openSocket(to.address.isIPv4 ? AF_INET : AF_INET6, SOCK_RAW, protocol: Int32(IPPROTO_RAW))
        let start = now(), all = rate * seconds
        let destination = Endpoint(address: to.address, port: 0)
        var sent = 0, refused = 0
        while sent < all {
            let due = min(all, (now() - start) * rate / 1000)
            while sent < due {
                let packet = strangers[sent % strangers.count]
                let count = destination.withSocketAddress { sendto(raw, packet, packet.count, 0, $0, $1) }
                refused += count < 0 ? 1 : 0
                sent += 1
            }
            usleep(5000)
        }
        print(#"{"sent":\#(sent - refused),"refused":\#(refused),"ms":\#(now() - start)}"#)
    }

    private static func address(_ text: String) throws -> IPAddress {
        guard let address = IPAddress(text) else { throw ValidationError("'\(text)' is no address") }
        return address
    }

    private func packet(_ index: Int) -> [UInt8] {
        var bytes = from.bytes
        let number = UInt16(truncatingIfNeeded: index &* 40_503)
        bytes[bytes.count - 2] = UInt8(number >> 8)
        bytes[bytes.count - 1] = UInt8(truncatingIfNeeded: number)
        let source = IPAddress(bytes: bytes)
        let network: PacketLayer =
            source.isIPv4 ? .ipv4(from: source, to: to.address) : .ipv6(from: source, to: to.address)
        // MSS 1,400.
        return Packet.bytes(network, .tcp(from: 1024 + number % 60_000, to: to.port, options: [2, 4, 5, 0x78]))
    }
}
