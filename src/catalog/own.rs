//! Resources that are in no table, named `NAME#ID`: such as a font that the user downloaded in the app. The id is all that the
//! app needs, so such a name means the same on every machine and in every version of the tables.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::{CatalogEntry, NameKind};

/// Entries are kept for the life of the process, so that there are at most this many.
const MOST: usize = 4096;

/// The length of resource and effect ids.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=20;

/// The resource that a name `NAME#ID` stands for. Masks need a shape, which an id does not tell.
pub(super) fn named(kinds: &[NameKind], text: &str) -> Option<&'static CatalogEntry> {
    let (name, id) = text.trim().rsplit_once('#')?;
    let kind = *kinds.first()?;
    (kind != NameKind::Mask).then(|| entry(kind, name, id))?
}

/// The entry of a resource that is in no table; `None` if it has no name or no id.
pub(super) fn entry(kind: NameKind, name: &str, id: &str) -> Option<&'static CatalogEntry> {
    static ENTRIES: LazyLock<Mutex<HashMap<(NameKind, String), &'static CatalogEntry>>> =
        LazyLock::new(Mutex::default);
    let name = name.trim();
    let is_id = DIGITS.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id || name.is_empty() || name.chars().count() > 100 {
        return None;
    }
    let key = format!("{name}#{id}");
    let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(entry) = entries.get(&(kind, key.clone())) {
        return Some(entry);
    }
    if entries.len() >= MOST {
        return None;
    }
    let id: &'static str = String::leak(id.to_owned());
    let entry: &'static CatalogEntry = Box::leak(Box::new(CatalogEntry {
        kind,
        edition: None,
        key: String::leak(key.clone()),
        display: String::leak(name.to_owned()),
        resource_id: id,
        effect_id: id,
        duration: None,
        is_overlap: false,
        vip: false,
        params: &[],
        aspect_ratio: 1.0,
        resource_type: "",
        also: &[],
        more: true,
    }));
    entries.insert((kind, key), entry);
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::units::Edition;

    #[test]
    fn a_name_with_an_id_is_found_where_the_tables_have_neither() {
        let font = "Rubik-Bold#7517472189348695297";
        let found = catalog::find(Edition::Capcut, NameKind::Font, font).expect("the font");
        assert_eq!(found.key, font);
        assert_eq!(found.display, "Rubik-Bold");
        assert_eq!(found.resource_id, "7517472189348695297");
        let again = catalog::find(Edition::Jianying, NameKind::Font, font).expect("the font");
        assert!(std::ptr::eq(found, again));
        for name in ["Rubik#", "#7517472189348695297", "Rubik#75x", "Rubik#12"] {
            assert!(
                catalog::find(Edition::Capcut, NameKind::Font, name).is_err(),
                "{name}"
            );
        }
        let mask = "Cloud#7517472189348695297";
        assert!(catalog::find(Edition::Capcut, NameKind::Mask, mask).is_err());
    }
}
