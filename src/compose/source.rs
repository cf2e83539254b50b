//! Reads the text of a plan from YAML, TOML or JSON, with the line and column of every value. Where the plan expects
//! text, unquoted words in YAML are kept as written.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use serde_saphyr::NonFiniteFloatPolicy;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::section::Section;
use crate::error::{Error, Result};
use crate::tools;

/// The deepest nesting of lists and objects in a plan.
const DEPTH: usize = 128;

/// The format of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    Yaml,
    Toml,
    Json,
}

/// A plan as it was read.
#[derive(Debug)]
pub(crate) struct PlanSource {
    pub value: Value,
    pub places: Places,
}

/// Line and column (from 1) of the values of a plan, by path: `texts[0].text`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<HashMap<String, (usize, usize)>>);

impl PlanSource {
    /// Reads a text without a byte order mark.
    pub(crate) fn read(text: &str, format: PlanFormat) -> Result<Self> {
        let root = match format {
            PlanFormat::Toml => None,
            PlanFormat::Json | PlanFormat::Yaml => marked(text),
        };
        let mut seen = HashSet::new();
        if let Some(root) = &root
            && let Some((key, first, again)) = root.twice(&mut seen)
        {
            return Err(Error::invalid(format!(
                "line {}, column {}: `{key}` is given twice in one object; the first is on line {}",
                again.0, again.1, first.0
            ))
            .hint("give it once: a list (such as `texts`) takes several items"));
        }
        let (value, root) = match format {
            PlanFormat::Json => (
                serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?,
                root,
            ),
            PlanFormat::Toml => {
                let mut value = toml::from_str(text).map_err(|e| Error::invalid(e.to_string()))?;
                dates_to_text(&mut value);
                (value, DeTable::parse(text).ok().map(|t| of_toml(text, &t)))
            }
            PlanFormat::Yaml => {
                let options = serde_saphyr::options! {
                    // `text: .nan` is a word; where a number is expected, it is refused.
                    non_finite_float_policy: NonFiniteFloatPolicy::AsString,
                    with_snippet: false,
                };
                let mut value = serde_saphyr::from_str_with_options(text, options)
                    .map_err(|e| unreadable_yaml(text, &e.to_string()))?;
                if let Some(root) = &root {
                    keep_words(&mut value, root);
                }
                (value, root)
            }
        };
        let mut places = HashMap::new();
        if let Some(root) = root {
            locate(&value, &root, String::new(), root.place, &mut places);
        }
        Ok(Self {
            value,
            places: Places(Arc::new(places)),
        })
    }
}

impl Places {
    /// A problem with its line and column, if known: `line 12, column 5: texts[0].text: …`.
    pub(crate) fn located(&self, fault: &str) -> String {
        // A missing value gets the position of its parent.
        let mut path = fault.split_once(": ").map_or("", |(path, _)| path);
        while !path.is_empty() {
            if let Some((line, column)) = self.0.get(path) {
                return format!("line {line}, column {column}: {fault}");
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
        fault.to_owned()
    }
}

fn unreadable_yaml(text: &str, why: &str) -> Error {
    let error = Error::invalid(why);
    let comment = text.lines().enumerate().find(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with('#') && line.contains(": #")
    });
    match comment {
        Some((index, _)) => error.hint(format!(
            "line {}: an unquoted # starts a comment that hides the rest of the line; write colours in quotes, such as \"#00FF00\"",
            index + 1
        )),
        None if text.contains('\t') => error.hint("YAML is indented with spaces, not with tabs"),
        None => error,
    }
}

/// A node of the text.
#[derive(Debug)]
struct Node {
    place: (usize, usize),
    content: NodeContent,
}

#[derive(Debug)]
enum NodeContent {
    /// The text of a scalar without quotes.
    Plain(String),
    Other,
    List(Vec<Rc<Node>>),
    Map(Vec<Member>),
}

#[derive(Debug)]
struct Member {
    key: String,
    place: (usize, usize),
    node: Rc<Node>,
}

impl Node {
    /// A member: its own, or one from a merge key (`<<`).
    fn member(&self, key: &str) -> Option<&Member> {
        let NodeContent::Map(members) = &self.content else {
            return None;
        };
        let own = members.iter().find(|member| member.key == key);
        own.or_else(|| {
            let merged = members.iter().filter(|member| member.key == "<<");
            merged
                .flat_map(|member| match &member.node.content {
                    NodeContent::List(list) => list.iter().collect(),
                    _ => vec![&member.node],
                })
                .find_map(|node| node.member(key))
        })
    }

