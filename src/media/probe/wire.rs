//! Numbers from bytes; `None` beyond the end.

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn u16_be(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u16::from_be_bytes).map(u64::from)
}

pub(super) fn u16_le(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u16::from_le_bytes).map(u64::from)
}

pub(super) fn u24_le(bytes: &[u8], at: usize) -> Option<u64> {
    let [a, b, c] = array(bytes, at)?;
    Some(u64::from(u32::from_le_bytes([a, b, c, 0])))
}

pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u32::from_be_bytes).map(u64::from)
}

pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u32::from_le_bytes).map(u64::from)
}

pub(super) fn u64_be(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

pub(super) fn u64_le(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A number with seven bits per byte in four bytes, as ID3 writes lengths.
pub(super) fn syncsafe(bytes: &[u8], at: usize) -> Option<u64> {
    let parts: [u8; 4] = array(bytes, at)?;
    Some(
        parts
            .iter()
            .fold(0, |sum, part| sum << 7 | u64::from(part & 0x7f)),
    )
}
