//! `search_catalog`: finds names of effects, transitions, animations, fonts and so on, and properties of clips.

use std::sync::{Arc, LazyLock};

use capcut_draft::{ClipKind, PROPERTIES, Property, PropertyDefault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::input_rule::InputRule;
use crate::args::{Object, property};
use crate::catalog::{self, AppCache, CatalogEntry, NameKind};
use crate::engine::resources::name_kinds;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::{self, LocalTool};
use crate::tool::{Hints, Spec};
use crate::units::{Edition, Micros};

/// Finds names of transitions, effects, animations, masks, fonts, filters and sounds, and properties of clips, by words in English or
/// Chinese, with the argument that takes each.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SearchCatalog {
    /// Words or part of a name. Default: the first names.
    #[serde(default)]
    pub query: String,
    /// Only this kind; `property`: also arguments that no schema lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = kind_names()))]
    pub kind: Option<String>,
    /// The app. Default: that of new drafts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["capcut", "jianying"]))]
    pub edition: Option<String>,
    /// Names per page.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// Names to skip.
    #[serde(default)]
    pub offset: u32,
}

fn twenty() -> u32 {
    20
}

/// The matching names, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CatalogMatches {
    /// The app that has these names.
    pub edition: &'static str,
    /// How many names match.
    pub total: usize,
    pub hits: Vec<SearchHit>,
    /// The `offset` of the next names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A name and its properties.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct CatalogMatch {
    /// The name for other tools.
    pub name: &'static str,
    /// What it names.
    pub kind: &'static str,
    /// The name in the app.
    pub display: &'static str,
    /// Its default length in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether the app requires a subscription.
    pub vip: bool,
    /// Its parameters in order, each from 0 to 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<&'static str>,
}

/// A match with what is needed to use it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct SearchHit {
    /// The name for other tools.
    pub name: &'static str,
    /// What it names.
    pub kind: &'static str,
    /// The name in the app, or what the property is.
    pub display: &'static str,
    /// Its default length in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether the app requires a subscription.
    pub vip: bool,
    /// Its parameters in order, each from 0 to 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<&'static str>,
    /// The argument that takes the name, or that is the property.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub argument: &'static str,
    /// The tools that have the argument; so have the items of plans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<&'static str>,
    /// A tool and the argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
    /// Keys of the operation `set` of `edit_draft`.
    #[serde(skip_serializing_if = "Object::is_empty")]
    pub set: Object,
    /// Values of a property: unit and range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Other names of a property.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<&'static str>,
    /// The app shows it only if it is in the app's cache.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub needs_cache: bool,
    /// Whether it is in the cache of the app on this machine; absent where there is no cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<bool>,
}

/// A call that uses a match.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Example {
    pub tool: &'static str,
    pub arguments: Object,
}

impl From<&'static CatalogEntry> for CatalogMatch {
    fn from(entry: &'static CatalogEntry) -> Self {
        Self {
            name: entry.key,
            kind: entry.kind.name(),
            display: entry.display,
            duration: entry
                .duration
                .filter(|length| length.0 > 0)
                .map(Micros::seconds),
            vip: entry.vip,
            params: entry.params.iter().map(|param| param.name).collect(),
        }
    }
}

/// Where a property, or the names of a kind, can be given.
struct Usage {
    property: &'static Property,
    /// All kinds of names that the property has, in the order in which they are searched.
    kinds: Vec<NameKind>,
    /// The tools, and the name of the argument in the first of them.
    tools: Vec<&'static Spec>,
    argument: &'static str,
}

impl Usage {
    /// Of a property on these kinds of clips.
    fn of(property: &'static Property, clips: &[ClipKind]) -> Self {
        let mut tools: Vec<&'static Spec> = local::all()
            .filter(|spec| {
                let kind = spec.clip_kind();
                kind.is_some_and(|kind| clips.contains(&kind))
                    && property.names().any(|name| spec.takes(name))
            })
            .collect();
        let own_name = |spec: &Spec| {
            let input = spec.input().get("properties");
            let is_own = |name: &&str| input.is_some_and(|input| input.get(*name).is_some());
            property.names().find(is_own)
        };
        // Tools that list the argument are the usual ones for it.
        tools.sort_by_key(|spec| own_name(spec).is_none());
        let argument = tools.first().and_then(|spec| own_name(spec));
        Self {
            property,
            kinds: Vec::new(),
            tools,
            argument: argument.unwrap_or(property.name),
        }
    }

