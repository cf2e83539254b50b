//! A look at a draft: what people would not like about its picture and its sound.

mod heard;

use std::sync::Arc;
use std::time::Instant;

use capcut_render::Renderer;
use capcut_scene::{Finding, FindingKind, MeasuredText};
use tokio_util::sync::CancellationToken;

use super::rendering::{ShownDraft, blocking, of_renderer};
use crate::compose::seen::DraftReview;
use crate::error::{Error, Kind, Result};
use crate::exec::drafts::NamedDraft;
use crate::exec::{App, Context};
use crate::manifest;

/// The longer side of pictures in which contrast is measured, in pixels.
const SIZE: u32 = 480;
/// How many texts or files a note names.
const NAMED: usize = 5;

/// Looks at a draft as it is now, saved or not.
pub(crate) async fn look(
    app: &Arc<App>,
    draft: &NamedDraft,
    context: &Context,
) -> Result<DraftReview> {
    let limit = manifest::seconds(app.manifest.limits.review_timeout_s);
    let start = Instant::now();
    let shown = ShownDraft::read(app, draft, context).await?;
    // Listening leaves time for the picture.
    let heard = heard::heard(app, &shown, start + limit / 2, context).await?;
    let (mut review, times, shown) = blocking(move || {
        let mut review = shown.movie.review(&shown.document);
        let files = heard.of(shown.movie.sounds());
        shown
            .movie
            .review_sounds(&shown.document, &files, &mut review);
        review.notes.extend(heard.notes);
        let texts = shown.movie.measurable_texts();
        let times: Vec<(i64, i64)> = texts.times().map(|at| (at, at)).collect();
        Ok((review, times, shown))
    })
    .await?;
    if !times.is_empty() {
        let mut drawable = shown.with_files(app, &times, false, context).await?;
        let (until, cancel) = (start + limit, context.cancel.clone());
        let late = out_of_time(app);
        review = blocking(move || {
            let found = contrast(&mut drawable.renderer, until, &cancel)?;
            review.add(FindingKind::LowContrast, found.findings);
            if let Some((_, why)) = found.unknown.first() {
                let clips: Vec<&str> = found.unknown.iter().map(|(clip, _)| &**clip).collect();
                review.notes.push(format!(
                    "contrast not checked for {}: a picture or video below cannot be shown ({why})",
                    listed(&clips)
                ));
            }
            if !found.late.is_empty() {
                review.notes.push(format!(
                    "contrast not checked for {} ({late})",
                    listed(&found.late)
                ));
            }
            Ok(review)
        })
        .await?;
    }
    Ok(DraftReview::new(review))
}

/// What was found on the contrast of texts.
#[derive(Default)]
struct Contrast {
    findings: Vec<Finding>,
    /// Texts over pictures that cannot be shown, and why.
    unknown: Vec<(Arc<str>, String)>,
    /// Texts that were not reached in time.
    late: Vec<Arc<str>>,
}

/// Measures the contrast of texts until a time.
fn contrast(
    renderer: &mut Renderer,
    until: Instant,
    cancel: &CancellationToken,
) -> Result<Contrast> {
    let movie = renderer.movie().clone();
    let texts = movie.measurable_texts();
    let mut found = Contrast::default();
    for index in 0..texts.len() {
        if cancel.is_cancelled() {
            return Err(Error::new(Kind::Cancelled, "the look was cancelled"));
        }
        if Instant::now() >= until {
            found.late.extend(texts.name(index));
            continue;
        }
        let Some(text) = texts.measured(index) else {
            continue;
        };
        match pixels_below(renderer, &text)? {
            Ok(pixels) => found.findings.extend(text.judge(&pixels)),
            Err(why) => found.unknown.push((text.clip, why)),
        }
    }
    Ok(found)
}

/// The note on a look that failed.
pub(crate) fn not_looked(error: &Error) -> String {
    format!("picture and sound were not checked: {}", error.message)
}

/// The first names of a list, and how many more there are.
fn listed(names: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The reason for what was not checked before the limit of time.
fn out_of_time(app: &App) -> String {
    format!(
        "a look takes at most {} s",
        app.manifest.limits.review_timeout_s
    )
}

/// The pixels below a text, or why they are not known.
fn pixels_below(
    renderer: &mut Renderer,
    text: &MeasuredText,
) -> Result<std::result::Result<Vec<[u8; 3]>, String>> {
    let mut media = text.media.iter();
    if let Some(why) = media.find_map(|medium| renderer.hindrance(*medium)) {
        return Ok(Err(why));
    }
    let scene = std::slice::from_ref(&text.below);
    let known = renderer.notes().len();
    let pictures = renderer.scenes(scene, SIZE).map_err(of_renderer)?;
    // A file that turned out to be unreadable was drawn as a placeholder.
    let failed = renderer.notes()[known..]
        .iter()
        .find(|note| note.is_left_out && note.subject == "media");
    if let Some(note) = failed {
        return Ok(Err(note.text.clone()));
    }
    let Some(picture) = pictures.first() else {
        return Ok(Ok(Vec::new()));
    };
    let (width, height) = (picture.width(), picture.height());
    let [left, top, right, bottom] = text.area;
    let range = |low: f64, high: f64, side: u32| {
        let side = f64::from(side);
        (low * side).floor() as usize..(high * side).ceil() as usize
    };
    let columns = range(left, right, width);
    let rows = range(top, bottom, height).take(height as usize);
    let pixels = rows.flat_map(|row| {
        let line = &picture.pixels()[row * width as usize..(row + 1) * width as usize];
        line[columns.clone()]
            .iter()
            .map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
    });
    Ok(Ok(pixels.collect()))
}
