//! Which tools clients see and can call: profiles, `--tools`, `--exclude` and `--read-only`.

use std::borrow::Cow;

use super::view;
use crate::args::suggest::nearest;
use crate::error::{Error, Result, shortened};
use crate::local;
use crate::settings::ToolChoice;
use crate::tool::Spec;

/// A named list of tools.
struct ToolProfile {
    name: &'static str,
    /// What it is for, in a few words.
    about: &'static str,
    tools: ProfileTools,
}

enum ProfileTools {
    Named(&'static [&'static str]),
    /// The tools of the CapCut API.
    Routed,
    All,
}

/// The profiles. Every tool is in at least one; where a text must name one for a tool, it names the first.
const PROFILES: [ToolProfile; 4] = [
    ToolProfile {
        name: DEFAULT,
        about: "what clients see if nothing else is chosen",
        tools: ProfileTools::Named(&[
            "create_draft",
            "add_video",
            "add_image",
            "add_audio",
            "add_text",
            "add_subtitle",
            "add_effect",
            "add_video_keyframe",
            "save_draft",
            "compose_draft",
            "compose_batch",
            "generate_video",
            "job_status",
            "cancel_job",
            "search_catalog",
            "analyze_audio",
            "list_drafts",
            "open_draft",
            "inspect_draft",
            "edit_draft",
            "undo_draft",
            "apply_template",
            "delete_draft",
            "preview_draft",
            "preview_frame",
            "preview_video",
            "validate_draft",
            "health_check",
        ]),
    },
    ToolProfile {
        name: "compose",
        about: "plans, and changes to what they made; the shortest list",
        tools: ProfileTools::Named(&[
            "compose_draft",
            "inspect_draft",
            "edit_draft",
            "undo_draft",
            "preview_draft",
            "search_catalog",
            "save_draft",
            "job_status",
        ]),
    },
    ToolProfile {
        name: "api",
        about: "the tools of the CapCut API",
        tools: ProfileTools::Routed,
    },
    ToolProfile {
        name: "full",
        about: "all tools",
        tools: ProfileTools::All,
    },
];

const DEFAULT: &str = "default";

impl ToolProfile {
    fn lists(&self, spec: &Spec) -> bool {
        match self.tools {
            ProfileTools::Named(names) => names.contains(&spec.name),
            ProfileTools::Routed => spec.is_routed(),
            ProfileTools::All => true,
        }
    }
}

/// The names of the profiles and what they are for.
pub(crate) fn profiles() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROFILES.iter().map(|profile| (profile.name, profile.about))
}

/// The first profile that lists a tool.
pub(crate) fn profile_of(spec: &Spec) -> &'static str {
    let found = PROFILES.iter().find(|profile| profile.lists(spec));
    found.map_or("full", |profile| profile.name)
}

/// Whether a profile lists a tool.
pub(crate) fn lists(profile: &str, spec: &Spec) -> bool {
    let found = PROFILES.iter().find(|known| known.name == profile);
    found.is_some_and(|profile| profile.lists(spec))
}

/// The tools that clients of one server see and can call.
pub(crate) struct ToolSet {
    choice: ToolChoice,
    listed: Vec<&'static Spec>,
    /// All that can be called by name.
    callable: Vec<&'static Spec>,
    /// Tools that only the pages of views call.
    of_views: Vec<&'static Spec>,
}

impl ToolSet {
    /// The tools of a choice.
    ///
    /// # Errors
    /// For names that are neither a tool nor a profile, and for a choice that leaves no tool.
    pub(crate) fn new(choice: ToolChoice) -> Result<Self> {
        let chosen = choice.tools.as_deref().map(named).transpose()?;
        let excluded = named(choice.exclude.as_deref().unwrap_or_default())?;
        let is_allowed = |spec: &Spec| {
            !excluded.iter().any(|other| other.name == spec.name)
                && (!choice.read_only || spec.hints.read_only)
        };
        let listed: Vec<&'static Spec> = local::all()
            .filter(|spec| match &chosen {
                Some(chosen) => chosen.iter().any(|other| other.name == spec.name),
                None => lists(DEFAULT, spec),
            })
            .filter(|spec| is_allowed(spec))
            .collect();
        if listed.is_empty() {
            return Err(
                Error::invalid("`--tools`, `--exclude` and `--read-only` leave no tool")
                    .hint("without these options, clients see the tools of the profile `default`"),
            );
        }
        let callable = match chosen {
            Some(_) => listed.clone(),
            // The list is short to save a model's context; the other tools are not forbidden.
            None => local::all().filter(|spec| is_allowed(spec)).collect(),
        };
        let has_views = listed.iter().any(|spec| spec.reply_form.shows_draft);
        let called = view::CALLED.into_iter().filter_map(local::find);
        let of_views = called
            .filter(|spec| has_views && is_allowed(spec))
            .filter(|spec| !listed.iter().any(|other| other.name == spec.name))
            .collect();
        Ok(Self {
            choice,
            listed,
            callable,
            of_views,
        })
    }