    /// Of the names of a kind, by the list of properties.
    fn of_kind(kind: NameKind, edition: Edition) -> Option<Self> {
        PROPERTIES.iter().find_map(|property| {
            let resource = property.resource()?;
            let clips = property.kinds.iter().copied();
            let clips: Vec<ClipKind> = clips
                .filter(|clip| name_kinds(edition, resource, *clip).contains(&kind))
                .collect();
            let kinds = clips
                .iter()
                .map(|clip| name_kinds(edition, resource, *clip))
                .find(|kinds| kinds.contains(&kind))?;
            Some(Self {
                kinds,
                ..Self::of(property, &clips)
            })
        })
    }

    /// The name as the argument takes it: the id of an entry whose name another kind has, which is searched first.
    fn name_of(&self, entry: &'static CatalogEntry, edition: Edition) -> &'static str {
        let found = catalog::find_in(edition, &self.kinds, entry.key);
        match found {
            Ok(found) if std::ptr::eq(found, entry) => entry.key,
            _ => entry.resource_id,
        }
    }

    fn hit(&self, entry: &'static CatalogEntry, value: &Value) -> SearchHit {
        let example = self.tools.first().map(|spec| {
            let mut arguments = Object::new();
            arguments.insert(self.argument.to_owned(), value.clone());
            // Two kinds of names have the same argument, and this one distinguishes them.
            if entry.kind == NameKind::CharacterEffect && spec.takes("effect_category") {
                arguments.insert("effect_category".to_owned(), "character".into());
            }
            Example {
                tool: spec.name,
                arguments,
            }
        });
        let mut set = Object::new();
        if self.property.refusal().is_none() {
            set.insert(self.property.name.to_owned(), value.clone());
        }
        SearchHit {
            argument: self.argument,
            tools: self.tools.iter().map(|spec| spec.name).collect(),
            example,
            set,
            ..plain(entry)
        }
    }
}

fn plain(entry: &'static CatalogEntry) -> SearchHit {
    let CatalogMatch {
        name,
        kind,
        display,
        duration,
        vip,
        params,
    } = entry.into();
    SearchHit {
        name,
        kind,
        display,
        duration,
        vip,
        params,
        argument: "",
        tools: Vec::new(),
        example: None,
        set: Object::new(),
        value: None,
        default: None,
        also: Vec::new(),
        needs_cache: false,
        cached: None,
    }
}

/// The hit of a property of clips, or of an argument that the list of tools does not name.
fn property_hit(entry: &'static CatalogEntry) -> SearchHit {
    let Some(property) = Property::named(entry.key) else {
        return argument_hit(entry);
    };
    let example = property
        .evidence()
        .and_then(|known| serde_json::from_str(known.example).ok());
    let usage = Usage::of(property, property.kinds);
    let default = match property.default {
        PropertyDefault::Number(number) => Some(property::json(number).to_string()),
        PropertyDefault::Switch(on) => Some(on.to_string()),
        PropertyDefault::Text(text) if !text.is_empty() => Some(text.to_owned()),
        _ => None,
    };
    let says = property.measure.says;
    SearchHit {
        value: Some(match property.refusal() {
            Some(why) => format!("{says}; not by `set`: {why}"),
            None => says.to_owned(),
        }),
        default,
        also: property.aliases.to_vec(),
        ..usage.hit(entry, &example.unwrap_or_default())
    }
}

/// The hit of an argument that is no property of clips.
fn argument_hit(entry: &'static CatalogEntry) -> SearchHit {
    let specs: Vec<&'static Spec> = local::all()
        .filter(|spec| is_rare(spec, entry.key))
        .collect();
    let schema = specs.first().and_then(|spec| {
        let input = spec.input().get("properties");
        input.and_then(|input| input.get(entry.key)).cloned()
    });
    let schema = schema.unwrap_or_default();
    let default = schema.get("default");
    let value = match (&schema["enum"], default) {
        (Value::Array(choices), _) => choices.first().cloned(),
        (_, Some(default)) => Some(default.clone()),
        _ => match schema["type"].as_str() {
            Some("boolean") => Some(true.into()),
            Some("number" | "integer") => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
            _ => Some(json!("…")),
        },
    };
    let range = match &schema["enum"] {
        Value::Array(choices) => {
            let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
            format!("one of {}", choices.join(", "))
        }
        _ => schema["type"].as_str().unwrap_or("text").to_owned(),
    };
    let example = specs.first().zip(value).map(|(spec, value)| Example {
        tool: spec.name,
        arguments: std::iter::once((entry.key.to_owned(), value)).collect(),
    });
    SearchHit {
        argument: entry.key,
        tools: specs.iter().map(|spec| spec.name).collect(),
        example,
        value: Some(range),
        default: default.map(ToString::to_string),
        ..plain(entry)
    }
}

fn is_rare(spec: &Spec, argument: &str) -> bool {
    spec.input_rules
        .iter()
        .any(|rule| matches!(rule, InputRule::Rare(rare) if *rare == argument))
}

/// The arguments that the list of tools does not name and that are no properties of clips.
static RARE_ARGUMENTS: LazyLock<Vec<&'static CatalogEntry>> = LazyLock::new(|| {
    let mut found: Vec<&'static CatalogEntry> = Vec::new();
    for spec in local::all() {
        for rule in spec.input_rules {
            let InputRule::Rare(name) = *rule else {
                continue;
            };
            let input = spec.input().get("properties");
            let Some(schema) = input.and_then(|input| input.get(name)) else {
                continue;
            };
            let is_known = found.iter().any(|entry| entry.key == name);
            if Property::named(name).is_none() && !is_known {
                let about = schema["description"].as_str().unwrap_or_default();
                found.push(catalog::property_entry(
                    name,
                    String::leak(about.to_owned()),
                    &[],
                ));
            }
        }
    }
    found
});