    /// A duplicate key of an object, and both positions. Parsers use the last one, or refuse it without its position.
    /// `seen` contains the visited nodes, because aliases can reach one node many times.
    fn twice(
        &self,
        seen: &mut HashSet<*const Self>,
    ) -> Option<(&str, (usize, usize), (usize, usize))> {
        if !seen.insert(self) {
            return None;
        }
        match &self.content {
            NodeContent::List(list) => list.iter().find_map(|node| node.twice(seen)),
            NodeContent::Map(members) => {
                let mut places = HashMap::new();
                let own = members.iter().filter(|member| member.key != "<<");
                for member in own {
                    if let Some(first) = places.insert(member.key.as_str(), member.place) {
                        return Some((&member.key, first, member.place));
                    }
                }
                members.iter().find_map(|member| member.node.twice(seen))
            }
            _ => None,
        }
    }

    fn item(&self, index: usize) -> Option<&Node> {
        match &self.content {
            NodeContent::List(list) => list.get(index).map(Rc::as_ref),
            _ => None,
        }
    }
}

/// A list or an object that is being read.
struct OpenNode {
    place: (usize, usize),
    anchor: usize,
    content: NodeContent,
    /// The key whose value comes next.
    key: Option<(String, (usize, usize))>,
}

/// The nodes of a YAML or JSON text; `None` if the text cannot be parsed into one tree.
fn marked(text: &str) -> Option<Node> {
    let mut anchors: HashMap<usize, Rc<Node>> = HashMap::new();
    let mut open: Vec<OpenNode> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let place = (span.start.line(), span.start.col() + 1);
        let begun = |content, anchor| OpenNode {
            place,
            anchor,
            content,
            key: None,
        };
        let (node, anchor, word) = match event {
            Event::SequenceStart(_, anchor, ..) => {
                open.push(begun(NodeContent::List(Vec::new()), anchor));
                continue;
            }
            Event::MappingStart(_, anchor, ..) => {
                open.push(begun(NodeContent::Map(Vec::new()), anchor));
                continue;
            }
            Event::Scalar(word, style, anchor, tag) => {
                let content = match style {
                    ScalarStyle::Plain if tag.is_none() => NodeContent::Plain(word.to_string()),
                    _ => NodeContent::Other,
                };
                (Rc::new(Node { place, content }), anchor, word.into_owned())
            }
            Event::Alias(anchor) => (Rc::clone(anchors.get(&anchor)?), 0, String::new()),
            Event::SequenceEnd | Event::MappingEnd => {
                let OpenNode {
                    place,
                    anchor,
                    content,
                    ..
                } = open.pop()?;
                (Rc::new(Node { place, content }), anchor, String::new())
            }
            Event::DocumentEnd => return None,
            _ => continue,
        };
        if open.len() > DEPTH {
            return None;
        }
        if anchor > 0 {
            anchors.insert(anchor, Rc::clone(&node));
        }
        let Some(parent) = open.last_mut() else {
            drop(anchors);
            return Rc::try_unwrap(node).ok();
        };
        match &mut parent.content {
            NodeContent::List(list) => list.push(node),
            NodeContent::Map(members) => match parent.key.take() {
                None => parent.key = Some((word, node.place)),
                Some((key, place)) => members.push(Member { key, place, node }),
            },
            _ => return None,
        }
    }
    None
}

fn of_toml(text: &str, table: &Spanned<DeTable<'_>>) -> Node {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect();
    let place = |at: usize| {
        let line = starts.partition_point(|start| *start <= at);
        let column = text[starts[line - 1]..at].chars().count() + 1;
        (line, column)
    };
    Node {
        place: place(table.span().start),
        content: members_of_toml(table.get_ref(), &place),
    }
}

fn members_of_toml(table: &DeTable<'_>, place: &dyn Fn(usize) -> (usize, usize)) -> NodeContent {
    let members = table.iter().map(|(key, value)| Member {
        key: key.get_ref().to_string(),
        place: place(key.span().start),
        node: Rc::new(node_of_toml(value, place)),
    });
    NodeContent::Map(members.collect())
}

fn node_of_toml(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> (usize, usize)) -> Node {
    let content = match value.get_ref() {
        DeValue::Array(list) => NodeContent::List(
            list.iter()
                .map(|item| Rc::new(node_of_toml(item, place)))
                .collect(),
        ),
        DeValue::Table(table) => members_of_toml(table, place),
        _ => NodeContent::Other,
    };
    Node {
        place: place(value.span().start),
        content,
    }
}

/// Converts TOML's dates, which JSON does not have, to text as written.
fn dates_to_text(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(dates_to_text),
        Value::Object(members) => {
            if let Some(Value::String(date)) = members.get_mut("$__toml_private_datetime") {
                *value = Value::String(std::mem::take(date));
            } else {
                members.values_mut().for_each(dates_to_text);
            }
        }
        _ => {}
    }
}