    /// The tools that are not listed, but called by the pages of views.
    pub(crate) fn of_views(&self) -> impl Iterator<Item = &'static Spec> {
        self.of_views.iter().copied()
    }

    /// What `tools/list` returns, in the order of the list.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &'static Spec> {
        self.listed.iter().copied()
    }

    fn is_listed(&self, name: &str) -> bool {
        self.listed.iter().any(|spec| spec.name == name)
    }

    /// The tool of that name, if it can be called.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Spec> {
        self.callable.iter().find(|spec| spec.name == name).copied()
    }

    /// Why there is no tool of that name, and what to use instead.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let shown = shortened(name);
        if local::find(name).is_some() {
            return format!("there is no tool `{shown}`: {}", self.why_left_out(name));
        }
        let near = || {
            let names = self.callable.iter().map(|spec| spec.name);
            nearest(name, names).map_or(String::new(), |near| format!("; did you mean `{near}`?"))
        };
        let advice = local::advice(name).map_or_else(near, |advice| format!("; {advice}"));
        let message = format!("there is no tool `{shown}`{advice}");
        self.naming_profiles(&message).into_owned()
    }

    fn why_left_out(&self, name: &str) -> String {
        let spec = local::find(name);
        let is_excluded = || {
            let names = self.choice.exclude.as_deref().unwrap_or_default();
            named(names).is_ok_and(|excluded| excluded.iter().any(|other| other.name == name))
        };
        if self.choice.read_only && spec.is_some_and(|spec| !spec.hints.read_only) {
            return "`--read-only` leaves it out".to_owned();
        }
        if is_excluded() {
            return "`--exclude` leaves it out".to_owned();
        }
        let profile = spec.map_or(DEFAULT, profile_of);
        format!("`--tools` leaves it out; the profile `{profile}` lists it")
    }

    /// A text in which each tool that clients do not see is followed by the profile that lists it, or by the option that
    /// leaves it out: a model may not know tools that are not in its list.
    pub(crate) fn naming_profiles<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut named: Vec<&str> = Vec::new();
        let mut out = String::new();
        let mut copied = 0;
        for (start, word) in words_of_tools(text) {
            let Some(spec) = local::find(word).filter(|spec| !self.is_listed(spec.name)) else {
                continue;
            };
            if named.contains(&word) {
                continue;
            }
            named.push(word);
            let quoted =
                text[..start].ends_with('`') && text[start + word.len()..].starts_with('`');
            let end = start + word.len() + usize::from(quoted);
            let remark = if self.find(spec.name).is_some() {
                format!(" (profile `{}`)", profile_of(spec))
            } else {
                format!(" ({})", self.why_left_out(spec.name))
            };
            let after = &text[end..];
            if !after.starts_with(" (profile `") && !after.starts_with(&remark) {
                out.push_str(&text[copied..end]);
                out.push_str(&remark);
                copied = end;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[copied..]);
        Cow::Owned(out)
    }
}

