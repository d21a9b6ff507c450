// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageKit
import Testing

@testable import SluiceCore

@Suite struct ObjectSpecTests {
    private func parse(_ stage: String) throws -> StageSource {
        try SpecParser.parse("chains: [{hook: xdp:eth0, stages: [{name: a, \(stage)}]}]", source: "edge.yaml")[0]
            .stages[0].source
    }

    @Test func anObjectAndAllItsKeys() throws {
        let source = try parse(
            """
            object: /usr/lib/a#b/lb.bpf.o#balancer, proceed-on: [pass, tx, pass],
              rodata: {limit: 5, name: edge, on: true, list: [1, 2]},
              maps: {vips: {max-entries: 64, state: false}, flows: {state: true}}
            """)
        var object = ObjectSource(path: "/usr/lib/a#b/lb.bpf.o", program: "balancer", proceedOn: [.pass, .tx])
        object.rodata = ["limit": 5, "name": "edge", "on": true, "list": [1, 2]]
        object.maps = ["vips": .init(maxEntries: 64, state: false), "flows": .init(state: true)]
        #expect(source == .object(object))
    }

    @Test func defaults() throws {
        #expect(try parse("object: /a.o") == .object(ObjectSource(path: "/a.o", program: nil, proceedOn: [.pass])))
        #expect(try parse("object: /a.o, proceed-on: []") == .object(ObjectSource(path: "/a.o", proceedOn: [])))
    }

    @Test(arguments: [
        ("object: a.o", "stages[0].object: \"a.o\": expected an absolute path"),
        ("object: /a.o#", "stages[0].object: \"\" is not the C name of a program"),
        ("object: /a.o#b-c", "stages[0].object: \"b-c\" is not the C name of a program"),
        ("object: /a.o, plugin: noop", "unknown key \"plugin\"; known: name, object, proceed-on, rodata, maps"),
        ("plugin: noop, rodata: {a: 1}", "unknown key \"rodata\"; known: name, plugin, version, config"),
        ("proceed-on: [pass]", "unknown key \"proceed-on\"; known: name, plugin"),
        ("object: /a.o, proceed-on: [next]", "\"next\" is none of: aborted, drop, pass, tx, redirect"),
        ("object: /a.o, proceed-on: pass", "stages[0].proceed-on: expected a list"),
        ("object: /a.o, rodata: [1]", "stages[0].rodata: expected constants by name"),
        ("object: /a.o, maps: {a: {max-entries: 0}}", "maps.a.max-entries: expected a number from 1 to 67,108,864"),
        ("object: /a.o, maps: {a: {size: 1}}", "maps.a: unknown key \"size\"; known: max-entries, state"),
        ("object: /a.o, maps: {a.b: {state: true}}", "\"a.b\" is not a C name"),
    ])
    func whatIsWrongIsNamed(stage: String, message: String) {
        let error = #expect(throws: APIErrorBody.self) { try parse(stage) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func neitherPluginNorObject() {
        let error = #expect(throws: APIErrorBody.self) {
            try SpecParser.parse("chains: [{hook: xdp:eth0, stages: [{name: a}]}]", source: "edge.yaml")
        }
        #expect(error?.message.contains("name what the stage runs: \"plugin\", or \"object\"") == true)
    }
}
