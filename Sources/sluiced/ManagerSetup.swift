// SPDX-License-Identifier: Apache-2.0

import Logging
import SluiceAPI

extension Sluiced {
    func makeManager(_ logger: Logger) async throws -> any ManagerService {
        throw Failure("this build has no manager")
    }
}
