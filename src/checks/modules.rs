//! The modules of the crate and what they use: layers, circles, and what `ARCHITECTURE.md` says about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{ROOT, files, read};

/// A module of the crate, outside its tests.
pub(super) struct Module {
    /// Its path without `crate`: `["draft", "segment"]`.
    pub path: Vec<String>,
    /// Its code without comments and tests.
    pub code: String,
}

impl Module {
    pub(super) fn top(&self) -> &str {
        &self.path[0]
    }

    /// The paths that it uses, from the root of the crate: of its `use` declarations, and in its code.
    fn uses(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        let mut rest = String::new();
        for line in self.code.split_inclusive(';') {
            let at = line.rfind("use ").filter(|at| {
                let before = line[..*at].trim_end();
                before.is_empty()
                    || before.ends_with(['}', '{', ']', ';', ')'])
                    || before.ends_with("pub")
            });
            match at {
                Some(at) => {
                    rest.push_str(&line[..at]);
                    paths.extend(expanded(line[at + 4..].trim_end_matches(';')));
                }
                None => rest.push_str(line),
            }
        }
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in rest.match_indices(start) {
                if !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
                    let end = rest[at..].find(|c| !is_part(c)).unwrap_or(rest.len() - at);
                    paths.push(rest[at..at + end].to_owned());
                }
            }
        }
        paths
            .iter()
            .filter_map(|path| self.absolute(path))
            .collect()
    }

    /// A path of a `use` declaration from the root of the crate; `None` for another crate.
    fn absolute(&self, path: &str) -> Option<Vec<String>> {
        let mut parts = path
            .split("::")
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .peekable();
        let mut base = match parts.peek() {
            Some(&"crate") => Vec::new(),
            Some(&("super" | "self")) => self.path.clone(),
            _ => return None,
        };
        for part in parts {
            match part {
                "crate" | "self" => {}
                "super" => {
                    base.pop();
                }
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().to_owned()];
    };
    let inner = inner.trim().strip_suffix('}').unwrap_or(inner);
    let mut depth = 0;
    let parts = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts
        .filter(|part| !part.trim().is_empty())
        .flat_map(expanded)
        .map(|path| format!("{prefix}{path}"))
        .collect()
}

/// The modules of the crate without those for tests.
pub(super) fn modules() -> Vec<Module> {
    let source = Path::new(ROOT).join("src");
    let modules: Vec<Module> = files("src", "rs")
        .into_iter()
        .filter(|path| !is_for_tests(path))
        .filter_map(|path| {
            let inside = path
                .strip_prefix(&source)
                .expect("a file of src")
                .with_extension("");
            let names: Vec<String> = inside
                .iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            let is_root = ["lib", "main"].contains(&names[0].as_str());
            (!is_root).then(|| Module {
                path: names,
                code: code_of(&read(&path)),
            })
        })
        .collect();
    assert!(modules.len() >= 150, "only {} modules", modules.len());
    modules
}

/// A text without comments and without its tests, which come last.
fn code_of(text: &str) -> String {
    let marks = ["", "pub(super) ", "pub(crate) "];
    let marks = marks.map(|wide| format!("#[cfg(test)]\n{wide}mod tests {{"));
    let end = marks.iter().filter_map(|mark| text.find(mark)).min();
    let lines = text[..end.unwrap_or(text.len())].lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a module, or a module that it is in, is declared for tests only.
fn is_for_tests(path: &Path) -> bool {
    let source = Path::new(ROOT).join("src");
    let mut path = path.with_extension("");
    while path != source {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        path.pop();
        let parent = if path == source {
            source.join("lib.rs")
        } else {
            path.with_extension("rs")
        };
        let declares = |text: String| {
            let wide = ["", "pub(super) ", "pub(crate) "];
            wide.iter()
                .any(|wide| text.contains(&format!("#[cfg(test)]\n{wide}mod {name};")))
        };
        if fs::read_to_string(parent).is_ok_and(declares) {
            return true;
        }
    }
    false
}

/// The layer of each module, from the table in the docs of `lib.rs`.
pub(super) fn layers() -> BTreeMap<String, u32> {
    let map = read(&Path::new(ROOT).join("src/lib.rs"));
    let mut layers = BTreeMap::new();
    for line in map.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(layer), Some(modules)) = (cells.next(), cells.next()) else {
            continue;
        };
        let Ok(layer) = layer.parse() else { continue };
        for name in modules.split(',') {
            let name = name.trim().trim_matches(['[', ']', '`']);
            layers.insert(name.to_owned(), layer);
        }
    }
    layers
}

#[test]
fn a_module_uses_its_own_layer_and_those_below() {
    let layers = layers();
    let mut upward = Vec::new();
    for module in modules() {
        let layer = layers
            .get(module.top())
            .unwrap_or_else(|| panic!("`{}` is not in the table of lib.rs", module.top()));
        for used in module.uses() {
            if used
                .first()
                .and_then(|top| layers.get(top))
                .is_some_and(|other| other > layer)
            {
                upward.push(format!(
                    "{} uses `{}`",
                    module.path.join("::"),
                    used.join("::")
                ));
            }
        }
    }
    assert!(upward.is_empty(), "modules use a higher layer: {upward:#?}");
}

