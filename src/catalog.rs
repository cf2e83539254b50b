//! Effects, transitions, fonts and the like: look up by name, suggest near names.
