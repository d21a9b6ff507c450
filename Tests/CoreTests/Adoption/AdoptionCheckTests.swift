// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

/// What an adopted stage asks for, held against the object: each mistake gets one error that says what there is instead.
@Suite struct AdoptionCheckTests {
    private static func check(
        _ object: String, of target: String = "fixture-stage", frags: Bool = false, _ source: ObjectSource
    ) throws -> AdoptionCheck.Result {
        let path = BuildProducts.object(object, of: target)
        var source = source
        source.path = path
        return try AdoptionCheck(
            stage: "filter", source: source, object: BPFObject(contentsOf: path), kind: .xdp, frags: frags
        ).run()
    }

    private static func source(
        _ program: String? = nil, rodata: [String: JSON] = [:], maps: [String: ObjectSource.MapSettings] = [:]
    ) -> ObjectSource {
        var source = ObjectSource(path: "", program: program)
        source.rodata = rodata
        source.maps = maps
        return source
    }

    struct Mistake: Sendable {
        var object = "shapes"
        var target = "fixture-stage"
        var frags = false
        var source: ObjectSource
        var says: String
    }

    static let mistakes: [Mistake] = [
        .init(source: source(), says: "it has several programs for xdp; name one behind a #: deep, many_exits, "),
        .init(source: source("shallow"), says: "it has no program \"shallow\"; its programs for xdp: deep, "),
        .init(
            object: "corners", source: source("of_tc"),
            says: "its program \"of_tc\" is not for xdp (section \"tc\"); its programs for that: backwards, "),
        .init(
            object: "corners", source: source("of_a_device"), says: "is not for xdp (section \"xdp/devmap\")"),
        .init(
            object: "corners", source: source("of_a_cpu"), says: "is not for xdp (section \"xdp_cpumap/0\")"),
        .init(
            object: "corners", source: source("replacement"),
            says: "is not for xdp (section \"freplace/no_such_function\")"),
        .init(
            frags: true, source: source("deep"),
            says:
                "does not cope with packets in fragments (its section is not \"xdp.frags\"), but the chain takes them; "
                + "set `frags: false` for the chain"),
        .init(
            source: source("global_data", rodata: ["limti": 1]),
            says: "it has no constant \"limti\"; it has: label, limit, limits, strict"),
        .init(source: source("global_data", rodata: ["limit": "much"]), says: "rodata: limit: "),
        .init(
            source: source("global_data", rodata: ["limit": 4_294_967_296]),
            says: "rodata: limit: 4294967296 does not fit __u32"),
        .init(source: source("global_data", rodata: ["limits": ["most": 1]]), says: "rodata: limits: member \"drop\""),
        .init(
            source: source("deep", maps: ["flows": .init(maxEntries: 5)]),
            says: "it has no map \"flows\"; it has: seen, own_state"),
        .init(
            object: "tailcalls", source: source("dispatch", maps: ["parts": .init(state: true)]),
            says: "the map \"parts\" cannot be state: it holds programs"),
        .init(
            object: "noop", target: "noop", source: source(),
            says: "it is a stage written for Sluice, which goes on by itself; install it with its plugin"),
    ]

    @Test(arguments: mistakes)
    func aMistakeIsNamed(_ mistake: Mistake) {
        let error = #expect(throws: APIErrorBody.self) {
            try Self.check(mistake.object, of: mistake.target, frags: mistake.frags, mistake.source)
        }
        #expect(error?.message.hasPrefix("stage \"filter\": cannot adopt /") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(mistake.says) == true, "\(error?.message ?? "")")
    }

    @Test func theOnlyXDPProgramNeedsNoName() throws {
        #expect(try Self.check("kernel_calls", Self.source()).program == "kernel_calls")
    }

    @Test(arguments: ["sections", "maps_in_a_map", "relocated", "backwards"])
    func sectionsOfEveryAgeAreForTheHook(program: String) throws {
        #expect(try Self.check("corners", frags: program == "sections", Self.source(program)).program == program)
    }

    @Test func planTellsOfPinsAndTailCalls() throws {
        let pinned = try Self.check("shapes", Self.source("pinned_map"))
        #expect(pinned.state.keys.sorted() == ["own_state"])
        #expect(pinned.notes.count == 1 && pinned.notes[0].contains("asks for pins of own_state: kept as state"))
        let own = Self.source("pinned_map", maps: ["own_state": .init(state: false), "seen": .init(state: true)])
        #expect(try Self.check("shapes", own).state.keys.sorted() == ["seen"])
        let dispatch = try Self.check("tailcalls", Self.source("dispatch"))
        #expect(dispatch.notes.count == 1 && dispatch.notes[0].contains("may tail-call through its map \"parts\""))
    }
}
