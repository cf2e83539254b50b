//! The engine: create, edit, read and save drafts. A draft changes in `Engine::edit` and nowhere else.
