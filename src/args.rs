//! Argument types that several tools share, and how loose arguments become right ones.