/// The words of a text that can be names of tools, which all contain `_`, and where they start. Paths are no names.
fn words_of_tools(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/';
    // Nearly all replies end here.
    let text = if text.contains('_') { text } else { "" };
    let words = text.split(move |c| !is_part(c));
    words
        .filter(|word| word.contains('_'))
        .map(move |word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

/// Checks a list of tools and profiles.
pub(crate) fn check(names: &str) -> Result<()> {
    named(names).map(|_| ())
}

/// The tools of a list of names, separated by commas or blanks: of tools, and of profiles.
fn named(names: &str) -> Result<Vec<&'static Spec>> {
    let mut found = Vec::new();
    for name in names.split([',', ' ', ';']).filter(|name| !name.is_empty()) {
        let plain = name.trim().to_lowercase().replace('-', "_");
        if let Some(profile) = PROFILES.iter().find(|profile| profile.name == plain) {
            found.extend(local::all().filter(|spec| profile.lists(spec)));
        } else if let Some(spec) = local::find(&plain) {
            found.push(spec);
        } else {
            let known = PROFILES.iter().map(|profile| profile.name);
            let near = nearest(&plain, known.chain(local::all().map(|spec| spec.name)))
                .map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let profiles: Vec<String> = profiles().map(|(name, _)| format!("`{name}`")).collect();
            return Err(Error::invalid(format!(
                "{:?} is neither a tool nor a profile",
                shortened(name)
            ))
            .hint(format!(
                "{near}The profiles are {}; `capcut-mcp tools` lists the tools",
                profiles.join(", ")
            )));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tools: Option<&str>, exclude: Option<&str>, read_only: bool) -> ToolSet {
        ToolSet::new(ToolChoice {
            tools: tools.map(str::to_owned),
            exclude: exclude.map(str::to_owned),
            read_only,
        })
        .expect("a set")
    }

    fn names(set: &ToolSet) -> Vec<&'static str> {
        set.listed().map(|spec| spec.name).collect()
    }

    #[test]
    fn profiles_list_tools_that_exist_and_every_tool_is_in_one() {
        for profile in &PROFILES {
            if let ProfileTools::Named(tools) = profile.tools {
                for tool in tools {
                    assert!(local::find(tool).is_some(), "{}: {tool}", profile.name);
                }
            }
        }
        let plain = set(None, None, false);
        assert!(names(&plain).len() <= 28, "{:?}", names(&plain));
        assert_eq!(names(&set(Some("compose"), None, false)).len(), 8);
        let full = set(Some("full"), None, false);
        assert_eq!(names(&full).len(), local::all().count());
    }

    #[test]
    fn an_unknown_tool_error_suggests_the_nearest_name() {
        let plain = set(None, None, false);
        assert_eq!(
            plain.unknown("add_vidoe"),
            "there is no tool `add_vidoe`; did you mean `add_video`?"
        );
        assert_eq!(plain.unknown("zzz"), "there is no tool `zzz`");
    }

    #[test]
    fn unlisted_tools_can_be_called_only_where_no_list_was_chosen() {
        let plain = set(None, None, false);
        assert!(!plain.is_listed("query_script") && plain.find("query_script").is_some());
        let chosen = set(Some("default"), None, false);
        assert!(chosen.find("query_script").is_none());
        let more = set(Some("compose, query_script ,add-text"), None, false);
        assert!(more.is_listed("query_script") && more.is_listed("add_text"));
        let less = set(None, Some("delete_draft,api"), false);
        assert!(less.find("delete_draft").is_none() && less.find("query_script").is_none());
        assert!(less.is_listed("compose_draft"));
        let readers = set(None, None, true);
        assert!(readers.listed().all(|spec| spec.hints.read_only));
        assert!(readers.find("query_script").is_some() && readers.find("add_text").is_none());
    }

    #[test]
    fn unknown_names_and_empty_lists_are_refused() {
        let refused = |tools: &str, exclude: &str| {
            ToolSet::new(ToolChoice {
                tools: Some(tools.to_owned()),
                exclude: Some(exclude.to_owned()),
                read_only: false,
            })
            .err()
            .expect("an error")
        };
        let error = refused("default,add_txt", "");
        assert!(error.message.contains("\"add_txt\""), "{error}");
        let hint = error.hint.expect("a hint");
        assert!(
            hint.contains("`add_text`") && hint.contains("`compose`"),
            "{hint}"
        );
        assert!(refused("compose", "full").message.contains("leave no tool"));
    }

    #[test]
    fn texts_name_the_profile_of_tools_that_are_not_listed() {
        let plain = set(None, None, false);
        assert_eq!(
            plain.naming_profiles("use `recover_draft` or `edit_draft`; /recover_draft"),
            "use `recover_draft` (profile `full`) or `edit_draft`; /recover_draft"
        );
        let once = plain.naming_profiles("query_script, then query_script");
        assert_eq!(once, "query_script (profile `api`), then query_script");
        assert_eq!(plain.naming_profiles(&once), once);
        let readers = set(None, None, true);
        assert_eq!(
            readers.naming_profiles("use `edit_draft`"),
            "use `edit_draft` (`--read-only` leaves it out)"
        );
        assert!(
            plain
                .unknown("export_video")
                .contains("save the draft with `save_draft`")
        );
        assert_eq!(
            readers.unknown("add_text"),
            "there is no tool `add_text`: `--read-only` leaves it out"
        );
    }
}
