// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A descriptor of our own, closed with its last owner.
package final class Descriptor: Sendable {
    package let raw: Int32

    package init(_ raw: Int32) { self.raw = raw }

    deinit { close(raw) }
}
