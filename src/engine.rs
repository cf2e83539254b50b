//! The engine: create, edit, read and save drafts. A draft changes in `Engine::edit` and nowhere else.

mod subtitle;

/// Drafts, and what is needed to make and save them.
pub(crate) struct Engine {}