/// Modules side by side that use each other, directly or through others: by the module that they are in, then the names
/// of each circle.
fn circles(modules: &[Module]) -> BTreeSet<(String, Vec<String>)> {
    // Which modules of a parent use which of their siblings.
    let mut uses: BTreeMap<String, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
    let names: BTreeSet<&[String]> = modules.iter().map(|module| &*module.path).collect();
    for module in modules {
        for used in module.uses() {
            let common = module
                .path
                .iter()
                .zip(&used)
                .take_while(|(a, b)| a == b)
                .count();
            let is_module = used.len() > common && names.contains(&used[..=common]);
            if common < module.path.len() && is_module {
                uses.entry(module.path[..common].join("::"))
                    .or_default()
                    .entry(&module.path[common])
                    .or_default()
                    .insert(used[common].clone());
            }
        }
    }
    let mut found = BTreeSet::new();
    for (parent, uses) in &uses {
        let reached = |from: &str| {
            let mut reached = BTreeSet::new();
            let mut open = vec![from];
            while let Some(next) = open.pop() {
                for used in uses.get(next).into_iter().flatten() {
                    if reached.insert(used.as_str()) {
                        open.push(used);
                    }
                }
            }
            reached
        };
        for from in uses.keys() {
            let circle: Vec<String> = reached(from)
                .into_iter()
                .filter(|to| reached(to).contains(from))
                .map(str::to_owned)
                .collect();
            if !circle.is_empty() {
                found.insert((parent.clone(), circle));
            }
        }
    }
    found
}

#[test]
fn modules_do_not_use_each_other_in_circles() {
    let found = circles(&modules());
    assert!(
        found.is_empty(),
        "modules use each other in circles: {found:#?}"
    );
}

#[test]
fn paths_of_use_declarations_and_of_code_are_parsed() {
    let check = |code: &str, expected: &[&str]| {
        let path = ["draft", "segment"].map(str::to_owned).to_vec();
        let module = Module {
            path,
            code: code_of(code),
        };
        let found: Vec<_> = module.uses().iter().map(|path| path.join("::")).collect();
        assert_eq!(found, expected, "{code}");
    };
    check(
        "use crate::tools::{Call, Tool};",
        &["tools::Call", "tools::Tool"],
    );
    check(
        "use crate::{args::{normalize, schema as s}, tools};\nuse std::fs;",
        &["args::normalize", "args::schema", "tools"],
    );
    check(
        "pub(crate) use super::text::{self, Text};",
        &["draft::text", "draft::text::Text"],
    );
    check(
        "let error = crate::error::Error::new();",
        &["error::Error::new"],
    );
    check("fn f(clip: super::clip::Clip) {}", &["draft::clip::Clip"]);
    check("// see crate::cli\n/// [`crate::cli`]", &[]);
    check("#[cfg(test)]\nmod tests {\n    use crate::cli;", &[]);
}

#[test]
fn circles_are_found_at_every_level_and_through_other_modules() {
    let module = |path: &str, code: &str| Module {
        path: path.split("::").map(str::to_owned).collect(),
        code: code.to_owned(),
    };
    let modules = [
        module("a", "use crate::b::x;"),
        module("b", ""),
        module("b::x", "use crate::c;"),
        module("c", "fn f() { crate::a::g() }"),
        module("d", "use crate::a;\nuse d::e;"),
        module("d::e", "use super::f;\nuse super::Parent;"),
        module("d::f", "use super::e::E;"),
    ];
    let circle = |parent: &str, names: &[&str]| {
        (
            parent.to_owned(),
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let expected = BTreeSet::from([circle("", &["a", "b", "c"]), circle("d", &["e", "f"])]);
    assert_eq!(circles(&modules), expected);
}

/// The names of the types that a module defines, at its outermost level.
fn types_of(code: &str) -> Vec<&str> {
    let lines = code.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = match line.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ")?.1,
            None => line,
        };
        let (kind, rest) = line.split_once(' ')?;
        let is_type = ["struct", "enum", "trait", "type", "union"].contains(&kind);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        is_type.then(|| &rest[..end.unwrap_or(rest.len())])
    });
    lines.collect()
}

/// A name that means one thing: searching for it finds one definition.
#[test]
fn a_type_name_is_defined_once() {
    let modules = modules();
    let mut defined: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for module in &modules {
        for name in types_of(&module.code) {
            defined
                .entry(name)
                .or_default()
                .push(module.path.join("::"));
        }
    }
    assert!(defined.len() > 400, "only {} types", defined.len());
    defined.retain(|_, places| places.len() > 1);
    assert!(
        defined.is_empty(),
        "type names with several definitions: {defined:#?}"
    );
}

#[test]
fn types_are_found_whatever_their_visibility() {
    let code = "struct A;\npub(crate) enum B<T> {\n    Struct,\n}\npub trait C: Send {}\npub(in crate::a) type D = A;\nfn f() {}";
    assert_eq!(types_of(code), ["A", "B", "C", "D"]);
}
