// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The BPF objects that the manager itself loads, embedded so that they are always those it was built with.
public enum SluiceObjects {
    /// The root of an XDP hook: bpf/SluiceObjects/xdp_root.bpf.c.
    public static let xdpRoot = decode(xdpRootObject)

    /// The stage that an adopted object's program is woven into: bpf/SluiceObjects/xdp_adopt.bpf.c.
    public static let xdpAdopt = decode(xdpAdoptObject)

    /// The same for a program that is called: bpf/SluiceObjects/xdp_adopt_call.bpf.c.
    public static let xdpAdoptCall = decode(xdpAdoptCallObject)

    /// What divides the traffic while a canary is on: bpf/SluiceObjects/xdp_splitter.bpf.c.
    public static let xdpSplitter = decode(xdpSplitterObject)

    private static func decode(_ base64: String) -> [UInt8] {
        [UInt8](Data(base64Encoded: base64)!)
    }
}
