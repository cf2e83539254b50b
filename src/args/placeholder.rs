//! Template placeholders that were not filled: `{{title}}`, `{{ $json.url }}`.

/// The most bytes between the braces; longer text is not a placeholder.
const LONGEST: usize = 100;

/// The first placeholder in double braces within a text.
pub(crate) fn unfilled(text: &str) -> Option<&str> {
    let starts = text.match_indices('{').map(|(start, _)| start);
    let mut starts = starts.filter(|start| text[*start..].starts_with("{{"));
    starts.find_map(|start| {
        let length = text[start + 2..].find("}}")?;
        let name = &text[start + 2..start + 2 + length];
        let is_name = !name.trim().is_empty()
            && name.len() <= LONGEST
            && !name.contains(['{', '}', '\n', '\r']);
        is_name.then(|| &text[start..start + length + 4])
    })
}

/// What is wrong with it, and what to do.
pub(crate) fn fault(placeholder: &str) -> String {
    format!(
        "the placeholder {placeholder} was not filled: replace it with its value (in a plan, a placeholder is written \
         `${{name}}` and filled from `inputs`)"
    )
}

#[cfg(test)]
mod tests {
    use super::unfilled;

    #[test]
    fn placeholders_in_double_braces_are_found() {
        let check = |text, found| assert_eq!(unfilled(text), found, "{text}");
        check("Hello {{name}}!", Some("{{name}}"));
        check("{{ $json[\"url\"] }}", Some("{{ $json[\"url\"] }}"));
        check("{{#start.title#}}", Some("{{#start.title#}}"));
        check("a {{}} {{x}}", Some("{{x}}"));
        check("{{{x}}}", Some("{{x}}"));
        check("{x} {{ }} }} {{", None);
        check("{{a\nb}}", None);
        check("plain", None);
    }
}
