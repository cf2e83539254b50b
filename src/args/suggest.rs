//! "Did you mean …?": the similar name or value.

/// The fixed value that was probably meant.
pub(crate) fn nearest_value<'n>(
    value: &str,
    allowed: impl Iterator<Item = &'n str> + Clone,
) -> Option<&'n str> {
    let meant = OTHER_VALUES
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(value.trim()));
    let known = meant.and_then(|(_, own)| allowed.clone().find(|allowed| allowed == own));
    known.or_else(|| nearest(value, allowed))
}

/// Other names for fixed values.
const OTHER_VALUES: [(&str, &str); 10] = [
    ("scale", "uniform_scale"),
    ("zoom", "uniform_scale"),
    ("size", "uniform_scale"),
    ("opacity", "alpha"),
    ("transparency", "alpha"),
    ("fade", "alpha"),
    ("x", "position_x"),
    ("y", "position_y"),
    ("rotate", "rotation"),
    ("angle", "rotation"),
];

/// The name that was probably meant, if any is similar.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // The time to compare grows with the product of both lengths, and no similar name is much longer.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase().replace(['-', ' '], "_");
    let words: Vec<&str> = wanted.split('_').collect();
    names
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let spelling = strsim::normalized_damerau_levenshtein(&wanted, &lower);
            // `colour_of_text` and `text_color` share words, not spelling.
            let shared = lower
                .split('_')
                .filter(|part| {
                    words
                        .iter()
                        .any(|word| strsim::normalized_damerau_levenshtein(word, part) > 0.8)
                })
                .count() as f64;
            let all = words.len().max(lower.split('_').count()) as f64;
            (spelling.max(shared / all), candidate)
        })
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
