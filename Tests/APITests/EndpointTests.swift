// SPDX-License-Identifier: Apache-2.0

import Glibc
import SluiceAPI
import Synchronization
import Testing

/// Every method of the client, through a real socket, to the manager and back.
@Suite struct EndpointTests {
    @Test func readsGiveWhatTheManagerSays() async throws {
        try await ServerFixture.run { server async throws in
            let client = server.client
            #expect(try await client.version() == Samples.version)
            #expect(try await client.chains() == [Samples.chain, Samples.emptyChain])
            #expect(try await client.chain("xdp:eth0") == Samples.chain)
            #expect(try await client.history("xdp:eth0") == [Samples.generation])
            #expect(try await client.stats("xdp:eth0") == Samples.stats)
            #expect(try await client.programs() == Samples.programs)
            #expect(try await client.plugins() == [Samples.plugin])
            #expect(try await client.doctor() == Samples.doctor)
            #expect(try await client.plan(.init(spec: "chains: []", source: "-")) == Samples.plan)
            #expect(try await client.difference("xdp:eth0", from: 2) == Samples.diff)
            #expect(try await client.events(of: "xdp:eth0", limit: 9) == [Samples.event(1, outcome: "failed")])
            #expect(try await client.probe() == Samples.probe)
            #expect(server.manager.calls.suffix(3) == ["diff xdp:eth0 2 -1", "events of xdp:eth0 9", "probe"])
            server.manager.emit(Samples.event(1))
            server.manager.emit(Samples.event(2))
            #expect(try await client.events(since: 1, limit: 5) == [Samples.event(2)])
            #expect(server.manager.calls.contains("events 1 5"))
        }
    }

    @Test func changesReachTheManagerWithTheCaller() async throws {
        try await ServerFixture.run { server async throws in
            let client = server.client
            let apply = ApplyRequest(spec: "chains: [ü]", source: "a.yaml", message: "why", replace: true)
            #expect(try await client.apply(apply) == Samples.change)
            #expect(try await client.rollback("xdp:eth0", .init(to: 2, message: "bad")) == Samples.change)
            #expect(try await client.upgrade("xdp:eth0", .init(stage: "dos", version: "1.1")) == Samples.change)
            #expect(try await client.detach("xdp:eth0", .init(message: "away")) == Samples.change)
            let adopt = AdoptRequest(stage: "f", object: "/x.o#p", message: "ours")
            #expect(try await client.adopt("xdp:eth0", adopt) == Samples.change)
            #expect(try await client.gc() == Samples.garbage)
            #expect(
                server.manager.calls == [
                    "apply a.yaml: chains: [ü] why true", "rollback xdp:eth0 2 bad", "upgrade xdp:eth0 dos 1.1",
                    "detach xdp:eth0 away false", "adopt xdp:eth0 f /x.o#p [\"pass\"] ours", "gc",
                ])
            let callers = server.manager.state.withLock(\.callers)
            #expect(callers.count == 6)
            #expect(callers.allSatisfy { $0.uid == getuid() && $0.pid == getpid() })
            #expect(callers.allSatisfy { $0.name.contains("uid \(getuid()), sluicePackageTests.xctest ") })
        }
    }

    @Test func mapsAreReadAndSetByName() async throws {
        try await ServerFixture.run { server async throws in
            let client = server.client
            #expect(try await client.maps("xdp:eth0", stage: "dos") == Samples.maps)
            #expect(try await client.map("xdp:eth0", stage: "dos", map: ".bss", generation: 2) == Samples.dump)
            let entry = TypedEntry(key: ["name": "é"], value: .unsigned(.max))
            let update = MapUpdateRequest(entries: [entry], generation: 2, message: "m")
            #expect(try await client.updateMap("xdp:eth0", stage: "dos", map: "f", update) == Samples.mapChange)
            let delete = MapDeleteRequest(keys: [[1, true]], force: true)
            #expect(try await client.deleteFromMap("xdp:eth0", stage: "dos", map: "f", delete) == Samples.mapChange)
            #expect(
                server.manager.calls == [
                    "maps xdp:eth0 dos -1", "map xdp:eth0 dos .bss 2 1000", "update xdp:eth0 dos f \(update)",
                    "delete xdp:eth0 dos f \(delete)",
                ])
        }
    }

    @Test func aLiveStageIsChangedAndShown() async throws {
        try await ServerFixture.run { server async throws in
            let client = server.client
            let change = StageChangeRequest(request: ["add": [["port": 7, "only": .null]]], message: "m")
            #expect(try await client.change("xdp:eth0", stage: "dos", change) == Samples.stageChange)
            let inspect = StageInspectRequest(request: ["list": "rules"])
            #expect(try await client.inspect("xdp:eth0", stage: "dos", inspect) == Samples.inspection)
            let ask = StageAskRequest(question: ["top": "sources"])
            #expect(try await client.ask("xdp:eth0", stage: "dos", ask) == Samples.inspection)
            #expect(server.manager.asked == [change.request, inspect.request, ask.question])
            #expect(server.manager.calls[0].hasPrefix("change xdp:eth0 dos "))
            #expect(server.manager.calls[0].hasSuffix("message: \"m\")"))
            #expect(server.manager.calls[1].hasPrefix("inspect xdp:eth0 dos "))
            #expect(server.manager.calls[2].hasPrefix("ask xdp:eth0 dos "))
            #expect(server.manager.state.withLock(\.callers).count == 1)
        }
    }

    @Test(arguments: ["cgroup-skb-ingress:/edge.slice", "xdp:eth0.100@edge", "xt-bpf:a b%2Fc?d#e", "xdp:ü"])
    func anyHookSurvivesThePath(hook: String) async throws {
        try await ServerFixture.run { server async throws in
            _ = try await server.client.stats(hook)
            #expect(server.manager.calls == ["stats \(hook)"])
        }
    }

    @Test func nobodyListeningIsSaidWithARemedy() async throws {
        let client = SluiceClient(socket: "/nonexistent/sluiced.sock")
        let error = await #expect(throws: APIErrorBody.self) { try await client.version() }
        #expect(error?.code == "unreachable")
        #expect(
            error?.message
                == "cannot reach sluiced at \"/nonexistent/sluiced.sock\": No such file or directory; is it running? "
                + "systemctl start sluiced.socket")
    }
}
