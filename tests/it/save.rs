//! Saved drafts: media of every kind, failures, and crashes in the middle.
