//! Saved drafts on their way to the computers of people: as zip files behind signed links, and from a zip file into the
//! app's folder.
//!
//! [`archive`] packs a draft's folder and [`unpack`] unpacks it, [`saved`] has the versions that a server keeps in its
//! [`storage`](crate::storage), [`links`] signs addresses of the server, [`download`] fetches zip files, and
//! [`folder_rules`] knows which names each system accepts.

pub(crate) mod archive;
pub(crate) mod download;
pub(crate) mod folder_rules;
pub(crate) mod links;
pub(crate) mod saved;
pub(crate) mod unpack;

/// The path at a server under which its saved drafts are.
pub(crate) const PATH: &str = "drafts";
