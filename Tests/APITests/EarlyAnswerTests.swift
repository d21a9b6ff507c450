// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import NIOHTTP1
import Testing

@testable import SluiceAPI
@testable import sluiced

/// The answer, and the end of the connection, may come before the client has said that its request is over: a GET is
/// whole with its head, and a refusal may not wait for the body.
@Suite struct EarlyAnswerTests {
    @Test(arguments: [0, 1000, 4 << 20])
    func anAnswerCountsThoughTheServerDidNotWaitForTheBody(bytes: Int) async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "early-\(UUID().uuidString).sock").path
        let listening = try ListeningSocket.open(path: path)
        defer { listening.remove() }
        Thread.detachNewThread { Self.answerHeads(listening.descriptor) }
        defer { shutdown(listening.descriptor, CInt(SHUT_RDWR)) }

        for _ in 0..<50 {
            let error = await #expect(throws: APIErrorBody.self) {
                try await SluiceClient(socket: path).exchange(
                    .POST, "/v1/apply", body: [UInt8](repeating: 0x20, count: bytes)
                ) { _ in }
            }
            #expect(error?.code == "forbidden", "\(error?.message ?? "")")
        }
    }

    /// Answers each connection as soon as its request's head is there, and closes it.
    private static func answerHeads(_ listener: CInt) {
        _ = fcntl(listener, F_SETFL, 0)
        let body = #"{"code":"forbidden","message":"no"}"#
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)"
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { break }
            var byte: UInt8 = 0
            var head: [UInt8] = []
            while !head.suffix(4).elementsEqual("\r\n\r\n".utf8), read(connection, &byte, 1) == 1 { head.append(byte) }
            _ = Array(answer.utf8).withUnsafeBytes { send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            close(connection)
        }
        close(listener)
    }
}
