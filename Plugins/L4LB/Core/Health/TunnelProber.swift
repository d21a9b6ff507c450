// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix
internal import StageKit
internal import Synchronization

/// Queries to VIPs, each through the tunnel to the very server. What goes through a tunnel is the payload of a UDP
/// datagram, so it takes no privilege: the inner packet is from a socket of ours, and the answer comes straight to it.
final class TunnelProber: Sendable {
    private let director: Director
    private let guePort: UInt16
    private let local: String?
    /// By pool.
    private let vips: [String: IPAddress]
    private let answers = Answers()
    private let group: MultiThreadedEventLoopGroup
    private let sockets = Mutex<[Bool: any Channel]>([:])

    init(_ configuration: Configuration, group: MultiThreadedEventLoopGroup) {
        director = configuration.director
        guePort = configuration.guePort
        local = configuration.local
        vips = configuration.pools.reduce(into: [:]) { vips, pool in
            vips[pool.name] = pool.check?.vip(of: pool, in: configuration)
        }
        self.group = group
    }

    /// Nil when the server answers, and why it does not count otherwise. Ends in the check's time.
    func fault(of target: CheckTarget, _ check: HealthCheck) async -> String? {
        guard let vip = vips[target.pool], let source = director.source(for: vip) else {
            return "there is no VIP to ask, or no address to ask from"
        }
        let loop = group.any()
        let promise = loop.makePromise(of: [UInt8].self)
        var query: DNSQuery?
        do {
            let inside = try await socket(isIPv4: vip.isIPv4)
            let to = try SocketAddress(ipAddress: vip.description, port: Int(check.port))
            let asked = answers.expect(check.query, from: to, promise)
            query = asked
            let deadline = loop.scheduleTask(in: .milliseconds(Int64(check.timeout.milliseconds))) {
                promise.fail(CheckError("does not answer within \(check.timeout)"))
            }
            defer { deadline.cancel() }
            if target.server == local {
                try await inside.writeAndFlush(
                    AddressedEnvelope(remoteAddress: to, data: ByteBuffer(bytes: asked.bytes)))
            } else {
                let port = UInt16(inside.localAddress?.port ?? 0)
                let ip: PacketLayer = vip.isIPv4 ? .ipv4(from: source, to: vip) : .ipv6(from: source, to: vip)
                let packet = Packet.bytes(ip, .udp(from: port, to: check.port), .payload(asked.bytes))
                let outside = try await socket(isIPv4: target.address.isIPv4)
                let server = try SocketAddress(ipAddress: target.address.description, port: Int(guePort))
                let header = GUEHeader(isIPv4: vip.isIPv4).bytes
                try await outside.writeAndFlush(
                    AddressedEnvelope(remoteAddress: server, data: ByteBuffer(bytes: header + packet)))
            }
            let answer = try await promise.futureResult.get()
            return asked.fault(of: answer)
        } catch {
            promise.fail(error)
            if let query { answers.forget(query) }
            return error.fault
        }
    }

    /// The one of that family; bound when it is needed first.
    private func socket(isIPv4: Bool) async throws -> any Channel {
        if let channel = sockets.withLock({ $0[isIPv4] }), channel.isActive { return channel }
        let channel = try await DatagramBootstrap(group: group)
            .channelInitializer { [answers] channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(answers) }
            }
            .bind(host: isIPv4 ? "0.0.0.0" : "::", port: 0).get()
        // Another may have been quicker.
        let other: (any Channel)? = sockets.withLock { sockets in
            if let other = sockets[isIPv4], other.isActive { return other }
            sockets[isIPv4] = channel
            return nil
        }
        guard let other else { return channel }
        try await channel.close()
        return other
    }
}

/// Who waits for which answer.
private final class Answers: ChannelInboundHandler, Sendable {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private struct Waiting {
        let from: SocketAddress
        let promise: EventLoopPromise<[UInt8]>
    }

    private let waiting = Mutex<[UInt16: Waiting]>([:])

    /// A query with an id that no other has.
    func expect(_ name: String, from address: SocketAddress, _ promise: EventLoopPromise<[UInt8]>) -> DNSQuery {
        waiting.withLock { waiting in
            var id = UInt16.random(in: 0...UInt16.max)
            // Some thousand servers at most: there is one.
            while waiting[id] != nil { id &+= 1 }
            waiting[id] = Waiting(from: address, promise: promise)
            return DNSQuery(id: id, name: name)
        }
    }

    func forget(_ query: DNSQuery) {
        waiting.withLock { $0[query.id] = nil }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        let message = Array(envelope.data.readableBytesView)
        guard let id = DNSQuery.id(of: message) else { return }
        // From elsewhere it is nobody's answer.
        let found = waiting.withLock { waiting in
            waiting[id]?.from == envelope.remoteAddress ? waiting.removeValue(forKey: id) : nil
        }
        found?.promise.succeed(message)
    }

    /// A port that is not open is told by ICMP; the query's deadline says the rest.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
