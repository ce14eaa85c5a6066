//! A stable hash: the same names give the same number in every build, on every machine, for ever. It places
//! checks in their interval and keys on servers. It is no defence against somebody who picks the names.

/// FNV-1a over the parts, each closed by a byte that no UTF-8 text contains, then mixed.
pub fn of_names(names: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for name in names {
        for byte in name.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(hash)
}

/// FNV-1a over bytes, then mixed: a client's address, a path.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

/// The finalizer of splitmix64: every bit of the answer depends on every bit of `x`.
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number below `limit` (0 if that is 0), drawn evenly by the bits of `hash`.
pub const fn below(hash: u64, limit: u64) -> u64 {
    ((hash as u128 * limit as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_names_never_changes() {
        assert_eq!(of_names(&["web", "rs1", "http"]), of_names(&["web", "rs1", "http"]));
        assert_ne!(of_names(&["web", "rs1"]), of_names(&["webr", "s1"]));
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf, "splitmix64's first number from seed 0");
    }

    #[test]
    fn below_covers_its_range() {
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(u64::MAX, 0), 0);
    }
}
