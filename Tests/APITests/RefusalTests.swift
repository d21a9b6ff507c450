// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import SluiceAPI
import Testing

@testable import sluiced

/// What is wrong with a request is said, with the right status, and the manager never hears of it.
@Suite struct RefusalTests {
    @Test(arguments: [
        "/", "/v1", "/v1/", "/v2/chains", "/v1/chains/", "/v1/chains/a/b/c", "/v1/chains/%zz", "/v1//chains",
    ])
    func unknownPaths(path: String) async throws {
        try await ServerFixture.run { server async throws in
            let error = try await server.refusal(.GET, path)
            #expect(error.code == "not-found")
            #expect(error.message == "no such path: \(path); /openapi.json lists them")
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test func wrongMethodNamesTheRightOne() async throws {
        try await ServerFixture.run { server async throws in
            let answer = try await server.raw("GET /v1/apply HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 405 "))
            #expect(answer.lowercased().contains("\r\nallow: post\r\n"))
            #expect(answer.contains("\"code\":\"method-not-allowed\""))
            #expect(try await server.refusal(.POST, "/v1/chains/xdp%3Aeth0").code == "method-not-allowed")
            #expect(try await server.refusal(.DELETE, "/v1/version").code == "method-not-allowed")
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test(arguments: [
        (
            #"{"spec":"","source":"-","message":"","replce":true}"#,
            #"unknown key "replce"; known: spec, source, message, replace"#
        ),
        (#"{"spec":"","source":"-","message":"","replace":true,"a":1,"b":2}"#, #"unknown key "a""#),
        (#"{"spec":"","source":"-","message":""}"#, #"key "replace" is missing"#),
        (#"{"spec":1,"source":"-","message":"","replace":false}"#, #"key "spec" has a value of the wrong type"#),
        (#"{"spec":null,"source":"-","message":"","replace":false}"#, #"key "spec" has a value of the wrong type"#),
        ("[]", "want a JSON object"), ("", "not JSON, or not UTF-8"), ("{", "not JSON, or not UTF-8"),
    ])
    func bodies(body: String, why: String) async throws {
        try await ServerFixture.run { server async throws in
            let error = try await server.refusal(.POST, "/v1/apply", body)
            #expect(error.code == "invalid-request")
            #expect(error.message.hasPrefix("request body: \(why)"), "\(error.message)")
            #expect(error.message.hasSuffix("/openapi.json describes ApplyRequest"))
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test(arguments: [
        ("/v1/events?sinc=1", #"unknown query parameter "sinc"; known: since, limit"#),
        ("/v1/events?since=x", #"query parameter "since": want a number from 0 to 9223372036854775807, got "x""#),
        ("/v1/events?limit=0", #"query parameter "limit": want a number from 1 to 1000, got "0""#),
        ("/v1/chains?all=1", #"unknown query parameter "all"; known: none"#),
    ])
    func queries(target: String, message: String) async throws {
        try await ServerFixture.run { server async throws in
            let error = try await server.refusal(.GET, target)
            #expect(error.code == "invalid-request")
            #expect(error.message == message)
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test func aBodyWhereNoneBelongs() async throws {
        try await ServerFixture.run { server async throws in
            let error = try await server.refusal(.POST, "/v1/gc", "{}")
            #expect(error.message == "POST /v1/gc takes no body; leave it out")
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test func aBodyThatSaysItIsTooBig() async throws {
        try await ServerFixture.run { server async throws in
            let head = "POST /v1/apply HTTP/1.1\r\nhost: x\r\ncontent-length: \(APIResponder.bodyLimit + 1)\r\n\r\n"
            let answer = try await server.raw(head)
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
            #expect(answer.contains("the request's body has more than \(APIResponder.bodyLimit) bytes"))
        }
    }

    @Test func aBodyThatTurnsOutTooBig() async throws {
        try await ServerFixture.run { server async throws in
            let piece = String(repeating: "x", count: 0x8000)
            let chunks = String(
                repeating: "8000\r\n\(piece)\r\n", count: APIResponder.bodyLimit / piece.utf8.count + 8)
            let answer = try await server.raw(
                "POST /v1/apply HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
            #expect(server.manager.calls.isEmpty)
        }
    }

    @Test func aBodyOfTheLargestSizeIsTaken() async throws {
        try await ServerFixture.run { server async throws in
            let overhead = #"{"spec":"","source":"-"}"#.utf8.count
            let spec = String(repeating: "x", count: APIResponder.bodyLimit - overhead)
            #expect(try await server.client.plan(.init(spec: spec, source: "-")) == Samples.plan)
        }
    }

    @Test(arguments: [
        ("invalid-spec", 422), ("not-found", 404), ("busy", 409), ("conflict", 409), ("plugin-failed", 422),
        ("verifier-refused", 422), ("internal", 500),
    ])
    func whatTheManagerThrowsComesThroughWhole(code: String, status: Int) async throws {
        try await ServerFixture.run { server async throws in
            let thrown = APIErrorBody(code: code, message: "apply xdp:eth0: because", detail: "a log\nof two lines")
            server.manager.fail(with: thrown)
            #expect(try await server.refusal(.GET, "/v1/chains") == thrown)
            let answer = try await server.raw("GET /v1/chains HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        }
    }

    @Test func anUnforeseenErrorIsInternal() async throws {
        struct Surprise: Error, CustomStringConvertible { var description: String { "a surprise" } }
        try await ServerFixture.run { server async throws in
            server.manager.fail(with: Surprise())
            #expect(try await server.refusal(.GET, "/v1/chains") == .init(code: "internal", message: "a surprise"))
        }
    }

    @Test func whatIsNotHTTPIsRefused() async throws {
        try await ServerFixture.run { server async throws in
            #expect(try await server.raw("hello\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        }
    }

    /// More headers than anybody needs end the connection, not the daemon.
    @Test func headersWithoutEnd() async throws {
        try await ServerFixture.run { server async throws in
            let headers = (0..<2000).map { "x-\($0): y\r\n" }.joined()
            let answer = try await server.raw("GET /v1/version HTTP/1.1\r\nhost: x\r\n\(headers)\r\n")
            #expect(!answer.hasPrefix("HTTP/1.1 200 "))
            #expect(try await server.client.version() == Samples.version)
        }
    }
}
