//! Drives the executable as a client sees it.