fn locate(
    value: &Value,
    node: &Node,
    path: String,
    place: (usize, usize),
    places: &mut HashMap<String, (usize, usize)>,
) {
    match value {
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                if let Some(node) = node.item(index) {
                    locate(item, node, format!("{path}[{index}]"), node.place, places);
                }
            }
        }
        Value::Object(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (key, item) in members {
                if let Some(member) = node.member(key) {
                    let path = format!("{path}{dot}{key}");
                    locate(item, &member.node, path, member.place, places);
                }
            }
        }
        _ => {}
    }
    places.insert(path, place);
}

/// YAML reads `No`, `007`, `1.10`, `on` and `1e3` as truth values and numbers. Where a plan expects text, they are kept
/// as written.
fn keep_words(plan: &mut Value, root: &Node) {
    let Value::Object(members) = plan else { return };
    for (key, value) in members.iter_mut() {
        let Some(node) = root.member(key).map(|member| &*member.node) else {
            continue;
        };
        match key.as_str() {
            "name" | "title" | "project_name" | "note" | "description" => {
                keep_word(value, node, Null::Word);
            }
            "aspect_ratio" | "resolution" | "on_failure" => keep_word(value, node, Null::Absent),
            // Where the inputs are used is not known yet. Numbers in text are read as numbers where those are expected.
            "inputs" => {
                for (key, value) in value.as_object_mut().into_iter().flatten() {
                    if let Some(member) = node.member(key) {
                        keep_word(value, &member.node, Null::Absent);
                    }
                }
            }
            "save" => keep_words_of("save_draft", value, node),
            key => {
                let section = Section::ALL
                    .into_iter()
                    .find(|section| section.key() == key);
                let (Some(section), Value::Array(items)) = (section, value) else {
                    continue;
                };
                for (index, item) in items.iter_mut().enumerate() {
                    let Some(node) = node.item(index) else {
                        continue;
                    };
                    for tool in section.tools() {
                        keep_words_of(tool, item, node);
                    }
                    for (key, value) in item.as_object_mut().into_iter().flatten() {
                        if let (
                            "id" | "align_to" | "script" | "type" | "fit" | "say" | "imagine"
                            | "film" | "style" | "auto" | "provider" | "language",
                            Some(member),
                        ) = (key.as_str(), node.member(key))
                        {
                            keep_word(value, &member.node, Null::Absent);
                            keep_words_of_made(value, &member.node);
                        }
                    }
                }
            }
        }
    }
}

/// The words in `say`, `imagine` or `film` as an object.
fn keep_words_of_made(value: &mut Value, node: &Node) {
    for (key, value) in value.as_object_mut().into_iter().flatten() {
        if let ("text" | "voice" | "provider" | "prompt" | "style", Some(member)) =
            (key.as_str(), node.member(key))
        {
            keep_word(value, &member.node, Null::Absent);
        }
    }
}

/// The meaning of `null` and `~` where text is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    /// Words, because the value is required.
    Word,
    Absent,
}

fn keep_words_of(tool: &str, arguments: &mut Value, node: &Node) {
    let Some(spec) = tools::routed(tool) else {
        return;
    };
    let schema = spec.input();
    let (Some(properties), Value::Object(members)) = (schema.get("properties"), arguments) else {
        return;
    };
    let required = schema.get("required").and_then(Value::as_array);
    for (key, value) in members.iter_mut() {
        let name = spec.own_name(key);
        let null = match required {
            Some(required) if required.iter().any(|required| required == name) => Null::Word,
            _ => Null::Absent,
        };
        if let (Some(property), Some(member)) = (properties.get(name), node.member(key)) {
            keep_text(property, value, &member.node, null);
        }
    }
}

fn keep_text(schema: &Value, value: &mut Value, node: &Node, null: Null) {
    match value {
        Value::Array(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                if let Some(node) = node.item(index) {
                    keep_text(&schema["items"], item, node, Null::Absent);
                }
            }
        }
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                if let (Some(property), Some(member)) =
                    (schema["properties"].get(key), node.member(key))
                {
                    keep_text(property, value, &member.node, Null::Absent);
                }
            }
        }
        _ if schema["type"] == "string" => keep_word(value, node, null),
        _ if schema["type"] == "array" && schema["items"]["type"] == "string" => {
            keep_word(value, node, null);
        }
        _ => {}
    }
}

