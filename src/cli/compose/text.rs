//! The text output of `compose`: first where the draft is, then the items, and last what to do next.

use console::Style;

use crate::cli::paint::{self, COLUMNS, Painted};
use crate::compose::batch::report::BatchLine;
use crate::compose::generated::MadeReport;
use crate::compose::report::{ItemReport, ItemStatus, RunOutcome, RunReport};
use crate::draft::ids::DraftId;
use crate::error::Error;
use crate::printable::counted;
use crate::providers::rounded;
use crate::sorting;

/// The report of a run.
pub(super) fn report(report: &RunReport) -> Painted {
    let mut out = Painted::new();
    let style = match (&report.save_error, report.outcome) {
        (None, RunOutcome::Complete) => paint::good(),
        _ => paint::bad(),
    };
    out.add(&style, &report.save_summary()).end();
    notes(&mut out, report);
    out.add(&plain_or_bad(report), &report.summary()).end();
    if let Some(made) = &report.made {
        out.add(&paint::plain(), &made_text(made)).end();
    }
    items(&mut out, report);
    let phases = &report.phases;
    let times = format!(
        "{:.0} ms in total; sum of the calls {:.0} ms; save {:.0} ms",
        phases.total_ms, phases.one_after_another_ms, phases.save_ms
    );
    out.add(&paint::faint(), &times).end();
    if let Some(next) = &report.next {
        out.paragraph(&paint::good(), "next: ", next);
    }
    out
}

/// The result of a dry run and its timeline: the items by track and time.
pub(super) fn dry_run(label: &str, report: &RunReport) -> Painted {
    let mut out = Painted::new();
    let totals = &report.totals;
    let good = totals.ok == totals.asked;
    let style = if good { paint::good() } else { paint::bad() };
    let end = report
        .items
        .iter()
        .filter_map(|row| row.end)
        .fold(0.0, f64::max);
    let summary = format!(
        "{label}: {} of {} can be made, {end:.2} s; nothing was written",
        totals.ok,
        counted(totals.asked, "item")
    );
    out.add(&style, &summary).end();
    if let Some(estimate) = &report.estimate {
        let text = format!("voices, pictures and films: {}", estimate.text());
        out.add(&paint::plain(), &text).end();
    }
    notes(&mut out, report);
    let mut rows: Vec<&ItemReport> = report.items.iter().collect();
    // Tracks in the order of the plan; the items of a track by start time.
    let tracks: Vec<&Option<String>> = rows.iter().map(|row| &row.track).collect();
    let place = |row: &ItemReport| tracks.iter().position(|track| **track == row.track);
    sorting::sort_by(&mut rows, |a, b| {
        let start = |row: &ItemReport| row.start.unwrap_or(f64::INFINITY);
        (place(a).cmp(&place(b))).then(start(a).total_cmp(&start(b)))
    });
    for row in rows {
        item(&mut out, row);
    }
    out
}

/// What was made for a run, and its cost.
fn made_text(made: &MadeReport) -> String {
    let kept = made.assets.iter().filter(|row| row.kept).count();
    let mut text = format!(
        "voices, pictures and films: {} made, {kept} already made, at most {} {}",
        made.assets.len() - kept,
        rounded(made.cost),
        made.currency
    );
    if !made.unknown.is_empty() {
        text.push_str(&format!(
            ", and the unknown price of {}",
            made.unknown.join(", ")
        ));
    }
    text
}

/// A plan that cannot be made.
pub(super) fn wrong(label: &str, error: &Error) -> Painted {
    let mut out = Painted::new();
    let summary = format!("{label}: cannot be made; nothing was written");
    out.add(&paint::bad(), &summary).end();
    for line in error.to_string().lines() {
        out.paragraph(&paint::plain(), "        ", line);
    }
    out
}

fn plain_or_bad(report: &RunReport) -> Style {
    if report.totals.ok == report.totals.asked {
        paint::plain()
    } else {
        paint::bad()
    }
}

fn notes(out: &mut Painted, report: &RunReport) {
    for note in &report.notes {
        out.paragraph(&paint::warning(), "note: ", note);
    }
}

fn items(out: &mut Painted, report: &RunReport) {
    for row in &report.items {
        item(out, row);
    }
}

/// One item on a line of at most [`COLUMNS`] columns, with its notes below.
fn item(out: &mut Painted, row: &ItemReport) {
    let (mark, style) = match row.status {
        ItemStatus::Ok => ("ok", paint::good()),
        ItemStatus::Unseen => ("unseen", paint::warning()),
        ItemStatus::Failed => ("FAILED", paint::bad()),
        ItemStatus::Skipped => ("skipped", paint::warning()),
    };
    let times = match (row.start, row.end) {
        (Some(start), Some(end)) => format!("{start:>7.2} – {end:>7.2} s"),
        _ => String::new(),
    };
    let track = row.track.as_deref().unwrap_or_default();
    out.cell(&style, mark, 8)
        .cell(&paint::plain(), &row.item, 16)
        .cell(&paint::faint(), track, 14)
        .add(&paint::plain(), " ")
        .cell(&paint::plain(), &times, 20)
        .add(&paint::plain(), " ")
        .cell(&paint::plain(), &row.content, COLUMNS - 60)
        .end();
    for text in row.error.iter().chain(&row.notes) {
        out.paragraph(&paint::plain(), "        ", text);
    }
    if let Some(hint) = &row.hint {
        out.paragraph(&paint::plain(), "        hint: ", hint);
    }
}

/// A batch: the number of complete drafts, then a line for each draft.
pub(super) fn batch(lines: &[BatchLine], complete: usize) -> Painted {
    let mut out = Painted::new();
    let are = if lines.len() == 1 { "is" } else { "are" };
    let style = if complete == lines.len() {
        paint::good()
    } else {
        paint::bad()
    };
    let drafts = counted(lines.len(), "draft");
    out.add(&style, &format!("{complete} of {drafts} {are} complete"))
        .end();
    let widths = lines
        .iter()
        .map(|line| console::measure_text_width(&line.label));
    let width = widths.max().unwrap_or(0).min(60);
    for line in lines {
        let style = if line.is_complete() {
            paint::good()
        } else {
            paint::bad()
        };
        let draft = line.draft_id.as_ref().map_or("-", DraftId::as_str);
        let counts = format!(" {:>3}/{:<3} ", line.ok, line.asked);
        out.cell(&style, &line.status, 11)
            .cell(&paint::plain(), &line.label, width)
            .add(&paint::plain(), &counts)
            .add(&paint::faint(), draft)
            .add(&paint::plain(), " ")
            .add(&paint::plain(), line.folder.as_deref().unwrap_or("-"))
            .end();
        if let Some(zip) = &line.zip {
            out.paragraph(&paint::plain(), "           ", zip);
        }
        for error in &line.errors {
            out.paragraph(&paint::plain(), "           ", error);
        }
    }
    out
}
