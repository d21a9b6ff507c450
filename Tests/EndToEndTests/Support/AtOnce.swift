// SPDX-License-Identifier: Apache-2.0

/// Runs `body` on each of `items`, so many at a time: for what waits more than it works and is held to no clock, in labs
/// of its own. Goes on with those under way when one throws, and then throws that.
func atOnce<Item: Sendable>(
    _ items: some Sequence<Item>, _ count: Int = 3, _ body: @escaping @Sendable (Item) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, item) in items.enumerated() {
            if index >= count { try await group.next() }
            group.addTask { try await body(item) }
        }
        try await group.waitForAll()
    }
}
