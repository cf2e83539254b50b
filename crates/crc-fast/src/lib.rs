//! Stands for the crate `crc-fast` in the tree of dependencies (`[patch.crates-io]`). `object_store` uses its CRC-64/NVME,
//! and only where a bucket's settings ask for that checksum; the tables for its other algorithms took 650 kB of the
//! executable.

use crc::{CRC_64_NVME, Crc, Table};

static CRC64: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_NVME);

/// The algorithms that can be chosen, by the names of the crate that this one stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    Crc64Nvme,
}

/// A checksum of data that arrives in pieces.
#[derive(Clone)]
pub struct Digest(crc::Digest<'static, u64, Table<1>>);

impl std::fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Digest").finish_non_exhaustive()
    }
}

impl Digest {
    #[must_use]
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        match algorithm {
            CrcAlgorithm::Crc64Nvme => Self(CRC64.digest()),
        }
    }

    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The checksum of everything so far.
    #[must_use]
    pub fn finalize(&self) -> u64 {
        self.0.clone().finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::{CrcAlgorithm, Digest};

    /// The check value of the catalogue of CRC algorithms (CRC-64/NVME), in one piece and in two.
    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        for pieces in [&[&b"123456789"[..]][..], &[b"1234", b"56789"]] {
            let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
            for piece in pieces {
                digest.update(piece);
            }
            assert_eq!(digest.finalize(), 0xae8b_1486_0a79_9888);
        }
    }
}
