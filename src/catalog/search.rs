//! Search for names: by parts of names, words, similar spelling, in English and Chinese.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::table::{self, IndexedName, normalised, words};
use super::{CatalogEntry, NameKind};
use crate::sorting;
use crate::units::Edition;

/// A search result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub entry: &'static CatalogEntry,
    /// 1 for the name itself, lower the more it differs from the query.
    pub score: f64,
}

/// English words for effects and the matching words in Chinese names; our own list. An English word also
/// matches words that begin with it.
static WORDS: &str = include_str!("data/words.tsv");

/// The characters of a query that are compared; the rest is ignored.
const QUERY_CHARS: usize = 64;
/// Words of a query that do not help to find a name.
const FILLERS: [&str; 14] = [
    "a",
    "an",
    "and",
    "animation",
    "effect",
    "font",
    "for",
    "from",
    "of",
    "the",
    "to",
    "transition",
    "voice",
    "with",
];
/// A name with a lower score was not meant.
const LEAST_SCORE: f64 = 0.3;
/// The score of a name that contains the query.
const GOOD_SCORE: f64 = 0.5;
/// Spelling is only compared if fewer names than this have a good score.
const ENOUGH: usize = 20;

/// All names of these kinds that match a query, and those of `own`, which are in no table; best first. An empty query
/// matches all.
pub(crate) fn search(
    query: &str,
    kinds: &[NameKind],
    edition: Edition,
    own: &[&'static CatalogEntry],
) -> Vec<Hit> {
    let query = Query::new(query);
    if query.plain.is_empty() {
        return kinds
            .iter()
            .flat_map(|&kind| super::all(edition, kind))
            .chain(own)
            .map(|entry| Hit { entry, score: 0.0 })
            .collect();
    }
    let own: Vec<IndexedName> = own
        .iter()
        .flat_map(|entry| table::names_of(entry))
        .collect();
    let best = |score: &dyn Fn(&IndexedName) -> f64| {
        let mut hits = best(kinds, edition, score);
        hits.extend(best_of(&own, score));
        hits
    };
    let mut hits = best(&|name| query.contained(name));
    let good = hits.iter().filter(|hit| hit.score >= GOOD_SCORE).count();
    // Who writes a name in full has not misspelled another.
    if good < ENOUGH && !hits.iter().any(|hit| hit.score >= 1.0) {
        hits.extend(best(&|name| query.spelled(name, true)));
    }
    ranked(hits)
}

/// The names most similar to an unknown name. Other names are only returned if none is similar.
pub(super) fn nearest(
    edition: Edition,
    kinds: &[NameKind],
    name: &str,
    limit: usize,
) -> Vec<&'static CatalogEntry> {
    let query = Query::new(name);
    let mut hits = best(kinds, edition, |name| {
        query.contained(name).max(query.spelled(name, false))
    });
    if kinds == [NameKind::Font] {
        hits.extend(alike(&query.plain, edition));
    }
    if hits.iter().any(|hit| hit.score >= GOOD_SCORE) {
        hits.retain(|hit| hit.score >= GOOD_SCORE);
    } else if hits.len() < limit {
        let rest = kinds.iter().flat_map(|&kind| super::list(edition, kind));
        hits.extend(rest.take(limit * 2).map(|entry| Hit { entry, score: 0.0 }));
    }
    let ranked = ranked(hits).into_iter().map(|hit| hit.entry);
    ranked.take(limit).collect()
}

