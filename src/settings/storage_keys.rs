//! The credentials of object storage, which come from the environment only.

use super::{Env, value};
use crate::secrets::Hidden;

pub(super) const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(super) const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
pub(super) const SESSION: &str = "AWS_SESSION_TOKEN";

/// The credentials; `None` for those that are not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorageKeys {
    pub key_id: Option<Hidden>,
    pub secret: Option<Hidden>,
    pub session: Option<Hidden>,
}

impl StorageKeys {
    /// A value that is not text counts as not set: an error could show it.
    pub(super) fn of(env: Env<'_>) -> Self {
        let read = |variable| {
            let text = value(env, variable)?.into_string().ok()?;
            let text = text.trim();
            (!text.is_empty()).then(|| Hidden(text.to_owned()))
        };
        Self {
            key_id: read(KEY_ID),
            secret: read(SECRET),
            session: read(SESSION),
        }
    }
}
