//! Documents are drawn, and the pixels compared with what the documents say.

mod effects;
mod golden;
mod karaoke;
mod places;
mod random;
mod review;
mod support;
