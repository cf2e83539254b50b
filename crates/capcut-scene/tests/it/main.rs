//! Documents are drawn, and the pixels compared with what the documents say.

mod places;
mod support;
