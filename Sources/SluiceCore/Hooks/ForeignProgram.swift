// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

extension XDPHook {
    /// The program on the interface that is not the chain's own root; nil when there is none. The kernel takes one
    /// program in one mode.
    func foreign() throws(APIErrorBody) -> XDP.Attached? {
        var found: XDP.Attached?
        try inNamespace { interface throws(BPFError) in
            found = try XDP.attached(to: interface).first { !isOurs($0) }
        }
        return found
    }
}
