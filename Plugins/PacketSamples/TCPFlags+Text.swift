// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension TCPFlags {
    public static let names: [(name: String, flag: TCPFlags)] = [
        ("fin", .fin), ("syn", .syn), ("rst", .rst), ("psh", .psh), ("ack", .ack), ("urg", .urg), ("ece", .ece),
        ("cwr", .cwr),
    ]

    /// As `syn,ack`, and `none` without any.
    public var text: String {
        isEmpty ? "none" : Self.names.filter { contains($0.flag) }.map(\.name).joined(separator: ",")
    }
}
