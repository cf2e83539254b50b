//! A look at a draft: what people would not like about its picture and its sound.

mod heard;

use std::sync::Arc;
use std::time::Instant;

use capcut_render::Renderer;
use capcut_scene::{FindingKind, MeasuredText};

use super::rendering::{ShownDraft, blocking, of_renderer};
use crate::compose::seen::DraftReview;
use crate::error::{Error, Result};
use crate::exec::drafts::NamedDraft;
use crate::exec::{App, Context};
use crate::manifest;

/// How many texts are compared with the picture below them: each may need a frame of a video.
const MEASURED: usize = 24;
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
    let until = Instant::now() + manifest::seconds(app.manifest.limits.review_timeout_s);
    let shown = ShownDraft::read(app, draft, context).await?;
    let heard = heard::heard(app, &shown, until, context).await?;
    let (mut review, texts, count, shown) = blocking(move || {
        let mut review = shown.movie.review(&shown.document);
        let files = heard.of(shown.movie.sounds());
        shown
            .movie
            .review_sounds(&shown.document, &files, &mut review);
        review.notes.extend(heard.notes);
        let (texts, count) = shown.movie.measured_texts(MEASURED);
        Ok((review, texts, count, shown))
    })
    .await?;
    if !texts.is_empty() {
        let times: Vec<(i64, i64)> = texts.iter().map(|text| (text.at, text.at)).collect();
        let mut drawable = shown.with_files(app, &times, false, context).await?;
        review = blocking(move || {
            let mut found = Vec::new();
            let mut unknown: Vec<(String, String)> = Vec::new();
            let measured = texts.len();
            for text in texts {
                match pixels_below(&mut drawable.renderer, &text)? {
                    Ok(pixels) => found.extend(text.judge(&pixels)),
                    Err(why) => unknown.push((text.clip.to_string(), why)),
                }
            }
            review.add(FindingKind::LowContrast, found);
            if let Some((_, why)) = unknown.first() {
                let clips: Vec<&str> = unknown.iter().map(|(clip, _)| clip.as_str()).collect();
                review.notes.push(format!(
                    "contrast not checked for {}: a picture or video below cannot be shown ({why})",
                    listed(&clips)
                ));
            }
            if measured < count {
                review.notes.push(format!(
                    "contrast was checked for {measured} of {count} texts"
                ));
            }
            Ok(review)
        })
        .await?;
    }
    Ok(DraftReview::new(review))
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
