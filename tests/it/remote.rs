//! Forwarding to a CapCut API: recorded answers, and every shape of failure.
