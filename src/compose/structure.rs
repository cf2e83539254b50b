//! The structure of a plan: checks which keys are allowed where, and reports all problems together.

use serde_json::{Value, json};

use super::section::Section;
use crate::args::suggest::nearest;
use crate::args::{draft_settings, kind};
use crate::error::shortened;
use crate::tools::Object;

/// The plan's own keys (without sections), each with its expected value.
const OWN: [(&str, &str); 15] = [
    ("name", "text"),
    ("note", "text"),
    ("width", "a number of pixels"),
    ("height", "a number of pixels"),
    ("aspect_ratio", "text such as \"9:16\""),
    ("resolution", "text such as \"1920x1080\""),
    ("fps", "24, 25, 30, 50 or 60"),
    ("magnet", "true or false"),
    ("cover", "a file, or a time in seconds"),
    (
        "markers",
        "a list of markers such as {\"at\": 2.5, \"title\": \"Intro\"}",
    ),
    (
        "save",
        "true, false or an object of arguments of `save_draft`",
    ),
    ("on_failure", "\"partial_continue\" or \"abort\""),
    (
        DEFAULTS,
        "an object with keys of items by section, such as {\"texts\": {\"font_size\": 12}}",
    ),
    (
        "template",
        "the name, id or folder of a draft, or an object of arguments of `apply_template`",
    ),
    (
        "inputs",
        "an object of values for the `${name}` placeholders",
    ),
];
/// What fills a template: the keys of `template`, which may stand next to it.
const OF_TEMPLATE: [&str; 5] = ["draft", "media", "texts", "repeat", "strict"];

/// Keys of a plan that a template decides itself.
const OF_CANVAS: [&str; 4] = ["width", "height", "aspect_ratio", "resolution"];

/// Other names of these keys.
const ALIASES: [(&str, &str); 5] = [
    ("title", "name"),
    ("project_name", "name"),
    ("description", "note"),
    ("ratio", "aspect_ratio"),
    ("frame_rate", "fps"),
];

/// Other names of the sections of a plan.
const SECTIONS: [(&str, Section); 14] = [
    ("audios", Section::Audio),
    ("sounds", Section::Audio),
    ("music", Section::Audio),
    ("video", Section::Visuals),
    ("videos", Section::Visuals),
    ("image", Section::Visuals),
    ("images", Section::Visuals),
    ("pictures", Section::Visuals),
    ("clips", Section::Visuals),
    ("captions", Section::Subtitles),
    ("subtitle", Section::Subtitles),
    ("text", Section::Texts),
    ("sticker", Section::Stickers),
    ("effect", Section::Effects),
];

/// Removes invalid parts from a plan, and returns the problems, each beginning with its path.
pub(super) fn take_faults(plan: &mut Value) -> Vec<String> {
    let mut faults = Vec::new();
    let Value::Object(members) = plan else {
        let wrong = match plan {
            Value::Null => "is empty".to_owned(),
            Value::Array(_) => {
                "is a list; a list of items belongs under a key, such as `visuals:`".to_owned()
            }
            other => format!("is {}", kind(other)),
        };
        return vec![format!(
            "the plan {wrong}; a plan is an object with keys such as {}",
            keys()
        )];
    };
    for (alias, name) in ALIASES {
        if let Some(value) = members.shift_remove(alias) {
            if members.contains_key(name) {
                faults.push(format!(
                    "{alias}: is another name for `{name}`: give one of them"
                ));
            } else {
                members.insert(name.to_owned(), value);
            }
        }
    }
    faults.extend(gather_template(members));
    fill_defaults(members, &mut faults);
    let order: Vec<String> = members.keys().cloned().collect();
    let ends: Vec<usize> = Section::ALL
        .iter()
        .map(|section| {
            members
                .get(section.key())
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        })
        .collect();
    members.retain(|key, value| {
        let fault = if let Some(section) = Section::of_key(key) {
            items(section, value, &mut faults)
        } else if OWN.iter().any(|(own, _)| own == key) {
            own(key, value, &mut faults)
        } else {
            Some(unknown(key, &order, &ends))
        };
        let is_right = fault.is_none();
        faults.extend(fault.map(|fault| format!("{}: {fault}", shortened(key))));
        is_right
    });
    faults
}