/// Common fonts, and fonts of the apps that look similar; our own list.
const ALIKE: [(&[&str], &[&str]); 7] = [
    (
        &[
            "arial",
            "helvetica",
            "verdana",
            "tahoma",
            "calibri",
            "segoeui",
            "sansserif",
            "opensans",
            "notosans",
            "roboto",
            "inter",
            "montserrat",
            "lato",
            "default",
            "system",
        ],
        &[
            "Poppins_Regular",
            "Nunito",
            "Kanit_Regular",
            "HarmonyOS_Sans_SC_Regular",
            "Inter_Black",
        ],
    ),
    (
        &[
            "times",
            "timesnewroman",
            "georgia",
            "serif",
            "garamond",
            "notoserif",
            "cambria",
        ],
        &[
            "OldStandardTT_Regular",
            "PlayfairDisplay_Bold",
            "SourceHanSerifCN_Regular",
        ],
    ),
    (
        &["impact", "bebas", "bebasneue", "anton", "oswald"],
        &[
            "Staatliches_Regular",
            "Bungee_Regular",
            "Kanit_Black",
            "Roboto_BlkCn",
        ],
    ),
    (
        &[
            "comicsans",
            "comicsansms",
            "handwriting",
            "cursive",
            "script",
            "brushscript",
        ],
        &["Caveat_Regular", "Pacifico_Regular", "Grandstander_Regular"],
    ),
    (
        &["courier", "couriernew", "consolas", "monospace", "menlo"],
        &["Sora_Regular", "HeptaSlab_Light", "Poppins_Regular"],
    ),
    (
        &[
            "微软雅黑",
            "黑体",
            "苹方",
            "思源黑体",
            "simhei",
            "pingfang",
            "pingfangsc",
            "microsoftyahei",
        ],
        &[
            "SourceHanSansCN_Regular",
            "HarmonyOS_Sans_SC_Regular",
            "MiSans_Regular",
            "经典雅黑",
        ],
    ),
    (
        &["simsun", "仿宋", "思源宋体", "songti"],
        &["SourceHanSerifCN_Regular", "思源中宋", "思源粗宋", "今宋体"],
    ),
];

fn alike(plain: &str, edition: Edition) -> Vec<Hit> {
    let known = ALIKE.iter().find(|(usual, _)| usual.contains(&plain));
    let names = known.map_or(&[][..], |(_, names)| names);
    let index = table::index(edition, NameKind::Font);
    // These come before similar spellings, in this order.
    let found = names.iter().enumerate().filter_map(|(place, name)| {
        Some(Hit {
            entry: index.exact(name)?,
            score: 1.0 - place as f64 / 100.0,
        })
    });
    found.collect()
}

/// The best score of each entry's names.
fn best(kinds: &[NameKind], edition: Edition, score: impl Fn(&IndexedName) -> f64) -> Vec<Hit> {
    let names = kinds
        .iter()
        .flat_map(|&kind| table::index(edition, kind).names());
    best_of(names, score)
}

fn best_of<'n>(
    names: impl IntoIterator<Item = &'n IndexedName>,
    score: impl Fn(&IndexedName) -> f64,
) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for name in names {
        let mut score = score(name);
        if name.also {
            score *= 0.95;
        }
        if name.entry.more {
            score *= 0.99;
        }
        match hits.last_mut() {
            Some(last) if std::ptr::eq(last.entry, name.entry) => {
                last.score = last.score.max(score);
            }
            _ => hits.push(Hit {
                entry: name.entry,
                score,
            }),
        }
    }
    hits.retain(|hit| hit.score > 0.0);
    hits
}

/// Best first, each entry once; equal scores keep the order of the lists.
fn ranked(mut hits: Vec<Hit>) -> Vec<Hit> {
    sorting::sort_by(&mut hits, |a, b| b.score.total_cmp(&a.score));
    let mut known: HashSet<*const CatalogEntry> = HashSet::new();
    hits.retain(|hit| known.insert(hit.entry));
    hits
}

struct Query {
    plain: String,
    chars: Vec<char>,
    /// For each word of the query: the word, then its translations and synonyms.
    words: Vec<Vec<String>>,
}

impl Query {
    fn new(text: &str) -> Self {
        let text: String = text.chars().take(QUERY_CHARS).collect();
        let plain = normalised(&text);
        let mut words = words(&text);
        if words.iter().any(|word| !FILLERS.contains(&word.as_str())) {
            words.retain(|word| !FILLERS.contains(&word.as_str()));
        }
        let words = words
            .iter()
            .flat_map(|word| {
                if word.is_ascii() {
                    vec![word.clone()]
                } else {
                    parts(word)
                }
            })
            .map(|word| {
                let mut ways = translations(&word);
                ways.insert(0, word);
                ways
            })
            .collect();
        Self {
            chars: plain.chars().collect(),
            plain,
            words,
        }
    }

