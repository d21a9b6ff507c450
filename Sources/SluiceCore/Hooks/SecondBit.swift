// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import StageKit

extension HookKind {
    /// What bit 1 of what a program returns says there, besides the verdict in bit 0; nil where it says nothing.
    var secondBit: String? {
        switch self {
        // BPF_RET_BIND_NO_CAP_NET_BIND_SERVICE
        case .cgroupBind4, .cgroupBind6: "that the port takes no CAP_NET_BIND_SERVICE"
        // NET_XMIT_CN
        case .cgroupSkbEgress: "that TCP shall send less"
        default: nil
        }
    }
}

extension BPFObject {
    /// Lets bit 1 of what programs return through, where it says something (bpf/SluiceObjects/returned.h).
    func letSecondBitThrough(at kind: HookKind) throws(BPFError) {
        if kind.secondBit != nil { try setConstant("sluice_second_bit", to: 2) }
    }
}
