//! Ids of elements: the index by id, short ids, and new ids.

use std::collections::HashMap;

/// A hash of an id's text. Equal ids have equal hashes; others are compared.
pub(crate) fn hash(id: &[u8]) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for chunk in id.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    (hash >> 32) as u32
}

/// Elements by a hash, such as that of their id; several may have the same one.
///
/// The entries are in many small sorted groups, so that a change costs as little in a long document as in a short one.
#[derive(Clone, Debug)]
pub(crate) struct HashIndex {
    /// Hash and slot. The first bits of a hash determine its group.
    groups: Box<[Vec<(u32, u32)>]>,
}

impl HashIndex {
    pub(crate) fn of(entries: &[(u32, u32)]) -> Self {
        const PER_GROUP: usize = 16;
        let count = (entries.len() / PER_GROUP).max(PER_GROUP);
        let mut index = Self {
            groups: vec![Vec::new(); count].into(),
        };
        for entry in entries {
            let group = index.group(entry.0);
            index.groups[group].push(*entry);
        }
        for group in &mut index.groups {
            group.sort_unstable();
        }
        index
    }

    fn group(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.groups.len() as u64) >> 32) as usize
    }

    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        let group = self.group(hash);
        let group = &mut self.groups[group];
        let at = group.partition_point(|own| *own < (hash, slot));
        group.insert(at, (hash, slot));
    }

    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        let group = self.group(hash);
        let group = &mut self.groups[group];
        if let Ok(at) = group.binary_search(&(hash, slot)) {
            group.remove(at);
        }
    }

    /// The slots that may belong to this hash.
    pub(crate) fn candidates(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        let group = &self.groups[self.group(hash)];
        let from = group.partition_point(|own| own.0 < hash);
        group[from..]
            .iter()
            .take_while(move |own| own.0 == hash)
            .map(|own| own.1)
    }

    /// How much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let entries: usize = self.groups.iter().map(Vec::capacity).sum();
        entries * size_of::<(u32, u32)>() + size_of_val(&*self.groups)
    }
}

/// The numbers of short ids (`c12`, `t3`). A number is given once; a removed element that returns by an undo
/// gets its own number back.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShortNumbers {
    last: u32,
    /// By id, in the order in which they were removed: several elements may have one id.
    retired: HashMap<Box<str>, Vec<u32>>,
}

impl ShortNumbers {
    pub(crate) fn next(&mut self, id: &str) -> u32 {
        if let Some(numbers) = self.retired.get_mut(id) {
            let number = numbers.pop();
            if numbers.is_empty() {
                self.retired.remove(id);
            }
            if let Some(number) = number {
                return number;
            }
        }
        self.last += 1;
        self.last
    }

    /// Numbers after the largest of these.
    pub(crate) fn after(numbers: &[u32]) -> Self {
        Self {
            last: numbers.iter().copied().max().unwrap_or(0),
            retired: HashMap::new(),
        }
    }

    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    /// Frees the numbers after `last`; no element may have one.
    pub(crate) fn forget_after(&mut self, last: u32) {
        self.last = last;
        self.retired.retain(|_, numbers| {
            numbers.retain(|number| *number <= last);
            !numbers.is_empty()
        });
    }

    pub(crate) fn retire(&mut self, id: &str, number: u32) {
        self.retired.entry(id.into()).or_default().push(number);
    }
}

/// A new id in the style of `like`: hyphens and case are the same. The same `seed` gives the same id.
pub(crate) fn new_id(like: &str, seed: &str, salt: u64) -> String {
    let mut state = salt ^ 0x243f_6a88_85a3_08d3;
    let mut next = |text: &str| {
        for byte in text.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // The finaliser of SplitMix64.
        let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state = mixed ^ (mixed >> 31);
        state
    };
    let high = next(seed);
    let low = next(like);
    // Version 4, variant 1, as the apps write.
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{high:016x}{low:016x}");
    let is_lower = like.contains(|c: char| c.is_ascii_lowercase())
        && !like.contains(|c: char| c.is_ascii_uppercase());
    let digits = if is_lower {
        digits
    } else {
        digits.to_uppercase()
    };
    if like.len() == 32 && !like.contains('-') {
        return digits;
    }
    [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_elements_have_one_hash_in_an_index() {
        let entries: Vec<(u32, u32)> = (0..1_000_u32)
            .map(|slot| (hash(&(slot % 700).to_le_bytes()), slot))
            .collect();
        let mut index = HashIndex::of(&entries);
        let slots = |index: &HashIndex, id: u32| -> Vec<u32> {
            index.candidates(hash(&id.to_le_bytes())).collect()
        };
        assert_eq!(slots(&index, 5), [5, 705]);
        assert_eq!(slots(&index, 600), [600]);
        index.insert(hash(&5_u32.to_le_bytes()), 9_999);
        index.remove(hash(&5_u32.to_le_bytes()), 5);
        assert_eq!(slots(&index, 5), [705, 9_999]);
        assert_eq!(HashIndex::of(&[]).candidates(7).count(), 0);
    }

    #[test]
    fn elements_with_one_id_get_their_own_numbers_back() {
        let mut numbers = ShortNumbers::default();
        assert_eq!(
            [numbers.next("a"), numbers.next("a"), numbers.next("b")],
            [1, 2, 3]
        );
        numbers.retire("a", 1);
        numbers.retire("a", 2);
        assert_eq!(
            [numbers.next("a"), numbers.next("a"), numbers.next("a")],
            [2, 1, 4]
        );
    }

    #[test]
    fn new_ids_have_the_style_of_the_old_ones() {
        let id = new_id("446F458D-2A88-413C-A67A-BB7EA495004A", "x", 0);
        assert_eq!(id.len(), 36);
        assert_eq!(id, id.to_uppercase());
        assert_ne!(id, new_id("446F458D-2A88-413C-A67A-BB7EA495004A", "x", 1));
        let plain = new_id("0123456789abcdef0123456789abcdef", "x", 0);
        assert_eq!((plain.len(), plain.to_lowercase()), (32, plain.clone()));
    }
}
