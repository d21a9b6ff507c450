// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A flow that is asked about: its five-tuple, from the client to the VIP.
public struct Flow: Decodable, Sendable, Equatable {
    public var `protocol`: Service.Transport
    public var source: IPAddress
    public var sourcePort: UInt16
    public var destination: IPAddress
    public var destinationPort: UInt16

    public init(
        _ protocol: Service.Transport, from source: IPAddress, _ sourcePort: UInt16, to destination: IPAddress,
        _ destinationPort: UInt16
    ) {
        self.protocol = `protocol`
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
    }

    private enum CodingKeys: String, CodingKey {
        case source, destination, `protocol`
        case sourcePort = "source-port"
        case destinationPort = "destination-port"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        `protocol` = try container.decode(Service.Transport.self, forKey: .protocol)
        source = try container.decode(Address.self, forKey: .source).address
        sourcePort = try container.decode(UInt16.self, forKey: .sourcePort)
        destination = try container.decode(Address.self, forKey: .destination).address
        destinationPort = try container.decode(UInt16.self, forKey: .destinationPort)
        guard source.isIPv4 == destination.isIPv4 else {
            throw StageError("\(source) and \(destination) are of two families", at: "source")
        }
    }

    /// As the program hashes it, `l4lb_hash`: bpf/l4lb/balance.h.
    func hash(_ hashing: Pool.Hash, seed: UInt64) -> UInt64 {
        let (from, to) = (source.words, destination.words)
        let isSourceOnly = hashing == .source
        var mix = Mix(seed)
        if source.isIPv4 {
            mix.add((from.low & ~0xffff_ffff) | (isSourceOnly ? 0 : to.low >> 32))
        } else {
            mix.add(from.high)
            mix.add(from.low)
            if !isSourceOnly {
                mix.add(to.high)
                mix.add(to.low)
            }
        }
        let ports = UInt64(sourcePort.bigEndian) << 32 | UInt64(destinationPort.bigEndian) << 16
        if !isSourceOnly { mix.add(ports | UInt64(`protocol`.number)) }
        mix.add(0)
        return mix.hash
    }
}
