// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// One of libbpf's options structs, all of it zero, its padding too: libbpf refuses (`EINVAL`) a struct with anything
/// behind the last field it knows, and what Swift leaves in padding is whatever was there.
func withOptions<Options, Result>(
    _ type: Options.Type, size: WritableKeyPath<Options, Int>, _ body: (UnsafeMutablePointer<Options>) -> Result
) -> Result {
    withUnsafeTemporaryAllocation(of: type, capacity: 1) { space in
        let options = space.baseAddress!
        memset(options, 0, MemoryLayout<Options>.size)
        options.pointee[keyPath: size] = MemoryLayout<Options>.size
        return body(options)
    }
}
