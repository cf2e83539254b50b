//! Documents are drawn, and the pixels compared with what the documents say.

mod golden;
mod places;
mod support;
