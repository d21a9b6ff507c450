// SPDX-License-Identifier: Apache-2.0

/// Asks what becomes of a state map whose layout the live version and this one do not share.
public struct MigrationRequest: Codable, Sendable, Equatable {
    /// The map's C name.
    public var map: String
    /// The version that wrote the state.
    public var fromVersion: String
    /// The layout's hash, then and now.
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
    /// The state is not worth keeping: start empty.
    case drop
    /// It cannot be carried over: the upgrade is refused and the operator told.
    case refuse
}
