// SPDX-License-Identifier: Apache-2.0

import Glibc
import HTTPTypes
import Testing

@testable import sluiced

@Suite struct AccessTests {
    static let policy = AccessPolicy(change: 101, view: 102)

    @Test(
        arguments: [
            (0, [], Access.change), (0, [102], .change), (1000, [101], .change), (1000, [102], .view),
            (1000, [101, 102], .change), (1000, [1000, 4, 24], .none), (65534, [], .none),
        ] as [(uid_t, Set<gid_t>, Access)])
    func groupsDecide(uid: uid_t, groups: Set<gid_t>, expected: Access) {
        #expect(Self.policy.access(of: Peer(pid: 1, uid: uid, groups: groups)) == expected)
    }

    @Test func withoutGroupsOnlyRootIsLetIn() {
        let policy = AccessPolicy(change: nil, view: nil)
        #expect(policy.access(of: Peer(pid: 1, uid: 0, groups: [])) == .change)
        #expect(policy.access(of: Peer(pid: 1, uid: 1000, groups: [0, 101, 102])) == .none)
    }

    @Test func theKernelSaysWhoThePeerIs() throws {
        var pair: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { pair.forEach { close($0) } }
        let peer = try Peer(descriptor: pair[0])
        #expect(peer.pid == getpid())
        #expect(peer.uid == getuid())
        #expect(peer.groups.contains(getegid()))
    }

    @Test func aSocketWithoutAPeerIsAnError() {
        #expect(throws: Failure.self) { try Peer(descriptor: -1) }
    }

    @Test(arguments: Endpoint.all.map { ($0.method.rawValue, $0.path) })
    func onlyChangesNeedTheRightToChange(method: String, path: String) throws {
        let endpoint = try #require(Endpoint.all.first { $0.method.rawValue == method && $0.path == path })
        let looks = method == "GET" || path == "/v1/plan" || path.hasSuffix("/inspect") || path.hasSuffix("/ask")
        #expect(endpoint.access == (looks ? .view : .change))
    }
}
