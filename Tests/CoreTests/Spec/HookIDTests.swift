// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import Testing

@testable import SluiceCore

@Suite struct HookIDTests {
    @Test(arguments: [
        ("xdp:eth0", "xdp:eth0", nil as String?, "xdp:eth0"),
        ("xdp:eth0.100", "xdp:eth0.100", nil, "xdp:eth0%2E100"),
        ("xdp:eth0@edge", "xdp:eth0@edge", "/run/netns/edge", "xdp:eth0@edge"),
        ("xdp:eth0@/run/netns/edge", "xdp:eth0@edge", "/run/netns/edge", "xdp:eth0@edge"),
        ("xdp:eth0@/var/run/netns/edge", "xdp:eth0@edge", "/run/netns/edge", "xdp:eth0@edge"),
        ("xdp:eth0@/proc/7/ns/net", "xdp:eth0@/proc/7/ns/net", "/proc/7/ns/net", "xdp:eth0@%2Fproc%2F7%2Fns%2Fnet"),
        ("xdp:å%", "xdp:å%", nil, "xdp:%C3%A5%25"),
    ])
    func aNameHasOneMeaningAndOneFolder(text: String, shown: String, netns: String?, folder: String) throws {
        let hook = try HookID(parsing: text)
        #expect(hook.description == shown)
        #expect(hook.netns == netns)
        #expect(hook.directoryName == folder)
        #expect(!hook.directoryName.contains("."), "a bpffs takes no dot")
        #expect(HookID(directoryName: folder) == hook)
        #expect(try HookID(parsing: hook.description) == hook)
    }

    @Test func theNamespaceMayStandApart() throws {
        #expect(try HookID(parsing: "xdp:eth0", netns: "/run/netns/edge") == HookID(parsing: "xdp:eth0@edge"))
        #expect(throws: APIErrorBody.self) { try HookID(parsing: "xdp:eth0@edge", netns: "/run/netns/edge") }
    }

    @Test(arguments: [
        "", "eth0", "tc:eth0", "xdp:", "xdp:a/b", "xdp:a b", "xdp:..", "xdp:sixteencharacter", "xdp:eth0@",
        "xdp:eth0@a@b@",
    ])
    func whatIsNoHookIsRefused(text: String) {
        if text == "xdp:eth0@a@b@" {
            // All behind the first @ is the namespace's name.
            #expect((try? HookID(parsing: text))?.netns == "/run/netns/a@b@")
        } else {
            #expect(throws: APIErrorBody.self) { try HookID(parsing: text) }
        }
    }

    @Test(arguments: ["state", "xdp:eth0%2", "xdp:eth0%2e100", "xdp:eth0.100", "%78dp:eth0", "lost+found"])
    func aFolderOfAnotherIsNoHook(name: String) {
        #expect(HookID(directoryName: name) == nil)
    }
}
