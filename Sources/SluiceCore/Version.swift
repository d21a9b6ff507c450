// SPDX-License-Identifier: Apache-2.0

/// Sluice's version.
public let sluiceVersion = "0.1.0"