/// The key with what all items of a section have, unless an item says otherwise.
const DEFAULTS: &str = "defaults";

/// Gives the items what the plan's `defaults` say about their section, or about all images or videos.
fn fill_defaults(members: &mut Object, faults: &mut Vec<String>) {
    let Some(defaults) = members.shift_remove(DEFAULTS) else {
        return;
    };
    let Value::Object(defaults) = defaults else {
        faults.push(format!(
            "{DEFAULTS}: is {}; it must be an object such as {{\"texts\": {{\"font_size\": 12}}}}",
            short(&defaults)
        ));
        return;
    };
    for (of, mut values) in defaults {
        let path = format!("{DEFAULTS}.{}", shortened(&of));
        let alias = SECTIONS.iter().find(|(alias, _)| *alias == of);
        let section = Section::of_key(&of).or(alias.map(|(_, section)| *section));
        let Some(section) = section else {
            faults.push(format!(
                "{path}: is not a section of a plan; the sections are {}, \"images\" and \"videos\"",
                Section::ALL.map(|section| format!("\"{}\"", section.key())).join(", ")
            ));
            continue;
        };
        let Value::Object(values) = &mut values else {
            faults.push(format!(
                "{path}: is {}; it must be an object with keys of items",
                short(&values)
            ));
            continue;
        };
        nulls(values, &path, faults);
        misplaced(section, values, &path, faults);
        let items = members.get_mut(section.key()).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
            if !is_of(item, &of) {
                continue;
            }
            for (key, value) in values.iter() {
                if !item.contains_key(key) {
                    item.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

/// Whether an item of `visuals` is one of "images" or "videos"; true for other words.
fn is_of(item: &Object, word: &str) -> bool {
    let has = |kind: &str| {
        item.keys().any(|key| key.starts_with(kind))
            || item.get("type").and_then(Value::as_str) == Some(kind)
    };
    match word {
        "image" | "images" | "pictures" => has("image") || item.contains_key("imagine"),
        "video" | "videos" => has("video") || item.contains_key("film"),
        _ => true,
    }
}

/// Moves what fills a template into `template`, and removes what cannot be in a plan with one.
fn gather_template(members: &mut Object) -> Vec<String> {
    let mut faults = Vec::new();
    let mut template = match members.get("template") {
        Some(Value::String(draft)) => Object::from_iter([("draft".to_owned(), json!(draft))]),
        Some(Value::Object(template)) => template.clone(),
        _ => return faults,
    };
    let is_slots = |key: &str, value: &Value| match key {
        "media" | "repeat" | "strict" => true,
        // A list of texts is a section of items.
        "texts" => value.is_object(),
        _ => false,
    };
    let keys: Vec<String> = members.keys().cloned().collect();
    for key in keys {
        if is_slots(&key, &members[&key]) {
            let value = members.shift_remove(&key).unwrap_or_default();
            if template.contains_key(&key) {
                faults.push(format!(
                    "{key}: `template` has it as well: give one of them"
                ));
            } else {
                template.insert(key, value);
            }
        } else if Section::of_key(&key).is_some() {
            members.shift_remove(&key);
            faults.push(format!(
                "{key}: a plan with `template` adds no items; give files in `media: {{slot: file}}` and words in `texts: {{slot: words}}`"
            ));
        } else if OF_CANVAS.contains(&key.as_str()) {
            members.shift_remove(&key);
            faults.push(format!(
                "{key}: the canvas is that of the template; remove `{key}`"
            ));
        } else if draft_settings::KEYS.contains(&key.as_str()) {
            members.shift_remove(&key);
            faults.push(format!(
                "{key}: is that of the template; remove `{key}`, and change it afterwards with `edit_draft`, operation `settings`"
            ));
        }
    }
    template.retain(|key, _| {
        let is_known = OF_TEMPLATE.contains(&key.as_str());
        if !is_known {
            faults.push(format!(
                "template.{}: is not a key of a template; its keys are {}",
                shortened(key),
                OF_TEMPLATE.join(", ")
            ));
        }
        is_known
    });
    members.insert("template".to_owned(), Value::Object(template));
    faults
}

fn keys() -> String {
    let sections = Section::ALL.iter().map(|section| section.key());
    let own = OWN.iter().map(|(key, _)| *key);
    let keys: Vec<&str> = own.chain(sections).collect();
    keys.join(", ")
}

/// The message for an unknown key of the plan: where it belongs, or the nearest key.
fn unknown(key: &str, order: &[String], ends: &[usize]) -> String {
    if OF_TEMPLATE.contains(&key) && !order.iter().any(|other| other == "template") {
        return format!("is not a key of a plan without `template`: `{key}` fills one");
    }
    if let Some((_, section)) = SECTIONS.iter().find(|(other, _)| *other == key) {
        return format!(
            "is not a key of a plan; did you mean `{}`, a list of items such as {{\"{}\": …}}?",
            section.key(),
            section.content()
        );
    }
    let takes = |section: &Section| section.takes(key);
    // The section before the key, if the key was meant for an item of it.
    let at = order.iter().position(|other| other == key).unwrap_or(0);
    let before = order[..at]
        .iter()
        .rev()
        .find_map(|key| Section::of_key(key));
    if let Some(section) = before.filter(takes) {
        let last = Section::ALL
            .iter()
            .position(|other| *other == section)
            .map_or(0, |index| ends[index]);
        let section = section.key();
        return match last {
            0 => format!(
                "is not a key of a plan; indent it: `{key}` belongs to an item of `{section}`"
            ),
            last => format!(
                "is not a key of a plan; indent it: `{key}` belongs to `{section}[{}]`",
                last - 1
            ),
        };
    }
    let own = OWN.iter().map(|(key, _)| *key);
    let known = own.chain(Section::ALL.iter().map(|section| section.key()));
    let near = nearest(key, known.chain(ALIASES.iter().map(|(alias, _)| *alias)));
    if let Some(near) = near {
        return format!("is not a key of a plan; did you mean `{near}`?");
    }
    let sections: Vec<String> = Section::ALL
        .iter()
        .filter(|section| takes(section))
        .map(|section| format!("`{}`", section.key()))
        .collect();
    if sections.is_empty() {
        return format!("is not a key of a plan; its keys are {}", keys());
    }
    format!(
        "is not a key of a plan but of an item: `{key}` belongs to an item of {}",
        sections.join(", ")
    )
}

/// The message for a null value.
fn is_null(path: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    format!(
        "is null, which is not allowed here: remove `{}` for its default, or give a value (in YAML, an unquoted # \
         starts a comment: write a colour as \"#00FF00\", in quotes)",
        shortened(key)
    )
}

/// One of the plan's own keys.
fn own(key: &str, value: &mut Value, faults: &mut Vec<String>) -> Option<String> {
    let is_right = match (key, &mut *value) {
        (_, Value::Null) => return Some(is_null(key)),
        ("width" | "height", Value::String(text)) => {
            let number = text.trim().trim_end_matches("px").trim().parse::<f64>();
            match number.ok().filter(|number| number.is_finite()) {
                Some(number) => {
                    *value = json!(number);
                    true
                }
                None => false,
            }
        }
        ("width" | "height", other) => other.is_number(),
        ("fps" | "magnet" | "cover", other) => {
            other.is_number() || other.is_string() || other.is_boolean()
        }
        ("markers", other) => other.is_array(),
        ("inputs", other) => other.is_object(),
        ("template", Value::Object(arguments)) => {
            nulls(arguments, key, faults);
            true
        }
        ("template", _) => false,
        ("save", Value::String(text)) => match text.trim() {
            "true" => {
                *value = json!(true);
                true
            }
            "false" => {
                *value = json!(false);
                true
            }
            _ => false,
        },
        ("save", Value::Object(arguments)) => {
            nulls(arguments, key, faults);
            true
        }
        ("save", other) => other.is_boolean(),
        ("on_failure", Value::String(text)) => {
            matches!(text.as_str(), "partial_continue" | "abort")
        }
        ("on_failure", _) => false,
        (_, Value::String(_)) => true,
        (_, Value::Number(_) | Value::Bool(_)) => {
            *value = Value::String(value.to_string());
            true
        }
        _ => false,
    };
    let expected = OWN
        .iter()
        .find(|(own, _)| *own == key)
        .map_or("", |(_, expected)| expected);
    (!is_right).then(|| format!("is {}, which is not {expected}", short(value)))
}

fn short(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        other => shortened(&other.to_string()).into_owned(),
    }
}

/// The items of a section.
fn items(section: Section, value: &mut Value, faults: &mut Vec<String>) -> Option<String> {
    let key = section.key();
    let items = match value {
        Value::Array(items) => items,
        Value::Null => return Some(format!("{}; it must be a list of items", is_null(key))),
        Value::Object(_) => {
            return Some("is an object, not a list of items: a list with one item is `- ` and its keys in YAML, `[{…}]` in JSON, `[[…]]` in TOML".to_owned());
        }
        other => {
            return Some(format!(
                "is {}, which is not a list of items such as [{{\"{}\": …}}]",
                short(other),
                section.content()
            ));
        }
    };
    for (index, item) in items.iter_mut().enumerate() {
        let path = format!("{key}[{index}]");
        let fault = match &mut *item {
            Value::Object(members) => {
                misplaced(section, members, &path, faults);
                nulls(members, &path, faults);
                continue;
            }
            Value::Null => is_null(&path),
            other => format!(
                "is {}, which is not an item: an item is an object such as {{\"{}\": …}}",
                short(other),
                section.content()
            ),
        };
        faults.push(format!("{path}: {fault}"));
        // Replaced, not removed, so that later items keep their indexes.
        *item = json!({});
    }
    None
}

/// Removes keys of an item that belong elsewhere.
fn misplaced(section: Section, item: &mut Object, path: &str, faults: &mut Vec<String>) {
    item.retain(|key, _| {
        if section.takes(key) || key == "draft_id" {
            return true;
        }
        let own = OWN.iter().map(|(key, _)| *key);
        let own = own.chain(Section::ALL.iter().map(|section| section.key()));
        let fault = if own
            .chain(ALIASES.iter().map(|(alias, _)| *alias))
            .any(|own| own == key)
        {
            format!(
                "`{key}` is a key of the plan: write it at the outermost level, without indentation"
            )
        } else {
            let others: Vec<String> = Section::ALL
                .iter()
                .filter(|other| other.takes(key))
                .map(|other| format!("`{}`", other.key()))
                .collect();
            // A key similar to one of this item's own keys is a misspelling, which is reported later.
            if others.is_empty() || section.near(key).is_some() {
                return true;
            }
            format!("`{key}` belongs to an item of {}", others.join(", "))
        };
        faults.push(format!("{path}.{}: {fault}", shortened(key)));
        false
    });
}

/// Removes every null within an object.
fn nulls(members: &mut Object, path: &str, faults: &mut Vec<String>) {
    members.retain(|key, value| {
        let path = format!("{path}.{key}");
        match value {
            Value::Null => {
                faults.push(format!("{path}: {}", is_null(&path)));
                return false;
            }
            Value::Object(inner) => nulls(inner, &path, faults),
            Value::Array(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    match item {
                        Value::Object(inner) => nulls(inner, &format!("{path}[{index}]"), faults),
                        Value::Null => {
                            let path = format!("{path}[{index}]");
                            faults.push(format!("{path}: {}", is_null(&path)));
                        }
                        _ => {}
                    }
                }
                list.retain(|item| !item.is_null());
            }
            _ => {}
        }
        true
    });
}
