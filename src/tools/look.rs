//! The arguments that `add_image` and `add_video` share: place, size, transition, mask and background of a picture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::{self, Content, Object, Position, default, loose};
use crate::catalog;
use crate::draft::clip::Clip;
use crate::draft::ids::DraftId;
use crate::draft::material::{Blur, Mask, Transition};
use crate::engine::parts::{self, MaskWish};
use crate::engine::{CallTarget, Canvas};
use crate::error::{Faults, Result};
use crate::tool::CatalogName;
use crate::units::Edition;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PictureLook {
    #[serde(
        default = "default::transform_x",
        deserialize_with = "loose::transform_x"
    )]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    #[serde(
        default = "default::transform_y",
        deserialize_with = "loose::transform_y"
    )]
    #[schemars(with = "f64")]
    pub transform_y: f64,
    #[serde(default = "default::scale_x", deserialize_with = "loose::scale_x")]
    #[schemars(with = "f64")]
    pub scale_x: f64,
    #[serde(default = "default::scale_y", deserialize_with = "loose::scale_y")]
    #[schemars(with = "f64")]
    pub scale_y: f64,
    /// Or {x, y, width, height} in pixels.
    #[serde(
        default,
        deserialize_with = "args::place",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Position>")]
    pub position: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<String>,
    #[serde(default = "default::add_image::transition_duration")]
    pub transition_duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_type: Option<String>,
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>")]
    pub mask_center_x: Option<f64>,
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>")]
    pub mask_center_y: Option<f64>,
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>")]
    pub mask_size: Option<f64>,
    #[serde(default = "default::mask_rotation")]
    pub mask_rotation: f64,
    #[serde(default = "default::mask_feather")]
    pub mask_feather: f64,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub mask_invert: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_rect_width: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_round_corner: Option<f64>,
    #[serde(
        default,
        deserialize_with = "args::level",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>", extend("enum" = [1, 2, 3, 4]))]
    pub background_blur: Option<f64>,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub width: f64,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub height: f64,
    /// The app's drafts folder, for paths; use that of `save_draft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub draft_folder: Option<String>,
}

impl PictureLook {
    pub(crate) fn target<'a>(&self, draft: Option<&'a DraftId>) -> CallTarget<'a> {
        CallTarget {
            draft,
            width: self.width,
            height: self.height,
        }
    }

    pub(crate) fn transition(&self, edition: Edition) -> Result<Option<Transition>> {
        parts::transition(
            edition,
            self.transition.as_deref(),
            self.transition_duration,
        )
    }

    /// The mask; the recorded defaults of its place and size depend on the tool.
    pub(crate) fn mask(&self, canvas: Canvas, tool: &str) -> Result<Option<Mask>> {
        let number = |given: Option<f64>, argument| {
            given.unwrap_or_else(|| default::number_in(argument, tool))
        };
        parts::mask(
            canvas,
            MaskWish {
                name: self.mask_type.as_deref(),
                center_x: number(self.mask_center_x, "mask_center_x"),
                center_y: number(self.mask_center_y, "mask_center_y"),
                size: number(self.mask_size, "mask_size"),
                rotation: self.mask_rotation,
                feather: self.mask_feather,
                invert: self.mask_invert,
                rect_width: self.mask_rect_width,
                round_corner: self.mask_round_corner,
            },
        )
    }

    pub(crate) fn blur(&self) -> Result<Option<Blur>> {
        parts::blur(self.background_blur)
    }

    pub(crate) fn folder(&self) -> Result<Option<String>> {
        args::folder(self.draft_folder.as_deref())
    }

    /// Place and size on the canvas. `size`: that of the file, if it is known.
    pub(crate) fn clip(
        &self,
        strict: bool,
        canvas: Canvas,
        size: Option<(f64, f64)>,
    ) -> Result<Clip> {
        Ok(args::clip(
            strict,
            self.position,
            (canvas.width, canvas.height),
            Content::Picture {
                size,
                scale: (self.scale_x, self.scale_y),
            },
            Clip {
                transform_x: parts::finite("transform_x", self.transform_x)?,
                transform_y: parts::finite("transform_y", self.transform_y)?,
                scale_x: parts::finite("scale_x", self.scale_x)?,
                scale_y: parts::finite("scale_y", self.scale_y)?,
                ..Clip::default()
            },
        ))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = CatalogName<'_>> {
        [
            CatalogName::new(
                "transition",
                &[catalog::NameKind::Transition],
                self.transition.as_deref(),
            ),
            CatalogName::new(
                "mask_type",
                &[catalog::NameKind::Mask],
                self.mask_type.as_deref(),
            ),
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) fn faults_on(&self, canvas: Canvas, tool: &str, faults: &mut Faults) {
        faults.of(self.transition(canvas.edition));
        faults.of(self.mask(canvas, tool));
        faults.of(self.blur());
        faults.of(self.folder());
    }

    /// Replaces `position` by the numbers that a CapCut API understands.
    pub(crate) fn to_api(&self, arguments: &mut Object) {
        args::api_position(
            arguments,
            self.position,
            (self.width, self.height),
            Content::Picture {
                size: None,
                scale: (self.scale_x, self.scale_y),
            },
        );
    }
}
