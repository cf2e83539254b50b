//! The trait of a tool, and the one list of them all.
