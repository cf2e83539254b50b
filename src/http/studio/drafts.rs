//! The list of drafts.

use hyper::StatusCode;

use super::super::answer::Answer;
use super::page::{HTML, escaped, filled};
use super::texts::Language;
use super::{StudioVisit, text};
use crate::access::utc;
use crate::error::Result;
use crate::journal::DraftRow;

const PAGE: &str = include_str!("page/drafts.html");
/// How many drafts a page has.
const LISTED: usize = 60;

pub(super) async fn page(visit: &StudioVisit, language: Language) -> Answer {
    if let Some(refused) = visit.refused("list_drafts", true) {
        return refused;
    }
    let query = visit
        .parameter("q")
        .filter(|query| !query.trim().is_empty());
    let page = visit.parameter("page").and_then(|page| page.parse().ok());
    let page = page.unwrap_or(0_usize).min(10_000);
    match listed(visit, query.as_deref(), page).await {
        Ok((rows, has_more)) => {
            let cards: String = rows.iter().map(|row| card(row, language)).collect();
            let shown = query.as_deref().unwrap_or_default();
            let more = more(language, shown, page, has_more);
            let none = if rows.is_empty() && query.is_some() {
                language.word("none_found")
            } else {
                language.word("no_drafts")
            };
            let none = if rows.is_empty() {
                format!("<p class=\"empty\">{}</p>", escaped(none))
            } else {
                String::new()
            };
            let sign_out = sign_out(visit, language);
            let words = language.in_page();
            let values = [
                ("cards", cards.as_str()),
                ("query", &escaped(shown)),
                ("none", &none),
                ("more", &more),
                ("sign_out", &sign_out),
                ("words", &words),
            ];
            let page = filled(PAGE, language, &values);
            text(&visit.head, StatusCode::OK, HTML, page.into_bytes())
        }
        Err(error) => visit.failed(&error),
    }
}

/// The button that removes the cookie, for those who signed in with a token.
pub(super) fn sign_out(visit: &StudioVisit, language: Language) -> String {
    if visit.guest.as_ref().is_none_or(|guest| !guest.has_token()) {
        return String::new();
    }
    format!(
        "<form method=\"post\" action=\"/studio/sign-out\"><button>{}</button></form>",
        escaped(language.word("sign_out"))
    )
}

async fn listed(
    visit: &StudioVisit,
    query: Option<&str>,
    page: usize,
) -> Result<(Vec<DraftRow>, bool)> {
    let most = (page + 1) * LISTED + 1;
    let rows = visit.app.journal.list(false, most, query).await?;
    let has_more = rows.len() == most;
    // Those that continue under another id are listed under that one.
    let rows = rows.into_iter().filter(|row| row.moved_to.is_none());
    let mut rows: Vec<DraftRow> = rows.skip(page * LISTED).collect();
    rows.truncate(LISTED);
    Ok((rows, has_more))
}

/// The name of a draft, or its id.
pub(super) fn name(row: &DraftRow) -> &str {
    if row.name.trim().is_empty() {
        row.id.as_str()
    } else {
        &row.name
    }
}

/// A time for people and programs; the page shows it in the reader's own words.
fn time(ms: i64) -> String {
    let seconds = (ms / 1000).try_into().unwrap_or_default();
    format!(
        "<time datetime=\"{}\">{}</time>",
        utc::text(seconds),
        utc::readable(seconds)
    )
}

fn card(row: &DraftRow, language: Language) -> String {
    let id = escaped(row.id.as_str());
    let state = if row.saved_to.is_some() {
        language.word("is_saved")
    } else {
        language.word("is_not_saved")
    };
    let app = match row.edition.as_str() {
        "capcut" => "CapCut",
        "jianying" => language.word("jianying"),
        _ => "",
    };
    format!(
        "<li><a href=\"/studio/draft/{id}\"><img src=\"/studio/draft/{id}/cover?v={}-{}\" alt=\"\" width=\"320\" height=\"180\" \
         loading=\"lazy\"><span class=\"name\">{}</span><span class=\"about\"><span>{}</span><span>{}</span><span>{}</span></span></a></li>",
        row.calls,
        row.modified_ms,
        escaped(name(row)),
        time(row.modified_ms),
        escaped(app),
        escaped(state),
    )
}

/// The links to the pages before and after.
fn more(language: Language, query: &str, page: usize, has_more: bool) -> String {
    let link = |page: usize, word: &str| {
        let mut url = reqwest::Url::parse("http://localhost/studio/").ok()?;
        url.query_pairs_mut()
            .append_pair("q", query)
            .append_pair("page", &page.to_string());
        let to = format!("/studio/?{}", url.query().unwrap_or_default());
        Some(format!(
            "<a href=\"{}\">{}</a>",
            escaped(&to),
            escaped(word)
        ))
    };
    let before = (page > 0)
        .then(|| link(page - 1, language.word("newer")))
        .flatten();
    let after = has_more
        .then(|| link(page + 1, language.word("older")))
        .flatten();
    before.into_iter().chain(after).collect()
}