fn keep_word(value: &mut Value, node: &Node, null: Null) {
    if let NodeContent::Plain(word) = &node.content
        && !word.is_empty()
        && (null == Null::Word || !value.is_null())
    {
        *value = Value::String(word.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::plan::Plan;
    use super::*;

    fn yaml(text: &str) -> Value {
        PlanSource::read(text, PlanFormat::Yaml).unwrap().value
    }

    fn faults(text: &str, format: PlanFormat) -> String {
        let source = PlanSource::read(text, format).unwrap();
        let plan = Plan::from_value(
            &source.value,
            &source.places,
            &BTreeMap::new(),
            None,
            &crate::styles::Styles::default(),
        );
        plan.unwrap_err().to_string()
    }

    #[test]
    fn a_duplicate_key_is_refused_with_its_position() {
        for (text, format, place) in [
            (
                "{\"texts\": [],\n \"name\": \"a\",\n \"texts\": []}",
                PlanFormat::Json,
                "line 3, column 2: `texts` is given twice in one object; the first is on line 1",
            ),
            (
                "{\"texts\": [{\"text\": \"a\", \"text\": \"b\"}]}",
                PlanFormat::Json,
                "line 1, column 26: `text` is given twice",
            ),
            (
                "texts:\n- text: a\n  text: b\n",
                PlanFormat::Yaml,
                "line 3, column 3: `text` is given twice in one object; the first is on line 2",
            ),
        ] {
            let error = PlanSource::read(text, format)
                .expect_err("twice")
                .to_string();
            assert!(error.contains(place), "{error}");
        }
        let aliases = "a: &a {text: x}\ntexts: [*a, *a]\n";
        assert!(PlanSource::read(aliases, PlanFormat::Yaml).is_ok());
    }

    #[test]
    fn words_are_kept_as_written_where_the_plan_expects_text() {
        for word in [
            "No",
            "007",
            "1.10",
            "on",
            "y",
            "off",
            "null",
            "Null",
            "~",
            "1e3",
            "0x10",
            "0o17",
            "1_000",
            "2024-01-01",
            ".nan",
            ".inf",
            "12:30",
            "True",
            "+1",
            "-0",
            "18446744073709551616",
            "1e999",
        ] {
            let plan = yaml(&format!(
                "name: {word}\ntexts:\n  - {{text: {word}, start: 1.50}}\n  - content: {word}\n"
            ));
            assert_eq!(
                plan["texts"][0],
                json!({ "text": word, "start": 1.5 }),
                "{word}"
            );
            assert_eq!(plan["texts"][1]["content"], word);
            assert_eq!(plan["name"], word);
        }
        let plan = yaml(
            "base: &base {text: 1.10, track_name: 007}\ninputs: {zip: 01234}\naspect_ratio: 1.0\n\
             save: {app_version: 9.10, overwrite: yes}\n\
             texts:\n  - {<<: *base, bold: yes, text_styles: [{start: 0, end: 1, font: 700}]}\n  - *base\n  - text: !!str 5\n",
        );
        assert_eq!(plan["texts"][0]["text"], "1.10");
        assert_eq!(plan["texts"][1]["track_name"], "007");
        assert_eq!(plan["texts"][2]["text"], "5");
        assert_eq!(plan["inputs"]["zip"], "01234");
        assert_eq!(
            plan["save"],
            json!({ "app_version": "9.10", "overwrite": true })
        );
        assert_eq!(plan["aspect_ratio"], "1.0");
    }

    #[test]
    fn a_value_hidden_by_a_comment_is_reported() {
        let error = faults(
            "texts:\n  - text: a\n    font_color: #00FF00\n    start: ~\n",
            PlanFormat::Yaml,
        );
        for expected in [
            "line 3, column 5: texts[0].font_color: is null",
            "starts a comment",
            "line 4, column 5: texts[0].start: is null",
        ] {
            assert!(error.contains(expected), "{expected}: {error}");
        }
        let error = PlanSource::read(
            "texts:\n  - {text: a, font_color: #00FF00}\n",
            PlanFormat::Yaml,
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 2: an unquoted # starts a comment"),
            "{error}"
        );
    }

    #[test]
    fn problems_have_line_and_column_in_every_format() {
        let at = "line 3, column";
        for (format, text) in [
            (PlanFormat::Yaml, "texts:\n  - text: a\n    txet: b\n"),
            (
                PlanFormat::Json,
                "{\"texts\": [\n  {\"text\": \"a\",\n   \"txet\": \"b\"}\n], \"nmae\": 1}",
            ),
            (PlanFormat::Toml, "[[texts]]\ntext = \"a\"\ntxet = \"b\"\n"),
        ] {
            let source = PlanSource::read(text, format).unwrap();
            let located = source
                .places
                .located("texts[0].txet: there is no such argument");
            assert!(located.starts_with(at), "{format:?}: {located}");
            // A missing value is reported at its item.
            let located = source.places.located("texts[0].start: is missing");
            assert!(located.starts_with("line "), "{located}");
        }
        assert_eq!(Places::default().located("a: b"), "a: b");
    }

    #[test]
    fn dates_of_toml_are_text() {
        let source = PlanSource::read("name = 2024-01-01\n", PlanFormat::Toml).unwrap();
        assert_eq!(source.value["name"], "2024-01-01");
    }
}
