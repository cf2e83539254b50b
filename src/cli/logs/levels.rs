//! `--log`: a level for everything, and levels for parts of the program.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::error::{Error, Result, shortened};

/// The accepted names of levels, in any case. The last ones are those of other languages' loggers.
const LEVELS: [(&str, LevelFilter); 9] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
    ("off", LevelFilter::OFF),
    ("warning", LevelFilter::WARN),
    ("critical", LevelFilter::ERROR),
    ("fatal", LevelFilter::ERROR),
];

/// The crates that log.
const TARGETS: [&str; 5] = ["capcut_mcp", "hyper", "hyper_util", "object_store", "rmcp"];

/// The similarity above which a name counts as misspelt.
const NEAR: f64 = 0.75;

const HINT: &str = "levels are `error`, `warn`, `info`, `debug`, `trace` and `off`; \
     `info,rmcp=debug` sets one level for everything and another for a part";

pub(super) fn names() -> Vec<&'static str> {
    LEVELS.map(|(name, _)| name).to_vec()
}

/// Parses `LEVEL`, `TARGET=LEVEL` or a comma-separated list of them. Everything else is refused: `Targets` would
/// accept a misspelt level as the name of a target that logs nothing.
pub(super) fn parse(text: &str) -> Result<Targets> {
    // The SDK warns about every client mistake; these warnings must be requested.
    let mut targets = Targets::new().with_target("rmcp", LevelFilter::ERROR);
    let mut levels = 0;
    for part in text.split(',').map(str::trim) {
        if part.is_empty() {
            continue;
        }
        levels += 1;
        targets = match part.split_once('=') {
            None => targets.with_default(level(part)?),
            Some((target, level_of_it)) => {
                targets.with_target(known(target.trim())?, level(level_of_it.trim())?)
            }
        };
    }
    if levels == 0 {
        return Err(Error::invalid("`--log`: no level is given").hint(HINT));
    }
    Ok(targets)
}

fn level(text: &str) -> Result<LevelFilter> {
    let found = LEVELS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    if let Some((_, level)) = found {
        return Ok(*level);
    }
    let error = Error::invalid(format!("`--log`: {:?} is not a level", shortened(text)));
    let target = TARGETS
        .into_iter()
        .find(|target| is_in(text, target))
        .or_else(|| nearest(text, TARGETS));
    let hint = match (nearest(text, LEVELS.map(|(name, _)| name)), target) {
        (_, Some(target)) => {
            format!("for one part of the program write `info,{target}=debug`; {HINT}")
        }
        (Some(near), None) => format!("did you mean `{near}`? {HINT}"),
        (None, None) => HINT.to_owned(),
    };
    Err(error.hint(hint))
}

/// Checks the name of a part of the program, such as `hyper` or `capcut_mcp::exec`.
fn known(target: &str) -> Result<&str> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let root = target.split("::").next().unwrap_or_default();
    if !target.split("::").all(is_name) || !TARGETS.iter().any(|known| is_in(target, known)) {
        let near =
            nearest(root, TARGETS).map_or(String::new(), |near| format!("did you mean `{near}`? "));
        return Err(Error::invalid(format!(
            "`--log`: {:?} is not a part of this program that logs",
            shortened(target)
        ))
        .hint(format!(
            "{near}these parts log: `{}`, and their modules, such as `capcut_mcp::exec`",
            TARGETS.join("`, `")
        )));
    }
    Ok(target)
}