/// The kinds whose names a tool takes in an edition.
fn taken(edition: Edition) -> Vec<NameKind> {
    let kinds = NameKind::ALL.into_iter();
    kinds
        .filter(|kind| Usage::of_kind(*kind, edition).is_some_and(|usage| !usage.tools.is_empty()))
        .collect()
}

/// The values of `kind`.
fn kind_names() -> Vec<&'static str> {
    let takes = |kind: &NameKind| {
        PROPERTIES.iter().any(|property| {
            property.resource().is_some_and(|resource| {
                property.kinds.iter().any(|clip| {
                    Edition::ALL
                        .iter()
                        .any(|edition| name_kinds(*edition, resource, *clip).contains(kind))
                })
            })
        })
    };
    let kinds = NameKind::ALL.into_iter().filter(takes);
    kinds
        .chain([NameKind::Property])
        .map(NameKind::name)
        .collect()
}

impl LocalTool for SearchCatalog {
    const NAME: &'static str = "search_catalog";
    const TITLE: &'static str = "Search catalog";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("limit"),
        InputRule::Rare("offset"),
        InputRule::Alias("name", "query"),
        InputRule::Alias("keyword", "query"),
        InputRule::Alias("type", "kind"),
        InputRule::Alias("category", "kind"),
        InputRule::ValueAdvice("kind", &["filters", "lut"], "did you mean \"filter\"?"),
        InputRule::ValueAdvice(
            "kind",
            &["effect", "effects", "video_effect"],
            "did you mean \"scene_effect\" or \"character_effect\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["animation", "animations", "intro", "outro"],
            "did you mean \"video_intro\", \"video_outro\", \"text_intro\" or \"text_outro\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["audio", "sound", "audio_effect", "voice", "sound_effect"],
            "did you mean \"voice_filter\", \"voice_character\", \"audio_scene\" or \"tone\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &[
                "properties",
                "argument",
                "arguments",
                "parameter",
                "parameters",
            ],
            "did you mean \"property\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["sticker", "stickers", "music"],
            "the catalog has no stickers and no music; `sticker_id` is a number from the app or another draft",
        ),
    ];
    type Reply = CatalogMatches;

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(Err(fault)) = self.kind.as_deref().map(str::parse::<NameKind>) {
            faults.push(format!("`kind`: {fault}"));
        }
        if let Err(fault) = edition(self.edition.as_deref(), Edition::Capcut) {
            faults.push(fault.message);
        }
        if !(1..=1000).contains(&self.limit) {
            faults.push(format!(
                "`limit` is {}; it must be from 1 to 1000",
                self.limit
            ));
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<CatalogMatches> {
        let edition = match self.edition.as_deref() {
            None => app.edition().await,
            named => edition(named, app.settings.edition)?,
        };
        let kind = self
            .kind
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|fault: String| Error::invalid(format!("`kind`: {fault}")))?;
        let is_asked = |other| kind.is_none_or(|kind| kind == other);
        // Without words, all names of all kinds are not the place to look for properties.
        let has_properties =
            kind == Some(NameKind::Property) || kind.is_none() && !self.query.trim().is_empty();
        let mut kinds: Vec<NameKind> = taken(edition);
        kinds.retain(|other| is_asked(*other));
        if has_properties {
            kinds.push(NameKind::Property);
        }
        let cache = AppCache::first(&app.settings.cache_dirs(edition), edition);
        let fonts = cache.iter().flat_map(|cache| cache.own()).copied();
        let mut own: Vec<&'static CatalogEntry> =
            fonts.filter(|_| is_asked(NameKind::Font)).collect();
        if has_properties {
            own.extend(RARE_ARGUMENTS.iter());
        }
        let all = catalog::search(&self.query, &kinds, edition, &own);
        let page = all.iter().skip(self.offset as usize);
        let hits: Vec<SearchHit> = page
            .take(self.limit as usize)
            .map(|hit| used(hit.entry, edition, cache.as_deref()))
            .collect();
        let end = self.offset as usize + hits.len();
        let notes = if has_properties {
            left_out(&self.query)
        } else {
            Vec::new()
        };
        Ok(CatalogMatches {
            edition: edition.name(),
            total: all.len(),
            hits,
            next_offset: (end < all.len()).then_some(end),
            notes,
        })
    }
}

