// SPDX-License-Identifier: Apache-2.0

/// Asks what becomes of a state map whose layout or size the live generation and the next one do not share.
public struct MigrationRequest: Codable, Sendable, Equatable {
    /// The map's C name.
    public var map: String
    /// The version that wrote the state.
    public var fromVersion: String
    /// A hash of the layout, an underscore and the number of entries, then and now.
    public var fromSchema: String
    public var toSchema: String

    public init(map: String, fromVersion: String, fromSchema: String, toSchema: String) {
        self.map = map
        self.fromVersion = fromVersion
        self.fromSchema = fromSchema
        self.toSchema = toSchema
    }
}

/// A plugin's answer to `migrate`.
public enum Migration: String, Codable, Sendable {
    /// Right after the flip the manager runs the object's `SLUICE_MERGE` program, which adds the old map's entries to
    /// the new one's. For state that can be added up, such as counters: meanwhile the new map is in use already. The
    /// object declares the old layout by `SLUICE_STATE_BEFORE`.
    case merge
    /// The stage takes an old value over itself, when it misses a key in the new map. For state that cannot be added
    /// up, such as token buckets. The object declares the old layout by `SLUICE_STATE_BEFORE`.
    case lazy
    /// The state is not worth keeping: start empty.
    case drop
    /// It cannot be carried over: the upgrade is refused and the operator told.
    case refuse
}
