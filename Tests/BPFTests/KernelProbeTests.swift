// SPDX-License-Identifier: Apache-2.0

import BPF
import Testing

extension BPFTests {
    /// What a kernel of this age has, the probes must find.
    @Suite struct KernelProbeTests {
        @Test(.needs(linux: "6.6")) func tcx() throws { try KernelProbe.tcxLink() }
        @Test(.needs(linux: "6.4")) func netfilter() throws { try KernelProbe.load(.netfilter) }

        @Test(arguments: ["5.10", "6.1.0-56-cloud-amd64", "6.12.118+deb13-cloud-amd64", "7.3.4", "10.0"])
        func versionsAreOrderedByNumber(_ release: String) {
            let version = KernelVersion(stringLiteral: release)
            #expect(version > "5.9" && version < "10.1")
            #expect((version >= "6.2") == ["6.12", "7.3", "10.0"].contains { release.hasPrefix($0) })
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// For a test of what only newer kernels have. Where it should work the test runs, and nothing excuses it there:
    /// the kernel matrix (`make test-kernels`) takes any skip for a failure that is not this one's, and due.
    static func needs(linux version: KernelVersion) -> Self {
        .enabled(if: KernelVersion.running >= version, "needs Linux \(version)")
    }
}
