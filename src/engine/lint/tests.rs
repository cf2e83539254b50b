//! Every rule of the linter on a draft that breaks it.

use super::*;
