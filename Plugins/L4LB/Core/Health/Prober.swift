// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import StageKit

/// What one check is of: a server in a pool.
struct CheckTarget: Sendable {
    var pool: String
    var server: String
    var address: IPAddress
}

/// Checks over TCP: each on a socket of its own, none on a thread that others need.
struct StreamProber: Sendable {
    let group: MultiThreadedEventLoopGroup
    private let ports: CheckPorts
    private let interface: String?
    private let tls: Result<NIOSSLContext, any Error>

    /// - Parameter interface: By which packets go into the tunnel and come back; nil for any.
    init(_ configuration: Configuration, interface: String?, group: MultiThreadedEventLoopGroup) {
        self.group = group
        self.interface = interface
        ports = CheckPorts(configuration)
        var configuration = TLSConfiguration.makeClientConfiguration()
        // It is asked whether the server answers, by its address; not who it is.
        configuration.certificateVerification = .none
        // Nobody waits for a server's farewell, and the port is soon used again.
        configuration.shutdownTimeout = .milliseconds(10)
        tls = Result { [configuration] in try NIOSSLContext(configuration: configuration) }
    }

    /// Nil when the server is well, and why it is not otherwise. Ends in the check's time.
    func fault(of target: CheckTarget, _ check: HealthCheck) async -> String? {
        do {
            let timeout = TimeAmount.milliseconds(Int64(check.timeout.milliseconds))
            let way = ports.way(to: target)
            let address = try SocketAddress(ipAddress: way.destination.description, port: Int(check.port))
            let promise = group.any().makePromise(of: Void.self)
            var bootstrap = ClientBootstrap(group: promise.futureResult.eventLoop).connectTimeout(timeout)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try prepare(channel, way, check, promise) }
                }
            if let source = way.source { bootstrap = try bootstrap.from(source) }
            let deadline = promise.futureResult.eventLoop.scheduleTask(in: timeout) {
                promise.fail(CheckError("does not answer within \(check.timeout)"))
            }
            let connected = bootstrap.connect(to: address)
            connected.whenComplete { result in
                switch result {
                case .success(let channel):
                    if check.kind == .tcp { promise.succeed() }
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                case .failure(let error): promise.fail(error)
                }
            }
            defer { deadline.cancel() }
            try await promise.futureResult.get()
            return nil
        } catch ChannelError.connectTimeout {
            return "does not answer within \(check.timeout)"
        } catch {
            return error.fault
        }
    }
}

extension StreamProber {
    private func prepare(
        _ channel: any Channel, _ way: CheckPorts.Way, _ check: HealthCheck, _ promise: EventLoopPromise<Void>
    ) throws {
        if way.source != nil, let provider = channel as? any SocketOptionProvider {
            // A port comes round again in seconds: a connection must not live on in TIME_WAIT.
            provider.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { promise.fail($0) }
            // By another one the packets would go past the tunnel, and find the server well (Linux 5.7).
            if let interface {
                provider.bind(to: interface).whenFailure {
                    promise.fail(CheckError("cannot check by interface \(interface): \($0.fault)"))
                }
            }
        }
        guard check.kind.isHTTP else { return }
        let pipeline = channel.pipeline.syncOperations
        if check.kind == .https {
            // A server may have several certificates, by names; an address is none.
            let name = check.host.flatMap { IPAddress($0) == nil ? $0 : nil }
            try pipeline.addHandler(NIOSSLClientHandler(context: tls.get(), serverHostname: name))
        }
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(HTTPCheck(check, host: check.host ?? way.asked.host(check), promise))
    }
}

struct CheckError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

extension Error {
    /// For people: what a server's fault is.
    var fault: String {
        switch self {
        case let error as CheckError: error.message
        case let error as IOError: String(cString: strerror(error.errnoCode))
        default: "\(self)"
        }
    }
}

extension ClientBootstrap {
    fileprivate func from(_ source: CheckPorts.Source) throws -> ClientBootstrap {
        let port = Int(source.ports.randomElement() ?? 0)
        return try channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelOption(.tcpOption(.init(rawValue: TCP_MAXSEG)), value: source.segment)
            .bind(to: SocketAddress(ipAddress: source.address.description, port: port))
    }
}

extension SocketOptionProvider {
    /// `SO_BINDTODEVICE`.
    fileprivate func bind(to interface: String) -> EventLoopFuture<Void> {
        // IFNAMSIZ bytes, of which the last is 0.
        var name: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &name) { $0.copyBytes(from: interface.utf8.prefix(15)) }
        return unsafeSetSocketOption(level: .socket, name: .init(rawValue: SO_BINDTODEVICE), value: name)
    }
}

extension IPAddress {
    /// As a Host header has it.
    fileprivate func host(_ check: HealthCheck) -> String {
        let host = isIPv4 ? "\(self)" : "[\(self)]"
        return check.port == (check.kind == .http ? 80 : 443) ? host : "\(host):\(check.port)"
    }
}

/// Asks once and looks at the status.
private final class HTTPCheck: ChannelInboundHandler, Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let check: HealthCheck
    private let host: String
    private let promise: EventLoopPromise<Void>

    init(_ check: HealthCheck, host: String, _ promise: EventLoopPromise<Void>) {
        self.check = check
        self.host = host
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        let headers = HTTPHeaders([("Host", host), ("User-Agent", "sluice"), ("Connection", "close")])
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: check.path, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        let status = Int(head.status.code)
        // 100 Continue and the like come before the answer.
        guard status >= 200 || check.status.contains(status) else { return }
        if check.status.contains(status) {
            promise.succeed()
        } else {
            promise.fail(CheckError("answers with status \(status)"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(CheckError("closes the connection without an answer"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let what =
            error is NIOSSLError || error is BoringSSLError ? "cannot speak TLS" : "answers something that is no HTTP"
        promise.fail(CheckError("\(what): \(error)"))
        context.close(promise: nil)
    }
}