    /// Scores how much of the query the name contains: all of it in one piece, all its words, or some of them.
    fn contained(&self, name: &IndexedName) -> f64 {
        let share = self.plain.len().min(name.plain.len()) as f64 / name.plain.len().max(1) as f64;
        if name.plain == self.plain {
            return 1.0;
        }
        if name.plain.starts_with(&self.plain) {
            return 0.8 + 0.15 * share;
        }
        if name.plain.contains(&self.plain) {
            return 0.7 + 0.15 * share;
        }
        let mut own = 0;
        let mut translated = 0;
        let mut length = 0;
        for ways in &self.words {
            if let Some(way) = ways.iter().position(|way| has_word(name, way)) {
                if way == 0 {
                    own += 1;
                } else {
                    translated += 1;
                }
                length += ways[way].len();
            }
        }
        let found = own + translated;
        if found == 0 {
            return 0.0;
        }
        let covered = (length as f64 / name.plain.len() as f64).min(1.0);
        if found == self.words.len() {
            let language = if translated > 0 { 0.05 } else { 0.0 };
            0.55 - language + 0.15 * covered
        } else {
            0.45 * found as f64 / self.words.len() as f64 + 0.05 * covered
        }
    }

    /// Scores the similarity of the spelling to the name or to one of its words. With `near_only`, names that cannot
    /// be similar are skipped, which is faster.
    fn spelled(&self, name: &IndexedName, near_only: bool) -> f64 {
        let whole = similarity(&self.chars, &self.plain, &name.plain, near_only);
        let word = name
            .words
            .iter()
            .filter(|_| name.words.len() > 1)
            .map(|word| similarity(&self.chars, &self.plain, word, near_only))
            .fold(0.0, f64::max);
        let score = 0.7 * whole.max(0.85 * word);
        if near_only && score < LEAST_SCORE + 0.12 {
            0.0
        } else {
            score
        }
    }
}

/// Whether the name has the word. A short English word must be a whole word of the name; a longer one may be a part
/// of a word.
fn has_word(name: &IndexedName, word: &str) -> bool {
    if word.is_ascii() && word.len() < 4 {
        name.words.iter().any(|other| other == word)
    } else {
        name.plain.contains(word)
    }
}

/// The similarity: 1 for equal texts, 0 for nothing in common.
fn similarity(query: &[char], text: &str, other: &str, near_only: bool) -> f64 {
    let length = other.chars().count();
    let longest = query.len().max(length);
    if longest == 0 {
        return 0.0;
    }
    if near_only {
        // Each letter that is missing in the other text needs an edit.
        let shared = query.iter().filter(|&&c| other.contains(c)).count();
        if shared * 10 < longest * 6 {
            return 0.0;
        }
    }
    1.0 - strsim::osa_distance(text, other) as f64 / longest as f64
}

/// For each word its translations (English or Chinese) and its synonyms in the same language.
static DICTIONARY: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut dictionary: HashMap<_, Vec<_>> = HashMap::new();
    for line in WORDS.lines().filter(|line| !line.starts_with('#')) {
        let (english, chinese) = line.split_once('\t').unwrap_or_default();
        for english in english.split('|') {
            for chinese in chinese.split('|') {
                dictionary.entry(english).or_default().push(chinese);
                dictionary.entry(chinese).or_default().push(english);
            }
        }
        for one in english.split('|') {
            let others = english.split('|').filter(|other| *other != one);
            dictionary.entry(one).or_default().extend(others);
        }
    }
    dictionary
});

fn translations(word: &str) -> Vec<String> {
    let mut stem = None;
    let known = DICTIONARY.get(word).or_else(|| {
        // `dissolv`, `fading`, `zooms`: the first word with the same beginning.
        let beginning = |other: &&&str| {
            let shorter = other.len().min(word.len());
            shorter >= 4
                && other.is_ascii()
                && other.as_bytes()[..shorter] == word.as_bytes()[..shorter]
        };
        let mut near: Vec<_> = DICTIONARY.keys().filter(beginning).collect();
        near.sort_unstable();
        stem = near.first().map(|near| **near);
        DICTIONARY.get(stem?)
    });
    let others = known.into_iter().flatten().copied();
    stem.into_iter()
        .chain(others)
        .map(ToString::to_string)
        .collect()
}

