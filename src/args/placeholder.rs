//! Template placeholders that were not filled: `{{title}}`, `{{ $json.url }}`.

/// The most bytes between the braces; longer text is not a placeholder.
const LONGEST: usize = 100;

/// The first placeholder in double braces within a text.
pub(crate) fn unfilled(text: &str) -> Option<&str> {
    all(text).next()
}

/// The first one that cannot be a slot of a template: expressions of other programs, such as `{{ $json.url }}`.
pub(crate) fn foreign(text: &str) -> Option<&str> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-');
    all(text).find(|found| !found[2..found.len() - 2].chars().all(is_word))
}

fn all(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices('{').map(|(start, _)| start);
    let starts = starts.filter(|start| text[*start..].starts_with("{{"));
    starts.filter_map(|start| {
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
         `${{name}}` and filled from `inputs`; `edit_draft` writes a slot of a template)"
    )
}

#[cfg(test)]
mod tests {
    use super::{foreign, unfilled};

    #[test]
    fn slots_of_templates_are_plain_names() {
        assert_eq!(foreign("{{title}} {{ sub title-2 }} {{标题}}"), None);
        assert_eq!(foreign("{{title}} {{ $json.x }}"), Some("{{ $json.x }}"));
        assert_eq!(foreign("{{#a#}}"), Some("{{#a#}}"));
    }

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
