// SPDX-License-Identifier: Apache-2.0

import BPF
import Testing

extension BPFTests {
    /// What a kernel of this age has, the probes must find.
    @Suite struct KernelProbeTests {
        @Test(.enabled(if: KernelVersion.running >= "6.6", "needs Linux 6.6"))
        func tcx() throws { try KernelProbe.tcxLink() }

        @Test(.enabled(if: KernelVersion.running >= "6.4", "needs Linux 6.4"))
        func netfilter() throws { try KernelProbe.load(.netfilter) }

        @Test(arguments: ["5.10", "6.1.0-56-cloud-amd64", "6.12.118+deb13-cloud-amd64", "7.3.4", "10.0"])
        func versionsAreOrderedByNumber(_ release: String) {
            let version = KernelVersion(stringLiteral: release)
            #expect(version > "5.9" && version < "10.1")
            #expect((version >= "6.2") == ["6.12", "7.3", "10.0"].contains { release.hasPrefix($0) })
        }
    }
}
