//! What is known of a media URL, each asked for once however many calls want it.
