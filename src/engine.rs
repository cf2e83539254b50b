//! The engine: create, edit, read and save drafts. A draft changes in `Engine::edit` and nowhere else.

use crate::units::Edition;
pub(crate) mod subtitle;

/// Drafts, and what is needed to make and save them.
pub(crate) struct Engine {
    edition: Edition,
}

impl Engine {
    pub(crate) fn new(edition: Edition) -> Self {
        Self { edition }
    }

    /// The app whose names are taken.
    pub(crate) fn edition(&self) -> Edition {
        self.edition
    }
}
