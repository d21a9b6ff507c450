// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import StageKit

@Suite struct ConversationTests {
    private let context = #""context":{"hook":"xdp:eth1","stage":"limit","time":1764000000,"future":1}"#

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

    @Test func changesAndShowsWhatIsLive() async throws {
        let asked = #""labels":{"rules":["a"]},"maps":{"limits":[{"key":"00","value":"07"}]}"#
        let counters = #""configuration":{"limit":9},"counters":{"rules":[[4,18446744073709551615]]}"#
        let replies = try await replies(
            """
            {"sluice":1,"id":1,"method":"change","params":{\(context),"request":{"limit":9},\(asked)}}
            {"sluice":1,"id":2,"method":"change","params":{\(context),"request":{"limit":0},\(asked)}}
            {"sluice":1,"id":3,"method":"inspect","params":{\(context),"request":"rules",\(asked),\(counters)}}
            {"sluice":1,"id":4,"method":"inspect","params":{\(context),"request":"rules"}}
            """)
        let change = try #require(try replies[0]["result"]?.decode(StageChange.self))
        #expect(
            change
                == StageChange(
                    updates: [MapUpdate(map: "limits", entries: [MapEntry(key: Bytes([0]), value: Bytes([9]))])],
                    summary: ["07 -> 9 at 1764000000"]))
        #expect(replies[1]["error"] == ["path": "limit", "message": "0: a limit is at least 1"])
        let table = try #require(try replies[2]["result"]?.decode(StageTable.self))
        #expect(table == StageTable(columns: ["rule", "packets", "last"], rows: [["a", 4, nil]], notes: ["limit 9"]))
        #expect(replies[3]["error"]?["path"] == "configuration")
    }

    @Test func takesNoChangesUnlessThePluginDoes() throws {
        struct Plain: StagePlugin {
            struct Configuration: Codable, Sendable {}
            static let description = StageDescription(name: "plain", version: "1.0", summary: "plain", hooks: [.xdp])
            func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
                StagePlan(object: "plain.bpf.o", program: "plain", verdicts: [.next])
            }
        }
        let context = PlanContext(hook: "xdp:eth0", stage: "plain")
        #expect(throws: StageError("the stage takes no changes while it is live")) {
            try Plain().change(ChangeRequest(context: context, request: [:]))
        }
        #expect(throws: StageError("the stage has nothing to show while it is live")) {
            try Plain().inspect(InspectRequest(configuration: [:], context: context, request: [:]))
        }
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

    private func started() async -> Process {
        let process = Process([])
        process.send(
            #"{"sluice":1,"id":1,"method":"run","params":{"configuration":{"limit":1},\#(context)}}"#, end: false)
        return process
    }

    private func stop(_ process: Process) async {
        process.send(#"{"sluice":1,"event":"stop"}"#, end: false)
        #expect(await process.line() == #"{"id":1,"result":{},"sluice":1}"#)
        process.finish()
        #expect(await process.result().status == 0)
    }

    @Test func takesRecordsAndAnswersQuestions() async throws {
        let process = await started()
        process.send(
            #"{"sluice":1,"event":"records","ring":"r","generation":3,"records":["01","02ff"],"lost":0}"#, end: false)
        #expect(await process.line()?.contains("r of 3: [\\\"01\\\", \\\"02ff\\\"], lost 0") == true)
        process.send(#"{"sluice":1,"event":"records","ring":"r","generation":4,"records":[],"lost":7}"#, end: false)
        #expect(await process.line()?.contains("r of 4: [], lost 7") == true)
        process.send(#"{"sluice":1,"event":"ask","id":9,"question":{"top":"records"}}"#, end: false)
        #expect(
            await process.line()
                == #"{"event":"answer","id":9,"sluice":1,"table":{"columns":["what","count"],"notes":[],"rows":[["records",2],["rest",null]]}}"#
        )
        process.send(#"{"sluice":1,"event":"ask","id":10,"question":null}"#, end: false)
        #expect(
            await process.line()
                == #"{"error":{"message":"ask for records","path":"top"},"event":"answer","id":10,"sluice":1}"#)
        await stop(process)
    }

    @Test func changesItsOwnStage() async throws {
        let process = await started()
        let odd = #"{"sluice":1,"event":"records","ring":"r","generation":3,"records":["dd"],"lost":0}"#
        for (id, acknowledgement, says) in [
            (1, #""summary":["added nothing"]"#, #"changed: [\"added nothing\"]"#),
            (2, #""error":{"message":"not now"}"#, "not changed: not now"),
        ] {
            process.send(odd, end: false)
            #expect(await process.line()?.contains("r of 3") == true)
            #expect(
                await process.line()
                    == #"{"event":"change","id":\#(id),"reason":"odd","request":{"add":[]},"sluice":1}"#)
            process.send(#"{"sluice":1,"event":"changed","id":\#(id),\#(acknowledgement)}"#, end: false)
            #expect(await process.line()?.contains(says) == true)
        }
        await stop(process)
    }

    @Test func tellsWhatAPluginThatIsBehindHasLost() async throws {
        let session = StageSession(context: PlanContext(hook: "xdp:eth0", stage: "s")) { _ in }
        let batch = StageRecords(ring: "r", generation: 1, records: [Bytes([1]), Bytes([2])])
        for _ in 0..<100 { session.receive(.records(batch)) }
        var records = session.records.makeAsyncIterator()
        for _ in 0..<64 { #expect(await records.next()?.lost == 0) }
        session.receive(.records(batch))
        #expect(await records.next()?.lost == 72)
    }

    @Test func refusesQuestionsThatNobodyTakes() async throws {
        let answers = Mutex<[RunMessage]>([])
        let session = StageSession(context: PlanContext(hook: "xdp:eth0", stage: "s")) { message in
            answers.withLock { $0.append(message) }
        }
        for id in 1...17 { session.receive(.ask(id: id, question: "?")) }
        guard case .answer(id: 17, .failure(let error))? = answers.withLock({ $0.first }) else {
            Issue.record("no answer")
            return
        }
        #expect(error.message.hasPrefix("too many questions"))
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