/// Splits a run of Chinese into known words and the rest.
fn parts(run: &str) -> Vec<String> {
    let chars: Vec<(usize, char)> = run.char_indices().collect();
    let mut parts = Vec::new();
    let mut rest = String::new();
    let mut at = 0;
    while at < chars.len() {
        let known = (1..=4.min(chars.len() - at)).rev().find(|length| {
            let end = chars.get(at + length).map_or(run.len(), |(end, _)| *end);
            DICTIONARY.contains_key(&run[chars[at].0..end])
        });
        let Some(length) = known else {
            rest.push(chars[at].1);
            at += 1;
            continue;
        };
        if !rest.is_empty() {
            parts.push(std::mem::take(&mut rest));
        }
        parts.push(chars[at..at + length].iter().map(|(_, c)| c).collect());
        at += length;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn keys(query: &str, kind: NameKind, edition: Edition) -> Vec<&'static str> {
        search(query, &[kind], edition, &[])
            .iter()
            .take(10)
            .map(|hit| hit.entry.key)
            .collect()
    }

    fn finds(query: &str, kind: NameKind, edition: Edition, key: &str) {
        let found = keys(query, kind, edition);
        assert!(found.contains(&key), "{query}: {found:?}");
    }

    #[test]
    fn parts_words_and_similar_spellings_are_found() {
        finds("dissolv", NameKind::Transition, Edition::Capcut, "Dissolve");
        finds("disolve", NameKind::Transition, Edition::Capcut, "Dissolve");
        finds(
            "fade black",
            NameKind::Transition,
            Edition::Capcut,
            "Black_Fade",
        );
        finds("溶解", NameKind::Transition, Edition::Jianying, "色彩溶解");
        finds(
            "typewritter",
            NameKind::TextIntro,
            Edition::Capcut,
            "Typewriter",
        );
        assert_eq!(
            keys("fade in", NameKind::VideoIntro, Edition::Capcut)[0],
            "Fade_In"
        );
    }

    #[test]
    fn each_language_finds_the_names_of_the_other() {
        finds("溶解", NameKind::Transition, Edition::Capcut, "Dissolve");
        finds(
            "dissolv",
            NameKind::Transition,
            Edition::Jianying,
            "色彩溶解",
        );
        finds("crossfade", NameKind::Transition, Edition::Capcut, "Mix");
        finds("圆形", NameKind::Mask, Edition::Capcut, "Circle");
        finds("heart", NameKind::Mask, Edition::Jianying, "爱心");
        finds(
            "typewriter",
            NameKind::TextIntro,
            Edition::Jianying,
            "打字机_I",
        );
        finds("模糊", NameKind::SceneEffect, Edition::Capcut, "Blur");
    }

    /// `CAPCUT_TEST_FULL=1` searches all names, otherwise every 16th.
    #[test]
    fn every_name_is_found_by_itself() {
        let is_full = std::env::var_os("CAPCUT_TEST_FULL").is_some();
        let mut searched = 0;
        for edition in Edition::ALL {
            for kind in NameKind::ALL.into_iter().chain([NameKind::Property]) {
                let step = if is_full { 1 } else { 16 };
                for entry in crate::catalog::all(edition, kind).iter().step_by(step) {
                    let hits = search(entry.key, &[kind], edition, &[]);
                    let at = hits.iter().position(|hit| std::ptr::eq(hit.entry, *entry));
                    assert!(
                        at.is_some_and(|at| at < 3),
                        "{kind:?} {}: {at:?}",
                        entry.key
                    );
                    searched += 1;
                }
            }
        }
        assert!(searched > 300, "{searched} names");
    }

    #[test]
    fn properties_are_found_by_words_of_both_languages() {
        for (query, name) in [
            ("fade out", "fade_out"),
            ("淡出", "fade_out"),
            ("描边", "border_width"),
            ("outline", "border_width"),
            ("transparency", "opacity"),
            ("字间距", "letter_spacing"),
        ] {
            finds(query, NameKind::Property, Edition::Capcut, name);
        }
    }

    #[test]
    fn unrelated_queries_find_nothing() {
        assert!(keys("qqqqxxxxzzzz", NameKind::Transition, Edition::Capcut).is_empty());
    }

    #[test]
    fn an_empty_query_finds_all_names() {
        assert_eq!(search("", &[NameKind::Mask], Edition::Capcut, &[]).len(), 9);
        assert!(search(" ", &NameKind::ALL, Edition::Jianying, &[]).len() > 1000);
    }

    /// Everyday words, and a name that must be suggested for each word in each edition.
    #[test]
    fn everyday_words_find_names_of_the_edition() {
        for (kind, word, capcut, jianying) in [
            (NameKind::Transition, "fade", "Mix", "叠化"),
            (NameKind::Transition, "fade", "Black_Fade", "闪黑"),
            (NameKind::Transition, "crossfade", "Mix", "叠化"),
            (
                NameKind::Transition,
                "cross dissolve",
                "Dissolve",
                "色彩溶解",
            ),
            (NameKind::Transition, "zoom", "Twinkle_Zoom", "推近"),
            (NameKind::Transition, "slides", "Slide", "滑动"),
            (NameKind::Transition, "wipe", "Wipe_Right", "向右擦除"),
            (NameKind::Transition, "wipe left", "Wipe_Left", "向左擦除"),
            (NameKind::Transition, "blurry", "Blur", "模糊"),
            (NameKind::Transition, "glitches", "Glitch", "故障"),
            (NameKind::Transition, "shaking", "Shake_3", "抖动"),
            (NameKind::Transition, "spin", "Rotate_CW_II", "中心旋转"),
            (NameKind::Transition, "flashes", "Flash", "闪白"),
            (NameKind::Mask, "round", "Circle", "圆形"),
            (NameKind::Mask, "oval", "Circle", "圆形"),
            (NameKind::Mask, "love", "Heart", "爱心"),
            (NameKind::Mask, "star", "Stars", "星形"),
            (NameKind::Mask, "square", "Rectangle", "矩形"),
            (NameKind::Mask, "linear", "Split", "线性"),
            (NameKind::Mask, "mirror", "Filmstrip", "镜面"),
        ] {
            for (edition, expected) in [(Edition::Capcut, capcut), (Edition::Jianying, jianying)] {
                let near = nearest(edition, &[kind], word, 5);
                let keys: Vec<&str> = near.iter().map(|entry| entry.key).collect();
                assert!(keys.contains(&expected), "{word} in {edition:?}: {keys:?}");
                for key in keys {
                    let found = crate::catalog::find_in(edition, &[kind], key);
                    assert!(found.is_ok(), "{key} is not in {edition:?}");
                }
            }
        }
    }

    #[test]
    fn names_that_are_only_spelled_alike_are_not_suggested_with_better_matches() {
        let near = nearest(Edition::Capcut, &[NameKind::Transition], "fade", 5);
        let keys: Vec<&str> = near.iter().map(|entry| entry.key).collect();
        for far in ["Flame", "Curling_Wave", "Wave_Right", "Wave_Left"] {
            assert!(!keys.contains(&far), "{keys:?}");
        }
    }

    #[test]
    fn a_huge_query_is_cut() {
        let query = "模糊fade ".repeat(200_000);
        assert!(search(&query, &NameKind::ALL, Edition::Jianying, &[]).len() <= 10_000);
    }

    /// The limits apply to optimised builds; `cargo test --release` checks them.
    #[test]
    fn a_search_is_quick() {
        let mut kinds = NameKind::ALL.to_vec();
        kinds.push(NameKind::Property);
        let timed = |kinds: &[NameKind]| {
            let queries = ["溶解", "disolve", "fade to black", "blr"];
            let started = Instant::now();
            for query in queries {
                search(query, kinds, Edition::Jianying, &[]);
            }
            started.elapsed().as_secs_f64() * 1e3 / queries.len() as f64
        };
        let first = timed(&kinds);
        let (one, all) = (timed(&[NameKind::SceneEffect]), timed(&kinds));
        eprintln!(
            "search: {one:.2} ms in one kind, {all:.2} ms in all, {first:.2} ms for the first search"
        );
        if !cfg!(debug_assertions) {
            assert!(one < 5.0 && all < 20.0, "{one} ms, {all} ms");
        }
    }
}
