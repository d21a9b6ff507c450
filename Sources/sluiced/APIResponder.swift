// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import SluiceAPI

/// Answers one connection's requests: who may, what for, with what.
struct APIResponder: Sendable {
    /// The largest body of a request: 4 MiB, as a spec may have. Ten thousand rules take 1 to 2 MiB.
    static let bodyLimit = 4 << 20

    var manager: any ManagerService
    var connections: ConnectionTable
    var logger: Logger
    var peer: Peer
    var access: Access

    func respond(to request: Request, writer: consuming ResponseWriter, channel: any Channel) async throws {
        let answer: Response
        do throws(APIErrorBody) {
            answer = try await reply(to: request, channel: channel)
        } catch {
            logger.debug(
                "refused", metadata: ["path": "\(request.uri.path)", "uid": "\(peer.uid)", "code": "\(error.code)"])
            answer = refusal(error, request)
        }
        if answer.headers[.connection] == "close" {
            // The client may still be sending: take what comes for a moment, so that it gets to read the answer.
            channel.eventLoop.scheduleTask(in: .milliseconds(500)) { channel.close(promise: nil) }
        }
        try await writer.write(response: answer.head, body: answer.body)
    }

    private func reply(to request: Request, channel: any Channel) async throws(APIErrorBody) -> Response {
        guard access > .none else {
            throw .init(
                code: "forbidden",
                message: "uid \(peer.uid) may not use sluiced; ask for membership of the group \"sluice\" (change) or "
                    + "\"sluice-view\" (read), and log in again")
        }
        let (endpoint, path) = try Self.route(request.method, request.uri.path)
        guard access >= endpoint.access else {
            throw .init(
                code: "forbidden",
                message: "uid \(peer.uid) may read but not change; \(request.method.rawValue) \(request.uri.path) "
                    + "needs root or membership of the group \"sluice\"")
        }
        let query = try Self.query(request.uri, endpoint)
        let body = try await collect(request, endpoint)
        let accept = request.headers[values: .accept].joined(separator: ",")
        do {
            let call = Endpoint.Call(
                manager: manager, caller: await Caller(peer), path: path, query: query,
                body: StrictBody(buffer: body, schema: endpoint.body.flatMap(ObjectSchema.named)),
                wantsStream: endpoint.streams && accept.contains("text/event-stream"),
                resumeAfter: try Self.resumeAfter(request) ?? query["since"])
            switch try await endpoint.respond(call) {
            case .json(let value): return try json(value)
            case .events(let last): return stream(after: last, on: channel)
            }
        } catch let error as APIErrorBody {
            throw error
        } catch {
            logger.error("\(request.method.rawValue) \(request.uri.path) failed: \(error)")
            throw .init(code: "internal", message: "\(error)")
        }
    }

    /// The endpoint for a method and a path, with what the path names.
    static func route(
        _ method: HTTPRequest.Method, _ path: String
    ) throws(APIErrorBody) -> (endpoint: Endpoint, path: [String: String]) {
        let components = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        let matches = Endpoint.all.compactMap { endpoint in endpoint.match(components).map { (endpoint, $0) } }
        if let match = matches.first(where: { $0.0.method == method }) { return match }
        if matches.isEmpty {
            throw .init(code: "not-found", message: "no such path: \(path); /openapi.json lists them")
        }
        let allowed = matches.map(\.0.method.rawValue).joined(separator: ", ")
        throw .init(
            code: "method-not-allowed", message: "\(method.rawValue) \(path): not with this method; allowed: \(allowed)"
        )
    }

    private static func query(_ uri: URI, _ endpoint: Endpoint) throws(APIErrorBody) -> [String: Int64] {
        var values: [String: Int64] = [:]
        for (name, text) in uri.queryParameters {
            guard let parameter = endpoint.query.first(where: { $0.name == name }) else {
                let known = endpoint.query.map(\.name).joined(separator: ", ")
                throw .init(
                    code: "invalid-request",
                    message: "unknown query parameter \"\(name)\"; known: \(known.isEmpty ? "none" : known)")
            }
            guard let value = Int64(text), parameter.range.contains(value) else {
                throw .init(
                    code: "invalid-request",
                    message: "query parameter \"\(name)\": want a number from \(parameter.range.lowerBound) to "
                        + "\(parameter.range.upperBound), got \"\(text)\"")
            }
            values[parameter.name] = value
        }
        return values
    }

    private static func resumeAfter(_ request: Request) throws(APIErrorBody) -> Int64? {
        guard let name = HTTPField.Name("Last-Event-ID"), let text = request.headers[name] else { return nil }
        guard let id = Int64(text), id >= 0 else {
            throw .init(code: "invalid-request", message: "Last-Event-ID: want an event's id, got \"\(text)\"")
        }
        return id
    }

    private func collect(_ request: Request, _ endpoint: Endpoint) async throws(APIErrorBody) -> ByteBuffer {
        let limit = endpoint.body == nil ? 0 : Self.bodyLimit
        do {
            if let length = request.headers[.contentLength].flatMap(Int.init), length > limit {
                throw NIOTooManyBytesError(maxBytes: limit)
            }
            return try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            guard limit > 0 else {
                throw .init(
                    code: "invalid-request",
                    message: "\(request.method.rawValue) \(request.uri.path) takes no body; leave it out")
            }
            throw .init(
                code: "too-large", message: "the request's body has more than \(limit) bytes; ask for less at once")
        } catch {
            throw .init(code: "invalid-request", message: "the request's body broke off: \(error)")
        }
    }

    private func json(_ value: any Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
    }

    private func refusal(_ error: APIErrorBody, _ request: Request) -> Response {
        // Two optional strings and a word always encode.
        guard var response = try? json(error, status: error.status) else {
            return Response(status: .internalServerError)
        }
        if response.status == .methodNotAllowed {
            let components = request.uri.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            response.headers[.allow] = Endpoint.all.filter { $0.match(components) != nil }.map(\.method.rawValue)
                .joined(separator: ", ")
        }
        if access == .none || response.status == .contentTooLarge { response.headers[.connection] = "close" }
        return response
    }
}
