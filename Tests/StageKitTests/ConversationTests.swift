// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite struct ConversationTests {
    private let context = #""context":{"hook":"xdp:eth1","stage":"limit","future":1}"#

    private func replies(_ lines: String) async throws -> [JSON] {
        let process = Process([])
        process.send(lines)
        let result = await process.result()
        #expect(result.status == 0)
        return try result.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
    }

    @Test func answersSeveralRequests() async throws {
        let replies = try await replies(
            """
            {"sluice":1,"id":1,"method":"describe","future":[]}
            {"sluice":1,"id":2,"method":"plan","params":{"configuration":{"limit":7},\(context)}}
            {"sluice":1,"id":3,"method":"migrate","params":{"map":"m","fromVersion":"1.1","fromSchema":"a","toSchema":"b"}}
            """)
        #expect(replies.map { $0["id"] } == [1, 2, 3])
        #expect(try replies[0]["result"]?.decode(StageDescription.self) == Limiter.description)
        let plan = try #require(try replies[1]["result"]?.decode(StagePlan.self))
        #expect(plan.constants == ["limit": .integer(7)])
        #expect(plan.summary == ["xdp:eth1 limit"])
        #expect(replies[2]["result"] == ["migration": "drop"])
    }

    @Test func namesTheMistakeAndGoesOn() async throws {
        let replies = try await replies(
            """
            {"sluice":1,"id":1,"method":"plan","params":{"configuration":{"limit":0},\(context)}}
            {"sluice":1,"id":2,"method":"plan","params":{"configuration":{"limit":1,"limits":1},\(context)}}
            {"sluice":1,"id":3,"method":"fly"}
            {"sluice":2,"id":4,"method":"describe"}
            {
            {"sluice":1,"id":6,"method":"describe"}
            """)
        #expect(replies[0]["error"] == ["path": "limit", "message": "0: a limit is at least 1"])
        #expect(replies[1]["error"] == ["path": "limits", "message": #"unknown key; did you mean "limit"?"#])
        #expect(replies[2]["id"] == 3)
        #expect(replies[2]["error"]?["path"] == "method")
        #expect(replies[3]["id"] == 4)
        #expect(
            replies[3]["error"] == [
                "path": "", "message": "protocol version 2 is not supported; this plugin speaks 1",
            ])
        #expect(replies[4]["id"] == 0)
        #expect(replies[5]["result"]?["name"] == "limiter")
    }

    @Test func runsWhileLive() async throws {
        let process = Process([])
        process.send(
            #"{"sluice":1,"id":1,"method":"run","params":{"configuration":{"limit":1},\#(context)}}"#, end: false)
        process.send(#"{"sluice":1,"event":"live","generation":3}"#, end: false)
        #expect(
            await process.line()
                == #"{"entries":[{"key":"03","value":"01"}],"event":"map-update","id":1,"map":"limits","sluice":1}"#)
        process.send(#"{"sluice":1,"event":"map-updated","id":1}"#, end: false)
        #expect(await process.line() == #"{"event":"log","message":"updated 3","sluice":1}"#)
        process.send(#"{"sluice":1,"event":"rolled-back","generation":2}"#, end: false)
        #expect(await process.line()?.contains(#""key":"02""#) == true)
        process.send(#"{"sluice":1,"event":"map-updated","id":2,"error":{"message":"no such map"}}"#, end: false)
        #expect(await process.line() == #"{"event":"log","message":"refused: no such map","sluice":1}"#)
        process.send(#"{"sluice":1,"event":"stop"}"#, end: false)
        #expect(await process.line() == #"{"id":1,"result":{},"sluice":1}"#)
        process.finish()
        #expect(await process.result().status == 0)
    }

    @Test func endsARunWithItsInput() async throws {
        let process = Process([])
        process.send(
            #"{"sluice":1,"id":1,"method":"run","params":{"configuration":{"limit":1},\#(context)}}"#, end: false)
        process.send(#"{"sluice":1,"event":"live","generation":3}"#, end: false)
        #expect(await process.line()?.contains("map-update") == true)
        process.finish()
        #expect(await process.line()?.contains(#""error":{"message":"CancellationError()""#) == true)
        #expect(await process.result().status == 0)
    }

    @Test func keepsPrintsOutOfTheProtocol() async throws {
        let process = Process([])
        let configuration = #"{"limit":1,"noise":\#(process.outputSeenInside)}"#
        process.send(#"{"sluice":1,"id":1,"method":"plan","params":{"configuration":\#(configuration),\#(context)}}"#)
        let result = await process.result()
        #expect(try JSON(parsing: Array(result.output.utf8))["result"]?["program"] == "limiter")
        #expect(result.error == "noise\n")
    }
}
