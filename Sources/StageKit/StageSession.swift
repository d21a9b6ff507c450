// SPDX-License-Identifier: Apache-2.0

/// The connection between a live stage's `run` and the manager.
public struct StageSession: Sendable {
}
