// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Rates of a policy that were changed while the stage is live: a `struct udp_override`.
struct Override: Equatable {
    var policy: String
    /// Nil is as configured.
    var limits: Limits
    /// In seconds since 1970; nil for never.
    var end: Int64?
    /// In seconds since 1970.
    var added: Int64
    /// False for one that was taken back, whose place the map keeps.
    var isActive: Bool

    private static let nameSize = 64
    static let size = 8 + Limits.size + nameSize + 16

    init(_ policy: String, _ limits: Limits, end: Int64?, added: Int64) {
        (self.policy, self.limits, self.end, self.added) = (policy, limits, end, added)
        isActive = true
    }

    /// Reads what ``packed(in:)`` wrote; nil for what it did not.
    init?(_ bytes: Bytes, in context: PlanContext) {
        guard bytes.raw.count == Self.size else { return nil }
        let expiry: UInt64 = bytes.number()
        end = expiry == 0 ? nil : Int64(expiry / 1_000_000_000) - context.taiOffset
        limits = Limits(packed: bytes, at: 8)
        let name = bytes.raw[(8 + Limits.size)..<(8 + Limits.size + Self.nameSize)].prefix { $0 != 0 }
        policy = String(decoding: name, as: UTF8.self)
        added = Int64(bytes.number(at: Self.size - 16, as: UInt64.self))
        isActive = bytes.number(at: Self.size - 8, as: UInt64.self) != 0
    }

    func packed(in context: PlanContext) -> Bytes {
        var bytes = Bytes()
        bytes.append(end.map { UInt64($0 + context.taiOffset) * 1_000_000_000 } ?? 0)
        bytes.append(bytes: limits.packed)
        let name = Array(policy.utf8.prefix(Self.nameSize - 1))
        bytes.append(bytes: name + [UInt8](repeating: 0, count: Self.nameSize - name.count))
        bytes.append(UInt64(added))
        bytes.append(UInt64(isActive ? 1 : 0))
        return bytes
    }

    /// Whether it counts now.
    func counts(at time: Int64) -> Bool { isActive && end.map { $0 > time } ?? true }
}

/// All of them, by the policy's name.
struct Overrides {
    /// The size of the map.
    static let most = 256

    private(set) var all: [String: Override]
    let context: PlanContext

    init(_ maps: [String: [MapEntry]], in context: PlanContext) {
        self.context = context
        let found = (maps[LiveMaps.overrides] ?? []).compactMap { Override($0.value, in: context) }
        all = Dictionary(found.map { ($0.policy, $0) }) { first, _ in first }
    }

    subscript(policy: String) -> Override? {
        get { all[policy].flatMap { $0.counts(at: context.time) ? $0 : nil } }
        set { all[policy] = newValue }
    }

    func entry(_ policy: String) -> MapEntry {
        MapEntry(key: Bytes(number: fnv(policy)), value: all[policy]!.packed(in: context))
    }

    /// What says whether packets have to look for any.
    var overridingEntry: MapEntry {
        let count = all.values.filter { $0.counts(at: context.time) }.count
        return MapEntry(key: Bytes(number: UInt32(0)), value: Bytes(number: UInt64(count)))
    }
}
