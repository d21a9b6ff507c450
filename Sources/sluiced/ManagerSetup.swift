// SPDX-License-Identifier: Apache-2.0

import Logging
import SluiceCore

extension Sluiced {
    /// The manager, with what a crash or a reboot left settled, before the first request is taken.
    func makeManager(_ logger: Logger) async throws -> Manager {
        let folders = plugins.isEmpty ? ManagerConfiguration().plugins : plugins
        let configuration = ManagerConfiguration(
            bpffs: bpffs, state: state, plugins: folders, pluginUser: pluginUser, keep: keep)
        let manager = try Manager(configuration: configuration, logger: logger)
        await manager.start()
        return manager
    }
}
