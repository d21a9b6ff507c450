// SPDX-License-Identifier: Apache-2.0

/// Which Sluice this is.
public enum SluiceVersion {
    /// The release, of daemon and command line alike.
    public static let current = "0.1.0"
    /// The API's version: the `v1` of the paths.
    public static let api = 1
}
