//! Services and local programs that make assets: voices, pictures, films, transcripts and texts.
//!
//! A creation may cost money, so it is in the journal before it is sent, is sent again only if it was surely not accepted,
//! and its result is kept by content.

mod assets;
mod command;
mod creation;
mod kinds;
mod maker;
mod pool;
mod price;
mod section;
mod sentences;
mod service;
mod unquoted;
mod wanted;
mod wire;

pub(crate) use assets::{ASSETS, AssetStore};
pub(crate) use maker::{AssetOrder, MadeAsset, MakeContext, Maker, Spent};
pub(crate) use pool::{Provider, Providers};
pub(crate) use price::Estimate;
pub(crate) use price::rounded;
pub(crate) use section::{GenerateSection, Makes, MaxCost, ProviderSection};
pub(crate) use sentences::sentences;
pub(crate) use service::VoicedWord;
pub(crate) use wanted::Wanted;
