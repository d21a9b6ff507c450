// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import SluiceAPI

extension Manager {
    /// Records how long nothing was filtered on a hook whose root has just been attached, for `status` to tell.
    /// - Parameter length: how long; nil when that cannot be known.
    /// - Returns: The same in words, for the event; empty without a length.
    func endGap(of hook: HookID, since: FilteringGap.Start, length: Duration?) -> [String] {
        guard let length else { return [] }
        let gap = FilteringGap(since: since, milliseconds: length / .milliseconds(1), until: Store.timestamp())
        do {
            try store.setGap(gap, of: hook.description, boot: Boot.id())
        } catch {
            logger.error("cannot record how long nothing was filtered", metadata: ["error": "\(error)"])
        }
        return [gap.description]
    }
}
