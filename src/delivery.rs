//! Saved drafts on their way to the computers of people: as zip files behind signed links, and from a zip file into the
//! app's folder.
//!
//! [`archive`] packs a draft's folder and [`unpack`] unpacks it, [`store`] keeps the zip files of a server, [`links`]
//! signs their addresses, [`download`] fetches them, and [`folder_rules`] knows which names each system accepts.

pub(crate) mod archive;
pub(crate) mod download;
pub(crate) mod folder_rules;
pub(crate) mod links;
pub(crate) mod saved;
pub(crate) mod store;
pub(crate) mod unpack;

/// The path at a server under which its saved drafts are.
pub(crate) const PATH: &str = "drafts";
