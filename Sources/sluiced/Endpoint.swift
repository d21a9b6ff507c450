// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SluiceAPI

/// One method on one path: what the router matches, what the OpenAPI document says and what is done, in one value, so
/// that they cannot drift apart.
struct Endpoint: Sendable {
    /// An integer in the query.
    struct QueryParameter: Sendable {
        var name: String
        var range: ClosedRange<Int64>
        /// Nil when there is none to tell.
        var fallback: Int64?
        var description: String
    }

    /// What a request comes with, checked against the endpoint.
    struct Call: Sendable {
        var manager: any ManagerService
        var caller: Caller
        /// What stands in the path for `{hook}`, `{stage}`, ..., decoded.
        var path: [String: String]
        var query: [String: Int64]
        var body: StrictBody
        /// Whether the answer may be a stream of server-sent events.
        var wantsStream: Bool
        /// `Last-Event-ID`, else `since`; nil when the request has neither.
        var resumeAfter: Int64?

        var hook: String { path["hook"] ?? "" }
        var stage: String { path["stage"] ?? "" }
        var map: String { path["map"] ?? "" }
    }

    enum Reply: Sendable {
        case json(any Encodable & Sendable)
        case events(after: Int64?)
    }

    var method: HTTPRequest.Method
    /// A component in braces, such as `{hook}`, matches anything, percent-encoded.
    var path: String
    var access: Access
    var summary: String
    var query: [QueryParameter] = []
    /// The name of the ``ObjectSchema`` of the request's body; nil when it has none.
    var body: String?
    var answer: Schema
    var streams = false
    var respond: @Sendable (Call) async throws -> Reply

    /// A GET.
    static func read(
        _ path: String, _ summary: String, query: [QueryParameter] = [], answer: Schema, streams: Bool = false,
        respond: @escaping @Sendable (Call) async throws -> Reply
    ) -> Endpoint {
        Endpoint(
            method: .get, path: path, access: .view, summary: summary, query: query, answer: answer, streams: streams,
            respond: respond)
    }

    /// A POST; planning is one that needs no right to change.
    static func write(
        _ path: String, _ summary: String, access: Access = .change, body: String? = nil, answer: Schema,
        respond: @escaping @Sendable (Call) async throws -> Reply
    ) -> Endpoint {
        Endpoint(
            method: .post, path: path, access: access, summary: summary, body: body, answer: answer, respond: respond)
    }

    /// What `components` have for the path's braces if the path matches; nil if it does not.
    func match(_ components: [Substring]) -> [String: String]? {
        var values: [String: String] = [:]
        let pattern = path.dropFirst().split(separator: "/")
        guard pattern.count == components.count else { return nil }
        for (want, have) in zip(pattern, components) {
            if want.hasPrefix("{") {
                guard let decoded = PathComponent.decode(have), !decoded.isEmpty else { return nil }
                values[String(want.dropFirst().dropLast())] = decoded
            } else if want != have {
                return nil
            }
        }
        return values
    }
}
