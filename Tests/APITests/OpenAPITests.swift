// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import NIOCore
import NIOHTTP1
import SluiceAPI
import Testing

@testable import SluiceAPI
@testable import sluiced

/// The document against what the server does and what the types encode.
@Suite struct OpenAPITests {
    private func document(_ server: ServerFixture) async throws -> [String: Any] {
        var bytes: [UInt8] = []
        try await server.client.exchange(.GET, "/openapi.json") { bytes += $0.readableBytesView }
        return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    @Test func everyRouteIsInTheDocumentAndTheOtherWayRound() async throws {
        try await ServerFixture.run { server async throws in
            let document = try await document(server)
            #expect(document["openapi"] as? String == "3.1.0")
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let documented = Set(
                paths.flatMap { path, operations in operations.keys.map { "\($0.uppercased()) \(path)" } })
            #expect(documented == Set(Endpoint.all.map { "\($0.method.rawValue) \($0.path)" }))
            for operation in documented {
                let words = operation.split(separator: " ")
                let target = String(words[1]).replacing("{hook}", with: "xdp%3Aeth0")
                    .replacing("{stage}", with: "dos").replacing("{map}", with: "rules")
                // Whatever it says to an empty request, it must not be that the path or the method is unknown.
                do {
                    try await server.client.exchange(.init(rawValue: String(words[0])), target) { _ in }
                } catch let error as APIErrorBody {
                    #expect(error.code == "invalid-request", "\(operation): \(error)")
                }
            }
        }
    }

    @Test func everyReferenceAndOperationIsUnique() async throws {
        try await ServerFixture.run { server async throws in
            let document = try await document(server)
            let text = String(
                decoding: try JSONSerialization.data(withJSONObject: document, options: .withoutEscapingSlashes),
                as: UTF8.self)
            let references = Set(text.matches(of: /#\/components\/schemas\/(\w+)/).map { String($0.1) })
            #expect(references == Set(ObjectSchema.all.map(\.name)))
            let operations = text.matches(of: /"operationId":"(\w+)"/).map { String($0.1) }
            #expect(operations.count == Endpoint.all.count)
            #expect(Set(operations).count == operations.count)
        }
    }

    private static let everything: ChainStatus = {
        var chain = Samples.chain
        chain.canary = Samples.canary
        chain.sockets = 2
        return chain
    }()

    /// An object of each type with everything in it, and one with the optionals left out where it has any.
    private static let samples: [String: [any Encodable & Sendable]] = [
        "PlanRequest": [PlanRequest(spec: "", source: "")],
        "ApplyRequest": [
            ApplyRequest(spec: "", source: "", canary: CanaryRequest(shares: [5], seconds: 60)),
            ApplyRequest(spec: "", source: ""),
        ],
        "RollbackRequest": [RollbackRequest(to: 1), RollbackRequest()],
        "UpgradeRequest": [
            UpgradeRequest(stage: "", version: "1", canary: CanaryRequest(shares: [5], seconds: 60)),
            UpgradeRequest(stage: ""),
        ],
        "CanaryRequest": [
            CanaryRequest(shares: [5], seconds: 60, abortIf: ["drop>+1%"], minPackets: 1),
            CanaryRequest(shares: [5], seconds: 60),
        ],
        "CanaryEndRequest": [CanaryEndRequest()],
        "CanaryStatus": [Samples.canary],
        "DetachRequest": [DetachRequest()],
        "ChainStatus": [everything, Samples.emptyChain],
        "StageStatus": [
            StageStatus(name: "", plugin: "", version: "", object: "", counters: Samples.counters),
            StageStatus(name: "", counters: nil),
        ],
        "FilteringGap": [Samples.gap],
        "StageCounters": [Samples.counters],
        "Count": [Count(packets: 1, bytes: 1)],
        "GenerationRecord": [Samples.generation],
        "StageRecord": [
            StageRecord(name: "", plugin: "", version: "", object: "", artifact: ""),
            StageRecord(name: "", artifact: ""),
        ],
        "ChainStats": [Samples.stats],
        "StageStats": [Samples.stats.stages[0], Samples.stats.stages[1]],
        "StatsTable": [Samples.stats.stages[0].tables[0]],
        "StatsRow": [StatsRow(label: "", values: [])],
        "PlanReport": [Samples.plan],
        "ChainPlan": [Samples.plan.chains[0]],
        "ChangeReport": [Samples.change],
        "ChainChange": [Samples.change.chains[0], ChainChange(hook: "", from: nil, to: nil, lines: [], timings: [])],
        "Timing": [Timing(step: "", milliseconds: 1)],
        "PluginInfo": [
            Samples.plugin,
            PluginInfo(name: "", version: "", summary: "", hooks: [], path: "", usedBy: [], problem: nil),
        ],
        "Event": [
            Samples.event(1),
            Event(id: 1, time: "", action: "", hook: nil, outcome: "", author: "", message: ""),
        ],
        "DoctorReport": [Samples.doctor],
        "Finding": [Samples.repaired, Samples.doctor.findings[0]],
        "ProgramReport": [Samples.programs],
        "AttachedProgram": [
            AttachedProgram(
                interface: "", cgroup: "", netns: "", hook: .xdp, position: .native, id: 1, name: "", link: 1, chain: ""
            ),
            AttachedProgram(hook: .xdp, position: .native, id: 1),
        ],
        "AdoptRequest": [AdoptRequest(stage: "", object: "", program: ""), AdoptRequest(stage: "", object: "")],
        "SocketGroupReport": [Samples.sockets],
        "SocketMember": [Samples.sockets.sockets[0], Samples.sockets.sockets[1]],
        "GCReport": [Samples.garbage],
        "GenerationDiff": [Samples.diff],
        "ProbeReport": [Samples.probe],
        "ProbeItem": [Samples.probe.items[0], Samples.probe.items[1]],
        "StageMaps": [Samples.maps],
        "MapInfo": [Samples.map, Samples.maps.maps[1]],
        "MapDump": [Samples.dump],
        "TypedEntry": [Samples.dump.entries[0], TypedEntry(key: 1, value: nil)],
        "MapUpdateRequest": [MapUpdateRequest(entries: [], generation: 1), MapUpdateRequest(entries: [])],
        "MapDeleteRequest": [MapDeleteRequest(keys: [], generation: 1), MapDeleteRequest(keys: [])],
        "MapChange": [Samples.mapChange],
        "StageChangeRequest": [StageChangeRequest(request: .null)],
        "StageChangeReport": [Samples.stageChange],
        "StageInspectRequest": [StageInspectRequest(request: [:])],
        "StageAskRequest": [StageAskRequest(question: [:])],
        "StageInspection": [Samples.inspection],
        "VersionInfo": [Samples.version],
        "Error": [APIErrorBody(code: "", message: "", detail: ""), APIErrorBody(code: "", message: "")],
    ]

    @Test(arguments: ObjectSchema.all.map(\.name))
    func documentedKeysAreTheEncodedOnes(name: String) throws {
        let schema = try #require(ObjectSchema.named(name))
        let samples = try #require(Self.samples[name], "no sample")
        let objects = try samples.map {
            try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode($0)) as? [String: Any])
        }
        #expect(Set(objects[0].keys) == Set(schema.properties.map(\.name)))
        let needed = Set(schema.properties.filter { !$0.isOptional }.map(\.name))
        #expect(Set(try #require(objects.last).keys) == needed)
        for property in schema.properties {
            #expect(Self.fits(try #require(objects[0][property.name]), property.schema), "\(property.name)")
        }
    }

    private static func fits(_ value: Any, _ schema: Schema) -> Bool {
        switch schema {
        case .string: value is String
        case .oneOf(let words): (value as? String).map(words.contains) ?? false
        case .integer, .counter: value is Int
        case .number: value is Double
        case .boolean: value is Bool
        case .any: true
        case .array(let element): (value as? [Any])?.allSatisfy { fits($0, element) } ?? false
        case .map(let element): (value as? [String: Any])?.values.allSatisfy { fits($0, element) } ?? false
        case .object: value is [String: Any]
        }
    }
}
