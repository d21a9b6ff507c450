// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite struct ByHandTests {
    private func run(_ arguments: String..., input: String = "") async -> (
        output: String, error: String, status: Int32?
    ) {
        let process = Process(arguments)
        process.send(input)
        return await process.result()
    }

    @Test func describes() async {
        let result = await run("describe")
        #expect(
            result.output == """
                {
                  "hooks": [
                    "xdp"
                  ],
                  "name": "limiter",
                  "runs": true,
                  "summary": "limits",
                  "version": "1.2"
                }
                """)
        #expect(result.error.isEmpty)
        #expect(result.status == 0)
    }

    @Test func plans() async throws {
        let result = await run("plan", input: #"{"limit": 5}"#)
        let plan = try JSON(parsing: Array(result.output.utf8)).decode(StagePlan.self)
        #expect(plan.constants["limit"] == .integer(5))
        #expect(plan.summary == ["xdp:eth0 limiter"])
        let placed = await run("plan", "--stage", "a", "--hook", "xdp:lan0", input: #"{"limit": 5}"#)
        #expect(placed.output.contains("\"xdp:lan0 a\""))
    }

    @Test func migrates() async {
        let input = #"{"map":"m","fromVersion":"1.0","fromSchema":"a","toSchema":"b"}"#
        #expect(await run("migrate", input: input).output == "{\n  \"migration\": \"refuse\"\n}")
    }

    @Test func changesAndShows() async {
        let context = #""context":{"hook":"xdp:eth0","stage":"a","time":7},"maps":{}"#
        let change = await run("change", input: #"{\#(context),"labels":{},"request":{"limit":5}}"#)
        #expect(change.output.contains(#""none -> 5 at 7""#), "\(change)")
        let shown = #""labels":{"rules":["a"]},"request":{},"configuration":{"limit":1},"counters":{"rules":[[1,2]]}"#
        let table = await run("inspect", input: #"{\#(context),\#(shown)}"#)
        #expect(table.output.contains(#""once""#), "\(table)")
    }

    @Test func saysWhatIsWrong() async {
        let refused = await run("plan", input: #"{"limit": "many"}"#)
        #expect(refused.error == "limiter: limit: expected an integer, found the string \"many\"\n")
        #expect(refused.output.isEmpty)
        #expect(refused.status == 1)
        #expect(await run("plan", input: "{").error.hasPrefix("limiter: not valid JSON at line 2, column 1"))
    }

    @Test(arguments: [
        ["fly"], ["plan", "--hook"], ["plan", "--fast"], ["describe", "x"], ["plan", "--time", "now"],
    ])
    func showsUsage(arguments: [String]) async {
        let process = Process(arguments)
        process.finish()
        let result = await process.result()
        #expect(result.status == 64)
        #expect(result.error.contains("usage: limiter describe"))
        #expect(result.output.isEmpty)
    }

    @Test func tellsItsVersionAndHelp() async {
        #expect(await run("--version").output == "limiter 1.2")
        #expect(await run("--help").output.hasPrefix("limiter 1.2: limits\n\nusage: limiter describe"))
    }
}
