// SPDX-License-Identifier: Apache-2.0

/// SplitMix64's finaliser: each bit of the result depends on each of the word.
@inline(__always)
func mixed(_ word: UInt64) -> UInt64 {
    var word = word
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
}

/// What a server is ranked by and known by between generations: its name's FNV-1a hash, mixed.
func nameHash(_ name: String) -> UInt64 {
    mixed(name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 })
}
