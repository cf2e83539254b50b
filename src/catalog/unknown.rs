//! Errors for names that an app or a server does not have, with the nearest names.

use std::fmt::Write as _;

use super::kind::{NameKind, excerpt};
use super::{CatalogEntry, lookup, search, table};
use crate::error::Error;
use crate::units::Edition;

/// The error for a name that is in these tables but unknown to a server that only has the API's list.
pub(crate) fn newer(edition: Edition, entry: &CatalogEntry) -> Error {
    let near: Vec<String> = search::nearest(edition, &[entry.kind], entry.key, 10)
        .into_iter()
        .filter(|near| !near.more)
        .map(|near| format!("`{}`", near.key))
        .collect();
    let what = format!(
        "the server does not know the {} {:?}",
        entry.kind.label(),
        entry.key
    );
    let error =
        Error::invalid(what).at_shell("create the draft with `--backend embedded`, which has it");
    if near.is_empty() {
        error
    } else {
        error.hint(format!("did you mean {}?", enumerated(&near)))
    }
}

pub(super) fn unknown(edition: Edition, kinds: &[NameKind], name: &str) -> Error {
    let labels: Vec<&str> = kinds.iter().map(|kind| kind.label()).collect();
    let message = format!(
        "{} has no {} {:?}",
        edition.app(),
        enumerated(&labels),
        excerpt(name),
    );

    let near: Vec<String> = search::nearest(edition, kinds, name, 5)
        .into_iter()
        .map(|entry| format!("`{}`", entry.key))
        .collect();
    let mut hint = String::new();
    let is_cut = ["cut", "hardcut", "straightcut", "jumpcut", "硬切", "直切"]
        .contains(&table::normalised(name).as_str());
    if is_cut && kinds == [NameKind::Transition] {
        hint.push_str("without `transition`, clips follow each other with a cut; ");
    } else if !near.is_empty() {
        let _ = write!(hint, "did you mean {}? ", enumerated(&near));
    }
    let other = edition.other();
    let there = if kinds.iter().any(|kind| kind.is_audio()) {
        lookup(other, &NameKind::audio(other), name)
    } else {
        lookup(other, kinds, name)
    };
    if let Some(entry) = there {
        let _ = write!(hint, "{} has it as `{}`; ", other.app(), entry.key);
    } else if let Some(entry) = lookup(edition, &NameKind::ALL, name) {
        let _ = write!(
            hint,
            "`{}` is of another kind: {}; ",
            entry.key,
            entry.kind.label()
        );
    }
    hint.push_str("`search_catalog` finds names");
    Error::invalid(message).hint(hint).source(UnknownName)
}

/// Marks errors whose only problem is a name that is not in these tables.
#[derive(Debug)]
struct UnknownName;

impl std::fmt::Display for UnknownName {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl std::error::Error for UnknownName {}

/// Whether the only problem is a name that is not in these tables; a newer server may have it.
pub(crate) fn is_unknown(error: &Error) -> bool {
    error
        .source
        .as_ref()
        .is_some_and(|source| source.is::<UnknownName>())
}

/// `a, b or c`.
fn enumerated(items: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        text.push_str(match number {
            0 => "",
            _ if number + 1 == items.len() => " or ",
            _ => ", ",
        });
        text.push_str(item.as_ref());
    }
    text
}
