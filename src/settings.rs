//! Every environment variable, directory and built-in default.