/// Whether the name is that of the crate or of a module in it.
fn is_in(name: &str, target: &str) -> bool {
    name.strip_prefix(target)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn nearest<const N: usize>(text: &str, known: [&'static str; N]) -> Option<&'static str> {
    // The comparison takes time proportional to both lengths, and a similar name is not much longer.
    if text.len() > 40 {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&text, name);
    known
        .into_iter()
        .filter(|name| likeness(name) > NEAR)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn enables(text: &str, target: &str, level: Level) -> bool {
        parse(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .would_enable(target, &level)
    }

    #[test]
    fn levels_of_other_loggers_are_accepted_in_any_case() {
        for (text, on, off) in [
            ("WARNING", Level::WARN, Some(Level::INFO)),
            ("warning", Level::WARN, Some(Level::INFO)),
            ("Critical", Level::ERROR, Some(Level::WARN)),
            ("FATAL", Level::ERROR, Some(Level::WARN)),
            ("INFO", Level::INFO, Some(Level::DEBUG)),
            (" debug ", Level::DEBUG, Some(Level::TRACE)),
            ("Trace", Level::TRACE, None),
            ("info,error", Level::ERROR, Some(Level::WARN)),
        ] {
            assert!(enables(text, "capcut_mcp::exec", on), "{text}");
            assert!(
                off.is_none_or(|off| !enables(text, "capcut_mcp::exec", off)),
                "{text}"
            );
        }
        assert!(!enables("off", "capcut_mcp", Level::ERROR));
    }

    #[test]
    fn parts_of_the_program_have_their_own_levels() {
        let text = "capcut_mcp=debug, hyper=WARNING";
        assert!(enables(text, "capcut_mcp::exec::call_log", Level::DEBUG));
        assert!(enables(text, "hyper::client", Level::WARN));
        assert!(!enables(text, "hyper::client", Level::INFO));
        assert!(enables(
            "info,capcut_mcp::exec=off",
            "capcut_mcp::mcp",
            Level::INFO
        ));
        assert!(!enables(
            "info,capcut_mcp::exec=off",
            "capcut_mcp::exec",
            Level::ERROR
        ));
    }

    #[test]
    fn sdk_warnings_about_clients_are_off_by_default() {
        assert!(!enables("info", "rmcp", Level::WARN));
        assert!(enables("info,rmcp=debug", "rmcp", Level::WARN));
    }

    #[test]
    fn other_words_are_refused_with_the_nearest_name() {
        for (text, expected) in [
            ("loud", "\"loud\" is not a level"),
            ("warnings", "`warning`"),
            ("eror", "`error`"),
            ("inf", "`info`"),
            ("VERBOSE", "levels are `error`"),
            ("2", "is not a level"),
            ("capcut_mcp", "`info,capcut_mcp=debug`"),
            ("hyper::client", "`info,hyper=debug`"),
            ("capcut-mcp", "`info,capcut_mcp=debug`"),
            ("info,loud", "\"loud\" is not a level"),
            ("capcut_mcp=loud", "\"loud\" is not a level"),
            ("capcut_mcp=debgu", "`debug`"),
            ("capcut_mcp=", "\"\" is not a level"),
            ("=info", "\"\" is not a part"),
            ("capcut-mcp=debug", "did you mean `capcut_mcp`"),
            ("capcut_mcp:exec=debug", "is not a part"),
            ("a=b=info", "is not a"),
            ("", "no level is given"),
            (" , ", "no level is given"),
        ] {
            let error = parse(text)
                .err()
                .unwrap_or_else(|| panic!("{text:?} is accepted"));
            assert!(error.to_string().contains(expected), "{text:?}: {error}");
        }
        let long = parse(&"x".repeat(100_000))
            .expect_err("refused")
            .to_string();
        assert!(long.len() < 1_000, "{}", long.len());
    }

    #[test]
    fn the_targets_are_the_packages_that_log() {
        let lock = include_str!("../../../Cargo.lock");
        let logs = lock
            .split("[[package]]")
            .filter(|package| package.contains("\n \"tracing\",\n"));
        let names = logs.filter_map(|package| package.split('"').nth(1));
        for name in names.filter(|name| !name.starts_with("tracing-")) {
            let target = name.replace('-', "_");
            assert!(TARGETS.contains(&&*target), "{target} logs too");
        }
    }
}
