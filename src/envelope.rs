//! The API's envelope `{"success", "output", "error"}`: written by the server, read by the client.
