//! A part of a JSON document, by JSON pointer (`/tracks/0`) or dotted path (`tracks[0].segments`).

use serde_json::Value;

use super::kind;
use super::suggest::nearest;
use crate::error::{Error, Result, shortened};

/// Keys that an error lists.
const LISTED: usize = 30;

/// Whether a path selects the whole document.
pub(crate) fn is_whole(path: &str) -> bool {
    matches!(path.trim(), "" | "/" | "$" | ".")
}

/// The part of the document at the path. `[2:5]` is a list of the items 2, 3 and 4; an item of a list is also
/// found by its `name` or `id`.
pub(crate) fn part(document: &Value, path: &str) -> Result<Value> {
    let mut at = document;
    let mut gone = String::new();
    let steps = steps(path.trim());
    for (index, step) in steps.iter().enumerate() {
        let here = if gone.is_empty() {
            "the document".to_owned()
        } else {
            format!("`{gone}`")
        };
        at = match at {
            Value::Object(members) => members.get(step).ok_or_else(|| {
                let keys = || members.keys().map(String::as_str);
                let near = nearest(step, keys()).map(|near| format!("; did you mean `{near}`?"));
                let listed: Vec<&str> = keys().take(LISTED).collect();
                let more = if members.len() > LISTED { ", …" } else { "" };
                missing(format!(
                    "{here} has no key `{}`{}",
                    shortened(step),
                    near.unwrap_or_default()
                ))
                .hint(format!("its keys are {}{more}", listed.join(", ")))
            })?,
            Value::Array(list) => {
                if let Some((from, to)) = step.split_once(':') {
                    let bound = |text: &str, usual| match text.trim() {
                        "" => Some(usual),
                        text => text.parse::<usize>().ok(),
                    };
                    let (Some(from), Some(to)) = (bound(from, 0), bound(to, list.len())) else {
                        return Err(missing(format!(
                            "`{}` is not a range such as 0:10",
                            shortened(step)
                        )));
                    };
                    let to = to.min(list.len());
                    let range = list.get(from.min(to)..to).unwrap_or_default().to_vec();
                    return match steps.get(index + 1) {
                        None => Ok(Value::Array(range)),
                        Some(_) => Err(missing("a range must be the last step of a path")),
                    };
                }
                let named = |item: &&Value| ["name", "id"].iter().any(|key| item[*key] == **step);
                let found = match step.parse::<usize>() {
                    Ok(place) => list.get(place),
                    Err(_) => list.iter().find(named),
                };
                found.ok_or_else(|| {
                    let last = list.len().checked_sub(1);
                    missing(match last {
                        None => format!("{here} is an empty list"),
                        Some(last) => format!(
                            "{here} has no item `{}`: its items are 0 to {last}",
                            shortened(step)
                        ),
                    })
                })?
            }
            other => {
                return Err(missing(format!(
                    "{here} is {}, which has no key `{}`",
                    kind(other),
                    shortened(step)
                )));
            }
        };
        match step.parse::<usize>() {
            Ok(place) => gone += &format!("[{place}]"),
            Err(_) if gone.is_empty() => gone.clone_from(step),
            Err(_) => gone += &format!(".{step}"),
        }
    }
    Ok(at.clone())
}

fn missing(message: impl std::fmt::Display) -> Error {
    Error::not_found(format!("`path`: {message}"))
}

fn steps(path: &str) -> Vec<String> {
    if let Some(pointer) = path.strip_prefix('/') {
        let steps = pointer.split('/').filter(|step| !step.is_empty());
        return steps
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
    }
    let path = path.strip_prefix('$').unwrap_or(path);
    let steps = path.split(['.', '[']).map(|step| {
        let step = step.strip_suffix(']').unwrap_or(step);
        step.trim_matches(['"', '\'']).to_owned()
    });
    steps.filter(|step| !step.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_found_by_pointer_and_by_dotted_path() {
        let document = json!({
            "tracks": [{ "name": "main", "segments": [{ "id": "a" }, { "id": "b" }, { "id": "c" }] }],
            "a/b": { "x.y": 1 },
        });
        let check = |path: &str, expected: Value| {
            assert_eq!(part(&document, path).unwrap(), expected, "{path}");
        };
        check("/tracks/0/segments/1", json!({ "id": "b" }));
        check("tracks[0].segments[1].id", json!("b"));
        check("tracks.0.segments.1.id", json!("b"));
        check("$.tracks[\"main\"].segments[b]", json!({ "id": "b" }));
        check(
            "tracks[0].segments[1:]",
            json!([{ "id": "b" }, { "id": "c" }]),
        );
        check("/tracks/0/segments/0:1", json!([{ "id": "a" }]));
        check("/a~1b", json!({ "x.y": 1 }));
        for whole in ["", "/", "$", "."] {
            assert!(is_whole(whole));
            check(whole, document.clone());
        }
        let wrong = |path: &str, expected: &str| {
            let error = part(&document, path).unwrap_err().to_string();
            assert!(error.contains(expected), "{path}: {error}");
        };
        wrong(
            "trakcs",
            "the document has no key `trakcs`; did you mean `tracks`?",
        );
        wrong(
            "tracks[0].segmnets",
            "`tracks[0]` has no key `segmnets`; did you mean `segments`?",
        );
        wrong("tracks[0].zzz", "its keys are name, segments");
        wrong(
            "tracks[7]",
            "`tracks` has no item `7`: its items are 0 to 0",
        );
        wrong("tracks[0].name.x", "is text, which has no key `x`");
        wrong("tracks[a:b]", "is not a range");
    }
}
