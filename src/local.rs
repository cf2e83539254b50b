//! Tools that are carried out here, whatever the backend.
