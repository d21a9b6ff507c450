// SPDX-License-Identifier: Apache-2.0

import StageKit
@testable import VolumetricDoS

extension Bytes {
    /// A `struct dos_sample` of bpf/volumetric-dos/types.h.
    static func sample(
        _ frame: [UInt8], seen: UInt64, cpu: UInt32 = 0, reason: Reason = .passed, captured: Int = 112
    ) -> Bytes {
        var bytes = Bytes()
        bytes.append(seen)
        bytes.append(cpu)
        bytes.append(UInt16(min(65535, frame.count)))
        bytes.append(UInt8(reason.rawValue))
        bytes.append(UInt8(min(captured, frame.count)))
        bytes.append(bytes: frame.prefix(captured))
        bytes.pad(to: 128)
        return bytes
    }
}