/// A match with its use.
fn used(entry: &'static CatalogEntry, edition: Edition, cache: Option<&AppCache>) -> SearchHit {
    if entry.kind == NameKind::Property {
        return property_hit(entry);
    }
    let hit = match Usage::of_kind(entry.kind, edition) {
        Some(usage) => usage.hit(entry, &usage.name_of(entry, edition).into()),
        None => plain(entry),
    };
    SearchHit {
        // The app downloads the others by their ids, and shows filters only from its cache.
        needs_cache: entry.kind == NameKind::Filter,
        cached: cache.map(|cache| cache.has(entry)),
        ..hit
    }
}

/// Notes about properties that the query asks for and that are not offered.
fn left_out(query: &str) -> Vec<String> {
    let query = query.trim().to_lowercase();
    let is_asked = |property: &Property| {
        let words = property.evidence().map_or("", |known| known.words);
        let mut names = property.names().chain(words.split('|'));
        names.any(|name| query == name || query.split_whitespace().any(|word| word == name))
    };
    PROPERTIES
        .iter()
        .filter(|property| property.only_in_app().is_some() && is_asked(property))
        .filter_map(|property| {
            let why = property.only_in_app()?;
            Some(format!("`{}` is not offered: {why}", property.name))
        })
        .collect()
}

/// The edition of that name, or `otherwise` if there is no name.
pub(super) fn edition(name: Option<&str>, otherwise: Edition) -> Result<Edition> {
    name.map_or(Ok(otherwise), |name| {
        name.parse()
            .map_err(|fault| Error::invalid(format!("`edition`: {fault}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_kind_have_an_argument_where_a_tool_takes_them() {
        for edition in Edition::ALL {
            for kind in taken(edition) {
                let usage = Usage::of_kind(kind, edition).expect("a usage");
                for spec in &usage.tools {
                    assert!(
                        spec.takes(usage.argument),
                        "{}: {}",
                        spec.name,
                        usage.argument
                    );
                }
                assert!(
                    Property::named(usage.argument).is_some(),
                    "{}",
                    usage.argument
                );
            }
        }
        let usage = Usage::of_kind(NameKind::TextIntro, Edition::Capcut).expect("a usage");
        assert_eq!(usage.argument, "intro_animation");
        let tools: Vec<&str> = usage.tools.iter().map(|spec| spec.name).collect();
        assert!(
            tools.contains(&"add_text") && !tools.contains(&"add_image"),
            "{tools:?}"
        );
    }
}
