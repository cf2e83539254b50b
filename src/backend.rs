//! Where calls go: the engine in this process, or a CapCut API server.
