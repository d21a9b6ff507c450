// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

extension SluiceClient {
    private typealias HTTPChannel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// One request on a connection of its own; `piece` gets the body of a 2xx answer as it comes, any other answer is
    /// thrown as the ``APIErrorBody`` that it carries.
    func exchange(
        _ method: HTTPMethod, _ target: String, body: [UInt8] = [], accept: String = "application/json",
        headers: [(String, String)] = [], piece: (ByteBuffer) throws -> Void
    ) async throws {
        let channel = try await connect()
        var status: HTTPResponseStatus?
        var refusal = ByteBuffer()
        var complete = false
        do {
            try await channel.executeThenClose { inbound, outbound in
                var head = HTTPRequestHead(version: .http1_1, method: method, uri: target)
                head.headers = ["host": "localhost", "accept": accept, "connection": "close"]
                head.headers.add(contentsOf: headers)
                if method == .POST {
                    head.headers.add(name: "content-type", value: "application/json")
                    head.headers.add(name: "content-length", value: "\(body.count)")
                }
                var request: [HTTPClientRequestPart] = [.head(head), .end(nil)]
                if !body.isEmpty { request.insert(.body(.byteBuffer(ByteBuffer(bytes: body))), at: 1) }
                // In one go: the server may answer and close as soon as it has seen the head. What it said then is
                // there to be read even if the rest could not be written.
                do { try await outbound.write(contentsOf: request) } catch is ChannelError {} catch is IOError {}
                answer: for try await part in inbound {
                    switch part {
                    case .head(let head): status = head.status
                    case .body(let buffer) where status?.code ?? 0 < 300: try piece(buffer)
                    case .body(var buffer): refusal.writeBuffer(&buffer)
                    case .end:
                        complete = true
                        break answer
                    }
                }
            }
        } catch let error as APIErrorBody {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            // Once the answer is whole, it does not matter how the connection ended.
            guard complete else { throw brokenOff("\(error)") }
        }
        guard complete, let status else {
            try Task.checkCancellation()
            throw brokenOff(nil)
        }
        if status.code >= 300 {
            throw (try? JSONDecoder().decode(APIErrorBody.self, from: Data(refusal.readableBytesView)))
                ?? APIErrorBody(code: "bad-answer", message: "sluiced at \"\(socket)\" answered \(status)")
        }
    }

    private func connect() async throws -> HTTPChannel {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(unixDomainSocketPath: socket) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try HTTPChannel(wrappingChannelSynchronously: channel)
                    }
                }
        } catch let error as IOError where error.errnoCode == EACCES {
            throw APIErrorBody(
                code: "unreachable",
                message: "cannot reach sluiced at \"\(socket)\": permission denied; ask for membership of the group "
                    + "\"sluice\" (change) or \"sluice-view\" (read)")
        } catch {
            let cause = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw APIErrorBody(
                code: "unreachable",
                message: "cannot reach sluiced at \"\(socket)\": \(cause); is it running? "
                    + "systemctl start sluiced.socket")
        }
    }

    private func brokenOff(_ cause: String?) -> APIErrorBody {
        APIErrorBody(
            code: "unreachable",
            message: "sluiced at \"\(socket)\" closed the connection before it had answered; whether it did what it "
                + "was asked is in `sluicectl events`, why it went in `journalctl -u sluiced`",
            detail: cause)
    }
}
