//! Saved drafts on their way to the computers of people: from a zip file or a link into the app's folder.
//!
//! [`download`] fetches zip files, [`unpack`] checks and unpacks them, and [`folder_rules`] knows which names each system
//! accepts.

pub(crate) mod download;
pub(crate) mod folder_rules;
pub(crate) mod unpack;
