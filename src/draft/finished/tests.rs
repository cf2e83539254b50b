//! The finished document: its shape, its frames, and what it refers to.

use super::*;
