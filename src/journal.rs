//! Every acknowledged call of every draft, on disk; a draft is the fold of its calls.
